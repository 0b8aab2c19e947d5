package oasvalidation

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/plugin/oasvalidation/jsonschema"
)

// parameter is a parameter of an operation.
type parameter struct {
	name, in   string
	style      string
	explode    bool
	required   bool
	allowEmpty bool
	content    bool               // it is JSON
	schema     *jsonschema.Schema // nil if nothing is said of its value
	known      map[place]bool     // the parameters of the operation, for one in the query
}

// place tells parameters apart.
func (p *parameter) place() place {
	if p.in == "header" {
		return place{p.in, strings.ToLower(p.name)}
	}
	return place{p.in, p.name}
}

// styles are the ways in which parameters are written, the first by default.
var styles = map[string][]string{
	"path":   {"simple", "label", "matrix"},
	"query":  {"form", "spaceDelimited", "pipeDelimited", "deepObject"},
	"header": {"simple"},
	"cookie": {"form", "cookie"},
}

func (r *reader) parameters(pointer string, object map[string]any) ([]*parameter, error) {
	pointer, raw, err := list(pointer, object, "parameters")
	if err != nil {
		return nil, err
	}
	var all []*parameter
	for i, one := range raw {
		at, o, err := r.object(jsonschema.Child(pointer, strconv.Itoa(i)), one)
		if err != nil {
			return nil, err
		}
		p, err := r.parameter(at, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", at, err)
		}
		if p != nil {
			all = append(all, p)
		}
	}
	return all, nil
}

// parameter reads a parameter, nil for one that is not to be looked at.
func (r *reader) parameter(at string, o map[string]any) (*parameter, error) {
	p := &parameter{}
	p.name, _ = o["name"].(string)
	p.in, _ = o["in"].(string)
	switch {
	case p.in == "querystring":
		return nil, nil
	case p.name == "":
		return nil, errors.New("it has no name")
	case styles[p.in] == nil:
		return nil, fmt.Errorf("it cannot be in %q", p.in)
	case p.in == "header" && slices.Contains([]string{"accept", "content-type", "authorization"}, strings.ToLower(p.name)):
		return nil, nil // these are said elsewhere in the document
	}
	p.required, _ = o["required"].(bool)
	p.required = p.required || p.in == "path"
	p.allowEmpty, _ = o["allowEmptyValue"].(bool)
	p.style, _ = o["style"].(string)
	if p.style == "" {
		p.style = styles[p.in][0]
	}
	if !slices.Contains(styles[p.in], p.style) {
		return nil, fmt.Errorf("a parameter in %s cannot have the style %q", p.in, p.style)
	}
	p.explode = p.style == "form" || p.style == "deepObject" || p.style == "cookie"
	if explode, has := o["explode"].(bool); has && p.style != "deepObject" {
		p.explode = explode
	}
	if p.schema = r.schema(at, o); p.schema != nil {
		return p, nil
	}
	content, _ := o["content"].(map[string]any)
	for _, mediaType := range slices.Sorted(maps.Keys(content)) { // there is one
		if !isJSON(mediaType) || p.content {
			continue
		}
		raw := content[mediaType]
		at, media, err := r.object(jsonschema.Child(jsonschema.Child(at, "content"), mediaType), raw)
		if err != nil {
			return nil, err
		}
		p.content, p.schema = true, r.schema(at, media)
	}
	return p, nil
}

// errNone tells that there is no parameter in what could hold it.
var errNone = errors.New("there is none")

// badStyle is a value that is not written as the parameter's style says.
type badStyle struct{ style string }

func (e badStyle) Error() string { return "it must be written in the style " + e.style }

// values are what a parameter can be read as: the first that fits counts. Where
// every one must fit, since only the upstream knows which it takes, each is
// alone.
type values struct {
	of    []any
	every bool
}

// read reads what is written of a parameter: the texts of its places, of which
// there is one at least.
func (p *parameter) read(texts []string, o jsonschema.Options) (values, error) {
	// Fields of one name are one with commas, or the upstream takes one of them.
	each, whole := texts, texts
	if p.in == "header" && len(texts) > 1 {
		whole = []string{strings.Join(texts, ", ")}
		each = append(slices.Clone(texts), whole...)
	}
	if p.content {
		return p.readJSON(whole)
	}
	kinds := p.kinds(len(texts))
	var v values
	if kinds&^(jsonschema.Array|jsonschema.Object) != 0 {
		for _, text := range each {
			text, err := p.plain(text)
			if err != nil {
				return v, err
			}
			v.of = append(v.of, jsonschema.Read(text, p.schema, o))
		}
		// It is written more than once where one is meant, or may be.
		v.every = len(texts) > 1
		if v.every && kinds&jsonschema.Array != 0 && kinds != p.anything() {
			v = values{}
		}
	}
	var failed error
	if kinds&jsonschema.Array != 0 {
		items, err := p.items(texts)
		if err == nil {
			v.of = append(v.of, readItems(items, p.schema, o))
		}
		failed = err
	}
	if kinds&jsonschema.Object != 0 && len(whole) == 1 {
		object, err := p.pairs(whole[0], o)
		if err == nil {
			v.of = append(v.of, object)
		} else if failed == nil {
			failed = err
		}
	}
	if len(v.of) > 0 {
		return v, nil
	}
	if failed == nil {
		failed = badStyle{p.style}
	}
	return v, failed
}

// anything are the kinds of a parameter of which no type is said, when it is
// written more than once.
func (p *parameter) anything() jsonschema.Types {
	if p.schema.Kinds() != jsonschema.Anything {
		return 0
	}
	return p.kinds(2)
}

// kinds are the types that a parameter which is written so many times can have.
// Where nothing is said of them it is a text, or an array if there are several.
func (p *parameter) kinds(times int) jsonschema.Types {
	kinds := p.schema.Kinds()
	if kinds != jsonschema.Anything {
		return kinds
	}
	if times == 1 && p.schema.Item(0) == nil {
		kinds &^= jsonschema.Array
	}
	if names, open := p.schema.Properties(); names == nil && !open {
		kinds &^= jsonschema.Object
	}
	return kinds
}

func (p *parameter) readJSON(texts []string) (values, error) {
	v := values{every: true}
	for _, text := range texts {
		decoded, err := jsonschema.DecodeStrictly([]byte(p.unescape(text)))
		if err != nil {
			return v, err
		}
		v.of = append(v.of, decoded)
	}
	return v, nil
}

// plain is a value that is one text.
func (p *parameter) plain(text string) (string, error) {
	prefix := ""
	switch p.style {
	case "label":
		prefix = "."
	case "matrix":
		prefix = ";" + p.name + "="
		if text == ";"+p.name {
			return "", nil
		}
	}
	text, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return "", badStyle{p.style}
	}
	return p.unescape(text), nil
}

// items are the items of an array.
func (p *parameter) items(texts []string) ([]string, error) {
	var items []string
	for _, text := range texts {
		var parts []string
		switch {
		case p.style == "label" || p.style == "matrix":
			prefix, delimiter := ".", "."
			if p.style == "matrix" {
				prefix = ";" + p.name + "="
				delimiter = prefix
			}
			rest, ok := strings.CutPrefix(text, prefix)
			if !ok {
				return nil, badStyle{p.style}
			}
			if !p.explode {
				delimiter = ","
			}
			parts = strings.Split(rest, delimiter)
		case p.explode && p.in == "query":
			parts = []string{text}
		case p.explode && p.in == "cookie":
			parts = strings.Split(text, "&"+p.name+"=")
		default:
			parts = p.delimited(text)
		}
		for _, part := range parts {
			items = append(items, p.unescape(part))
		}
	}
	return items, nil
}

// delimiters are what is between items and their escapes, of which one may be
// sent in the place of the other.
var delimiters = map[string][]string{
	"simple": {","}, "label": {","}, "matrix": {","}, "form": {",", "%2C", "%2c"}, "cookie": {",", "%2C", "%2c"},
	"spaceDelimited": {"+", "%20", " "}, "pipeDelimited": {"|", "%7C", "%7c"},
}

// delimited takes apart what has a delimiter between its parts. A comma that is
// escaped is one of a part, unless there is no other.
func (p *parameter) delimited(text string) []string {
	all := delimiters[p.style]
	if p.in == "header" {
		parts := strings.Split(text, ",")
		for i := range parts {
			parts[i] = strings.TrimSpace(parts[i])
		}
		return parts
	}
	if all == nil {
		return []string{text}
	}
	if len(all) > 1 && (all[0] != "," || !strings.Contains(text, ",")) {
		for _, other := range all[1:] {
			text = strings.ReplaceAll(text, other, all[0])
		}
	}
	return strings.Split(text, all[0])
}

// pairs is an object that is one text.
func (p *parameter) pairs(text string, o jsonschema.Options) (any, error) {
	prefix, delimiter := "", ","
	switch {
	case p.style == "label" && p.explode:
		prefix, delimiter = ".", "."
	case p.style == "label":
		prefix = "."
	case p.style == "matrix" && p.explode:
		prefix, delimiter = ";", ";"
	case p.style == "matrix":
		prefix = ";" + p.name + "="
	}
	text, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return nil, badStyle{p.style}
	}
	var parts []string
	if delimiter == "," {
		parts = p.delimited(text)
	} else {
		parts = strings.Split(text, delimiter)
	}
	object := map[string]any{}
	if p.explode {
		for _, part := range parts {
			name, value, ok := strings.Cut(part, "=")
			if !ok {
				return nil, badStyle{p.style}
			}
			p.put(object, name, value, o)
		}
		return object, nil
	}
	if len(parts)%2 != 0 {
		return nil, badStyle{p.style}
	}
	for i := 0; i < len(parts); i += 2 {
		p.put(object, parts[i], parts[i+1], o)
	}
	return object, nil
}

func (p *parameter) put(object map[string]any, name, value string, o jsonschema.Options) {
	name = p.unescape(name)
	property, _ := p.schema.Property(name)
	object[name] = jsonschema.Read(p.unescape(value), property, o)
}

func readItems(texts []string, s *jsonschema.Schema, o jsonschema.Options) any {
	items := make([]any, len(texts))
	for i, text := range texts {
		items[i] = jsonschema.Read(text, s.Item(i), o)
	}
	return items
}

// unescape takes the escapes out of a text.
func (p *parameter) unescape(text string) string {
	switch p.in {
	case "header":
		return text
	case "query":
		return unescape(text, true)
	default:
		return unescape(text, false)
	}
}

// unescape takes out the escapes of a text. What is badly escaped is taken as it
// is.
func unescape(text string, plus bool) string {
	if !strings.Contains(text, "%") && (!plus || !strings.Contains(text, "+")) {
		return text
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '+' && plus:
			b = append(b, ' ')
		case c == '%' && i+2 < len(text):
			n, err := strconv.ParseUint(text[i+1:i+3], 16, 8)
			if err != nil {
				b = append(b, c)
				continue
			}
			b = append(b, byte(n))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b)
}
