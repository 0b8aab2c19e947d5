package firewall

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/filter"
)

// ruleset is what a file of rules says.
type ruleset struct {
	rules []*rule // in the order of the file
	users []users
}

// users says which rules are for whom.
type users struct {
	clients []filter.Client
	mode    mode
	rules   []*rule
}

// mode is how many rules have to match.
type mode uint8

const (
	matchAny mode = iota
	matchAll
	matchStrictAll // one after another, until one does not match
)

// word is a word of a line. One in quotes is a value wherever it stands.
type word struct {
	text   string
	quoted bool
}

func (w word) is(keyword string) bool { return !w.quoted && strings.EqualFold(w.text, keyword) }

// parseRules reads a file of rules ("Database Firewall filter", section Rule
// syntax).
func parseRules(text string) (*ruleset, error) {
	set := &ruleset{}
	n := 0
	for line := range strings.Lines(text) {
		n++
		if err := set.line(line); err != nil {
			return nil, fmt.Errorf("has a fault in line %d: %w", n, err)
		}
	}
	if len(set.rules) == 0 || len(set.users) == 0 {
		return nil, errors.New(`needs a "rule" and "users" for it`)
	}
	return set, nil
}

func (s *ruleset) line(line string) error {
	if strings.HasPrefix(strings.TrimSpace(line), "#") {
		return nil
	}
	words, err := split(line)
	if err != nil || len(words) == 0 {
		return err
	}
	p := &parser{words: words}
	switch {
	case p.skip("rule"):
		r, err := p.rule()
		if err != nil {
			return err
		}
		if s.find(r.name) != nil {
			return errors.New("a rule of that name is there already")
		}
		s.rules = append(s.rules, r)
		return nil
	case p.skip("users"):
		u, err := p.users(s)
		s.users = append(s.users, u)
		return err
	}
	return errors.New(`it must begin with "rule" or "users"`)
}

func (s *ruleset) find(name string) *rule {
	for _, r := range s.rules {
		if r.name == name {
			return r
		}
	}
	return nil
}

// split cuts a line into words. Within quotes a backslash keeps its meaning,
// except before the quote.
func split(line string) (words []word, err error) {
	for {
		line = strings.TrimSpace(line)
		if line == "" {
			return words, nil
		}
		quote := line[0]
		if quote != '\'' && quote != '"' && quote != '`' {
			end := strings.IndexAny(line, " \t\r\n\v\f")
			if end < 0 {
				end = len(line)
			}
			words = append(words, word{text: line[:end]})
			line = line[end:]
			continue
		}
		text, rest, ok := quoted(line)
		if !ok {
			return nil, errors.New("a quote is not closed")
		}
		if rest != "" && !strings.ContainsRune(" \t\r\n\v\f,@", rune(rest[0])) {
			return nil, errors.New("something follows a quote")
		}
		if rest != "" && rest[0] == '@' { // 'user'@'host'
			host := rest[1:]
			if host != "" && (host[0] == '\'' || host[0] == '"' || host[0] == '`') {
				if host, rest, ok = quoted(host); !ok {
					return nil, errors.New("a quote is not closed")
				}
			} else {
				end := strings.IndexAny(host, " \t\r\n\v\f")
				if end < 0 {
					end = len(host)
				}
				host, rest = host[:end], host[end:]
			}
			text += "@" + host
		}
		words = append(words, word{text: text, quoted: true})
		line = strings.TrimPrefix(rest, ",")
	}
}

// quoted reads the text within quotes.
func quoted(line string) (text, rest string, ok bool) {
	quote := line[0]
	var b strings.Builder
	for i := 1; i < len(line); i++ {
		switch {
		case line[i] == quote:
			return b.String(), line[i+1:], true
		case line[i] == '\\' && i+1 < len(line):
			if line[i+1] != quote {
				b.WriteByte('\\')
			}
			i++
		}
		b.WriteByte(line[i])
	}
	return "", "", false
}

// parser reads a line, word by word.
type parser struct{ words []word }

func (p *parser) skip(keyword string) bool {
	if len(p.words) == 0 || !p.words[0].is(keyword) {
		return false
	}
	p.words = p.words[1:]
	return true
}

// next takes a value.
func (p *parser) next() (string, bool) {
	if len(p.words) == 0 || p.words[0].text == "" {
		return "", false
	}
	text := p.words[0].text
	p.words = p.words[1:]
	return text, true
}

// values takes values up to one of the keywords.
func (p *parser) values(until ...string) (list []string, err error) {
	for len(p.words) > 0 && !slices.ContainsFunc(until, p.words[0].is) {
		text, ok := p.next()
		if !ok {
			return nil, errors.New("a value is empty")
		}
		if text = strings.Trim(text, ","); text != "" {
			list = append(list, text)
		}
	}
	return list, nil
}

func (p *parser) users(s *ruleset) (u users, err error) {
	clients, err := p.values("match")
	if err != nil {
		return u, err
	}
	for _, text := range clients {
		c, err := filter.ParseClient(text)
		if err != nil {
			return u, fmt.Errorf("%q %w", text, err)
		}
		u.clients = append(u.clients, c)
	}
	if len(u.clients) == 0 || !p.skip("match") {
		return u, errors.New(`users must be given, and "match" after them`)
	}
	switch {
	case p.skip("any"):
	case p.skip("all"):
		u.mode = matchAll
	case p.skip("strict_all"):
		u.mode = matchStrictAll
	default:
		return u, errors.New(`after "match" there must be any, all or strict_all`)
	}
	if !p.skip("rules") {
		return u, errors.New(`"rules" is missing`)
	}
	names, err := p.values()
	for _, name := range names {
		r := s.find(name)
		if r == nil {
			return u, fmt.Errorf("there is no rule %q before", name)
		}
		u.rules = append(u.rules, r)
	}
	if err == nil && len(u.rules) == 0 {
		err = errors.New("no rule is named")
	}
	return u, err
}

func (p *parser) rule() (*rule, error) {
	name, ok := p.next()
	if !ok || !p.skip("match") && !p.skip("deny") && !p.skip("allow") {
		return nil, errors.New(`a rule must have a name, and "match" after it`)
	}
	r := &rule{name: name}
	if err := p.subject(r); err != nil {
		return nil, err
	}
	for len(p.words) > 0 {
		var err error
		switch {
		case r.times == nil && p.skip("at_times"):
			r.times, err = p.times()
		case r.queries == nil && p.skip("on_queries"):
			r.queries, err = p.queries()
		default:
			err = fmt.Errorf("%q is out of place", p.words[0].text)
		}
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

const (
	atTimes   = "at_times"
	onQueries = "on_queries"
)

// subject reads what a rule looks for.
func (p *parser) subject(r *rule) (err error) {
	switch {
	case p.skip("wildcard"):
		r.kind = kindWildcard
	case p.skip("no_where_clause"):
		r.kind = kindNoWhere
	case p.skip("columns"):
		r.kind = kindColumns
		if r.columns, err = p.values(atTimes, onQueries); err == nil && len(r.columns) == 0 {
			err = errors.New("no column is named")
		}
	case p.skip("uses_function"):
		r.kind = kindUsesFunction
		if r.columns, err = p.values(atTimes, onQueries); err == nil && len(r.columns) == 0 {
			err = errors.New("no column is named")
		}
	case p.skip("function"):
		r.kind = kindFunction
		if err = p.functions(r); err == nil && len(r.functions) == 0 {
			err = errors.New("no function is named")
		}
	case p.skip("not_function"):
		r.kind = kindNotFunction
		err = p.functions(r)
	case p.skip("regex"):
		r.kind = kindRegex
		err = p.regex(r)
	case p.skip("limit_queries"):
		r.kind = kindLimit
		r.limit, err = p.limit()
	default:
		err = errors.New("it does not say what to look for")
	}
	return err
}

// functions reads names of functions, and of the columns they are looked for
// with.
func (p *parser) functions(r *rule) (err error) {
	if r.functions, err = p.values("columns", atTimes, onQueries); err != nil || !p.skip("columns") {
		return err
	}
	if r.columns, err = p.values(atTimes, onQueries); err == nil && len(r.columns) == 0 {
		err = errors.New("no column is named")
	}
	return err
}

func (p *parser) regex(r *rule) (err error) {
	if len(p.words) == 0 || !p.words[0].quoted {
		return errors.New("a regular expression must be given in quotes")
	}
	text, ok := p.next()
	if !ok {
		return errors.New("the regular expression is empty")
	}
	if r.regex, err = filter.CompileRegexp("(?s)"+text, filter.IgnoreCase); err != nil {
		return fmt.Errorf("the regular expression %w", err)
	}
	return nil
}

func (p *parser) limit() (*limit, error) {
	var n [3]int64
	for i := range n {
		text, _ := p.next()
		v, err := strconv.ParseInt(text, 10, 32)
		if err != nil || v <= 0 {
			return nil, errors.New("limit_queries needs three numbers above 0: queries, seconds of counting, seconds of refusal")
		}
		n[i] = v
	}
	return newLimit(int(n[0]), time.Duration(n[1])*time.Second, time.Duration(n[2])*time.Second), nil
}

// span is a part of the day, in seconds from midnight, ends included. One that
// ends before it begins goes on after midnight.
type span struct{ from, to int }

func (p *parser) times() ([]span, error) {
	list, err := p.values(atTimes, onQueries)
	var spans []span
	for _, text := range list {
		from, to, ok := strings.Cut(text, "-")
		a, errA := time.Parse(time.TimeOnly, from)
		b, errB := time.Parse(time.TimeOnly, to)
		if !ok || errA != nil || errB != nil {
			return nil, fmt.Errorf("%q must be times, as 08:00:00-17:30:00", text)
		}
		spans = append(spans, span{secondOf(a), secondOf(b)})
	}
	if err == nil && len(spans) == 0 {
		err = errors.New("at_times needs times")
	}
	return spans, err
}

func secondOf(t time.Time) int { return t.Hour()*3600 + t.Minute()*60 + t.Second() }

func (p *parser) queries() (map[string]bool, error) {
	list, err := p.values(atTimes, onQueries)
	names := map[string]bool{}
	for name := range strings.SplitSeq(strings.ToLower(strings.Join(list, "|")), "|") {
		if name == "" {
			continue
		}
		if !slices.Contains(operations, name) {
			return nil, fmt.Errorf("%q must be one of %s", name, strings.Join(operations, ", "))
		}
		names[name] = true
	}
	if err == nil && len(names) == 0 {
		err = errors.New("on_queries needs kinds of statements")
	}
	return names, err
}
