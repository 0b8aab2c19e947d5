package oasvalidation

import (
	"errors"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/oasvalidation/jsonschema"
)

// fault is a fault of a request or a response.
type fault struct {
	in   string // path, query, header, cookie, body
	name string // of the parameter
	jsonschema.Fault
	// unknown tells that the document does not have the parameter.
	unknown bool
}

// input is what parameters are read from.
type input struct {
	names, path []string // path parameters
	query       []pair
	header      *httpproxy.Header
	cookies     []pair
	groups      map[string][]pair // of query, by what is before a bracket; nil until it is asked for
}

// named are the fields of the query that have a name, or one with the same
// before a bracket.
func (in *input) named(name string) []pair {
	base := func(name string) string { name, _, _ = strings.Cut(name, "["); return name }
	if in.groups == nil {
		in.groups = map[string][]pair{}
		for _, one := range in.query {
			in.groups[base(one.name)] = append(in.groups[base(one.name)], one)
		}
	}
	return in.groups[base(name)]
}

// texts are the values of the query that have a name.
func (in *input) texts(name string) []string { return valuesOf(in.named(name), name) }

// pair is a name with a value. Names are without escapes, values as they were
// sent.
type pair struct{ name, value string }

func parseQuery(query string) []pair {
	var pairs []pair
	for query != "" {
		var arg string
		arg, query, _ = strings.Cut(query, "&")
		if arg == "" {
			continue
		}
		name, value, _ := strings.Cut(arg, "=")
		pairs = append(pairs, pair{unescape(name, true), value})
	}
	return pairs
}

func parseCookies(h *httpproxy.Header) []pair {
	var pairs []pair
	for field := range h.Values("Cookie") {
		for one := range strings.SplitSeq(field, ";") {
			name, value, ok := strings.Cut(strings.TrimSpace(one), "=")
			if !ok {
				continue
			}
			// Space around the name is none of it to many who read cookies.
			name, value = strings.TrimSpace(name), strings.TrimSpace(value)
			if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
				value = value[1 : n-1]
			}
			pairs = append(pairs, pair{name, value})
		}
	}
	return pairs
}

func valuesOf(pairs []pair, name string) []string {
	var values []string
	for _, p := range pairs {
		if p.name == name {
			values = append(values, p.value)
		}
	}
	return values
}

// texts are what a request has of a parameter.
func (p *parameter) texts(in *input) []string {
	switch p.in {
	case "path":
		if i := slices.Index(in.names, p.name); i >= 0 {
			return in.path[i : i+1]
		}
	case "query":
		return in.texts(p.name)
	case "cookie":
		return valuesOf(in.cookies, p.name)
	case "header":
		return slices.Collect(in.header.Values(p.name))
	}
	return nil
}

// find reads a parameter of a request. The error is errNone if there is none.
func (p *parameter) find(in *input, o jsonschema.Options) (values, error) {
	if p.schema != nil && !p.content && p.schema.Kinds()&jsonschema.Object != 0 {
		var pairs []pair
		switch {
		case p.style == "deepObject":
			v, err := p.deep(in, o)
			return values{of: []any{v}}, err
		case p.explode && p.in == "query" && p.style == "form":
			pairs = in.query
		case p.explode && p.in == "cookie":
			pairs = in.cookies
		}
		if v := p.exploded(pairs, o); v != nil {
			return values{of: []any{v}}, nil
		}
		if pairs != nil && p.schema.Kinds() == jsonschema.Object {
			return values{}, errNone
		}
	}
	texts := p.texts(in)
	switch {
	case texts == nil:
		return values{}, errNone
	case p.schema == nil, p.allowEmpty && len(texts) == 1 && texts[0] == "":
		return values{}, nil
	}
	return p.read(texts, o)
}

// exploded is an object whose properties are parameters by themselves; nil if
// there is none of them.
func (p *parameter) exploded(pairs []pair, o jsonschema.Options) any {
	if pairs == nil {
		return nil
	}
	names, open := p.schema.Properties()
	texts := map[string][]string{}
	for _, one := range pairs {
		texts[one.name] = append(texts[one.name], one.value)
	}
	object := map[string]any{}
	take := func(name string, texts []string) {
		property, _ := p.schema.Property(name)
		object[name] = p.property(texts, property, o)
	}
	for _, name := range names {
		if texts[name] != nil {
			take(name, texts[name])
			delete(texts, name)
		}
	}
	if open {
		for name, texts := range texts {
			if name == p.name || !p.known[place{p.in, name}] {
				take(name, texts)
			}
		}
	}
	if len(object) == 0 {
		return nil
	}
	return object
}

// property is a property of an object, of texts that have its name.
func (p *parameter) property(texts []string, s *jsonschema.Schema, o jsonschema.Options) any {
	plain := make([]string, len(texts))
	for i, text := range texts {
		plain[i] = p.unescape(text)
	}
	return readTexts(plain, s, o)
}

// readTexts makes one value of texts that have the same name: an array if there
// are several, or if that is wanted.
func readTexts(texts []string, s *jsonschema.Schema, o jsonschema.Options) any {
	switch {
	case s == nil && len(texts) == 1:
		return texts[0]
	case s == nil:
		items := make([]any, len(texts))
		for i, text := range texts {
			items[i] = text
		}
		return items
	case len(texts) > 1, s.Kinds()&^jsonschema.Array == 0:
		return readItems(texts, s, o)
	}
	return jsonschema.Read(texts[0], s, o)
}

// maxDeep bounds the nesting of objects in queries.
const maxDeep = 16

// deep is an object of parameters such as name[a][b]; errNone if there is none.
func (p *parameter) deep(in *input, o jsonschema.Options) (any, error) {
	root := &branch{}
	for _, one := range in.named(p.name) {
		rest, ok := strings.CutPrefix(one.name, p.name+"[")
		if !ok || !strings.HasSuffix(rest, "]") {
			continue
		}
		keys := strings.Split(strings.TrimSuffix(rest, "]"), "][")
		if len(keys) > maxDeep || !root.put(keys, p.unescape(one.value)) {
			return nil, badStyle{p.style}
		}
	}
	if root.below == nil {
		return nil, errNone
	}
	return root.value(p.schema, o), nil
}

// branch is a part of an object in a query.
type branch struct {
	texts []string
	below map[string]*branch
	names []string // of below, in their order
}

// put puts a text in its place; false if what is there is both a text and more.
func (b *branch) put(keys []string, text string) bool {
	if len(keys) == 0 || len(keys) == 1 && keys[0] == "" && b.below == nil && b.texts != nil {
		b.texts = append(b.texts, text)
		return b.below == nil
	}
	if b.texts != nil {
		return false
	}
	next := b.below[keys[0]]
	if next == nil {
		next = &branch{}
		if b.below == nil {
			b.below = map[string]*branch{}
		}
		b.below[keys[0]] = next
		b.names = append(b.names, keys[0])
	}
	return next.put(keys[1:], text)
}

func (b *branch) value(s *jsonschema.Schema, o jsonschema.Options) any {
	if b.below == nil {
		return readTexts(b.texts, s, o)
	}
	if s != nil && s.Kinds()&^jsonschema.Array == 0 || len(b.names) == 1 && b.names[0] == "" {
		// Items may have their indexes, or none: a[0], a[].
		items := []any{}
		for _, name := range b.names {
			var item *jsonschema.Schema
			if s != nil {
				item = s.Item(len(items))
			}
			if sub := b.below[name]; sub.below != nil {
				items = append(items, sub.value(item, o))
			} else {
				for _, text := range sub.texts {
					items = append(items, readTexts([]string{text}, item, o))
				}
			}
		}
		return items
	}
	object := map[string]any{}
	for _, name := range b.names {
		var property *jsonschema.Schema
		if s != nil {
			property, _ = s.Property(name)
		}
		object[name] = b.below[name].value(property, o)
	}
	return object
}

// check tells what is wrong with a parameter of a request.
func (p *parameter) check(in *input, o jsonschema.Options) []fault {
	v, err := p.find(in, o)
	var style badStyle
	switch {
	case errors.Is(err, errNone):
		if p.required && p.in != "path" { // one that the template does not have is no fault of the request
			return p.faults([]jsonschema.Fault{{Keyword: "required"}})
		}
		return nil
	case errors.As(err, &style):
		return p.faults([]jsonschema.Fault{{Keyword: "style", Limit: style.style}})
	case err != nil:
		return p.faults([]jsonschema.Fault{{Keyword: "json", Limit: err.Error()}})
	}
	if p.schema == nil {
		return nil
	}
	var first []jsonschema.Fault
	for _, one := range v.of {
		found := p.schema.Check(one, o)
		if found == nil && !v.every {
			return nil
		}
		if first == nil {
			first = found
		}
		if v.every && found != nil {
			break
		}
	}
	return p.faults(first)
}

func (p *parameter) faults(found []jsonschema.Fault) []fault {
	faults := make([]fault, len(found))
	for i := range found {
		faults[i] = fault{in: p.in, name: p.name, Fault: found[i]}
	}
	return faults
}
