package apidoc

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/urlpath"
)

// Template is a path, segment by segment: "/a/{b}.json" has two.
type Template []Segment

// Segment is what stands between two slashes of a path.
type Segment []Part

// Part is a piece of a segment: fixed text or a parameter.
type Part struct {
	// Literal is fixed text; empty if it is a parameter.
	Literal string
	// Param is the parameter's name.
	Param string
	// Rest parameters take slashes too, as {path:path} of some frameworks does.
	Rest bool
}

// parseTemplate takes a path apart.
func parseTemplate(path string) (Template, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, errors.New("the path does not begin with a slash")
	}
	const most = 4096
	if len(path) > most {
		return nil, fmt.Errorf("the path is longer than %d bytes", most)
	}
	parts, err := splitParts(path[1:])
	if err != nil {
		return nil, err
	}
	// Each slash that is no part of a parameter ends a segment.
	t := Template{nil}
	for _, p := range parts {
		if p.Param != "" {
			t[len(t)-1] = append(t[len(t)-1], p)
			continue
		}
		for i, literal := range strings.Split(p.Literal, "/") {
			if i > 0 {
				t = append(t, nil)
			}
			if literal != "" {
				t[len(t)-1] = append(t[len(t)-1], Part{Literal: literal})
			}
		}
	}
	return t, t.reachable()
}

func splitParts(path string) ([]Part, error) {
	var parts []Part
	for path != "" {
		open := strings.IndexAny(path, "{}")
		if open < 0 {
			return append(parts, Part{Literal: path}), nil
		}
		if path[open] == '}' {
			return nil, errors.New("the path has a } without a {")
		}
		if open > 0 {
			parts = append(parts, Part{Literal: path[:open]})
		}
		length := strings.IndexAny(path[open+1:], "{}")
		if length < 0 || path[open+1+length] == '{' {
			return nil, errors.New("the path has a { without a }")
		}
		p := parameter(path[open+1 : open+1+length])
		if p.Param == "" {
			return nil, errors.New("the path has a parameter without a name")
		}
		parts = append(parts, p)
		path = path[open+length+2:]
	}
	return parts, nil
}

// parameter reads what stands in braces: a name, and in some dialects what it
// matches, as in {path:path}, {path:.*}, {path*} and {+path}.
func parameter(s string) Part {
	name, kind, _ := strings.Cut(s, ":")
	rest := kind == "path" || strings.HasSuffix(kind, ".*") || strings.HasSuffix(kind, ".+")
	if trimmed := strings.TrimSuffix(strings.TrimPrefix(name, "+"), "*"); trimmed != name {
		name, rest = trimmed, true
	}
	return Part{Param: name, Rest: rest}
}

// reachable tells why no request can have the path: the gateway brings paths
// into normal form first.
func (t Template) reachable() error {
	seen := map[string]bool{}
	for i, segment := range t {
		if len(segment) == 0 && i < len(t)-1 {
			return errors.New("the path has an empty segment, which the gateway takes out of requests")
		}
		for _, p := range segment {
			switch {
			case p.Param == "" && strings.ContainsAny(p.Literal, "?#\x00"):
				return errors.New("the path has a ? or #, which no path of a request has")
			case p.Param == "":
				if _, ok := normal(p.Literal); !ok {
					return errors.New("the path has a % without two digits after it")
				}
			case seen[p.Param]:
				return fmt.Errorf("the path has the parameter %q twice", shorten(p.Param))
			default:
				seen[p.Param] = true
			}
		}
		if len(segment) == 1 && (segment[0].Literal == "." || segment[0].Literal == "..") {
			return errors.New("the path has a dot segment, which the gateway takes out of requests")
		}
	}
	return nil
}

// normal is a literal as it stands in the paths that routes are matched with.
func normal(literal string) (string, bool) {
	// The letter keeps dots from being a segment of their own.
	s, ok := urlpath.Normalize("/a" + literal)
	return strings.TrimPrefix(s, "/a"), ok
}

// String is the template as OpenAPI writes it, without dialects.
func (t Template) String() string {
	return t.write(func(p Part) string { return "{" + p.Param + "}" })
}

// shape is the same for templates that match the same paths.
func (t Template) shape() string {
	s := t.write(func(Part) string { return "{}" })
	if normal, ok := urlpath.Normalize(s); ok && strings.Contains(s, "%") {
		return normal
	}
	return s
}

func (t Template) write(param func(Part) string) string {
	var b strings.Builder
	for _, segment := range t {
		b.WriteByte('/')
		for _, p := range segment {
			if p.Param != "" {
				b.WriteString(param(p))
			} else {
				b.WriteString(p.Literal)
			}
		}
	}
	return b.String()
}

// params are the names of the parameters in order.
func (t Template) params() []string {
	var names []string
	for _, segment := range t {
		for _, p := range segment {
			if p.Param != "" {
				names = append(names, p.Param)
			}
		}
	}
	return names
}

// Regex is the path of a route, below a prefix such as "/users": a regular
// expression, as the "~" at its start tells, that matches all of a path.
func (t Template) Regex(prefix string) string {
	var b strings.Builder
	b.WriteByte('~')
	b.WriteString(regexp.QuoteMeta(prefix))
	names := map[string]bool{}
	for _, segment := range t {
		b.WriteByte('/')
		for _, p := range segment {
			if p.Param == "" {
				literal, _ := normal(p.Literal)
				b.WriteString(regexp.QuoteMeta(literal))
				continue
			}
			expr := "[^/]+"
			if p.Rest {
				expr = ".*"
			}
			fmt.Fprintf(&b, "(?<%s>%s)", identifier(p.Param, names), expr)
		}
	}
	b.WriteByte('$')
	return b.String()
}

// identifier makes a name that groups of regular expressions may have and that
// is none of taken, to which it is added.
func identifier(name string, taken map[string]bool) string {
	b := []byte(name)
	for i, c := range b {
		if !isWord(c) {
			b[i] = '_'
		}
	}
	id := string(b)
	if '0' <= id[0] && id[0] <= '9' {
		id = "_" + id
	}
	const most = 32
	id = id[:min(len(id), most)]
	free := id
	for n := 2; taken[free]; n++ {
		free = id + "_" + strconv.Itoa(n)
	}
	taken[free] = true
	return free
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

// Segments further to the right than this are all the same to Priority: the
// number stays below 2^53, up to which JSON has whole numbers.
const weighed = 26

// Priority ranks the routes that match the same path, the more specific higher:
// from the left, fixed text outranks text with a parameter, and that a
// parameter alone.
func (t Template) Priority() int {
	n := 0
	for i := range weighed {
		n *= 4
		if i < len(t) {
			n += t[i].weight()
		}
	}
	return n
}

func (s Segment) weight() int {
	params, rest := 0, false
	for _, p := range s {
		if p.Param != "" {
			params++
			rest = rest || p.Rest
		}
	}
	switch {
	case rest:
		return 0
	case params == 0:
		return 3
	case params < len(s):
		return 2
	}
	return 1
}
