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
type compiled[V any] struct {
	id     uuid.UUID
	hosts  []host // none is any
	keys   []key  // what a request is looked up by, beside host and path
	rules  []*rule[V]
	checks checks
}

// A rule is a route with one of its paths, or without. What a search needs of
// most rules is in it, in two lines of memory side by side: among many routes, to
// fetch those is what a search takes its time for.
type rule[V any] struct {
	leaf  node[bucket[V]] // by which it is found where there is no other path
	alone bucket[V]       // where there is no other rule
	rest  *ruleRest
	brief brief
	value V
}

// brief is what most searches go by.
type brief struct {
	methods   uint16 // those of commonMethods, by bit
	flags     flags
	protocols Protocols
	length    uint32 // of the path
}

type flags uint8

const (
	anyMethod  flags = 1 << iota
	checked          // there are checks
	expression       // the path is one
)

// ruleRest is what few searches need of a rule.
type ruleRest struct {
	order  order
	checks *checks  // of the route
	re     *pattern // nil for plain paths
	path   string   // plain, or what a path that fits re begins with
	names  []string
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

// compile makes rules of a route; set fills in the value of each.
func compile[V any](r *entity.Route, set func(*V)) (*compiled[V], error) {
	c := &compiled[V]{id: r.ID}
	for _, h := range r.Hosts {
		c.hosts = append(c.hosts, parseHost(h))
	}
	b := brief{protocols: protocols(r.Protocols)}
	b.methods, c.checks.otherMethods = splitMethods(r.Methods)
	if len(r.Methods) == 0 {
		b.flags |= anyMethod
	}
	keys, err := c.checks.setHeaders(r.Headers)
	if err != nil {
		return nil, err
	}
	c.keys = append(keys, c.checks.setSNIs(r.SNIs)...)
	if !c.checks.none() {
		b.flags |= checked
	}
	o, ok := orderOf(r)
	if b.protocols == 0 || !ok {
		return c, nil // it matches nothing
	}
	paths := r.Paths
	if len(paths) == 0 {
		paths = []string{""}
	}
	for i, p := range paths {
		next := &rule[V]{brief: b, rest: &ruleRest{order: o, checks: &c.checks, path: p}}
		next.alone.best = next
		next.rest.order.path, next.rest.order.fine = i, int64(len(p))
		if strings.HasPrefix(p, "~") {
			if err := next.rest.setRegexp(p[1:], r.RegexPriority); err != nil {
				return nil, err
			}
			next.brief.flags |= expression
		}
		next.brief.length = uint32(len(next.rest.path))
		set(&next.value)
		c.rules = append(c.rules, next)
	}
	return c, nil
}

// orderOf is the order of a route's rules as far as it is the same for all. It
// is not ok for a route that has nothing to be matched by.
func orderOf(r *entity.Route) (o order, ok bool) {
	attributes := uint64(0)
	for _, set := range []bool{
		len(r.Methods) > 0, len(r.Hosts) > 0, len(r.Headers) > 0, len(r.Paths) > 0, len(r.SNIs) > 0,
	} {
		attributes += bit(set)
	}
	plain := len(r.Hosts) > 0 && !slices.ContainsFunc(r.Hosts, func(h string) bool { return strings.Contains(h, "*") })
	o.general = attributes<<40 | bit(plain)<<33 | uint64(len(r.Headers))<<1
	o.created, o.id = r.CreatedAt, r.ID
	return o, attributes > 0
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

func (r *ruleRest) setRegexp(expr string, priority int) error {
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
func (c *checks) setHeaders(headers map[string][]string) (keys []key, err error) {
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
				return nil, fmt.Errorf("header %s ~*%s: %w", name, expr, err)
			}
			check.regexps = append(check.regexps, re)
		}
		if n := combinations * len(check.values); len(check.regexps) == 0 && n <= maxCombinations {
			combinations = max(n, 1)
			keys = append(keys, key{name: lower(name), values: check.values})
			continue
		}
		c.headers = append(c.headers, check)
	}
	return keys, nil
}

// maxCombinations bounds the places where one path of a route is in the index.
const maxCombinations = 64

// setSNIs makes a key of server names if they are plain, and checks otherwise.
func (c *checks) setSNIs(names []string) []key {
	if len(names) == 0 {
		return nil
	}
	var k key
	for _, n := range names {
		k.values = append(k.values, lower(n))
	}
	if len(names) > maxCombinations || slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "*") }) {
		c.snis = k.values
		return nil
	}
	return []key{k}
}
