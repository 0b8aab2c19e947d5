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

// write puts a document together.
func (l layout) write(fragments ...*fragment) []byte {
	paths := newObject()
	parts := map[string][]*part{}
	for _, f := range fragments {
		for _, path := range f.paths.keys {
			paths.set(path, f.paths.values[path])
		}
		for _, c := range f.components {
			parts[c.section] = append(parts[c.section], c)
		}
	}
	doc := objectOf("openapi", versions[l.minor], "info", l.info)
	if l.servers != nil {
		doc.set("servers", l.servers)
	}
	if len(l.tags) > 0 {
		doc.set("tags", l.tags)
	}
	doc.set("paths", paths)
	if components := l.components(parts); len(components.keys) > 0 {
		doc.set("components", components)
	}
	var b bytes.Buffer
	encodeTo(&b, doc)
	return b.Bytes()
}

// versions are those of OpenAPI that are written.
var versions = [2]string{"3.0.3", "3.1.0"}

func (l layout) components(parts map[string][]*part) *object {
	components := newObject()
	for _, s := range sections {
		section := newObject()
		slices.SortFunc(parts[s.name], func(a, b *part) int { return cmp.Compare(a.name, b.name) })
		for _, c := range parts[s.name] {
			section.set(c.name, c.out)
		}
		if s.kind == kindSchema && l.probe {
			section.set(probeSchema, newObject())
		}
		if s.kind == kindResponse && l.answers {
			for _, answer := range ownAnswers {
				section.set(answer.name, ownAnswer(answer.description))
			}
		}
		if len(section.keys) > 0 {
			components.set(s.name, section)
		}
	}
	if len(l.schemes.names()) > 0 {
		components.set("securitySchemes", l.schemes)
	}
	return components
}

// schemes are the security schemes of the plugins that authenticate.
var schemes = map[string]*object{
	"jwt":        objectOf("type", "http", "scheme", "bearer", "bearerFormat", "JWT"),
	"key-auth":   objectOf("type", "apiKey", "in", "header", "name", "apikey"),
	"basic-auth": objectOf("type", "http", "scheme", "basic"),
}
