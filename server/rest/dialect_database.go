package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/backplane/backplane/internal/errs"
)

// databaseDialect is that of databases as a service: it takes forms for JSON,
// overlooks what it does not know, and has links in every answer.
type databaseDialect struct{}

// databaseVerbs are the verbs of the dialect in the order of its Allow header.
var databaseVerbs = []string{
	http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodHead, http.MethodOptions,
}

// serve implements dialect. Who calls is settled before anything else, also
// whether there is something at the path.
func (d databaseDialect) serve(f *facade, w http.ResponseWriter, r *http.Request, x *exchange) {
	suffix := formatSuffix(r.URL)
	x.url = urlOf(f.address(r), r.URL)
	w.Header().Set("Vary", "Accept")
	if over := r.Header.Get("X-HTTP-Method-Override"); over != "" && r.Method == http.MethodPost {
		x.verb = strings.ToUpper(over)
	}
	path := r.URL.EscapedPath()
	verbs, root := f.routes.verbs(path), path == "/api"
	if root {
		verbs = []string{http.MethodGet}
	}
	if len(verbs) > 0 {
		w.Header().Set("Allow", strings.Join(allowed(verbs), ", "))
	}
	var err error
	if !root || x.verb != http.MethodGet && x.verb != http.MethodHead && x.verb != http.MethodOptions {
		if r, err = f.admit(r); err != nil {
			f.writeError(w, r, err)
			return
		}
	}
	content := &content{}
	if r.Method == http.MethodPost && isForm(r) {
		content.read(w, r, x)
		if verb := content.form.take("_method"); verb != "" {
			x.verb = strings.ToUpper(verb)
		}
	}
	if len(verbs) == 0 {
		f.writeError(w, r, errs.New(errs.NotFound, "Not found"))
		return
	}
	verb := x.verb
	if verb == http.MethodHead {
		verb = http.MethodGet // net/http leaves the body out
	}
	var route *route
	if !root {
		route, _, _ = f.routes.find(verb, path)
	}
	indent, ok := acceptable(r, suffix, route != nil && route.stream)
	out := &reply{ResponseWriter: w, indent: indent}
	defer out.finish()
	switch {
	case !ok:
		writeDetail(out, x, http.StatusNotAcceptable, "Could not satisfy the request's Accept header")
	case verb == http.MethodOptions:
		writeObject(out, http.StatusOK, describe(x.url, path))
	case root && verb == http.MethodGet:
		writeObject(out, http.StatusOK, collections(x.url, f.address(r)))
	case route == nil:
		f.writeError(out, r, errs.New(errs.MethodNotAllowed, "Method '%s' not allowed.", x.verb))
	case route.stream && x.verb == http.MethodHead:
		out.Header().Set("Content-Type", "text/event-stream")
		out.WriteHeader(http.StatusOK)
	default:
		r.Method = verb
		d.call(f, out, r, x, route, content)
	}
}

// call hands a request to the RPC of its route.
func (d databaseDialect) call(f *facade, out *reply, r *http.Request, x *exchange, route *route, content *content) {
	r.URL.RawQuery = route.filterQuery(r.URL.RawQuery)
	if route.body {
		if err := content.settle(out.ResponseWriter, r, x, route); err != nil {
			f.writeError(out, r, err)
			return
		}
	}
	out.creates, out.empties = r.Method == http.MethodPost, !route.stream && route.output.Fields().Len() == 0
	f.forward(out, r, route)
}

// allowed are the verbs of a path as the Allow header lists them.
func allowed(verbs []string) []string {
	return slices.DeleteFunc(slices.Clone(databaseVerbs), func(v string) bool {
		switch v {
		case http.MethodOptions:
			return false
		case http.MethodHead:
			v = http.MethodGet
		}
		return !slices.Contains(verbs, v)
	})
}

// filterQuery reads the query as the dialect does: what the RPC has no field
// for, or none that such a value fits into, is a filter where there are
// filters. The last of several values counts.
func (r *route) filterQuery(rawQuery string) string {
	values, _ := url.ParseQuery(rawQuery) //nolint:errcheck // what can be read of it counts
	filter := r.fields.ByName("filter")
	filters := filter != nil && filter.IsMap() && r.query[filter.JSONName()]
	out := url.Values{}
	for name, all := range values {
		value := strings.ToValidUTF8(all[len(all)-1], "\uFFFD")
		field := r.fields.ByJSONName(name)
		switch {
		case name == "format": // is about the answer
		case field != nil && r.query[name] && fits(field, &value):
			out.Set(name, value)
		case filters && name != "" && !strings.ContainsAny(name, "[]"):
			out.Set(filter.JSONName()+"["+strings.ToValidUTF8(name, "\uFFFD")+"]", value)
		case field != nil && r.query[name] && r.stream:
			out.Set(name, value) // the watch says what is wrong with it
		}
	}
	return out.Encode()
}

// fits reports whether a parameter can hold a value, and makes the value what
// the generated code reads.
func fits(field protoreflect.FieldDescriptor, value *string) bool {
	if field.IsMap() || field.IsList() || field.Message() != nil {
		return false
	}
	var c coercer
	v := c.value("", *value, field)
	if v != nil {
		*value = fmt.Sprint(v)
	}
	return v != nil
}
