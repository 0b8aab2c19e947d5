package rest

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"

	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
)

// fail implements dialect. A fault of fields is a list of messages under each;
// anything else is one detail.
func (databaseDialect) fail(f *facade, w http.ResponseWriter, r *http.Request, x *exchange, e *errs.Error) {
	if x.url == "" { // it did not come as far as the dialect
		x.url = urlOf(f.address(r), r.URL)
		w.Header().Set("Vary", "Accept")
	}
	status, detail := StatusOf(e.Reason), e.Message
	switch e.Reason {
	case errs.ValidationFailed:
		status = http.StatusBadRequest
	case errs.Unauthenticated:
		w.Header().Set("WWW-Authenticate", `Basic realm="api"`)
		detail = refusal(r, e)
	case errs.PermissionDenied:
		detail = "You do not have permission to perform this action."
	case errs.NotFound:
		detail = "Not found"
	case errs.MethodNotAllowed:
		detail = "Method '" + x.verb + "' not allowed."
	}
	if len(e.Fields) == 0 || e.Reason == errs.PermissionDenied || e.Reason == errs.NotFound {
		writeDetail(w, x, status, detail)
		return
	}
	out := object{links(x.url)}
	for _, f := range e.Fields {
		out.add(f.Path, f.Message)
	}
	writeObject(w, status, out)
}

// refusal says why nobody has logged in.
func refusal(r *http.Request, e *errs.Error) string {
	var malformed auth.MalformedBasic
	switch {
	case errors.Is(e.Err, auth.ErrNoLogin):
		return "Authentication credentials were not provided."
	case errors.As(e.Err, &malformed):
		return "Invalid basic header. " + malformed.Error()
	}
	if scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "basic") {
		return "Invalid username/password"
	}
	return "Invalid token."
}

// object is a JSON object whose keys stay in order.
type object []member

type member struct {
	key   string
	value any // text, a list of texts, an object, or JSON as it is
}

// links are the first member of every answer.
func links(self string) member { return member{"_links", object{{"self", self}}} }

// add puts a message into the list under a key.
func (o *object) add(key, message string) {
	for i, m := range *o {
		if list, ok := m.value.([]string); ok && m.key == key {
			(*o)[i].value = append(list, message)
			return
		}
	}
	*o = append(*o, member{key, []string{message}})
}

func (o object) append(b []byte) []byte {
	text := func(s string) { b = appendText(b, strings.ToValidUTF8(s, "\uFFFD")) }
	b = append(b, '{')
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		text(m.key)
		b = append(b, ':')
		switch v := m.value.(type) {
		case string:
			text(v)
		case object:
			b = v.append(b)
		case json.RawMessage:
			b = append(b, v...)
		case []string:
			b = append(b, '[')
			for j, s := range v {
				if j > 0 {
					b = append(b, ',')
				}
				text(s)
			}
			b = append(b, ']')
		}
	}
	return append(b, '}')
}

func writeObject(w http.ResponseWriter, status int, o object) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(o.append(nil)) //nolint:errcheck // the client has gone
}

func writeDetail(w http.ResponseWriter, x *exchange, status int, detail string) {
	writeObject(w, status, object{links(x.url), {"detail", detail}})
}
