package rest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/internal/errs"
)

// document is the body of a request as the RPC of its route takes it. JSON
// stays as it is; what a form says has the types of the fields.
func (d gatewayDialect) document(f *facade, w http.ResponseWriter, r *http.Request, route *route, path string) (*structpb.Value, error) {
	x := exchangeOf(r.Context())
	x.deadline(time.Now().Add(bodyTimeout))
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return nil, readError(err) // and what is left of the body may take no longer either
	}
	x.deadline(time.Time{})
	var doc map[string]any
	switch kind := mediaType(r); {
	case kind == jsonType:
		if doc, err = schema.DecodeObject(data); err != nil {
			return nil, &errs.Error{Reason: errs.BadRequest, Message: "Cannot parse JSON body", Err: err}
		}
	case kind == formType, kind == multipartType:
		pairs, err := pairsOf(r.Header.Get("Content-Type"), data)
		if err != nil {
			return nil, err
		}
		if doc, err = d.fromForm(f, r, route, path, pairs); err != nil {
			return nil, err
		}
	case kind != "" || len(data) > 0:
		return nil, errs.New(errs.UnsupportedType, "Unsupported media type")
	default:
		doc = map[string]any{}
	}
	out, err := structpb.NewValue(doc)
	if err != nil {
		return nil, &errs.Error{Reason: errs.BadRequest, Message: "Cannot parse the body", Err: err}
	}
	return out, nil
}

// pairsOf reads a form of a content type, in its order.
func pairsOf(contentType string, data []byte) (pairs []schema.Pair, err error) {
	kind, parameters, typeErr := mime.ParseMediaType(contentType)
	switch {
	case len(data) == 0:
	case kind == multipartType && typeErr == nil:
		pairs, err = partsOf(parameters["boundary"], data)
	case arguments(string(data)) > maxArguments:
		return nil, tooManyArguments()
	default:
		pairs, err = schema.ParseForm(string(data))
	}
	var own *errs.Error
	switch {
	case errors.As(err, &own):
		return nil, err
	case err != nil:
		return nil, &errs.Error{Reason: errs.BadRequest, Message: "Cannot parse the form", Err: err}
	}
	for i := range pairs {
		pairs[i].Key = strings.ToValidUTF8(pairs[i].Key, "\uFFFD")
		pairs[i].Value = strings.ToValidUTF8(pairs[i].Value, "\uFFFD")
	}
	return pairs, nil
}

// partsOf reads a multipart form. Files are values: so certificates are sent.
func partsOf(boundary string, data []byte) (pairs []schema.Pair, err error) {
	if boundary == "" {
		return nil, errors.New("the content type has no boundary")
	}
	parts := multipart.NewReader(bytes.NewReader(data), boundary)
	for {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return pairs, nil
		}
		if err != nil {
			return nil, err
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		if part.FormName() == "" {
			continue
		}
		if pairs = append(pairs, schema.Pair{Key: part.FormName(), Value: string(value)}); len(pairs) > maxArguments {
			return nil, tooManyArguments()
		}
	}
}

// fromForm makes a document of a form.
func (d gatewayDialect) fromForm(f *facade, r *http.Request, route *route, path string, pairs []schema.Pair) (map[string]any, error) {
	c := route.collection(path)
	if c == nil {
		return nil, errs.New(errs.NotFound, "Not found")
	}
	if c.Name == "plugins" {
		name, err := d.pluginOf(f, r, path, pairs)
		if err != nil {
			return nil, err
		}
		if kind := f.PluginKind(name); kind != nil {
			c = kind
		}
	}
	doc, err := c.Record.FromForm(pairs)
	var wrong *schema.Violations
	if errors.As(err, &wrong) {
		fields, structErr := structpb.NewStruct(wrong.Fields)
		if structErr != nil {
			return nil, structErr
		}
		return nil, refuse(errs.ValidationFailed, schema.ViolationCode, schema.ViolationName, wrong.Error(), fields)
	}
	return doc, err
}

// pluginOf is the name of the plugin that a form is about: what it says or, if
// it changes a plugin and does not say, what that is.
func (d gatewayDialect) pluginOf(f *facade, r *http.Request, path string, pairs []schema.Pair) (name string, err error) {
	for _, p := range pairs {
		if p.Key == "name" {
			name = p.Value
		}
	}
	if name != "" || r.Method != http.MethodPatch {
		return name, nil
	}
	get, _, err := f.routes.find(http.MethodGet, path)
	if err != nil {
		return "", err
	}
	there, err := d.invoke(f, r, get, path, nil)
	if err != nil {
		return "", err
	}
	named, _ := there.(interface{ GetName() string })
	if named == nil {
		return "", nil
	}
	return named.GetName(), nil
}

// collection is what the document of a route is one of; nil if there is none
// of that name.
func (r *route) collection(path string) *entity.Collection {
	field := ""
	for i := range r.fields.Len() {
		if f := r.fields.Get(i); f.Message() == r.content {
			field = f.TextName()
		}
	}
	is := func(c *entity.Collection) bool { return strings.ReplaceAll(c.Singular, "-", "_") == field }
	if field == "document" {
		name := split(path)[1] // of /schemas/{entity}/validate
		is = func(c *entity.Collection) bool { return c.Name == name || c.SchemaName() == name }
	}
	for _, c := range entity.Collections() {
		if is(c) {
			return c
		}
	}
	return nil
}
