package apidoc

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// place is where an operation is in the merged document.
type place struct {
	// id is its operationId, which may be empty; ref is the reference to it.
	id, ref string
}

// shareShapes finds the paths that differ in the names of parameters alone. They
// are the same path to OpenAPI, so the names of the first count.
func (b *builder) shareShapes(operations []Operation) {
	for _, o := range operations {
		shape := o.Template.shape()
		if names, there := b.names[shape]; !there {
			b.names[shape] = o.Template.params()
		} else if !slices.Equal(names, o.Template.params()) {
			b.shared[shape] = true
		}
	}
}

// pathOf is what a path is called.
func (b *builder) pathOf(o Operation) string {
	names := b.names[o.Template.shape()]
	n := -1
	return b.space.prefix + o.Template.write(func(Part) string {
		n++
		return "{" + names[n] + "}"
	})
}

// exposed builds an exposed operation.
func (b *builder) exposed(o Operation) (any, error) {
	out := newObject()
	if b.space.tag != "" {
		out.set("tags", []any{b.space.tag})
	}
	if id := b.included[o.op].id; id != "" {
		out.set("operationId", id)
	}
	if err := b.operation(out, o.op); err != nil {
		return nil, err
	}
	if err := b.pathParameters(out, o); err != nil {
		return nil, err
	}
	if b.space.scheme != "" && o.Protected {
		out.set("security", []any{objectOf(b.space.scheme, []any{})})
	}
	b.ownAnswers(out, o.Protected)
	return out, nil
}

// operation builds what an operation has into out, where its tags and id are.
func (b *builder) operation(out, o *object) error {
	if b.grows() {
		return errTooLarge
	}
	built, err := b.object(kindOperation, o)
	if err != nil {
		return err
	}
	for _, key := range built.keys {
		out.set(key, built.values[key])
	}
	if !out.has("responses") {
		out.set("responses", objectOf("default", objectOf("description", "")))
	}
	return nil
}

var statusCode = regexp.MustCompile(`^([1-5]([0-9][0-9]|XX)|default)$`)

// responses builds the answers by their codes.
func (b *builder) responses(o *object) (any, error) {
	out := newObject()
	for _, key := range o.keys {
		if strings.HasPrefix(key, "x-") {
			out.set(key, o.values[key])
			continue
		}
		code := strings.ToUpper(key)
		if code == "DEFAULT" {
			code = "default"
		}
		if !statusCode.MatchString(code) {
			b.fault("%q is no status of a response", shorten(key))
			continue
		}
		err := b.set(kindResponse, o.values[key], func(v any) {
			if r, ok := v.(*object); ok && !r.has("$ref") && r.text("description") == "" {
				r.set("description", statusText(code))
			}
			out.set(code, v)
		})
		if err != nil {
			return nil, fmt.Errorf("response %s: %w", code, err)
		}
	}
	if !slices.ContainsFunc(out.keys, func(s string) bool { return !strings.HasPrefix(s, "x-") }) {
		out.set("default", objectOf("description", ""))
	}
	return out, nil
}

// parameter builds one that is not a reference.
func (b *builder) parameter(o *object) (any, error) {
	out, err := b.object(kindParameter, o)
	if err != nil {
		return nil, fmt.Errorf("parameter %q: %w", shorten(o.text("name")), err)
	}
	if out.text("name") == "" || !slices.Contains([]string{"path", "query", "header", "cookie"}, out.text("in")) {
		return nil, fmt.Errorf("the parameter %q has no name or place that parameters have", shorten(o.text("name")))
	}
	return out, complete(kindParameter, out)
}

// pathParameters makes the parameters of an operation those of its path: those
// that nobody declared are added, and others left out, as are repetitions.
func (b *builder) pathParameters(out *object, o Operation) error {
	own, err := b.parameters(o.op, o.Template.params())
	if err != nil {
		return err
	}
	common := b.common[o.item]
	if common.err != nil {
		return common.err
	}
	for _, p := range common.needs {
		b.needs(p)
	}
	if b.shared[o.Template.shape()] {
		// The path item is that of others too, so it has no parameters.
		for _, p := range common.list {
			if !own.declared[b.identity(p)] {
				own.list = append(own.list, p)
			}
		}
	}
	for _, name := range o.Template.params() {
		if is := "path " + name; !own.declared[is] && !common.declared[is] {
			own.list = append(own.list, objectOf("name", name, "in", "path", "required", true, "schema", objectOf("type", "string")))
		}
	}
	if b.shared[o.Template.shape()] {
		b.rename(own.list, o)
	}
	out.remove("parameters")
	if len(own.list) > 0 {
		out.set("parameters", own.list)
	}
	return nil
}

// rename calls the parameters of a path as the first path of its shape does.
func (b *builder) rename(list []any, o Operation) {
	names, now := o.Template.params(), b.names[o.Template.shape()]
	for i, v := range list {
		p, _ := v.(*object)
		at := slices.Index(names, p.text("name"))
		if p.text("in") != "path" || at < 0 || names[at] == now[at] {
			continue
		}
		renamed := newObject()
		for _, key := range p.keys {
			renamed.set(key, p.values[key])
		}
		renamed.set("name", now[at])
		list[i] = renamed
	}
}

// parameters are those of an operation or path item, and which these are.
type parameters struct {
	list     []any
	declared map[string]bool
}

// common is what the operations of a path item share.
type common struct {
	part
	parameters
}

// addCommon builds what the operations of a path item share.
func (b *builder) addCommon(o Operation) {
	if b.common[o.item] != nil {
		return
	}
	c := &common{part: part{section: "paths", name: o.Path}}
	b.common[o.item] = c
	b.begin(&c.part, nil)
	c.parameters, c.err = b.parameters(o.item, o.Template.params())
}

// parameters builds those of an operation or path item.
func (b *builder) parameters(o *object, template []string) (parameters, error) {
	v := o.get("parameters")
	l, ok := v.([]any)
	if v != nil && !ok {
		return parameters{}, errors.New("\"parameters\" is not a list")
	}
	built := parameters{declared: map[string]bool{}}
	for _, v := range l {
		is := b.identify(v)
		if built.declared[is] {
			continue
		}
		place, name, _ := strings.Cut(is, " ")
		if place == "path" && !slices.Contains(template, name) {
			b.fault("the path has no parameter %q", shorten(name))
			continue
		}
		p, err := b.convertParameter(v, place == "path" && len(b.shared) > 0)
		if err != nil {
			return built, err
		}
		built.declared[is] = true
		built.list = append(built.list, p)
	}
	return built, nil
}

// convertParameter builds a parameter, and one that is a component in place if
// it may have to be renamed.
func (b *builder) convertParameter(v any, inline bool) (any, error) {
	o, _ := v.(*object)
	ref, there := o.get("$ref").(string)
	if !there || !inline {
		return b.convert(kindParameter, v)
	}
	end, err := b.follow(ref)
	if err != nil {
		return nil, err
	}
	return b.convert(kindParameter, end)
}

// follow is what references lead to in the end.
func (b *builder) follow(ref string) (any, error) {
	t, err := b.find(ref)
	for range maxHops {
		o, _ := t.value.(*object)
		next, there := o.get("$ref").(string)
		if err != nil || !there {
			break
		}
		t, err = b.find(next)
	}
	return t.value, err
}

// inlineHeaders is an encoding without references to headers, which readers
// (kin-openapi among them) do not follow there.
func (b *builder) inlineHeaders(o *object) *object {
	headers := o.object("headers")
	if headers == nil {
		return o
	}
	inline := newObject()
	for _, name := range headers.keys {
		v := headers.values[name]
		header, _ := v.(*object)
		if ref, there := header.get("$ref").(string); there {
			v, _ = b.follow(ref)
		}
		inline.set(name, v)
	}
	out := newObject()
	for _, key := range o.keys {
		out.set(key, o.values[key])
	}
	out.set("headers", inline)
	return out
}

// identity is the place and name of a parameter that was built.
func (b *builder) identity(v any) string {
	o, _ := v.(*object)
	if ref, there := o.get("$ref").(string); there {
		if c := b.byRef[ref]; c != nil {
			return b.identify(c.from.value)
		}
	}
	return o.text("in") + " " + o.text("name")
}

// identify is the place and name of a parameter of the source, which may be a
// reference.
func (b *builder) identify(v any) string {
	o, _ := v.(*object)
	if ref, there := o.get("$ref").(string); there {
		end, _ := b.follow(ref)
		o, _ = end.(*object)
	}
	return o.text("in") + " " + o.text("name")
}

// callback builds the path items of a callback, by their expressions.
func (b *builder) callback(o *object) (any, error) {
	out := newObject()
	for _, key := range o.keys {
		v := o.values[key]
		if strings.HasPrefix(key, "x-") {
			out.set(key, v)
			continue
		}
		if err := b.set(kindPathItem, v, func(v any) { out.set(key, v) }); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// link builds a link to an operation that is there.
func (b *builder) link(o *object) (any, error) {
	to, there := place{}, false
	if id := o.text("operationId"); id != "" {
		to, there = b.byID[id]
	} else if v, ok := b.doc.resolve(o.text("operationRef")); ok {
		op, _ := v.(*object)
		to, there = b.included[op]
	}
	if !there {
		return nil, errDrop
	}
	out, err := b.object(kindLink, o)
	if err != nil {
		return nil, err
	}
	out.remove("operationRef")
	out.remove("operationId")
	if to.id != "" {
		out.set("operationId", to.id)
	} else {
		out.set("operationRef", to.ref)
	}
	return out, nil
}

// ownAnswers adds those that the gateway gives itself, unless the operation
// describes some of the same status.
func (b *builder) ownAnswers(op *object, protected bool) {
	if b.space.tag == "" {
		return
	}
	responses := op.object("responses")
	for _, own := range ownAnswers {
		family := own.code[:1] + "XX"
		if own.protected && !protected || responses.has(own.code) || responses.has(family) || responses.has("default") {
			continue
		}
		responses.set(own.code, objectOf("$ref", "#/components/responses/"+own.name))
	}
}

// ownAnswers are components of the merged document; no service's name begins
// with an underscore.
var ownAnswers = []struct {
	code, name, description string
	protected               bool
}{
	{"403", "_gateway_forbidden", "The caller did not prove to the gateway who it is.", true},
	{"503", "_gateway_unavailable", "The gateway does not reach the service.", false},
}

// ownAnswer is the component of one of them.
func ownAnswer(description string) *object {
	schema := objectOf("type", "object", "required", []any{"detail"},
		"properties", objectOf("detail", objectOf("type", "string")))
	return objectOf("description", description, "content", objectOf("application/json", objectOf("schema", schema)))
}
