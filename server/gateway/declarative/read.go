package declarative

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/internal/errs"
)

// Document is a document that was read.
type Document struct {
	// SelectTags are the tags of the entities that the document is about; none
	// for all of them. The entities have them.
	SelectTags []string
	// Hashed tells that passwords of basic-auths are hashes already.
	Hashed bool
	// Entities come in the order in which they can be made.
	Entities []*Entity
}

// Entity is an entity of a document.
type Entity struct {
	Collection *entity.Collection
	// Path is where it is in the document, such as services.1.routes.2.
	Path string
	// Doc is what the document says of it. Fields that refer to other entities
	// have an object with the id or what else names them.
	Doc map[string]any
	// Parents are the entities that it is below, by the field that refers to
	// them.
	Parents map[string]*Entity
}

// document is a document while it is read.
type document struct {
	Document
	defaults map[string]any
	configs  map[string]any
	faults   []errs.Field
}

// Parse reads a document. What is wrong with it is an errs.Error that names all
// of it. Tags are those that the caller selects by.
func Parse(text []byte, tags []string) (*Document, error) {
	v, err := decode(text)
	if err != nil {
		return nil, errs.New(errs.BadRequest, "The document cannot be read: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	top, ok := v.(map[string]any)
	if !ok {
		return nil, errs.New(errs.BadRequest, "The document must be a mapping, with _format_version: %q", Version)
	}
	d := &document{}
	d.head(top, tags)
	for _, name := range slices.Sorted(maps.Keys(top)) {
		if c := bySchema(name); c != nil {
			d.list(c, top[name], name, nil)
		} else if !schema.Empty(top[name]) && name[:min(1, len(name))] != "_" {
			d.fault(name, "unknown field")
		}
	}
	if len(d.faults) > 0 {
		return nil, errs.Invalid(d.faults...)
	}
	slices.SortStableFunc(d.Entities, func(a, b *Entity) int { return Level(a.Collection) - Level(b.Collection) })
	return &d.Document, nil
}

func (d *document) fault(path, message string) {
	d.faults = append(d.faults, errs.Field{Path: path, Message: message})
}

// head reads what is not a list of entities.
func (d *document) head(top map[string]any, tags []string) {
	if v := top["_format_version"]; fmt.Sprint(v) != Version && v != schema.Normal(3.0) {
		d.fault("_format_version", fmt.Sprintf("must be %q", Version))
	}
	if v, ok := top["_transform"].(bool); ok {
		d.Hashed = !v
	} else if top["_transform"] != nil {
		d.fault("_transform", "expected a boolean")
	}
	if v := top["_workspace"]; v != nil && v != "default" {
		d.fault("_workspace", "there is none but default")
	}
	d.configs = d.record(top, "_plugin_configs")
	info := d.record(top, "_info")
	d.defaults = d.record(info, "defaults")
	d.SelectTags = slices.Compact(slices.Sorted(slices.Values(tags)))
	if info["select_tags"] != nil {
		own, ok := texts(info["select_tags"])
		slices.Sort(own)
		own = slices.Compact(own)
		switch {
		case !ok:
			d.fault("_info.select_tags", "expected an array of strings")
		case len(tags) > 0 && !slices.Equal(own, d.SelectTags):
			d.fault("_info.select_tags", "are not the tags that were given beside the document")
		default:
			d.SelectTags = own
		}
	}
	for _, tag := range d.SelectTags {
		if err := schema.Tag(tag); err != nil {
			d.fault("_info.select_tags", err.Error())
		}
	}
}

func texts(v any) (out []string, ok bool) {
	list, ok := v.([]any)
	for _, e := range list {
		s, isText := e.(string)
		ok = ok && isText
		out = append(out, s)
	}
	return out, ok
}

func (d *document) record(of map[string]any, name string) map[string]any {
	v, ok := of[name].(map[string]any)
	if !ok && of[name] != nil {
		d.fault(name, "expected a record")
	}
	return v
}

// list reads a list of entities.
func (d *document) list(c *entity.Collection, v any, path string, parents map[string]*Entity) {
	list, ok := v.([]any)
	if !ok && v != nil {
		d.fault(path, "expected an array")
	}
	for i, v := range list {
		at := fmt.Sprintf("%s.%d", path, i+1)
		doc, ok := v.(map[string]any)
		if name, isText := v.(string); isText && c.Name == "snis" {
			doc, ok = map[string]any{"name": name}, true
		}
		if !ok {
			d.fault(at, "expected a record")
			continue
		}
		d.entity(c, doc, at, parents)
	}
}

// entity reads an entity with what is below it.
func (d *document) entity(c *entity.Collection, sent map[string]any, path string, parents map[string]*Entity) {
	e := &Entity{Collection: c, Path: path, Parents: parents}
	doc := maps.Clone(sent)
	for _, child := range children(c) {
		if v, ok := doc[child.SchemaName()]; ok {
			d.list(child.Collection, v, path+"."+child.SchemaName(), map[string]*Entity{child.field: e})
			delete(doc, child.SchemaName())
		}
	}
	defaults, ok := d.defaults[c.Singular].(map[string]any)
	if !ok && d.defaults[c.Singular] != nil {
		d.fault("_info.defaults."+c.Singular, "expected a record")
	}
	doc = c.Record.Merge(defaults, doc)
	if c.Name == "plugins" {
		d.shared(doc, path)
	}
	d.refer(e, doc)
	d.tag(doc, path)
	if !named(c, doc) {
		d.fault(path, "must have "+namesOf(c)+" or id")
	}
	e.Doc = doc
	d.Entities = append(d.Entities, e)
}

// named tells whether an entity has what it is found by again, besides ids.
func named(c *entity.Collection, doc map[string]any) bool {
	if doc["id"] != nil || len(c.Unique) == 0 || c.Name == "ca_certificates" {
		return true
	}
	return slices.ContainsFunc(c.Unique, func(u entity.Unique) bool {
		return u.Nulls || !slices.ContainsFunc(u.Fields, func(f string) bool { return c.Record.Field(f).Reference == "" && doc[f] == nil })
	})
}

// namesOf are the fields that an entity is found by again.
func namesOf(c *entity.Collection) string {
	var out []string
	for _, u := range c.Unique {
		for _, f := range u.Fields {
			if c.Record.Field(f).Reference == "" {
				out = append(out, f)
			}
		}
	}
	return strings.Join(out, ", ")
}

// shared fills in a configuration that is written once for several plugins.
func (d *document) shared(doc map[string]any, path string) {
	name, ok := doc["_config"]
	delete(doc, "_config")
	if !ok || name == nil {
		return
	}
	config, ok := d.configs[fmt.Sprint(name)].(map[string]any)
	if !ok {
		d.fault(path+"._config", fmt.Sprintf("_plugin_configs has no %v", name))
		return
	}
	whole, _ := schema.Clone(config).(map[string]any)
	own, _ := doc["config"].(map[string]any)
	overlay(whole, own)
	doc["config"] = whole
}

// overlay puts the fields of a record over those of another.
func overlay(under, over map[string]any) {
	for name, v := range over {
		a, ok := under[name].(map[string]any)
		b, record := v.(map[string]any)
		if ok && record {
			overlay(a, b)
			continue
		}
		under[name] = v
	}
}

// refer makes objects of the fields that refer to other entities.
func (d *document) refer(e *Entity, doc map[string]any) {
	for _, f := range e.Collection.Foreign {
		if e.Parents[f.Field] != nil {
			if doc[f.Field] != nil {
				d.fault(e.Path+"."+f.Field, "is what the entity is below already")
			}
			delete(doc, f.Field)
			continue
		}
		name, ok := doc[f.Field].(string)
		if !ok {
			continue
		}
		by := "id"
		if others := e.Collection.Record.Field(f.Field).Alternatives; len(others) > 0 && uuid.Validate(name) != nil {
			by = others[0].Name
		}
		doc[f.Field] = map[string]any{by: name}
	}
}

// tag gives an entity the tags of the document.
func (d *document) tag(doc map[string]any, path string) {
	if len(d.SelectTags) == 0 {
		return
	}
	tags, ok := doc["tags"].([]any)
	if !ok && doc["tags"] != nil {
		d.fault(path+".tags", "expected a set")
		return
	}
	tags = slices.Clone(tags)
	for _, tag := range d.SelectTags {
		if !slices.Contains(tags, any(tag)) {
			tags = append(tags, tag)
		}
	}
	doc["tags"] = tags
}
