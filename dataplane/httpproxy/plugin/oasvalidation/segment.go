package oasvalidation

import (
	"errors"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/urlpath"
)

// segment is a place in the tree of path templates. What is written out is
// preferred to what has a parameter, from the left to the right.
type segment struct {
	literal map[string]*segment
	mixed   []*mixed
	any     *segment       // a parameter alone
	rest    []*mixed       // parameters that take slashes, too, with the text after them
	ends    map[string]end // by method, where a template ends
}

// end is an operation, with the names of the parameters on the way to it.
type end struct {
	operation *operation
	names     []string
}

// mixed is a segment that has both text and parameters.
type mixed struct {
	parts []string // texts around the parameters: one more than those
	next  *segment
}

// add puts a template into the tree.
func (s *segment) add(template string, operations map[string]*operation) error {
	var names []string
	before, last, tail := restOf(strings.TrimPrefix(template, "/"))
	segments := strings.Split(before, "/")
	if last != "" {
		segments = segments[:len(segments)-1] // what is before it ends in a slash, or is nothing
	}
	for _, text := range segments {
		parts, params, err := split(text)
		if err != nil {
			return err
		}
		names = append(names, params...)
		if s = s.child(parts); s == nil {
			return errors.New("there are too many paths like this")
		}
	}
	if last != "" {
		names = append(names, last)
		if s = s.after(tail); s == nil {
			return errors.New("there are too many paths like this")
		}
	}
	if s.ends == nil {
		s.ends = map[string]end{}
	}
	for method, o := range operations {
		// Of templates that differ only in the names of parameters the first counts.
		if _, has := s.ends[method]; !has {
			s.ends[method] = end{o, names}
		}
	}
	return nil
}

// restOf cuts a parameter that takes slashes, too, off a template, and the text
// after it: {path:path}, {path:.*}, {path*} and {+path} in the dialects of
// frameworks. There may be no parameter after it.
func restOf(template string) (before, name, tail string) {
	at := strings.LastIndexByte(template, '{')
	if at < 0 || at > 0 && template[at-1] != '/' {
		return template, "", ""
	}
	written, tail, _ := strings.Cut(template[at+1:], "}")
	if tail != "" && tail[0] != '/' {
		return template, "", ""
	}
	name, kind, _ := strings.Cut(written, ":")
	bare := strings.TrimSuffix(strings.TrimPrefix(name, "+"), "*")
	if bare == "" || bare == name && kind != "path" && !strings.HasSuffix(kind, ".*") && !strings.HasSuffix(kind, ".+") {
		return template, "", ""
	}
	if normal, ok := urlpath.Normalize("/_" + tail); ok {
		tail = normal[len("/_"):]
	}
	return template[:at], bare, tail
}

// split takes a segment of a template apart.
func split(text string) (parts, params []string, err error) {
	for {
		before, rest, has := strings.Cut(text, "{")
		// A dot beside a parameter is no segment of its own.
		if normal, ok := urlpath.Normalize("/_" + before); ok {
			before = normal[len("/_"):]
		}
		parts = append(parts, before)
		if !has {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || name == "" || strings.Contains(name, "{") {
			return nil, nil, errors.New("its braces are not in order")
		}
		if plain, _, kind := strings.Cut(name, ":"); kind && plain != "" {
			name = plain // {id:int} in the dialects of frameworks
		}
		params, text = append(params, name), after
	}
	for i := 1; i < len(parts)-1; i++ {
		if parts[i] == "" {
			return nil, nil, errors.New("there must be something between two parameters")
		}
	}
	return parts, params, nil
}

// maxMixed bounds how many templates are tried for one segment of a path.
const maxMixed = 1000

// child is what is below a segment for a part of a template, nil if there is too
// much already.
func (s *segment) child(parts []string) *segment {
	switch {
	case len(parts) == 1:
		next := s.literal[parts[0]]
		if next == nil {
			next = &segment{}
			if s.literal == nil {
				s.literal = map[string]*segment{}
			}
			s.literal[parts[0]] = next
		}
		return next
	case len(parts) == 2 && parts[0] == "" && parts[1] == "":
		if s.any == nil {
			s.any = &segment{}
		}
		return s.any
	}
	for _, m := range s.mixed {
		if slices.Equal(m.parts, parts) {
			return m.next
		}
	}
	if len(s.mixed) == maxMixed {
		return nil
	}
	m := &mixed{parts, &segment{}}
	s.mixed = append(s.mixed, m)
	slices.SortStableFunc(s.mixed, func(a, b *mixed) int { return b.written() - a.written() })
	return m.next
}

// after is what is below a parameter that takes slashes, too, and a text.
func (s *segment) after(tail string) *segment {
	for _, r := range s.rest {
		if r.parts[0] == tail {
			return r.next
		}
	}
	if len(s.rest) == maxMixed {
		return nil
	}
	r := &mixed{[]string{tail}, &segment{}}
	s.rest = append(s.rest, r)
	slices.SortStableFunc(s.rest, func(a, b *mixed) int { return b.written() - a.written() })
	return r.next
}

// written is how much of a segment is text.
func (m *mixed) written() (n int) {
	for _, p := range m.parts {
		n += len(p)
	}
	return n
}

// found is what the tree has for a path.
type found struct {
	end
	methods map[string]end // those that the path has; nil if there is none
	values  []string       // of the parameters, as they are in the path
}

// find finds the operation of a request for a path in normal form.
func (s *segment) find(method, path string) found {
	f := found{}
	if strings.HasPrefix(path, "/") {
		s.walk(&f, method, path[1:], make([]string, 0, 8))
	}
	return f
}

// walk looks for what is below a segment; false if the search may end.
func (s *segment) walk(f *found, method, path string, values []string) bool {
	text, rest, more := strings.Cut(path, "/")
	next := func(s *segment, values []string) bool {
		if s == nil {
			return true
		}
		if more {
			return s.walk(f, method, rest, values)
		}
		return s.end(f, method, values)
	}
	if !next(s.literal[text], values) {
		return false
	}
	for _, m := range s.mixed {
		if with, ok := m.match(text, values); ok && !next(m.next, with) {
			return false
		}
	}
	if text != "" && s.any != nil && !next(s.any, append(values, text)) {
		return false
	}
	for _, r := range s.rest {
		if text, ok := strings.CutSuffix(path, r.parts[0]); ok && !r.next.end(f, method, append(values, text)) {
			return false
		}
	}
	return true
}

// end takes down what is at the end of a path.
func (s *segment) end(f *found, method string, values []string) bool {
	e, has := s.ends[method]
	if !has && (s.ends == nil || f.methods != nil) {
		return true
	}
	*f = found{e, s.ends, slices.Clone(values)}
	return !has
}

// match matches the text of a segment, and appends what its parameters are.
func (m *mixed) match(text string, values []string) ([]string, bool) {
	last := len(m.parts) - 1
	text, ok := strings.CutPrefix(text, m.parts[0])
	if !ok {
		return nil, false
	}
	if text, ok = strings.CutSuffix(text, m.parts[last]); !ok {
		return nil, false
	}
	for _, part := range m.parts[1:last] {
		if text == "" {
			return nil, false
		}
		i := strings.Index(text[1:], part)
		if i < 0 {
			return nil, false
		}
		values = append(values, text[:i+1])
		text = text[i+1+len(part):]
	}
	return append(values, text), text != ""
}
