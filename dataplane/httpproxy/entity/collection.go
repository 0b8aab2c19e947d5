package entity

import (
	"crypto/rand"
	"encoding/base32"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Collection is a kind of entities, as an API and a store go by it.
type Collection struct {
	Name     string // in the plural, as in paths: "services", "key-auths"
	Singular string // "service", "key-auth"
	// Nested is the name below a consumer, if that is another: "key-auth".
	Nested string
	// Schema is the name among the schemas and the tags, if that is another:
	// "keyauth_credentials".
	Schema string
	// Key is the field by which paths name an entity besides its id, or "".
	Key     string
	Record  *schema.Record
	Foreign []ForeignKey
	Unique  []Unique
	// Fractional times are in seconds with milliseconds.
	Fractional bool

	// expand takes shorthands out of what a client sent.
	expand func(doc map[string]any)
	// random are the fields that are made up when they are null.
	random []string
	// derive changes a valid document to what is stored. was is the stored one
	// and change what was sent, if it is a change.
	derive func(doc, was, change map[string]any) *schema.Violations
}

// ForeignKey is a field that refers to an entity.
type ForeignKey struct {
	Field      string
	Collection string
	// Cascade deletes the entity with the one it refers to, which otherwise
	// cannot be deleted.
	Cascade bool
}

// Unique are fields that together are held by one entity at most.
type Unique struct {
	Fields []string
	// Nulls tells that nulls are compared like other values; otherwise an
	// entity with a null among the fields is never barred.
	Nulls bool
}

// SchemaName is the name among the schemas and the tags.
func (c *Collection) SchemaName() string {
	if c.Schema != "" {
		return c.Schema
	}
	return c.Name
}

// HasUpdatedAt tells whether entities have the time of their last change.
func (c *Collection) HasUpdatedAt() bool { return c.Record.Field("updated_at") != nil }

// HasTags tells whether entities have tags.
func (c *Collection) HasTags() bool { return c.Record.Field("tags") != nil }

// New makes an entity of what a client sent: shorthands are expanded, what is
// missing is filled in, and what is wrong is told. References by another name
// than the id are resolved by the caller before.
func (c *Collection) New(sent map[string]any, now time.Time) (map[string]any, *schema.Violations) {
	doc := c.expanded(sent)
	return c.finish(doc, nil, nil, now)
}

// Change makes an entity of a stored one and the fields that a client sent.
func (c *Collection) Change(was, sent map[string]any, now time.Time) (map[string]any, *schema.Violations) {
	change := c.expanded(sent)
	return c.finish(c.Record.Merge(was, change), was, change, now)
}

func (c *Collection) expanded(sent map[string]any) map[string]any {
	doc, _ := schema.Clone(sent).(map[string]any)
	if doc == nil {
		doc = map[string]any{}
	}
	if c.expand != nil {
		c.expand(doc)
	}
	return doc
}

func (c *Collection) finish(doc, was, change map[string]any, now time.Time) (map[string]any, *schema.Violations) {
	c.stamp(doc, now)
	doc = c.Record.Complete(doc)
	if v := c.Record.Validate(doc); v != nil {
		return nil, v
	}
	if c.derive != nil {
		if v := c.derive(doc, was, change); v != nil {
			return nil, v
		}
	}
	return doc, nil
}

// stamp fills in what nobody needs to send.
func (c *Collection) stamp(doc map[string]any, now time.Time) {
	if doc["id"] == nil {
		doc["id"] = uuid.NewString()
	}
	if doc["created_at"] == nil {
		doc["created_at"] = c.Time(now)
	}
	if c.HasUpdatedAt() {
		doc["updated_at"] = c.Time(now)
	}
	for _, name := range c.random {
		if doc[name] == nil {
			doc[name] = RandomKey()
		}
	}
}

// Time is a time as entities of the collection have it.
func (c *Collection) Time(t time.Time) any {
	if c.Fractional {
		return schema.Normal(float64(t.UnixMilli()) / 1000)
	}
	return t.Unix()
}

// RandomKey is a key that nobody guesses, of 32 letters and digits.
func RandomKey() string {
	return strings.ToLower(base32.StdEncoding.EncodeToString(random(20)))
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails
	return b
}

// Collections are all kinds of entities. Plugins have a schema of their own for
// each kind of them: see PluginsOf.
func Collections() []*Collection {
	return []*Collection{
		services, routes, certificates, snis, caCertificates, upstreams, targets,
		consumers, plugins, keyAuths, basicAuths, jwts, acls,
	}
}

// Find is the collection of a name, such as "services", or nil.
func Find(name string) *Collection {
	for _, c := range Collections() {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// times are the fields that most entities begin with.
func times() []schema.Field {
	return []schema.Field{schema.ID(), schema.Time("created_at"), schema.Time("updated_at")}
}

// name is the field of names that are unique.
func name(of string) schema.Field {
	return schema.Field{Name: of, Type: schema.String, Unique: true, Check: schema.Name}
}

// reference is a field that refers to an entity.
func reference(field, collection string, required bool) schema.Field {
	f := schema.Field{Name: field, Type: schema.Foreign, Reference: collection, Required: required}
	switch collection {
	case "services", "routes", "upstreams":
		f.Alternatives = []schema.Field{{Name: "name", Type: schema.String, Check: schema.Name}}
	case "consumers":
		f.Alternatives = []schema.Field{{Name: "username", Type: schema.String}, {Name: "custom_id", Type: schema.String}}
	}
	return f
}
