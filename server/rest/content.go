package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/backplane/backplane/internal/errs"
)

// content is the body of a request in a dialect that takes forms for JSON.
type content struct {
	taken bool // whether it has been read
	data  []byte
	form  form // nil unless it is one
	err   error
}

// read takes the body in, and apart when it is a form.
func (c *content) read(w http.ResponseWriter, r *http.Request, x *exchange) {
	c.taken = true
	x.deadline(time.Now().Add(bodyTimeout))
	c.data, c.err = io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if c.err != nil {
		c.err = readError(c.err) // and what is left of the body may take no longer either
		return
	}
	x.deadline(time.Time{})
	if len(c.data) > 0 && isForm(r) {
		c.form, c.err = parseForm(r.Header.Get("Content-Type"), c.data)
	}
}

// object is the body as a JSON object.
func (c *content) object(r *http.Request) (map[string]any, error) {
	switch {
	case c.err != nil:
		return nil, c.err
	case len(c.data) == 0:
		return map[string]any{}, nil
	case c.form != nil:
		return c.form.object(), nil
	case mediaType(r) != jsonType:
		return nil, errs.New(errs.UnsupportedType, "Unsupported media type '%s' in request.", r.Header.Get("Content-Type"))
	}
	return parseObject(c.data)
}

// settle makes the body what the RPC of a route is to get: of its fields, those
// that it knows, in their own types. A body that the RPC has no use for is
// left alone.
func (c *content) settle(w http.ResponseWriter, r *http.Request, x *exchange, route *route) error {
	clean := map[string]any{}
	if route.wantsBody() {
		if !c.taken {
			c.read(w, r, x)
		}
		sent, err := c.object(r)
		if err != nil {
			return err
		}
		var faults []errs.Field
		if clean, faults = coerce(sent, route, r.Method); len(faults) > 0 {
			*r = *r.WithContext(errs.WithFaults(r.Context(), faults...)) // the RPC says what else is wrong
		}
	}
	fields := route.content.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if _, sent := clean[f.JSONName()]; sent || r.Method == http.MethodPut && emptied(f) {
			x.keys = append(x.keys, string(f.Name()))
		}
	}
	data, err := json.Marshal(clean)
	if err != nil {
		return fmt.Errorf("body of %s: %w", route.method, err)
	}
	x.settled = true
	r.Body = &body{io.NopCloser(bytes.NewReader(data)), x}
	r.Header = r.Header.Clone()
	r.Header.Set("Content-Type", jsonType)
	return nil
}

// emptied reports whether a PUT without a field empties it: what a resource
// belongs to does, and what may be absent stays what it is. So a database does
// not come out of quarantine because nobody spoke of that.
func emptied(f protoreflect.FieldDescriptor) bool { return isRelation(f) || !f.HasPresence() }

// wantsBody reports whether a body could tell the RPC anything.
func (r *route) wantsBody() bool {
	for i := range r.content.Fields().Len() {
		if !r.inPath(r.content.Fields().Get(i).Name()) {
			return true
		}
	}
	return false
}

// parseObject reads a JSON object with its numbers as they are written.
func parseObject(data []byte) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errs.New(errs.BadRequest, "JSON parse error - the body is not UTF-8")
	}
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		return nil, errs.New(errs.BadRequest, "JSON parse error - %v%s", err, place(data, err))
	}
	var v any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&v); err != nil {
		return nil, errs.New(errs.BadRequest, "JSON parse error - %v", err)
	}
	out, ok := v.(map[string]any)
	if !ok {
		return nil, errs.Invalid(errs.Field{Path: "non_field_errors", Message: "Invalid data"})
	}
	return out, nil
}

// place says where JSON is malformed.
func place(data []byte, err error) string {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) || syntax.Offset < 1 || syntax.Offset > int64(len(data)) {
		return ""
	}
	before := data[:syntax.Offset-1]
	return fmt.Sprintf(": line %d column %d (char %d)", bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n'), len(before))
}
