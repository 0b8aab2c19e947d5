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

// pathOf is what a path is called.
func (b *builder) pathOf(o Operation) string { return b.space.prefix + o.Template.String() }

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
	if b.size++; b.size > maxParts {
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
	template := o.Template.params()
	own, declared, err := b.parameters(o.op, template)
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
	for _, name := range template {
		if !declared["path "+name] && !common.declared["path "+name] {
			own = append(own, objectOf("name", name, "in", "path", "required", true, "schema", objectOf("type", "string")))
		}
	}
	out.remove("parameters")
	if len(own) > 0 {
		out.set("parameters", own)
	}
	return nil
}

// common is what the operations of a path item share.
type common struct {
	part
	parameters []any
	declared   map[string]bool
}

// addCommon builds what the operations of a path item share.
func (b *builder) addCommon(o Operation) {
	if b.common[o.item] != nil {
		return
	}
	c := &common{part: part{section: "paths", name: o.Path}}
	b.common[o.item], b.current = c, &c.part
	c.parameters, c.declared, c.err = b.parameters(o.item, o.Template.params())
}

// parameters builds the parameters of an operation or path item.
func (b *builder) parameters(o *object, template []string) (built []any, declared map[string]bool, err error) {
	v := o.get("parameters")
	l, ok := v.([]any)
	if v != nil && !ok {
		return nil, nil, errors.New("\"parameters\" is not a list")
	}
	declared = map[string]bool{}
	for _, v := range l {
		in, name := b.identify(v)
		if declared[in+" "+name] {
			continue
		}
		if in == "path" && !slices.Contains(template, name) {
			b.fault("the path has no parameter %q", shorten(name))
			continue
		}
		p, err := b.convert(kindParameter, v)
		if err != nil {
			return nil, nil, err
		}
		declared[in+" "+name] = true
		built = append(built, p)
	}
	return built, declared, nil
}

// identify is the place and name of a parameter, which may be a reference.
func (b *builder) identify(v any) (in, name string) {
	o, _ := v.(*object)
	scope := b.scope
	for range maxHops {
		ref, there := o.get("$ref").(string)
		if !there {
			break
		}
		t, ok := b.index.find(ref, scope)
		if !ok {
			break
		}
		o, _ = t.value.(*object)
		scope = t.scope
	}
	return o.text("in"), o.text("name")
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
