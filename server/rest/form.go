package rest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"

	"github.com/backplane/backplane/internal/errs"
)

const (
	jsonType      = "application/json"
	formType      = "application/x-www-form-urlencoded"
	multipartType = "multipart/form-data"

	// maxParts bounds the fields of a multipart form.
	maxParts = 1000
)

// form is a body of names and values, such as a page in a browser sends.
type form map[string]formValues

// formValues are the values of one name; more than one for a list.
type formValues []string

func (v formValues) last() string { return v[len(v)-1] }

// take removes a name and returns its value.
func (f form) take(name string) string {
	values := f[name]
	if len(values) == 0 {
		return ""
	}
	delete(f, name)
	return values.last()
}

// object is the form as what it would be in JSON. `name[]` is a list.
func (f form) object() map[string]any {
	out := make(map[string]any, len(f))
	for name, values := range f {
		list := strings.TrimSuffix(name, "[]")
		if _, plain := f[list]; list == name || !plain {
			out[list] = values
		}
	}
	return out
}

// mediaType is that of the body, in lower case.
func mediaType(r *http.Request) string {
	text, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(text))
}

// isForm reports whether a request has a form as its body.
func isForm(r *http.Request) bool {
	t := mediaType(r)
	return r.ContentLength != 0 && (t == formType || t == multipartType)
}

// parseForm reads a form of a content type. Files in it are left out.
func parseForm(contentType string, data []byte) (form, error) {
	kind, parameters, err := mime.ParseMediaType(contentType)
	if kind != multipartType {
		return parsePairs(data)
	}
	out := form{}
	if err != nil || parameters["boundary"] == "" {
		return out, malformedForm("Multipart form", errors.New("the Content-Type names no boundary"))
	}
	parts := multipart.NewReader(bytes.NewReader(data), parameters["boundary"])
	for i := 0; ; i++ {
		part, err := parts.NextPart()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err == nil && i >= maxParts {
			err = errors.New("there are too many fields")
		}
		if err != nil {
			return out, malformedForm("Multipart form", err)
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return out, malformedForm("Multipart form", err)
		}
		if name := part.FormName(); name != "" && part.FileName() == "" {
			out.add(name, string(value))
		}
	}
}

// parsePairs reads a form as URLs have it.
func parsePairs(data []byte) (form, error) {
	values, err := url.ParseQuery(string(data))
	out := make(form, len(values))
	for name, all := range values {
		for _, value := range all {
			out.add(name, value)
		}
	}
	if err != nil {
		return out, malformedForm("Form", err)
	}
	return out, nil
}

func (f form) add(name, value string) {
	name = strings.ToValidUTF8(name, "\uFFFD")
	f[name] = append(f[name], strings.ToValidUTF8(value, "\uFFFD"))
}

func malformedForm(kind string, err error) error {
	return errs.New(errs.BadRequest, "%s parse error - %v", kind, err)
}
