package apidoc

import (
	"bytes"
	"cmp"
	"slices"
)

// layout is what a document has besides its fragments.
type layout struct {
	minor         int
	info          *object
	servers, tags []any
	// schemes are the security schemes; answers whether the gateway's own are
	// there; probe whether the component is, for validate to refer to.
	schemes        *object
	answers, probe bool
}

// probeSchema is the name of a schema that no service has.
const probeSchema = "_"

// versions are those of OpenAPI that are written.
var versions = [2]string{"3.0.3", "3.1.0"}

// encoded is a fragment as JSON: the members of "paths" and of each section of
// "components", without the braces around them.
type encoded struct {
	paths    []byte
	sections map[kind][]byte
	// effort is how many bytes readers look at that read each object anew on
	// each level that it is nested in, as kin-openapi does.
	effort int
}

// encode makes the JSON of a fragment that does not change any more.
func (f *fragment) encode() encoded {
	parts := map[kind]*object{}
	sorted := slices.Clone(f.components)
	slices.SortFunc(sorted, func(a, b *part) int { return cmp.Compare(a.name, b.name) })
	for _, c := range sorted {
		if parts[c.kind] == nil {
			parts[c.kind] = newObject()
		}
		parts[c.kind].set(c.name, c.out)
	}
	e := encoded{paths: membersOf(f.paths), sections: map[kind][]byte{}, effort: effort(f.paths)}
	for _, s := range sections {
		if o := parts[s.kind]; o != nil {
			e.sections[s.kind] = membersOf(o)
			e.effort += effort(o)
		}
	}
	return e
}

// effort adds the sizes of all objects in a value up.
func effort(v any) int {
	sum := 0
	var size func(v any) int
	size = func(v any) int {
		n := 2
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				n += 1 + size(e)
			}
		case *object:
			for _, key := range v.keys {
				n += len(key) + 4 + size(v.values[key])
			}
			sum += n
		case string:
			n += len(v)
		default:
			n += 4
		}
		return n
	}
	size(v)
	return sum
}

// membersOf is an object as JSON without its braces.
func membersOf(o *object) []byte {
	b := encode(o)
	return b[1 : len(b)-1]
}

// write puts a document together.
func (l layout) write(fragments ...encoded) []byte {
	head := objectOf("openapi", versions[l.minor], "info", l.info)
	if l.servers != nil {
		head.set("servers", l.servers)
	}
	if len(l.tags) > 0 {
		head.set("tags", l.tags)
	}
	var b bytes.Buffer
	b.WriteByte('{')
	b.Write(membersOf(head))
	b.WriteString(`,"paths":{`)
	var paths [][]byte
	for _, f := range fragments {
		paths = append(paths, f.paths)
	}
	join(&b, paths)
	b.WriteByte('}')
	l.components(&b, fragments)
	b.WriteByte('}')
	return b.Bytes()
}

// components writes those of all fragments, and those that are no service's.
func (l layout) components(b *bytes.Buffer, fragments []encoded) {
	var all [][]byte
	for _, s := range sections {
		var parts [][]byte
		for _, f := range fragments {
			parts = append(parts, f.sections[s.kind])
		}
		switch {
		case s.kind == kindSchema && l.probe:
			parts = append(parts, membersOf(objectOf(probeSchema, newObject())))
		case s.kind == kindResponse && l.answers:
			for _, answer := range ownAnswers {
				parts = append(parts, membersOf(objectOf(answer.name, ownAnswer(answer.description))))
			}
		}
		all = append(all, section(s.name, parts))
	}
	if len(l.schemes.names()) > 0 {
		all = append(all, section("securitySchemes", [][]byte{membersOf(l.schemes)}))
	}
	if slices.ContainsFunc(all, func(s []byte) bool { return len(s) > 0 }) {
		b.WriteString(`,"components":{`)
		join(b, all)
		b.WriteByte('}')
	}
}

// section is a member of "components"; nothing if it would be empty.
func section(name string, parts [][]byte) []byte {
	var b bytes.Buffer
	join(&b, parts)
	if b.Len() == 0 {
		return nil
	}
	return slices.Concat([]byte(`"`+name+`":{`), b.Bytes(), []byte(`}`))
}

// join writes the members of several objects as those of one.
func join(b *bytes.Buffer, parts [][]byte) {
	first := true
	for _, part := range parts {
		if len(part) == 0 {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.Write(part)
	}
}

// schemes are the security schemes of the plugins that authenticate.
var schemes = map[string]*object{
	"jwt":        objectOf("type", "http", "scheme", "bearer", "bearerFormat", "JWT"),
	"key-auth":   objectOf("type", "apiKey", "in", "header", "name", "apikey"),
	"basic-auth": objectOf("type", "http", "scheme", "basic"),
}
