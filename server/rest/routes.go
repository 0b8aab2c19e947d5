package rest

import (
	"net/http"
	"slices"
	"strconv"
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
	segments []string // "{name}" stands for any one segment, "{#name}" for a positive integer
	service  string   // full name of the service
	method   string   // full name of the RPC
	body     bool
	stream   bool
	query    map[string]bool // parameters that the RPC has
	fields   protoreflect.FieldDescriptors
	content  protoreflect.MessageDescriptor // what a body is decoded into; nil without one
	input    protoreflect.MessageDescriptor
	output   protoreflect.MessageDescriptor
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
			input: m.Input(), output: m.Output(),
		}
		switch field := b.fields.ByTextName(r.GetBody()); {
		case field != nil:
			b.content = field.Message()
		case b.body:
			b.content = m.Input()
		}
		for i := range b.fields.Len() {
			f := b.fields.Get(i)
			at := slices.Index(b.segments, "{"+f.TextName()+"}")
			if r.GetBody() != "*" {
				b.query[f.JSONName()] = f.TextName() != r.GetBody() && at < 0
			}
			if at >= 0 && isInteger(f.Kind()) {
				b.segments[at] = "{#" + f.TextName() + "}"
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

func split(path string) []string { return strings.Split(strings.TrimPrefix(path, "/"), "/") }

func (r route) matches(segments []string) bool {
	if len(segments) != len(r.segments) {
		return false
	}
	for i, s := range r.segments {
		if s != segments[i] && (!strings.HasPrefix(s, "{") || segments[i] == "" || s[1] == '#' && !isNumber(segments[i])) {
			return false
		}
	}
	return true
}

// inPath reports whether a field of the request comes from the path.
func (r route) inPath(name protoreflect.Name) bool {
	return slices.Contains(r.segments, "{"+string(name)+"}") || slices.Contains(r.segments, "{#"+string(name)+"}")
}

func isInteger(kind protoreflect.Kind) bool {
	switch kind {
	case protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Uint64Kind:
		return true
	}
	return false
}

// isNumber reports whether a segment is a positive integer in the one way that
// it is written.
func isNumber(segment string) bool {
	_, err := strconv.ParseInt(segment, 10, 64)
	return err == nil && segment[0] >= '1' && segment[0] <= '9'
}

// literals counts the segments that are fixed: the more, the more specific.
func (r route) literals() (n int) {
	for _, s := range r.segments {
		if !strings.HasPrefix(s, "{") {
			n++
		}
	}
	return n
}

// verbs are those that a path has.
func (t routes) verbs(path string) (out []string) {
	segments := split(path)
	for i := range t {
		if t[i].matches(segments) && !slices.Contains(out, t[i].verb) {
			out = append(out, t[i].verb)
		}
	}
	return out
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
