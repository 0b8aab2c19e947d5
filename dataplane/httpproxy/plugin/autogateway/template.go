package autogateway

import (
	"regexp"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/urlpath"
)

// part is a part of a segment: text, or a parameter.
type part struct {
	text  string
	param bool
	rest  bool // a parameter that takes slashes
}

// split takes a template apart into segments.
func split(template string) [][]part {
	all := [][]part{nil}
	add := func(p part) { all[len(all)-1] = append(all[len(all)-1], p) }
	text := strings.TrimPrefix(template, "/")
	for text != "" {
		before, in, opened := strings.Cut(text, "{")
		name, after, closed := strings.Cut(in, "}")
		if !opened || !closed {
			before, after = text, "" // braces that are none
		}
		for i, s := range strings.Split(before, "/") {
			if i > 0 {
				all = append(all, nil)
			}
			if s != "" {
				add(part{text: literal(s)})
			}
		}
		if opened && closed {
			add(part{param: true, rest: takesSlashes(name)})
		}
		text = after
	}
	return all
}

// takesSlashes tells whether a parameter is meant that may have slashes: frameworks
// write {path:path}, {path:.*}, {path*} or {+path}.
func takesSlashes(param string) bool {
	name, kind, _ := strings.Cut(param, ":")
	return kind == "path" || strings.HasSuffix(kind, ".*") || strings.HasSuffix(kind, ".+") ||
		strings.HasSuffix(name, "*") || strings.HasPrefix(name, "+")
}

func hasRest(parts []part) bool {
	return slices.ContainsFunc(parts, func(p part) bool { return p.rest })
}

// literal is a text as it is in paths in normal form.
func literal(text string) string {
	const whole = "/-" // so that it is no segment of dots
	if normal, ok := urlpath.Normalize(whole + text); ok {
		return normal[len(whole):]
	}
	return text
}

// pieces are what is around the parameters of a segment: one piece if there is
// none.
func pieces(parts []part) []string {
	all := []string{""}
	for _, p := range parts {
		if p.param {
			all = append(all, "")
		} else {
			all[len(all)-1] += p.text
		}
	}
	return all
}

// expression is a regular expression for what is left of a template.
func expression(segments [][]part) string {
	var b strings.Builder
	b.WriteByte('^')
	for i, parts := range segments {
		if i > 0 {
			b.WriteByte('/')
		}
		for _, p := range parts {
			switch {
			case p.rest:
				b.WriteString(".*")
			case p.param:
				b.WriteString("[^/]+")
			default:
				b.WriteString(regexp.QuoteMeta(p.text))
			}
		}
	}
	b.WriteByte('$')
	return b.String()
}
