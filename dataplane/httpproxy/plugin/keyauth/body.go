package keyauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/query"
)

// maxBody bounds the bodies in which keys are looked for.
const maxBody = 8 << 20

// body is a body that may have a key.
type body struct {
	bytes []byte
	kind  string // its type, "" if it is none that has arguments
	// object is the body if it is JSON.
	object   map[string]json.RawMessage
	boundary string // of multipart
}

// The types of bodies that have arguments.
const (
	typeForm      = "application/x-www-form-urlencoded"
	typeJSON      = "application/json"
	typeMultipart = "multipart/form-data"
)

// readBody reads a body if it is of a type that has arguments.
func readBody(r *httpproxy.Request) (*body, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != typeForm && kind != typeJSON && kind != typeMultipart || r.ContentLength == 0 {
		return &body{}, nil
	}
	b, err := r.ReadBody(maxBody)
	if err != nil {
		return nil, err
	}
	return parse(kind, params["boundary"], b)
}

var errBoundary = errors.New("a body of several parts has no boundary")

func parse(kind, boundary string, b []byte) (*body, error) {
	parsed := &body{bytes: b, kind: kind, boundary: boundary}
	switch kind {
	case typeJSON:
		if err := json.Unmarshal(b, &parsed.object); err != nil {
			var other *json.UnmarshalTypeError
			if !errors.As(err, &other) {
				return nil, err
			}
			parsed.kind = "" // JSON, but no object
		}
	case typeMultipart:
		if boundary == "" {
			return nil, errBoundary
		}
		if err := parsed.parts(func(*multipart.Part, []byte) error { return nil }); err != nil {
			return nil, err
		}
	}
	return parsed, nil
}

// parts goes through the parts of a body.
func (b *body) parts(do func(p *multipart.Part, content []byte) error) error {
	r := multipart.NewReader(bytes.NewReader(b.bytes), b.boundary)
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		content, err := io.ReadAll(p)
		if err != nil {
			return err
		}
		if err := do(p, content); err != nil {
			return err
		}
	}
}

// find is the first value under a name, and how many there are.
func (b *body) find(name string) (key string, n int) {
	switch b.kind {
	case typeForm:
		return query.Find(string(b.bytes), name)
	case typeJSON:
		v, ok := b.object[name]
		switch {
		case !ok || len(v) == 0:
		case v[0] == '[' || v[0] == '{':
			return "", 2
		case v[0] == '"' && json.Unmarshal(v, &key) == nil:
			return key, 1
		}
	case typeMultipart:
		_ = b.parts(func(p *multipart.Part, content []byte) error {
			if p.FormName() == name {
				if n++; n == 1 {
					key = string(content)
				}
			}
			return nil
		})
	}
	return key, n
}

// hide takes what has a name out of the body of a request.
func (b *body) hide(r *httpproxy.Request, name string) error {
	if _, n := b.find(name); n == 0 {
		return nil
	}
	changed, err := b.without(name)
	if err != nil {
		return err
	}
	b.bytes = changed
	r.SetBody(changed)
	return nil
}

// without is the body without what has a name.
func (b *body) without(name string) ([]byte, error) {
	switch b.kind {
	case typeForm:
		return []byte(query.Without(string(b.bytes), name)), nil
	case typeJSON:
		delete(b.object, name)
		return json.Marshal(b.object)
	}
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	if err := w.SetBoundary(b.boundary); err != nil {
		return nil, err
	}
	err := b.parts(func(p *multipart.Part, content []byte) error {
		if p.FormName() == name {
			return nil
		}
		part, err := w.CreatePart(p.Header)
		if err != nil {
			return err
		}
		_, err = part.Write(content)
		return err
	})
	err = errors.Join(err, w.Close())
	return out.Bytes(), err
}
