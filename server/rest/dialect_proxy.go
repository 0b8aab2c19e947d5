package rest

import (
	"bytes"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/backplane/backplane/internal/errs"
)

// proxyDialect is that of the proxy's API: JSON:API 1.0 as its existing clients
// know it. It overlooks what it does not know, and media types.
type proxyDialect struct{}

const (
	proxyPrefix = "/v1"
	// patchType is what Accept-Patch says.
	patchType = "application/json-patch"
)

// proxyPath is the path of the proxy's API that a path stands for. The prefix
// may be left out, but before services: without it, those are the gateway's.
func proxyPath(path string) (string, bool) {
	if path == proxyPrefix || strings.HasPrefix(path, proxyPrefix+"/") {
		return path, true
	}
	if path == "" {
		return "", false
	}
	collection, _, _ := strings.Cut(path[1:], "/")
	switch collection {
	case "servers", "listeners", "filters", "monitors", "sessions", "users", "maxscale", "sql", "auth":
		return proxyPrefix + path, true
	}
	return "", false
}

// serve implements dialect.
func (d proxyDialect) serve(f *facade, w http.ResponseWriter, r *http.Request, x *exchange) {
	r.URL.Path, _ = proxyPath(r.URL.Path)
	if r.URL.RawPath != "" {
		r.URL.RawPath, _ = proxyPath(r.URL.RawPath)
	}
	x.url = urlOf(f.address(r), r.URL)
	out := &reply{ResponseWriter: w, indent: indentOf(r.URL.RawQuery)}
	defer out.finish()
	if err := x.override(f, r); err != nil {
		f.writeError(out, r, err)
		return
	}
	path := r.URL.EscapedPath()
	verbs, root := f.routes.verbs(path), path == proxyPrefix
	if strings.Count(path, "/") != strings.Count(r.URL.Path, "/") {
		verbs = nil // no name has a slash, encoded or not
	}
	if root || path == logStreamPath {
		verbs = []string{http.MethodGet}
	}
	if !root || r.Header.Get("Authorization") != "" || r.Header.Get("Kong-Admin-Token") != "" {
		var err error
		if r, err = f.admit(r); err != nil {
			f.writeError(out, r, err)
			return
		}
	}
	if len(verbs) == 0 {
		out.WriteHeader(http.StatusNotFound) // without a body: nothing is ever here
		return
	}
	w.Header().Set("Allow", strings.Join(possible(verbs), ", "))
	if slices.Contains(verbs, http.MethodPatch) {
		w.Header().Set("Accept-Patch", patchType)
	}
	x.admitted = true
	verb := x.verb
	if verb == http.MethodHead {
		verb = http.MethodGet // net/http leaves the body out
	}
	r.Method = verb
	switch {
	case verb == http.MethodOptions:
		out.WriteHeader(http.StatusOK)
	case !slices.Contains(verbs, verb):
		f.writeError(out, r, errs.New(errs.MethodNotAllowed, "%s is not possible here; the Allow header says what is", x.verb))
	case root:
		out.WriteHeader(http.StatusOK)
	case path == logStreamPath:
		f.serveLogStream(out, r)
	default:
		if err := d.call(f, out, r, x, path); err != nil {
			f.writeError(out, r, err)
		}
	}
}

// call settles a request and hands it to the RPC of its route.
func (d proxyDialect) call(f *facade, out *reply, r *http.Request, x *exchange, path string) error {
	route, _, err := f.routes.find(r.Method, path)
	if err != nil {
		return err
	}
	x.forbids = forbids(route) || f.ProxyForbids && r.Method != http.MethodGet
	if r.Method == http.MethodGet {
		seen, err := parseView(r.URL.RawQuery, route)
		if err != nil {
			return err
		}
		out.shape = seen.shape
	}
	if r.URL.RawQuery, err = route.settleQuery(r.Method, r.URL.RawQuery); err != nil {
		return err
	}
	x.settleConnection(r, route)
	if route.body {
		if err := settleDocument(out, r, x, route); err != nil {
			return err
		}
	}
	out.creates, out.empties = r.Method == http.MethodPost, route.output.Fields().Len() == 0
	out.mayBeNothing = route.output.Fields().ByName("meta") != nil && route.output.Fields().ByName("data") == nil
	f.forward(out, r, route)
	return nil
}

// override takes the verb that a header asks for instead of the method. That
// of a page of another site is refused as if the verb were the method.
func (e *exchange) override(f *facade, r *http.Request) error {
	over := r.Header.Get("X-HTTP-Method-Override")
	if over == "" {
		return nil
	}
	e.verb = strings.ToUpper(over)
	change := r.WithContext(r.Context())
	change.Method = e.verb
	return f.checkOrigin(change)
}

// possible are the verbs of a path as the Allow header lists them.
func possible(verbs []string) []string {
	out := append(slices.Clone(verbs), http.MethodOptions)
	if slices.Contains(verbs, http.MethodGet) {
		out = append(out, http.MethodHead)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// forbids reports whether a refusal by a route is 403 where others have 400:
// the older of the documents that clients were written by says so of these two.
func forbids(r *route) bool {
	s := r.segments
	if len(s) < 3 || s[1] != "services" {
		return false
	}
	return r.verb == http.MethodPatch && s[len(s)-2] == "relationships" || r.verb == http.MethodDelete && s[len(s)-2] == "listeners"
}

// proxyErrors is a failure in the proxy's dialect (JSON:API 1.0, error
// objects).
type proxyErrors struct {
	Errors []proxyError `json:"errors"`
}

type proxyError struct {
	Status string `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
}

// fail implements dialect: one error object for each fault.
func (d proxyDialect) fail(_ *facade, w http.ResponseWriter, _ *http.Request, x *exchange, e *errs.Error) {
	status := proxyStatus(x, e.Reason)
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", loginChallenge)
	}
	fault := proxyError{Status: strconv.Itoa(status), Code: string(e.Reason), Detail: e.Message}
	out := proxyErrors{Errors: []proxyError{fault}}
	if len(e.Fields) > 0 {
		out.Errors = nil
	}
	for _, field := range e.Fields {
		fault.Detail = strings.TrimSpace(field.Path + " " + field.Message)
		out.Errors = append(out.Errors, fault)
	}
	var b bytes.Buffer
	plainEncoder(&b).Encode(out) //nolint:errcheck // into memory
	w.WriteHeader(status)
	w.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n"))) //nolint:errcheck // the client has gone
}

// proxyStatus is the status of a failure. Whoever may only read and asks for a
// change is told to log in as somebody else.
func proxyStatus(x *exchange, reason errs.Reason) int {
	switch reason {
	case errs.PermissionDenied:
		switch x.verb {
		case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
			if x.admitted {
				return http.StatusUnauthorized
			}
		}
	case errs.BadRequest, errs.ValidationFailed, errs.NameTaken, errs.InUse, errs.TypeImmutable, errs.Disabled, errs.BackendFailed, errs.UnsupportedType:
		if x.forbids {
			return http.StatusForbidden
		}
		return http.StatusBadRequest
	case errs.TestFailed:
		return http.StatusConflict // a JSON Patch tests the document that it changes
	}
	return StatusOf(reason)
}
