package oasvalidation

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/plugin/oasvalidation/jsonschema"
)

// body is what the body of a request may be.
type body struct {
	required bool
	contents
}

// contents are what a body may be, by its type.
type contents []media

// media is what a body of a type may be.
type media struct {
	mediaType string             // without parameters, in lower case; it may be a range
	params    map[string]string  // of the type
	schema    *jsonschema.Schema // nil if nothing is said of it
	encodings map[string]encoding
}

// encoding is how a field of a form is written.
type encoding struct {
	contentType string // "" if it is not said
	style       string
	explode     bool
}

func (r *reader) body(pointer string, raw any) (*body, error) {
	pointer, object, err := r.object(pointer, raw)
	if err != nil {
		return nil, err
	}
	b := &body{}
	b.required, _ = object["required"].(bool)
	if b.contents, err = r.contents(pointer, object); err != nil {
		return nil, err
	}
	return b, nil
}

func (r *reader) contents(pointer string, object map[string]any) (contents, error) {
	at, content, err := sub(pointer, object, "content")
	if err != nil {
		return nil, err
	}
	var c contents
	for _, key := range slices.Sorted(maps.Keys(content)) {
		if content[key] == nil {
			content[key] = map[string]any{}
		}
		at, o, err := r.object(jsonschema.Child(at, key), content[key])
		if err != nil {
			return nil, err
		}
		m := media{schema: r.schema(at, o)}
		encodings, _ := o["encoding"].(map[string]any)
		for name, raw := range encodings {
			if m.encodings == nil {
				m.encodings = map[string]encoding{}
			}
			m.encodings[name] = readEncoding(raw)
		}
		for one := range strings.SplitSeq(key, ",") {
			m.mediaType, m.params = bareType(one), paramsOf(one)
			c = append(c, m)
		}
	}
	return c, nil
}

func readEncoding(raw any) encoding {
	o, _ := raw.(map[string]any)
	e := encoding{}
	e.contentType, _ = o["contentType"].(string)
	e.style, _ = o["style"].(string)
	e.explode = e.style == "" || e.style == "form" || e.style == "deepObject"
	if explode, has := o["explode"].(bool); has {
		if e.explode = explode; !explode && e.style == "" {
			e.style = "form" // the default, where how it is written is said at all
		}
	}
	return e
}

// allows tells whether a part may be of a type, which is told without parameters.
func (e encoding) allows(mediaType string) bool {
	if e.contentType == "" {
		return true
	}
	for one := range strings.SplitSeq(e.contentType, ",") {
		one = bareType(one)
		before, after, isRange := strings.Cut(one, "*")
		if one == mediaType || isRange && strings.HasPrefix(mediaType, before) && strings.HasSuffix(mediaType, strings.TrimPrefix(after, "/*")) {
			return true
		}
	}
	return false
}

// paramsOf are the parameters of a media type, with names in lower case.
func paramsOf(s string) map[string]string {
	if !strings.Contains(s, ";") {
		return nil
	}
	_, params, _ := mime.ParseMediaType(s) // none if they are not well formed
	return params
}

// bareType is a media type without its parameters, in lower case.
func bareType(s string) string {
	s, _, _ = strings.Cut(s, ";")
	return strings.ToLower(strings.TrimSpace(s))
}

// isJSON tells whether a media type is JSON (RFC 6839, 3.1).
func isJSON(mediaType string) bool {
	mediaType = bareType(mediaType)
	return mediaType == "application/json" || strings.HasSuffix(mediaType, "+json")
}

const (
	formType      = "application/x-www-form-urlencoded"
	multipartType = "multipart/form-data"
)

// checked tells whether bodies of a type are looked into.
func checked(mediaType string) bool {
	return isJSON(mediaType) || mediaType == formType || mediaType == multipartType
}

// get finds what is said of the type of a body: the most specific counts. JSON by
// another name than that of the document is JSON all the same.
func (c contents) get(contentType string) *media {
	mediaType := typeOf(contentType)
	if m := c.named(mediaType, contentType); m != nil {
		return m
	}
	kind, _, _ := strings.Cut(mediaType, "/")
	for _, fits := range [...]func(m *media) bool{
		func(m *media) bool { return isJSON(m.mediaType) && isJSON(mediaType) },
		func(m *media) bool { return m.mediaType == kind+"/*" },
		func(m *media) bool { return m.mediaType == "*/*" || m.mediaType == "*" },
	} {
		for i := range c {
			if fits(&c[i]) {
				return &c[i]
			}
		}
	}
	return nil
}

// named finds what is said of a media type by its name. Where that is said more
// than once, what has most of the parameters counts, then what has none.
func (c contents) named(mediaType, contentType string) (best *media) {
	var params map[string]string
	most := 0
	for i := range c {
		m := &c[i]
		if m.mediaType != mediaType {
			continue
		}
		if best == nil {
			best, params = m, paramsOf(contentType)
			most = m.fit(params)
			continue
		}
		if n := m.fit(params); n > most {
			best, most = m, n
		}
	}
	return best
}

// fit is how many parameters a type has that are given, -1 if it has others.
func (m *media) fit(params map[string]string) int {
	for name, value := range m.params {
		if !strings.EqualFold(params[name], value) {
			return -1
		}
	}
	return len(m.params)
}

// types are the types that are possible.
func (c contents) types() string {
	names := make([]string, len(c))
	for i := range c {
		names[i] = c[i].mediaType
	}
	return strings.Join(names, ",")
}

// typeOf is the media type of a body. One that does not tell is taken for JSON,
// as Kong and FastAPI do.
func typeOf(contentType string) string {
	if t := bareType(contentType); t != "" {
		return t
	}
	return "application/json"
}

// check tells what is wrong with a body.
func (m *media) check(contentType string, data []byte, o jsonschema.Options) []fault {
	o.Size = len(data)
	v, err := m.decode(contentType, data, o)
	if err != nil {
		return bodyFaults([]jsonschema.Fault{unreadable(contentType, err)})
	}
	return bodyFaults(m.schema.Check(v, o))
}

func (m *media) decode(contentType string, data []byte, o jsonschema.Options) (any, error) {
	switch t := typeOf(contentType); {
	case isJSON(t) && o.Direction == jsonschema.Request:
		return jsonschema.DecodeStrictly(data)
	case isJSON(t):
		return jsonschema.Decode(data)
	case t == formType:
		return m.decodeForm(string(data), o), nil
	default:
		return m.decodeMultipart(contentType, data, o)
	}
}

// unreadable is the fault of a body that is not what its type says.
func unreadable(contentType string, err error) jsonschema.Fault {
	if t := typeOf(contentType); !isJSON(t) {
		return jsonschema.Fault{Keyword: "form", Limit: err.Error()}
	}
	f := jsonschema.Fault{Keyword: "json", Limit: err.Error()}
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		f.Limit = "a fault at byte " + fmt.Sprint(syntax.Offset)
		f.Path = []any{int(syntax.Offset)}
	}
	return f
}

func bodyFaults(found []jsonschema.Fault) []fault {
	faults := make([]fault, len(found))
	for i := range found {
		faults[i] = fault{in: "body", Fault: found[i]}
	}
	return faults
}
