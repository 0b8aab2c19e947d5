package route

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// compiled is a route as it is in the index.
type compiled struct {
	// What a search needs of most routes comes first, and lies together.
	value     any
	protocols Protocols
	methods   methods
	first     rule // the first of rules

	checks checks
	rules  []*rule
	id     uuid.UUID
	hosts  []host // none is any
	keys   []key  // what a request is looked up by, beside host and path
}

// A rule is a route with one of its paths, or without.
type rule struct {
	route *compiled
	re    *pattern // nil for plain paths
	path  string   // plain, or what a path that fits re begins with
	order order
	names []string
}

// An order tells which of two rules that fit is taken.
type order struct {
	// general has, from its highest bits: the number of attributes, whether
	// hosts are plain, the number of headers, whether the path is a regular
	// expression. More is better, as in fine.
	general uint64
	fine    int64 // the priority of a regular expression, or the length of a path
	created int64 // older is better
	id      uuid.UUID
	path    int // the path's place in the route
}

// compare is below 0 if o is better.
func (o *order) compare(p *order) int {
	if o.general != p.general {
		return cmp.Compare(p.general, o.general)
	}
	if o.fine != p.fine {
		return cmp.Compare(p.fine, o.fine)
	}
	if o.created != p.created {
		return cmp.Compare(o.created, p.created)
	}
	if c := slices.Compare(o.id[:], p.id[:]); c != 0 {
		return c
	}
	return cmp.Compare(o.path, p.path)
}

func compile(r *entity.Route, value any) (*compiled, error) {
	c := &compiled{id: r.ID, value: value, protocols: protocols(r.Protocols)}
	attributes := 0
	for _, set := range []bool{
		len(r.Methods) > 0, len(r.Hosts) > 0, len(r.Headers) > 0, len(r.Paths) > 0, len(r.SNIs) > 0,
	} {
		if set {
			attributes++
		}
	}
	plain := len(r.Hosts) > 0
	for _, h := range r.Hosts {
		c.hosts = append(c.hosts, parseHost(h))
		plain = plain && !strings.Contains(h, "*")
	}
	c.setMethods(r.Methods)
	if err := c.setHeaders(r.Headers); err != nil {
		return nil, err
	}
	c.setSNIs(r.SNIs)
	c.setSimple()
	if c.protocols == 0 || attributes == 0 {
		return c, nil // it matches nothing
	}
	o := order{
		general: uint64(attributes)<<40 | bit(plain)<<33 | uint64(len(r.Headers))<<1,
		created: r.CreatedAt, id: r.ID,
	}
	c.first = rule{order: o, route: c}
	if len(r.Paths) == 0 {
		c.rules = []*rule{&c.first}
	}
	for i, p := range r.Paths {
		next := &c.first
		if i > 0 {
			next = &rule{order: o, route: c}
		}
		next.path = p
		next.order.path, next.order.fine = i, int64(len(p))
		if strings.HasPrefix(p, "~") {
			if err := next.setRegexp(p[1:], r.RegexPriority); err != nil {
				return nil, err
			}
		}
		c.rules = append(c.rules, next)
	}
	return c, nil
}

func bit(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func protocols(names []string) (p Protocols) {
	for _, n := range names {
		switch n {
		case "http":
			p |= HTTP
		case "https":
			p |= HTTPS
		case "grpc":
			p |= GRPC
		case "grpcs":
			p |= GRPCS
		}
	}
	return p
}

func (r *rule) setRegexp(expr string, priority int) error {
	re, err := newPattern(expr)
	if err != nil {
		return fmt.Errorf("path ~%s: %w", expr, err)
	}
	r.path = literalPrefix(expr)
	r.re, r.names = re, re.names
	r.order.general |= 1
	r.order.fine = int64(priority)
	return nil
}

// literalPrefix is what all that an expression matches begins with.
func literalPrefix(expr string) string {
	s, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return ""
	}
	prefix, _ := literal(s.Simplify())
	return prefix
}

// literal is what an expression begins with, and whether that is all of it.
func literal(s *syntax.Regexp) (string, bool) {
	switch s.Op {
	case syntax.OpLiteral:
		// The replacement character stands for bytes that are not UTF-8, too.
		folds := s.Flags&syntax.FoldCase != 0
		i := slices.IndexFunc(s.Rune, func(r rune) bool {
			return r == utf8.RuneError || folds && unicode.SimpleFold(r) != r
		})
		if i >= 0 {
			return string(s.Rune[:i]), false
		}
		return string(s.Rune), true
	case syntax.OpEmptyMatch, syntax.OpBeginText:
		return "", true
	case syntax.OpCapture:
		return literal(s.Sub[0])
	case syntax.OpPlus:
		prefix, _ := literal(s.Sub[0])
		return prefix, false
	case syntax.OpConcat:
		var all strings.Builder
		for _, sub := range s.Sub {
			prefix, whole := literal(sub)
			all.WriteString(prefix)
			if !whole {
				return all.String(), false
			}
		}
		return all.String(), true
	}
	return "", false
}

// setHeaders makes keys of the headers that have plain values only, as far as
// their combinations are not many, and checks of the others.
func (c *compiled) setHeaders(headers map[string][]string) error {
	combinations := 1
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		check := header{name: name}
		for _, v := range headers[name] {
			expr, isRegexp := strings.CutPrefix(v, "~*")
			if !isRegexp {
				check.values = append(check.values, lower(v))
				continue
			}
			re, err := regexp.Compile("(?i:" + expr + ")")
			if err != nil {
				return fmt.Errorf("header %s ~*%s: %w", name, expr, err)
			}
			check.regexps = append(check.regexps, re)
		}
		if n := combinations * len(check.values); len(check.regexps) == 0 && n <= maxCombinations {
			combinations = max(n, 1)
			c.keys = append(c.keys, key{name: lower(name), values: check.values})
			continue
		}
		c.checks.headers = append(c.checks.headers, check)
	}
	return nil
}

// maxCombinations bounds the places where one path of a route is in the index.
const maxCombinations = 64

func (c *compiled) setSNIs(names []string) {
	if len(names) == 0 {
		return
	}
	k := key{}
	for _, n := range names {
		n = lower(n)
		k.values = append(k.values, n)
		c.checks.snis = append(c.checks.snis, n)
	}
	if !slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "*") }) && len(names) <= maxCombinations {
		c.checks.snis = nil
		c.keys = append(c.keys, k)
	}
}
