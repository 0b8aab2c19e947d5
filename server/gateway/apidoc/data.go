package apidoc

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// data is a value if it may be one of the form, brought into the shape that
// readers expect.
func data(f form, v any) (any, bool) {
	switch f {
	case text:
		s, ok := v.(string)
		return s, ok
	case flag:
		t, ok := v.(bool)
		return t, ok
	case number:
		n, ok := v.(json.Number)
		if !ok {
			return nil, false
		}
		_, err := n.Float64()
		return n, err == nil
	case count:
		return wholeNumber(v)
	case texts:
		return textList(v)
	case values:
		l, ok := v.([]any)
		return l, ok
	case record:
		o, ok := v.(*object)
		return o, ok
	}
	return v, true
}

// wholeNumber reads a count, which some write as 10.0.
func wholeNumber(v any) (any, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return nil, false
	}
	s := n.String()
	if whole, zeros, cut := strings.Cut(s, "."); cut && strings.Trim(zeros, "0") == "" {
		s = whole
	}
	_, err := strconv.ParseUint(s, 10, 63)
	return json.Number(s), err == nil
}

// textList is a list of strings without repetitions.
func textList(v any) (any, bool) {
	l, ok := v.([]any)
	if !ok {
		return nil, false
	}
	seen := map[string]bool{}
	out := []any{}
	for _, e := range l {
		s, ok := e.(string)
		if !ok {
			return nil, false
		}
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out, true
}

// complete adds what an object must have and leaves out what contradicts
// itself, where there is no doubt about what is meant.
func complete(k kind, o *object) error {
	if o.has("example") && o.has("examples") {
		o.remove("example")
	}
	switch k {
	case kindResponse:
		if !o.has("description") {
			o.set("description", "")
		}
	case kindRequestBody:
		if !o.has("content") {
			o.set("content", newObject())
		}
	case kindParameter:
		if o.text("in") == "path" {
			o.set("required", true)
		}
		schemaOrContent(o)
		style(o, o.text("in"))
	case kindHeader:
		schemaOrContent(o)
		style(o, "header")
	case kindEncoding:
		style(o, "query")
	case kindExample:
		if o.get("value") == nil && o.text("externalValue") == "" {
			return errDrop
		}
		if o.get("value") != nil {
			o.remove("externalValue")
		} else {
			o.remove("value")
		}
	case kindExternalDocs:
		if _, err := url.Parse(o.text("url")); err != nil || o.text("url") == "" {
			return errDrop
		}
	}
	return nil
}

// schemaOrContent leaves a parameter or header either a schema or content of
// one media type.
func schemaOrContent(o *object) {
	if o.has("schema") || len(o.object("content").names()) != 1 {
		o.remove("content")
	}
	if !o.has("schema") && !o.has("content") {
		o.set("schema", newObject())
	}
}

// styles are those that there are for parameters of a place.
var styles = map[string][]string{
	"path":   {"simple", "label", "matrix"},
	"query":  {"form", "spaceDelimited", "pipeDelimited", "deepObject"},
	"header": {"simple"},
	"cookie": {"form"},
}

func style(o *object, place string) {
	switch style := o.text("style"); {
	case o.has("style") && !slices.Contains(styles[place], style):
		o.remove("style")
	case style == "deepObject":
		// There is no other way for it.
		o.set("explode", true)
	}
	if o.has("content") {
		o.remove("style")
		o.remove("explode")
	}
}

// statusText is what a response is described as that has no words of its own.
func statusText(code string) string {
	n, _ := strconv.Atoi(code)
	return http.StatusText(n)
}
