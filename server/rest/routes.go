package rest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/backplane/backplane/internal/errs"
)

// route is one HTTP binding of an RPC, as its proto declares it.
type route struct {
	verb     string
	segments []string // "{name}" stands for any one segment
	service  string   // full name of the service
	method   string   // full name of the RPC
	body     bool
	stream   bool
	query    map[string]bool // parameters that the RPC has
	fields   protoreflect.FieldDescriptors
}

// routes is the table of all bindings; it answers what the generated router
// does not tell: which verbs a path has, and which parameters.
type routes []route

// loadRoutes reads the bindings of every service of a proto package prefix.
func loadRoutes(prefix string) routes {
	var out routes
	protoregistry.GlobalFiles.RangeFiles(func(fd protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(fd.Package()), prefix) {
			return true
		}
		for i := range fd.Services().Len() {
			methods := fd.Services().Get(i).Methods()
			for j := range methods.Len() {
				out = append(out, bindings(methods.Get(j))...)
			}
		}
		return true
	})
	return out
}

func bindings(m protoreflect.MethodDescriptor) (out []route) {
	rule, ok := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return nil
	}
	service := string(m.Parent().FullName())
	for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		verb, path := pattern(r)
		b := route{
			verb: verb, segments: split(path), service: service, method: "/" + service + "/" + string(m.Name()),
			body: r.GetBody() != "", stream: m.IsStreamingServer(), query: map[string]bool{}, fields: m.Input().Fields(),
		}
		if r.GetBody() != "*" {
			for i := range b.fields.Len() {
				name := b.fields.Get(i).TextName()
				b.query[b.fields.Get(i).JSONName()] = name != r.GetBody() && !slices.Contains(b.segments, "{"+name+"}")
			}
		}
		out = append(out, b)
	}
	return out
}

func pattern(r *annotations.HttpRule) (verb, path string) {
	switch p := r.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Put:
		return http.MethodPut, p.Put
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, p.Patch
	}
	return "", ""
}

func split(path string) []string { return strings.Split(strings.Trim(path, "/"), "/") }

func (r route) matches(segments []string) bool {
	if len(segments) != len(r.segments) {
		return false
	}
	for i, s := range r.segments {
		if s != segments[i] && (s[0] != '{' || segments[i] == "") {
			return false
		}
	}
	return true
}

// literals counts the segments that are fixed: the more, the more specific.
func (r route) literals() (n int) {
	for _, s := range r.segments {
		if s[0] != '{' {
			n++
		}
	}
	return n
}

// find returns the most specific route of a request, or an error with the
// verbs that the path has.
func (t routes) find(verb, path string) (*route, []string, error) {
	segments := split(path)
	var best *route
	var allow []string
	for i := range t {
		r := &t[i]
		if !r.matches(segments) {
			continue
		}
		allow = append(allow, r.verb)
		if r.verb == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
		if r.verb == verb && (best == nil || r.literals() > best.literals()) {
			best = r
		}
	}
	switch {
	case best != nil:
		return best, nil, nil
	case len(allow) > 0:
		slices.Sort(allow)
		return nil, slices.Compact(allow), errs.New(errs.MethodNotAllowed, "%s is not possible here; the Allow header says what is", verb)
	default:
		return nil, nil, errs.New(errs.NotFound, "There is nothing at this path")
	}
}

// readQuery returns the query as the RPC is to get it.
func (r *route) readQuery(u *url.URL) (string, error) {
	if ProxyDialect(u.Path) {
		return r.settleQuery(u.RawQuery)
	}
	return u.RawQuery, r.checkQuery(u.RawQuery)
}

// checkQuery refuses parameters that the RPC does not have: a typo must not
// silently widen a list.
func (r *route) checkQuery(rawQuery string) error {
	if rawQuery == "" {
		return nil
	}
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return errs.New(errs.BadRequest, "The query string is malformed")
	}
	var faults []errs.Field
	for name := range values {
		top, _, _ := strings.Cut(name, ".")
		if !r.query[top] {
			faults = append(faults, errs.Field{Path: name, Message: "is not a parameter here; known are " + r.parameters()})
		}
	}
	if len(faults) == 0 {
		return nil
	}
	slices.SortFunc(faults, func(a, b errs.Field) int { return strings.Compare(a.Path, b.Path) })
	e := errs.Invalid(faults...)
	e.Reason = errs.BadRequest
	return e
}

func (r *route) parameters() string {
	var names []string
	for name, ok := range r.query {
		if ok {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "none"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
