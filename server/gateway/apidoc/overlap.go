package apidoc

import (
	"regexp"
	"slices"
	"strings"
)

// Hidden are the operations that are not opted in although the path of an
// exposed one of their method, with parameters, matches some of theirs, and does
// not go before it: who routes /items/{id} has to keep /items/report back, and
// who routes /{shop}/report has to for /admin/{what}. A GET takes requests of
// HEAD too, and services answer HEAD by what they have for GET.
func (d *Document) Hidden() []Operation {
	exposed, others, _ := d.operations()
	reach := newReach(exposed)
	var hidden []Operation
	known := map[string]bool{}
	for _, o := range others {
		// The document may have it twice: an exposed one is served.
		if shape := shapeOf(o); !reach.shapes[shape] && !known[shape] && reach.includes(o) {
			known[shape] = true
			hidden = append(hidden, o)
		}
	}
	return hidden
}

// reach is what the routes of operations match.
type reach struct {
	// byStart has the templates of a method by their first segments, as those
	// are written; "" is for those that begin with a parameter.
	byStart map[[2]string][]*ready
	made    map[string]*fixed
	shapes  map[string]bool // of methods and paths
}

// ready is a template that others are compared with.
type ready struct {
	segments []*fixed
	priority int
}

// fixed is a segment with its text in normal form.
type fixed struct {
	text          string // all of it, if there is no parameter
	params, rest  bool
	before, after string         // its parameters
	re            *regexp.Regexp // nil if there is one parameter
}

func newReach(operations []Operation) *reach {
	r := &reach{byStart: map[[2]string][]*ready{}, made: map[string]*fixed{}, shapes: map[string]bool{}}
	for _, o := range operations {
		t := r.ready(o.Template)
		r.shapes[shapeOf(o)] = true
		at := [2]string{o.Method, t.start()}
		r.byStart[at] = append(r.byStart[at], t)
	}
	return r
}

func (r *reach) ready(t Template) *ready {
	out := &ready{priority: t.Priority()}
	for _, s := range t {
		key := Template{s}.shape()
		if s.weight() == 0 {
			key = "*" + key
		}
		f := r.made[key]
		if f == nil {
			f = newFixed(s)
			r.made[key] = f
		}
		out.segments = append(out.segments, f)
	}
	return out
}

func newFixed(s Segment) *fixed {
	f := &fixed{}
	params := 0
	var expr strings.Builder
	for i, p := range s {
		if p.Param != "" {
			f.params, f.rest = true, f.rest || p.Rest
			params++
			expr.WriteString("[^/]+")
			continue
		}
		literal, _ := normal(p.Literal)
		expr.WriteString(regexp.QuoteMeta(literal))
		f.text += literal
		if i == 0 {
			f.before = literal
		}
		if i == len(s)-1 {
			f.after = literal
		}
	}
	if params > 1 {
		f.re = regexp.MustCompile("^(?:" + expr.String() + ")$")
	}
	return f
}

// start is the first segment, "" if it has a parameter.
func (t *ready) start() string {
	if f := t.segments[0]; !f.params {
		return "/" + f.text
	}
	return ""
}

// includes tells whether some path of an operation is matched, where the
// operation's own route would not stand behind.
func (r *reach) includes(o Operation) bool {
	t := r.ready(o.Template)
	if o.Method != "GET" && o.Method != "HEAD" {
		return r.any(o.Method, t)
	}
	// An exposed HEAD of the very path of a GET is served for itself.
	return r.any("GET", t) || !(o.Method == "GET" && r.shapes["HEAD "+o.Template.shape()]) && r.any("HEAD", t)
}

func (r *reach) any(method string, t *ready) bool {
	reached := func(e *ready) bool { return t.priority >= e.priority && e.crosses(t) }
	start := t.start()
	if start != "" {
		return slices.ContainsFunc(r.byStart[[2]string{method, start}], reached) || slices.ContainsFunc(r.byStart[[2]string{method, ""}], reached)
	}
	// What begins with a parameter stands behind what begins with a text.
	return slices.ContainsFunc(r.byStart[[2]string{method, ""}], reached)
}

// crosses tells whether there are paths that both match, or may be.
func (t *ready) crosses(o *ready) bool {
	for i := range max(len(t.segments), len(o.segments)) {
		if i >= len(t.segments) || i >= len(o.segments) {
			return false
		}
		if t.segments[i].rest || o.segments[i].rest {
			return true
		}
		if !t.segments[i].meets(o.segments[i]) {
			return false
		}
	}
	return true
}

// meets tells whether there is a text that both match, or may be.
func (f *fixed) meets(o *fixed) bool {
	switch {
	case !f.params && !o.params:
		return f.text == o.text
	case !f.params:
		return o.matches(f.text)
	case !o.params:
		return f.matches(o.text)
	}
	return (strings.HasPrefix(f.before, o.before) || strings.HasPrefix(o.before, f.before)) &&
		(strings.HasSuffix(f.after, o.after) || strings.HasSuffix(o.after, f.after))
}

// matches tells whether a segment with parameters matches a text.
func (f *fixed) matches(text string) bool {
	return len(text) > len(f.before)+len(f.after) && strings.HasPrefix(text, f.before) && strings.HasSuffix(text, f.after) &&
		(f.re == nil || f.re.MatchString(text))
}
