package filter

import (
	"fmt"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// namedServerPairs is how many matches with targets there are.
const namedServerPairs = 25

// NamedServer is the module namedserverfilter, which sends statements that an
// expression is found in to certain servers ("Named Server Filter", MaxScale).
// No expression is found in statements too long to be read.
func NamedServer() dbproxy.FilterModule {
	specs := param.Specs{
		{Name: "match", Type: param.TypeRegex, Fixed: true, Deprecated: true, Description: "Expression of the only pair"},
		{Name: "target", Type: param.TypeString, Fixed: true, Deprecated: true, Description: "Target of the only pair"},
	}
	for i := 1; i <= namedServerPairs; i++ {
		specs = append(specs,
			param.Spec{Name: fmt.Sprintf("match%02d", i), Type: param.TypeRegex, Description: "Expression that is looked for in statements"},
			param.Spec{Name: fmt.Sprintf("target%02d", i), Type: param.TypeString, Description: "Where they go: servers, a service, ->master, ->slave or ->all"})
	}
	return dbproxy.FilterModule{
		Description: "Sends statements to servers by regular expressions",
		Specs:       append(specs, MatchSpecs("ignorecase")[2:]...),
		New:         newNamedServer,
	}
}

// namedServer is the filter.
type namedServer struct {
	matcher *Matcher
	params  param.Set
	rules   []namedRule
}

// namedRule is a match with its target.
type namedRule struct {
	text    string
	regexp  *Regexp
	targets []string
	hints   []dbproxy.Hint
}

func newNamedServer(o dbproxy.FilterOptions) (dbproxy.Filter, error) {
	f := &namedServer{params: o.Params}
	options := RegexpOptionsOf(o.Params)
	suffixes := []string{""}
	for i := 1; i <= namedServerPairs; i++ {
		suffixes = append(suffixes, fmt.Sprintf("%02d", i))
	}
	for _, suffix := range suffixes {
		rule, err := newNamedRule(o.Params, suffix, options)
		if err != nil {
			return nil, err
		}
		if rule != nil {
			f.rules = append(f.rules, *rule)
		}
	}
	switch {
	case len(f.rules) == 0:
		return nil, param.Faults{{Name: "match01", Message: "must be given"}}
	case len(f.rules) > 1 && o.Params.Has("match"):
		return nil, param.Faults{{Name: "match", Message: "cannot be given together with matches that have numbers"}}
	}
	source, err := parseSources(o.Params.String("source"))
	if err != nil {
		return nil, err
	}
	f.matcher = &Matcher{user: o.Params.String("user"), source: source, log: o.Logger}
	return f, nil
}

// newNamedRule reads one pair, nil if it is not given.
func newNamedRule(p param.Set, suffix string, options RegexpOptions) (*namedRule, error) {
	match, target := "match"+suffix, "target"+suffix
	x, err := compileParam(p, match, options)
	text := strings.TrimSpace(p.String(target))
	switch {
	case err != nil:
		return nil, err
	case x == nil && text == "":
		return nil, nil
	case x == nil:
		return nil, param.Faults{{Name: match, Message: "must be given together with " + target}}
	case text == "":
		return nil, param.Faults{{Name: target, Message: "must be given together with " + match}}
	}
	rule := &namedRule{text: p.Regex(match).Text(), regexp: x}
	for name := range strings.SplitSeq(text, ",") {
		hint, ok := namedTarget(strings.TrimSpace(name))
		if !ok {
			return nil, param.Faults{{Name: target, Message: "must be names of servers or services, ->master, ->slave or ->all"}}
		}
		rule.targets = append(rule.targets, strings.TrimSpace(name))
		rule.hints = append(rule.hints, hint)
	}
	return rule, nil
}

func namedTarget(name string) (dbproxy.Hint, bool) {
	switch name {
	case "->master":
		return dbproxy.Hint{Kind: dbproxy.HintMaster}, true
	case "->slave":
		return dbproxy.Hint{Kind: dbproxy.HintSlave}, true
	case "->all":
		return dbproxy.Hint{Kind: dbproxy.HintAll}, true
	}
	return dbproxy.Hint{Kind: dbproxy.HintServer, Value: name}, name != "" && !strings.HasPrefix(name, "->")
}

// Session implements dbproxy.Filter.
func (f *namedServer) Session(s *dbproxy.Session, next dbproxy.Handler) (dbproxy.Handler, error) {
	if !f.matcher.Session(s) {
		return next, nil
	}
	return &namedSession{filter: f, next: next}, nil
}

// Diagnostics implements dbproxy.Filter.
func (f *namedServer) Diagnostics() map[string]any {
	mappings := []any{}
	for _, r := range f.rules {
		mappings = append(mappings, map[string]any{"match": r.text, "targets": r.targets})
	}
	d := map[string]any{"mappings": mappings}
	for _, name := range []string{"user", "source"} {
		if value := f.params.String(name); value != "" {
			d[name] = value
		}
	}
	return d
}

// Close implements dbproxy.Filter.
func (f *namedServer) Close() {}

// hints are those of the first expression that is found.
func (f *namedServer) hints(text []byte) []dbproxy.Hint {
	for i := range f.rules {
		if f.matcher.found(f.rules[i].regexp, text, false) {
			return f.rules[i].hints
		}
	}
	return nil
}

type namedSession struct {
	filter   *namedServer
	next     dbproxy.Handler
	prepared prepared[[]dbproxy.Hint]
}

// Handle implements dbproxy.Handler.
func (s *namedSession) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	text, ok := r.SQL()
	switch {
	case ok && r.Command == wire.ComStmtPrepare:
		return s.prepared.prepare(s.next, r, to, s.filter.hints(text))
	case ok:
		r.Hints = append(r.Hints, s.filter.hints(text)...)
	default:
		hints, _ := s.prepared.of(r)
		if r.Command == wire.ComStmtExecute || r.Command == wire.ComStmtBulkExecute || r.Command == wire.ComStmtFetch {
			r.Hints = append(r.Hints, hints...)
		}
	}
	return s.next.Handle(r, to)
}

// Close implements dbproxy.Handler.
func (s *namedSession) Close() {}
