package rest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/backplane/backplane/internal/errs"
)

// maxSteps bounds a path: no document is nested that deep.
const maxSteps = maxDepth

// step is one element of a path into JSON: the members of these names, the
// elements of these indices, or all of either.
type step struct {
	names   []string
	indices []int
	all     bool
}

// jsonPath leads from a value to some of those inside it. It is the part of
// JSONPath that this API has: dots, names in brackets and quotes, lists of
// indices, and the wildcard. Libraries of JSONPath have much more, which then
// would be part of the API, and refuse a path without its `$`.
type jsonPath []step

// parsePointer reads a JSON Pointer (RFC 6901), whose leading slash may be
// absent.
func parsePointer(text string) (jsonPath, error) {
	text = strings.TrimPrefix(text, "/")
	if text == "" {
		return nil, badPath(text)
	}
	var out jsonPath
	for _, token := range strings.Split(text, "/") {
		name := strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		s := step{names: []string{name}}
		if n, ok := index(token); ok {
			s.indices = []int{n}
		}
		out = append(out, s)
	}
	if len(out) > maxSteps {
		return nil, badPath(text)
	}
	return out, nil
}

// parsePath reads a JSONPath, whose leading `$` may be absent.
func parsePath(text string) (jsonPath, error) {
	rest := strings.TrimPrefix(text, "$")
	if rest == text && text != "" && text[0] != '.' && text[0] != '[' {
		rest = "." + text
	}
	var out jsonPath
	for rest != "" {
		var s step
		ok := false
		if after, dot := strings.CutPrefix(rest, "."); dot {
			end := strings.IndexAny(after, ".[")
			if end < 0 {
				end = len(after)
			}
			name := after[:end]
			s, rest, ok = step{names: []string{name}, all: name == "*"}, after[end:], name != ""
		} else {
			s, rest, ok = bracket(rest)
		}
		if !ok || len(out) == maxSteps {
			return nil, badPath(text)
		}
		out = append(out, s)
	}
	if len(out) == 0 {
		return nil, badPath(text)
	}
	return out, nil
}

// bracket reads a step in brackets: ['name'], [0], [0,1] or [*].
func bracket(text string) (s step, rest string, ok bool) {
	inner, ok := strings.CutPrefix(text, "[")
	if !ok {
		return s, "", false
	}
	inner = strings.TrimLeft(inner, " ")
	for _, quote := range []string{"'", `"`} {
		if quoted, is := strings.CutPrefix(inner, quote); is {
			name, after, closed := strings.Cut(quoted, quote)
			rest, ok = strings.CutPrefix(strings.TrimLeft(after, " "), "]")
			return step{names: []string{name}}, rest, closed && ok
		}
	}
	inner, rest, ok = strings.Cut(inner, "]")
	if !ok {
		return s, "", false
	}
	if strings.TrimSpace(inner) == "*" {
		return step{all: true}, rest, true
	}
	for _, part := range strings.Split(inner, ",") {
		n, ok := index(strings.TrimSpace(part))
		if !ok {
			return s, "", false
		}
		s.indices = append(s.indices, n)
	}
	slices.Sort(s.indices)
	s.indices = slices.Compact(s.indices) // or nested lists would multiply
	return s, rest, true
}

// index reads the position of an element.
func index(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err == nil && text[0] != '+' && (len(text) == 1 || text[0] != '0')
}

func badPath(text string) error {
	return errs.New(errs.BadRequest, "%q is not a path into a resource; such as /attributes/state or attributes.listeners[0].id", text)
}

// reach calls hit with each value that the path leads to, until one is enough.
func (p jsonPath) reach(v any, hit func(any) bool) bool {
	if len(p) == 0 {
		return hit(v)
	}
	s, rest := p[0], p[1:]
	switch v := v.(type) {
	case map[string]any:
		if s.all {
			for _, inner := range v {
				if rest.reach(inner, hit) {
					return true
				}
			}
			return false
		}
		return slices.ContainsFunc(s.names, func(name string) bool {
			inner, ok := v[name]
			return ok && rest.reach(inner, hit)
		})
	case []any:
		if s.all {
			return slices.ContainsFunc(v, func(inner any) bool { return rest.reach(inner, hit) })
		}
		return slices.ContainsFunc(s.indices, func(i int) bool { return i < len(v) && rest.reach(v[i], hit) })
	}
	return false
}

// isID reports whether the path leads to the id of a resource.
func (p jsonPath) isID() bool {
	return len(p) == 1 && len(p[0].names) == 1 && p[0].names[0] == "id" && !p[0].all
}

// numeric is the number that text stands for when it is one of digits alone.
func numeric(v any) any {
	if text, ok := v.(string); ok && isDigits(text) {
		return json.Number(text)
	}
	return v
}
