package rest

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/backplane/backplane/internal/errs"
)

// proxyIndent is by how many spaces documents are indented unless the client
// says pretty=false.
const proxyIndent = 4

// indentOf reads the parameter pretty.
func indentOf(rawQuery string) int {
	values, _ := url.ParseQuery(rawQuery) //nolint:errcheck // what can be read of it counts
	if all := values["pretty"]; len(all) > 0 {
		if pretty, ok := settleValue(protoreflect.BoolKind, all[len(all)-1]); ok && pretty == "false" {
			return 0
		}
	}
	return proxyIndent
}

// takesArguments reports whether the RPC of a route gets the parts of the query
// one by one, whatever they are.
func (r *route) takesArguments() bool {
	f := r.fields.ByName("arguments")
	return f != nil && f.IsList() && r.query[f.JSONName()]
}

// pages reports whether the RPC of a route makes the pages of its answer
// itself.
func (r *route) pages() bool { return r.fields.ByName("page_size") != nil }

// parseView reads the parameters about how much of a document is shown.
func parseView(rawQuery string, r *route) (*view, error) {
	v := &view{fields: map[string][]jsonPath{}}
	if rawQuery == "" || r.takesArguments() {
		return v, nil
	}
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, errs.New(errs.BadRequest, "The query string is malformed")
	}
	if !r.pages() {
		v.size = number(values["page[size]"])
		v.page = number(values["page[number]"])
		v.query = withoutPage(rawQuery)
	}
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names) // so that the first of several faults is the same each time
	for _, name := range names {
		if kind, ok := inBrackets(name, "fields"); ok {
			if v.fields[kind], err = parseFields(values[name]); err != nil {
				return nil, err
			}
			continue
		}
		path, matches := inBrackets(name, "filter")
		if !matches && name != "filter" {
			continue
		}
		for _, text := range values[name] {
			var f rowFilter
			if matches {
				f, err = parseMatches(path, text)
			} else {
				f, err = parseEquals(text)
			}
			if err != nil {
				return nil, err
			}
			v.filters = append(v.filters, f)
		}
	}
	return v, nil
}

// inBrackets is what a parameter such as fields[servers] has in its brackets.
func inBrackets(name, before string) (string, bool) {
	inner, ok := strings.CutPrefix(name, before+"[")
	if !ok {
		return "", false
	}
	return strings.CutSuffix(inner, "]")
}

// parseFields reads lists of pointers into the attributes or relationships of a
// resource.
func parseFields(lists []string) ([]jsonPath, error) {
	out := []jsonPath{}
	for _, list := range lists {
		for _, item := range strings.Split(list, ",") {
			if item == "" {
				continue
			}
			path, err := parsePointer(item)
			if err != nil {
				return nil, err
			}
			out = append(out, path)
		}
	}
	return out, nil
}

// number is the last of the values when it is a number that counts something,
// and otherwise 0.
func number(values []string) int {
	if len(values) == 0 {
		return 0
	}
	n, err := strconv.ParseUint(values[len(values)-1], 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}

// withoutPage is a query without what says which page it is, as a URL may have
// it.
func withoutPage(rawQuery string) string {
	kept := slices.DeleteFunc(strings.Split(rawQuery, "&"), func(part string) bool {
		name, _, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		return part == "" || err != nil || name == "page[size]" || name == "page[number]"
	})
	return strings.NewReplacer("[", "%5B", "]", "%5D").Replace(escapeQuery(strings.Join(kept, "&")))
}

// settleQuery reads the query as the proxy's dialect does: what the RPC does
// not know is left out, and the last of several values counts. Numbers and
// truth values that it cannot read are left out too, but where they are about a
// change, which is not to be another one.
func (r *route) settleQuery(verb, rawQuery string) (string, error) {
	if r.takesArguments() {
		return settleArguments(rawQuery)
	}
	values, err := url.ParseQuery(rawQuery)
	if err != nil {
		return "", errs.New(errs.BadRequest, "The query string is malformed")
	}
	if r.pages() {
		for _, part := range []string{"size", "cursor"} {
			if all := values["page["+part+"]"]; len(all) > 0 {
				values["page_"+part] = all
			}
		}
	}
	out := url.Values{}
	for name, all := range values {
		field := r.fields.ByJSONName(name)
		if field == nil || !r.query[name] || field.IsMap() || field.Message() != nil {
			continue
		}
		if field.IsList() {
			out[name] = all
			continue
		}
		value, ok := settleValue(field.Kind(), strings.ToValidUTF8(all[len(all)-1], "\uFFFD"))
		switch {
		case ok:
			out.Set(name, value)
		case verb != "GET":
			return "", errs.New(errs.BadRequest, "The value of the parameter %s is not valid", name)
		}
	}
	return out.Encode(), nil
}

// settleArguments makes the parts of a query the arguments of a command, in
// their order and each decoded.
func settleArguments(rawQuery string) (string, error) {
	var out []string
	for _, part := range strings.Split(rawQuery, "&") {
		if part == "" || strings.HasPrefix(part, "pretty=") || strings.HasPrefix(part, "sync=") {
			continue
		}
		text, err := url.QueryUnescape(part)
		if err != nil {
			return "", errs.New(errs.BadRequest, "The argument %q is not encoded as in a URL", part)
		}
		out = append(out, "arguments="+url.QueryEscape(strings.ToValidUTF8(text, "\uFFFD")))
	}
	return strings.Join(out, "&"), nil
}

// settleValue is a value as the generated code reads it.
func settleValue(kind protoreflect.Kind, value string) (string, bool) {
	switch kind {
	case protoreflect.BoolKind:
		switch strings.ToLower(value) {
		case "true", "yes", "on", "1":
			return "true", true
		case "false", "no", "off", "0":
			return "false", true
		}
		return "", false
	case protoreflect.Uint32Kind:
		_, err := strconv.ParseUint(value, 10, 32)
		return value, err == nil
	}
	return value, true
}
