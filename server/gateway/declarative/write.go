package declarative

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Stored is an entity to write: complete, with secrets.
type Stored struct {
	Collection *entity.Collection // with the schema of its kind
	Doc        map[string]any
	// Unwanted entities are only there to be named by others.
	Unwanted bool
}

// Options say how to write.
type Options struct {
	SelectTags []string // that all entities have, said once at the top
	IDs        bool     // also of what is found by a name
}

// node is an entity with what is below it.
type node struct {
	*Stored
	below map[string][]*node // by the name of the list
	// keepsID tells that something depends on its id.
	keepsID bool
}

// Write makes a document of entities: always the same of the same ones.
func Write(all []Stored, o Options) ([]byte, error) {
	w := &writer{Options: o, byID: map[string]*node{}, top: map[string][]*node{}}
	for i := range all {
		n := &node{Stored: &all[i], below: map[string][]*node{}}
		w.nodes = append(w.nodes, n)
		w.byID[n.Collection.Name+" "+idOf(n.Doc)] = n
	}
	slices.SortFunc(w.nodes, compare)
	for _, n := range w.nodes {
		w.place(n)
	}
	head := &yaml.Node{Kind: yaml.MappingNode}
	add(head, "_format_version", text(Version))
	if len(o.SelectTags) > 0 {
		info := &yaml.Node{Kind: yaml.MappingNode}
		tags := slices.Compact(slices.Sorted(slices.Values(o.SelectTags)))
		add(info, "select_tags", plain(nil, schema.Normal(tags)))
		add(head, "_info", info)
	}
	if w.hashed {
		add(head, "_transform", plain(nil, false))
	}
	for _, name := range order {
		w.list(head, name, w.top[name])
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	err := enc.Encode(head)
	return b.Bytes(), cmp.Or(err, enc.Close())
}

// order are the lists as they come in documents.
var order = []string{
	"services", "routes", "upstreams", "targets", "certificates", "snis", "ca_certificates",
	"consumers", "keyauth_credentials", "basicauth_credentials", "jwt_secrets", "acls", "plugins",
}

type writer struct {
	Options
	nodes  []*node // sorted
	byID   map[string]*node
	top    map[string][]*node
	hashed bool
}

func idOf(doc map[string]any) string { return textOf(doc, "id") }

func textOf(doc map[string]any, field string) string {
	s, _ := doc[field].(string)
	return s
}

// compare sorts by name, and by id where there is none.
func compare(a, b *node) int {
	return cmp.Or(cmp.Compare(sortKey(a), sortKey(b)), cmp.Compare(idOf(a.Doc), idOf(b.Doc)))
}

func sortKey(n *node) string {
	for _, field := range []string{"name", "username", "custom_id", "target", "group"} {
		if s := textOf(n.Doc, field); s != "" {
			return s
		}
	}
	return "\U0010ffff" // after all that have a name
}

// place finds where an entity comes: below the one that it belongs to, or at
// the top if that is not one alone.
func (w *writer) place(n *node) {
	if n.Unwanted {
		return
	}
	var parents []*node
	for _, f := range n.Collection.Foreign {
		id := reference(n.Doc, f.Field)
		if id == "" || !f.Cascade && n.Collection.Name != "routes" {
			continue
		}
		parent := w.byID[f.Collection+" "+id]
		parents = append(parents, parent)
		if parent != nil && n.Collection.Name == string(entity.BasicAuth) {
			parent.keepsID, w.hashed = true, true // the hash is of the id too
		}
	}
	if config, ok := n.Doc["config"].(map[string]any); ok && textOf(config, "anonymous") != "" {
		if c := w.byID["consumers "+textOf(config, "anonymous")]; c != nil {
			c.keepsID = true
		}
	}
	name := n.Collection.SchemaName()
	if len(parents) == 1 && parents[0] != nil && !parents[0].Unwanted {
		parents[0].below[name] = append(parents[0].below[name], n)
		return
	}
	w.top[name] = append(w.top[name], n)
}

func reference(doc map[string]any, field string) string {
	o, _ := doc[field].(map[string]any)
	return textOf(o, "id")
}

func (w *writer) list(to *yaml.Node, name string, nodes []*node) {
	if len(nodes) == 0 {
		return
	}
	out := &yaml.Node{Kind: yaml.SequenceNode}
	for _, n := range nodes {
		out.Content = append(out.Content, w.entity(n))
	}
	add(to, name, out)
}

func (w *writer) entity(n *node) *yaml.Node {
	doc := w.short(n)
	out := &yaml.Node{Kind: yaml.MappingNode}
	nested := map[string]bool{}
	for _, list := range w.parentsOf(n) {
		nested[list] = true
	}
	fields := slices.Clone(n.Collection.Record.Fields)
	slices.SortStableFunc(fields, func(a, b schema.Field) int { return rank(a.Name) - rank(b.Name) })
	for i := range fields {
		f := &fields[i]
		v, ok := doc[f.Name]
		switch {
		case !ok || nested[f.Name]:
		case f.Reference != "":
			add(out, f.Name, w.refer(n, f, reference(doc, f.Name)))
		default:
			add(out, f.Name, plain(f, v))
		}
	}
	for _, name := range order {
		w.list(out, name, n.below[name])
	}
	return out
}

// rank has the name come first.
func rank(field string) int {
	if slices.Contains([]string{"name", "username", "target"}, field) {
		return 0
	}
	return 1
}

// parentsOf are the fields that follow from where an entity is.
func (w *writer) parentsOf(n *node) (out []string) {
	for _, f := range n.Collection.Foreign {
		parent := w.byID[f.Collection+" "+reference(n.Doc, f.Field)]
		if parent != nil && slices.Contains(parent.below[n.Collection.SchemaName()], n) {
			out = append(out, f.Field)
		}
	}
	return out
}

// refer names another entity: by its name, or by its id if that is written.
func (w *writer) refer(n *node, f *schema.Field, id string) *yaml.Node {
	by, value := "id", id
	// A hash is good with this consumer alone: with none rather than another one.
	exact := n.Collection.Name == string(entity.BasicAuth)
	if other := w.byID[f.Reference+" "+id]; other != nil && len(f.Alternatives) > 0 && !exact {
		if name := textOf(other.Doc, f.Alternatives[0].Name); name != "" {
			by, value = f.Alternatives[0].Name, name
		}
	}
	if n.Collection.Name == "plugins" || n.Collection.Name == "services" {
		return text(value)
	}
	return plain(nil, map[string]any{by: value})
}

// short is a document without what goes without saying: what is by default, and
// what the gateway makes up.
func (w *writer) short(n *node) map[string]any {
	c, doc := n.Collection, maps.Clone(n.Doc)
	id := doc["id"]
	for _, name := range []string{"created_at", "updated_at", "cert_digest", "id"} {
		delete(doc, name)
	}
	if tags, ok := doc["tags"].([]any); ok && len(w.SelectTags) > 0 {
		tags = slices.DeleteFunc(slices.Clone(tags), func(v any) bool { return slices.Contains(w.SelectTags, v.(string)) })
		if doc["tags"] = tags; len(tags) == 0 {
			delete(doc, "tags")
		}
	}
	whole := doc
	doc = less(c.Record.Fields, doc, c.Record.Complete(map[string]any{}))
	if !schema.Equal(c.Record.Complete(doc), c.Record.Complete(whole)) {
		doc = whole // some defaults depend on other fields
	}
	if c.Name == string(entity.JWT) {
		doc["algorithm"] = whole["algorithm"] // which other readers of the format want
	}
	if w.IDs || n.keepsID || len(c.Unique) == 0 || c.Name == "ca_certificates" || !named(c, doc) {
		doc["id"] = id
	}
	return doc
}

// less is a record without the values that it has by default.
func less(fields []schema.Field, doc, defaults map[string]any) map[string]any {
	out := map[string]any{}
	for i := range fields {
		f := &fields[i]
		v, ok := doc[f.Name]
		def := defaults[f.Name]
		if !ok || schema.Equal(v, def) {
			continue
		}
		record, isRecord := v.(map[string]any)
		below, alike := def.(map[string]any)
		if f.Type == schema.RecordT && isRecord && alike {
			v = less(f.Fields, record, below)
		}
		out[f.Name] = v
	}
	return out
}

func add(to *yaml.Node, name string, v *yaml.Node) {
	to.Content = append(to.Content, text(name), v)
}

// text is a string. What block style would change is quoted.
func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	if n.Style == yaml.LiteralStyle && (strings.ContainsAny(s, "\r\t\u0085\u2028\u2029\ufeff") || s != strings.TrimSpace(s)+"\n" && s != strings.TrimSpace(s)) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// plain is a value; records have their fields in the order of the schema.
func plain(f *schema.Field, v any) *yaml.Node {
	out := &yaml.Node{}
	switch v := v.(type) {
	case string:
		return text(v)
	case []any:
		out.Kind = yaml.SequenceNode
		var of *schema.Field
		if f != nil {
			of = f.Elements
		}
		for _, e := range v {
			out.Content = append(out.Content, plain(of, e))
		}
		return out
	case map[string]any:
		out.Kind = yaml.MappingNode
		done := map[string]bool{}
		if f != nil {
			for i := range f.Fields {
				sub := &f.Fields[i]
				if e, ok := v[sub.Name]; ok {
					add(out, sub.Name, plain(sub, e))
					done[sub.Name] = true
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(v)) {
			if !done[name] {
				add(out, name, plain(nil, v[name]))
			}
		}
		return out
	}
	if err := out.Encode(v); err != nil {
		return text("") // numbers, booleans and null always encode
	}
	return out
}
