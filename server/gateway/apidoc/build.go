package apidoc

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// space is how the parts of one document are called in another.
type space struct {
	// prefix goes before paths, such as "/users"; name before the names of
	// components and the ids of operations, such as "users_".
	prefix, name string
	// tag is the only one that operations have; empty for none.
	tag string
	// scheme is the security scheme of protected operations; empty for none.
	scheme string
	// minor is the y of the OpenAPI 3.y to write.
	minor int
}

// part is something that is built by itself: a component, or an operation. What
// is wrong in it takes itself away and what needs it, and nothing else.
type part struct {
	section, name string
	kind          kind
	from          target
	// path is where an operation is in the merged document.
	path string
	// out is what was built; err why that failed.
	out any
	err error
	// needs are the components that it refers to.
	needs []*part
}

// key tells the parts of a document apart: an operation by its method and
// path, a component by where it stands.
func (p *part) key() any {
	if o, ok := p.from.value.(*object); ok && p.section != "paths" {
		return o
	}
	return p.section + " " + p.name
}

// shown names a part as the source has it.
func (p *part) shown() string {
	switch {
	case p.section == "paths":
		return shorten(p.name)
	case p.from.name != "":
		return "components/" + p.section + "/" + shorten(p.from.name)
	}
	return "#/" + shorten(strings.Join(p.from.path, "/"))
}

// repairs are what has to be done to parts, by their keys, for them to be valid.
type repairs map[any]repair

type repair struct {
	// replace is why a schema is to be any; drop why an operation is not there.
	replace, drop string
}

// builder copies operations and what they refer to.
type builder struct {
	doc     *Document
	space   space
	index   *index
	repairs repairs

	// included are the operations that are there, and byID those that have an
	// id in the source; common is what path items have.
	included map[*object]place
	byID     map[string]place
	common   map[*object]*common
	// names are those of the parameters of paths, by shapes; shared are the
	// shapes that paths have which call their parameters otherwise.
	names  map[string][]string
	shared map[string]bool
	// placing are the parts that are being put in the place of references.
	placing map[*object]bool

	operations []*part
	components []*part
	byTarget   map[any]*part
	byRef      map[string]*part
	taken      map[string]int
	current    *part
	needed     map[*part]bool
	scope      []*object
	// size is how many objects the current part has, and total all.
	size, total int
	// patterns is how large all expressions are together.
	patterns int
	faults   []string
}

// errDrop tells that something optional cannot be kept.
var errDrop = errors.New("left out")

// Documents that put the same part in many places can ask for more objects than
// anybody has: this many may be built for an operation or component, and in all.
const (
	maxSize  = 100_000
	maxTotal = 4_000_000
)

// maxComponents is how many components a document may have. What reads them
// goes as deep as they refer to each other.
const maxComponents = 20_000

var errTooLarge = errors.New("it has grown too large by what it refers to")

func (b *builder) fault(format string, args ...any) {
	where := ""
	if b.current != nil {
		where = b.current.shown() + ": "
	}
	b.faults = addFault(b.faults, "%s"+format, append([]any{where}, args...)...)
}

// finish builds the components that were asked for, until no more are.
func (b *builder) finish() {
	for i := 0; i < len(b.components); i++ {
		p := b.components[i]
		if b.begin(p, p.from.scope); i >= maxComponents {
			p.err = errTooLarge
			continue
		}
		p.out, p.err = b.component(p)
	}
	b.current = nil
}

func (b *builder) component(p *part) (any, error) {
	if r := b.repair(); r.replace != "" && p.kind == kindSchema {
		return b.anything(p.from.value, r.replace), nil
	}
	return b.convert(p.kind, p.from.value)
}

// anything is a schema in the place of one that cannot be used.
func (b *builder) anything(v any, why string) any {
	b.fault("%s; any value is shown in its place", why)
	o, _ := v.(*object)
	out := newObject()
	for _, key := range []string{"title", "description"} {
		if s := o.text(key); s != "" {
			out.set(key, s)
		}
	}
	return out
}

// grows counts an object, and tells whether it is one too many.
func (b *builder) grows() bool {
	b.size++
	b.total++
	return b.size > maxSize || b.total > maxTotal
}

// begin turns to a part.
func (b *builder) begin(p *part, scope []*object) {
	b.current, b.scope, b.size = p, scope, 0
	b.needed = map[*part]bool{}
}

// convert builds a part of a kind.
func (b *builder) convert(k kind, v any) (any, error) {
	if b.grows() {
		return nil, errTooLarge
	}
	if k == kindSchema {
		return b.schema(v)
	}
	o, ok := v.(*object)
	if !ok {
		return nil, fmt.Errorf("%s is not an object", kindNames[k])
	}
	if ref, there := o.values["$ref"]; there && refers(k) {
		return b.reference(k, o, ref)
	}
	switch k {
	case kindOperation:
		// One of a callback: it is not the gateway's, and its id was to be told
		// from those of the document alone.
		out := newObject()
		return out, b.operation(out, o)
	case kindParameter:
		return b.parameter(o)
	case kindResponses:
		return b.responses(o)
	case kindCallback:
		return b.callback(o)
	case kindLink:
		return b.link(o)
	case kindDiscriminator:
		return b.discriminator(o)
	case kindEncoding:
		o = b.inlineHeaders(o)
	}
	out, err := b.object(k, o)
	if err != nil {
		return nil, err
	}
	return out, complete(k, out)
}

var kindNames = map[kind]string{
	kindPathItem: "a path item", kindOperation: "an operation", kindParameter: "a parameter", kindHeader: "a header",
	kindRequestBody: "a request body", kindMediaType: "a media type", kindEncoding: "an encoding",
	kindResponse: "a response", kindResponses: "\"responses\"", kindExample: "an example", kindLink: "a link",
	kindCallback: "a callback", kindSchema: "a schema", kindDiscriminator: "a discriminator", kindXML: "\"xml\"",
	kindExternalDocs: "\"externalDocs\"",
}

// refers tells the kinds that may be a reference to one of their kind.
func refers(k kind) bool { return sectionOf(k) != "" || k == kindMediaType || k == kindPathItem }

// droppable are the kinds without which what they stand in is still right.
func droppable(k kind) bool {
	switch k {
	case kindExample, kindLink, kindHeader, kindCallback, kindEncoding, kindDiscriminator, kindXML, kindExternalDocs:
		return true
	}
	return false
}

// object builds the members of an object that its kind has.
func (b *builder) object(k kind, o *object) (*object, error) {
	out := newObject()
	for _, key := range o.keys {
		m, known := members[k][key]
		v := o.values[key]
		if !known {
			if strings.HasPrefix(key, "x-") {
				out.set(key, v)
			}
			continue
		}
		if err := b.member(out, key, m, v); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// repair is what the part that is being built needs.
func (b *builder) repair() repair {
	if b.current == nil {
		return repair{}
	}
	return b.repairs[b.current.key()]
}

// member builds one member into out; what is of a wrong type is not there.
func (b *builder) member(out *object, key string, m member, v any) error {
	if v == nil && m.form != anything {
		return nil
	}
	switch m.form {
	case one:
		return b.set(m.kind, v, func(v any) { out.set(key, v) })
	case list:
		parts, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%q is not a list", key)
		}
		built := []any{}
		for _, v := range parts {
			if err := b.set(m.kind, v, func(v any) { built = append(built, v) }); err != nil {
				return err
			}
		}
		if len(built) > 0 || m.kind == kindParameter {
			out.set(key, built)
		}
	case named:
		parts, ok := v.(*object)
		if !ok {
			if droppable(m.kind) {
				b.fault("%q is not an object", key)
				return nil
			}
			return fmt.Errorf("%q is not an object", key)
		}
		built := newObject()
		for _, name := range parts.keys {
			if err := b.set(m.kind, parts.values[name], func(v any) { built.set(name, v) }); err != nil {
				return err
			}
		}
		out.set(key, built)
	default:
		if v, ok := data(m.form, v); ok {
			out.set(key, v)
		} else {
			b.fault("%q has a value that it cannot have", key)
		}
	}
	return nil
}

// set builds a part and hands it over, unless it is to be left out.
func (b *builder) set(k kind, v any, set func(any)) error {
	built, err := b.convert(k, v)
	switch {
	case err == nil:
		set(built)
	case errors.Is(err, errTooLarge):
		return err
	case errors.Is(err, errDrop):
	case droppable(k):
		b.fault("%v", err)
	default:
		return err
	}
	return nil
}

// reference builds a reference to a component, which is built later.
func (b *builder) reference(k kind, o *object, ref any) (any, error) {
	address, ok := ref.(string)
	if !ok {
		return nil, fmt.Errorf("a $ref of %s is not a string", kindNames[k])
	}
	t, err := b.find(address)
	if err != nil {
		return nil, err
	}
	to, ok := t.value.(*object)
	if !ok {
		return nil, fmt.Errorf("the reference %q is to something else than %s", shorten(address), kindNames[k])
	}
	if sectionOf(k) == "" {
		return b.inPlace(k, to)
	}
	if k == kindLink {
		if _, err := b.link(to); err != nil {
			return nil, err
		}
	}
	out := objectOf("$ref", b.need(k, t))
	if b.space.minor > 0 {
		for _, key := range []string{"summary", "description"} {
			if s, ok := o.values[key].(string); ok {
				out.set(key, s)
			}
		}
	}
	return out, nil
}

// inPlace builds what cannot be a component. A path item whose callbacks lead
// back to it cannot be at all.
func (b *builder) inPlace(k kind, o *object) (any, error) {
	if b.placing[o] {
		return nil, errDrop
	}
	b.placing[o] = true
	defer delete(b.placing, o)
	return b.convert(k, o)
}

// find looks a reference up, and says why it is of no use.
func (b *builder) find(address string) (target, error) {
	t, ok := b.index.find(address, b.scope)
	if !ok && !strings.HasPrefix(address, "#") {
		return t, fmt.Errorf("the reference %q is to another document, which is not read", shorten(address))
	}
	if !ok {
		return t, fmt.Errorf("the reference %q is to nothing", shorten(address))
	}
	// References that end in themselves mean nothing.
	end, scope := t, t.scope
	for range maxHops {
		o, _ := end.value.(*object)
		next, there := o.get("$ref").(string)
		if !there {
			return t, nil
		}
		if end, ok = b.index.find(next, scope); !ok {
			return t, nil
		}
		scope = end.scope
	}
	return t, fmt.Errorf("the reference %q ends in itself", shorten(address))
}

// need is the reference to the component that a target becomes.
func (b *builder) need(k kind, t target) string {
	var key any = struct {
		kind kind
		path string
	}{k, strings.Join(t.path, "/")}
	if o, ok := t.value.(*object); ok {
		key = struct {
			kind kind
			at   *object
		}{k, o}
	}
	p := b.byTarget[key]
	if p == nil {
		section := sectionOf(k)
		p = &part{section: section, name: b.componentName(section, t), kind: k, from: t}
		b.byTarget[key] = p
		b.components = append(b.components, p)
	}
	b.needs(p)
	ref := "#/components/" + p.section + "/" + p.name
	b.byRef[ref] = p
	return ref
}

// needs notes that what is being built does not stand without a component.
func (b *builder) needs(p *part) {
	if !b.needed[p] {
		b.needed[p] = true
		b.current.needs = append(b.current.needs, p)
	}
}

var notInNames = regexp.MustCompile(`[^a-zA-Z0-9.\-_]+`)

// componentName is what a component is called: the service's name and its own,
// made of characters that names may have, and like no other.
func (b *builder) componentName(section string, t target) string {
	base := t.name
	if base == "" {
		path := t.path
		if len(path) > 3 && path[0] == "components" {
			path = path[2:]
		}
		base = strings.Join(slices.DeleteFunc(slices.Clone(path), func(s string) bool {
			return s == "properties" || s == "$defs" || s == "definitions"
		}), "_")
	}
	base = strings.Trim(notInNames.ReplaceAllString(base, "_"), "_")
	const most = 200
	if base = base[:min(len(base), most)]; base == "" {
		base = "unnamed"
	}
	return unique(b.space.name+base, section+" ", b.taken)
}

// unique numbers a name until it is none of taken, to which it is added. The
// number of a name is where to go on.
func unique(name, group string, taken map[string]int) string {
	free := name
	for taken[group+free] > 0 {
		taken[group+name]++
		free = fmt.Sprintf("%s_%d", name, taken[group+name])
	}
	taken[group+free] = max(taken[group+free], 1)
	return free
}
