package filter

import (
	"log/slog"
	"net/netip"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// MatchSpecs are the parameters that say which sessions and statements a filter
// deals with; options is the default of the one of that name. Filters that know
// only some of them leave the others out.
func MatchSpecs(options string) param.Specs {
	return param.Specs{
		{Name: "match", Type: param.TypeRegex, Description: "Only statements in which this regular expression is found"},
		{Name: "exclude", Type: param.TypeRegex, Description: "No statements in which this regular expression is found"},
		optionsSpec(options),
		{Name: "user", Type: param.TypeString, Description: "Only clients logged in with this name"},
		{Name: "source", Type: param.TypeString, Description: "Only clients from these addresses, where % stands for anything"},
	}
}

func optionsSpec(standard string) param.Spec {
	return param.Spec{Name: "options", Type: param.TypeEnumMask, Enum: []string{"case", "ignorecase", "extended"},
		Default: []string{standard}, Description: "How regular expressions are meant"}
}

// RegexpOptionsOf are the options that a filter's parameter options gives.
func RegexpOptionsOf(p param.Set) (options RegexpOptions) {
	for _, o := range p.List("options") {
		switch o {
		case "ignorecase":
			options |= IgnoreCase
		case "extended":
			options |= Extended
		}
	}
	return options
}

// Matcher tells which sessions and statements a filter deals with. Its zero
// value takes all of them. It may be used by many at once.
type Matcher struct {
	match, exclude *Regexp
	user           string
	source         sources
	log            *slog.Logger
}

// NewMatcher makes a matcher of the parameters of MatchSpecs; ignore is read as
// exclude. An error is of type param.Faults.
func NewMatcher(p param.Set, log *slog.Logger) (*Matcher, error) {
	m := &Matcher{user: p.String("user"), log: log}
	options := RegexpOptionsOf(p)
	exclude := "exclude"
	if _, ok := p.Specs().Find("ignore"); ok {
		exclude = "ignore"
	}
	var err error
	if m.match, err = compileParam(p, "match", options); err != nil {
		return nil, err
	}
	if m.exclude, err = compileParam(p, exclude, options); err != nil {
		return nil, err
	}
	m.source, err = parseSources(p.String("source"))
	return m, err
}

// Session tells whether a session is dealt with, by its user and address.
func (m *Matcher) Session(s *dbproxy.Session) bool {
	return m.client(s.User(), s.Remote())
}

func (m *Matcher) client(user string, remote netip.AddrPort) bool {
	return (m.user == "" || m.user == user) && (len(m.source) == 0 || m.source.match(remote))
}

// SQL tells whether a statement is dealt with. One that cannot be told in time
// is not.
func (m *Matcher) SQL(text []byte) bool {
	return (m.match == nil || m.found(m.match, text, false)) &&
		(m.exclude == nil || !m.found(m.exclude, text, true))
}

// All tells whether all statements are dealt with.
func (m *Matcher) All() bool { return m.match == nil && m.exclude == nil }

func (m *Matcher) found(x *Regexp, text []byte, failed bool) bool {
	found, err := x.Match(text)
	if err != nil {
		if m.log != nil {
			m.log.Warn("A statement could not be matched", "error", err)
		}
		return failed
	}
	return found
}

// sources are addresses of clients, of which one is to match.
type sources []string

func parseSources(text string) (sources, error) {
	if text == "" {
		return nil, nil
	}
	var list sources
	for item := range strings.SplitSeq(text, ",") {
		item = strings.TrimSpace(item)
		if strings.Trim(item, "%.:") == "" {
			return nil, param.Faults{{Name: "source", Message: "must be addresses, in which % stands for anything, but not for all"}}
		}
		if addr, err := netip.ParseAddr(item); err == nil {
			item = addr.Unmap().String()
		}
		list = append(list, item)
	}
	return list, nil
}

func (l sources) match(remote netip.AddrPort) bool {
	text := hostOf(remote)
	for _, item := range l {
		if like(item, text) {
			return true
		}
	}
	return false
}

// hostOf is the client's address as text; those of Unix sockets are localhost.
func hostOf(remote netip.AddrPort) string {
	if !remote.IsValid() {
		return "localhost"
	}
	return remote.Addr().Unmap().String()
}

// like tells whether text is as the pattern, in which % stands for anything.
func like(pattern, text string) bool {
	first, rest, wild := strings.Cut(pattern, "%")
	if !wild {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, first)
	for ok {
		part, more, again := strings.Cut(rest, "%")
		if !again {
			return strings.HasSuffix(text, rest)
		}
		_, text, ok = strings.Cut(text, part)
		rest = more
	}
	return false
}
