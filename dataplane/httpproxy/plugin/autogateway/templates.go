package autogateway

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// segment is an index of templates of paths by their segments, or a part of one:
// what follows a segment.
type segment struct {
	methods  []string // of a template that ends here, sorted; nil for none
	literals map[string]*segment
	patterns []pattern
	rests    []rest
}

// pattern is a segment that has parameters: one between each two pieces.
type pattern struct {
	pieces []string
	next   *segment
}

// rest is what templates go on with of which a parameter takes slashes. There are
// few of them.
type rest struct {
	whole *regexp.Regexp
	end   *segment
}

// put adds a template. Methods that go with others are added: HEAD with GET, and
// OPTIONS always.
func (s *segment) put(template string, methods []string) {
	all := split(template)
	for i, parts := range all {
		if hasRest(parts) {
			s = s.behind(all[i:])
			break
		}
		s = s.below(pieces(parts))
	}
	s.methods = append(append(s.methods, methods...), http.MethodOptions)
	if slices.Contains(methods, http.MethodGet) {
		s.methods = append(s.methods, http.MethodHead)
	}
	slices.Sort(s.methods)
	s.methods = slices.Compact(s.methods)
}

// below is what follows a segment, which is added if it is not there.
func (s *segment) below(pieces []string) *segment {
	if len(pieces) == 1 {
		next := s.literals[pieces[0]]
		if next == nil {
			if s.literals == nil {
				s.literals = map[string]*segment{}
			}
			next = &segment{}
			s.literals[pieces[0]] = next
		}
		return next
	}
	for _, p := range s.patterns {
		if slices.Equal(p.pieces, pieces) {
			return p.next
		}
	}
	next := &segment{}
	s.patterns = append(s.patterns, pattern{pieces, next})
	return next
}

// behind is the end of a template of which there are several segments left.
func (s *segment) behind(segments [][]part) *segment {
	expr := expression(segments)
	for _, r := range s.rests {
		if r.whole.String() == expr {
			return r.end
		}
	}
	end := &segment{}
	if whole, err := regexp.Compile(expr); err == nil { // else no path has it
		s.rests = append(s.rests, rest{whole, end})
	}
	return end
}

// allowed are the methods of all templates that fit a path in normal form, nil
// if there is none.
func (s *segment) allowed(path string) []string {
	path, ok := strings.CutPrefix(path, "/")
	if !ok {
		return nil
	}
	methods := s.collect(path, nil)
	slices.Sort(methods)
	return slices.Compact(methods)
}

func (s *segment) collect(path string, methods []string) []string {
	name, rest, more := strings.Cut(path, "/")
	visit := func(next *segment) {
		if more {
			methods = next.collect(rest, methods)
		} else {
			methods = append(methods, next.methods...)
		}
	}
	if next := s.literals[name]; next != nil {
		visit(next)
	}
	for i := range s.patterns {
		if s.patterns[i].fits(name) {
			visit(s.patterns[i].next)
		}
	}
	for _, r := range s.rests {
		if r.whole.MatchString(path) {
			methods = append(methods, r.end.methods...)
		}
	}
	return methods
}

// fits tells whether a segment has the pieces in their order, with at least one
// character between each two.
func (p *pattern) fits(name string) bool {
	last := len(p.pieces) - 1
	name, ok := strings.CutPrefix(name, p.pieces[0])
	for _, piece := range p.pieces[1:last] {
		_, n := utf8.DecodeRuneInString(name)
		at := strings.Index(name[n:], piece)
		if !ok || n == 0 || at < 0 {
			return false
		}
		name = name[n+at+len(piece):]
	}
	_, n := utf8.DecodeRuneInString(name)
	return ok && n > 0 && strings.HasSuffix(name[n:], p.pieces[last])
}

func has(methods []string, method string) bool {
	_, found := slices.BinarySearch(methods, method)
	return found
}
