package oasvalidation

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/plugin/oasvalidation/jsonschema"
)

// decodeForm makes an object of an urlencoded form.
func (m *media) decodeForm(text string, o jsonschema.Options) any {
	in := &input{query: parseQuery(text)}
	object := map[string]any{}
	taken := map[string]bool{}
	names, _ := m.schema.Properties()
	for _, name := range names {
		property, _ := m.schema.Property(name)
		e, said := m.encodings[name]
		if property == nil || property.Kinds()&jsonschema.Object == 0 {
			if !said || e.style == "" || e.explode {
				continue // it is as it would be without being known
			}
		}
		if v, of, ok := e.field(name, property, in, o); ok {
			object[name] = v
			for _, name := range of {
				taken[name] = true
			}
		}
	}
	texts := map[string][]string{}
	for _, one := range in.query {
		if base, _, deep := strings.Cut(one.name, "["); !taken[one.name] && !(deep && taken[base+"["]) {
			texts[one.name] = append(texts[one.name], unescape(one.value, true))
		}
	}
	for name, texts := range texts {
		property, _ := m.schema.Property(name)
		object[name] = readTexts(texts, property, o)
	}
	return object
}

// field is a field of an urlencoded form that is more than a text: JSON, or in
// one of the styles of query parameters. of are the names that it is written
// under, or begins with. It is not ok if there is none.
func (e encoding) field(name string, s *jsonschema.Schema, in *input, o jsonschema.Options) (v any, of []string, ok bool) {
	p := &parameter{name: name, in: "query", style: e.style, explode: e.explode, schema: s}
	texts := in.texts(name)
	of = []string{name}
	switch {
	case e.style == "" || isJSON(e.contentType):
		if len(texts) != 1 {
			return nil, nil, false
		}
		v, err := jsonschema.DecodeStrictly([]byte(p.unescape(texts[0])))
		return v, of, err == nil
	case e.style == "deepObject":
		v, err := p.deep(in, o)
		return v, []string{name + "["}, err == nil
	case e.style == "form" && e.explode && s != nil && texts == nil:
		v := p.exploded(in.query, o)
		of, _ = s.Properties()
		return v, of, v != nil
	case texts == nil:
		return nil, nil, false
	}
	read, err := p.read(texts, o)
	if err != nil {
		return nil, nil, false
	}
	for _, one := range read.of {
		if s.Fits(one, o) {
			return one, of, true
		}
	}
	return read.of[0], of, true
}

// decodeMultipart makes an object of a multipart form. What is in files is not
// looked at.
func (m *media) decodeMultipart(contentType string, data []byte, o jsonschema.Options) (any, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil || params["boundary"] == "" {
		return nil, errors.New("it has no boundary")
	}
	r := multipart.NewReader(bytes.NewReader(data), params["boundary"])
	fields := map[string][]any{}
	for {
		part, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		name := part.FormName()
		if name == "" {
			return nil, errors.New("a part has no name")
		}
		v, err := m.part(name, part, o)
		if err != nil {
			return nil, err
		}
		fields[name] = append(fields[name], v)
	}
	object := map[string]any{}
	for name, all := range fields {
		property, _ := m.schema.Property(name)
		if len(all) > 1 || property != nil && property.Kinds()&^jsonschema.Array == 0 {
			if list, ok := all[0].([]any); !ok || len(all) > 1 {
				object[name] = all
			} else {
				object[name] = list // one part of JSON
			}
		} else {
			object[name] = all[0]
		}
	}
	return object, nil
}

// part is what a part of a form is: a file, JSON or a text.
func (m *media) part(name string, part *multipart.Part, o jsonschema.Options) (any, error) {
	s, _ := m.schema.Property(name)
	if s != nil && s.Kinds()&jsonschema.Array != 0 {
		if item := s.Item(0); item != nil {
			s = item
		}
	}
	is := bareType(part.Header.Get("Content-Type"))
	switch e := m.encodings[name]; {
	case len(part.Header["Content-Type"]) > 1 || len(part.Header["Content-Disposition"]) > 1:
		return nil, errors.New("a part has a field twice")
	case is != "" && !e.allows(is):
		return nil, errors.New("a part is of a type that it must not have")
	case is == "" && isJSON(e.contentType):
		is = "application/json"
	}
	data, err := io.ReadAll(part)
	if err != nil {
		return nil, err
	}
	// Scripts that send JSON of a type have to give it the name of a file.
	named := part.FileName() != "" || hasFileName(part)
	switch text := s != nil && s.Kinds()&jsonschema.String != 0; {
	case isJSON(is) && (!named || s != nil && !text):
		return jsonschema.DecodeStrictly(data)
	case named, s == nil && is != "" && !strings.HasPrefix(is, "text/"), !isJSON(is) && !strings.HasPrefix(is, "text/") && s != nil && s.Holds():
		return jsonschema.File{Size: len(data)}, nil
	}
	text := string(data)
	if is == "" && s != nil && s.Kinds()&(jsonschema.Object|jsonschema.Array) != 0 {
		// Where an object is to be, a part that does not tell its type is JSON
		// ("Special Considerations for multipart Content").
		if v, err := jsonschema.DecodeStrictly(data); err == nil && s.Fits(v, o) {
			return v, nil
		}
	}
	return jsonschema.Read(text, s, o), nil
}

// hasFileName tells whether a part is a file without a name.
func hasFileName(part *multipart.Part) bool {
	_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	_, has := params["filename"]
	return err == nil && has
}
