package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/ent/gatewayobject"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/gateway/declarative"
)

// plan is how the gateway becomes what a document says.
type plan struct {
	*edit
	doc     *declarative.Document
	wanted  []*wanted
	surplus []*object // what users made, the document is about, and does not have
	changes []*gatewayv1.DeclarationChange

	stored map[string]*object // by keys, and by id
	names  map[string]string  // ids of entities of the document, by keys
	ids    map[*declarative.Entity]string
	docs   map[string]map[string]any // entities of the document, by id
	twice  map[string]string         // where in the document a key is
	faults []errs.Field
}

// wanted is an entity of the document.
type wanted struct {
	from *declarative.Entity
	c    *entity.Collection // with the schema of its kind
	was  *object            // nil for a new one
	doc  map[string]any
	// fields are what changes of one that is there.
	fields []*gatewayv1.DeclarationField
}

// before is the document that there is now, nil if there is none.
func (w *wanted) before() map[string]any {
	if w.was == nil {
		return nil
	}
	return w.was.doc
}

// all adds all entities of a collection to a list.
func (r reader) all(ctx context.Context, out []*object, c *entity.Collection) ([]*object, error) {
	const page = 1000
	var after uuid.UUID
	for {
		rows, err := r.client.Query().Where(gatewayobject.Kind(c.Name), gatewayobject.ObjectIDGT(after)).Order(gatewayobject.ByObjectID()).Limit(page).All(ctx)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			o, err := r.g.read(row, r.secrets)
			if err != nil {
				return nil, err
			}
			out, after = append(out, o), o.id
		}
		if len(rows) < page {
			return out, nil
		}
	}
}

// hasTags tells whether an entity has all of the tags.
func (o *object) hasTags(tags []string) bool {
	own, _ := o.doc["tags"].([]any)
	return !slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(own, any(tag)) })
}

// make compares the document with what is there.
func (p *plan) make(ctx context.Context) error {
	p.stored, p.docs, p.names = map[string]*object{}, map[string]map[string]any{}, map[string]string{}
	p.ids, p.twice = map[*declarative.Entity]string{}, map[string]string{}
	var all []*object
	for _, c := range entity.Collections() {
		var err error
		if all, err = p.reader.all(ctx, all, c); err != nil {
			return err
		}
	}
	for _, o := range all {
		for _, key := range keysIn(o.c, o.doc) {
			p.stored[key] = o
		}
		if o.c.Name == certificates {
			p.stored[pairKey(o.doc)] = o
		}
	}
	claimed := map[*object]bool{}
	for _, from := range p.doc.Entities {
		w, err := p.want(from)
		if err != nil {
			return err
		}
		if w == nil {
			continue
		}
		if w.was != nil {
			claimed[w.was] = true
		}
		p.wanted = append(p.wanted, w)
	}
	if len(p.faults) > 0 {
		return errs.Invalid(p.faults...)
	}
	for _, o := range all {
		if !claimed[o] && o.row.Owner == "" && o.hasTags(p.doc.SelectTags) {
			p.surplus = append(p.surplus, o)
		}
	}
	return nil
}

// keysIn are what no two entities have alike, with the id first.
func keysIn(c *entity.Collection, doc map[string]any) []string {
	id := text(doc, "id")
	keys := []string{c.Name + " id " + id}
	for _, u := range c.Unique {
		if key := keyOf(c, u, doc); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// pairKey is what certificates are found by again.
func pairKey(doc map[string]any) string {
	return certificates + " " + text(doc, "cert") + text(doc, "key")
}

// shownKey finds what a certificate is shown under.
func shownKey(doc map[string]any) string {
	c := entity.Find(snis)
	return keyOf(c, c.Unique[0], doc)
}

// keyOf is a key as one text, "" when it does not count.
func keyOf(c *entity.Collection, u entity.Unique, doc map[string]any) string {
	values := make([]any, len(u.Fields))
	for i, field := range u.Fields {
		if values[i] = doc[field]; values[i] == nil && !u.Nulls {
			return ""
		}
		if id := reference(doc, field); id != "" {
			values[i] = id
		}
	}
	out, err := json.Marshal(values)
	if err != nil {
		return "" // texts and nulls always encode
	}
	return fmt.Sprint(c.Name, u.Fields, string(out))
}

func (p *plan) fault(from *declarative.Entity, field, message string) {
	p.faults = append(p.faults, errs.Field{Path: from.Path + field, Message: message})
}

// want completes and checks an entity of the document; nil if it is wrong.
func (p *plan) want(from *declarative.Entity) (*wanted, error) {
	doc, _ := schema.Clone(from.Doc).(map[string]any)
	for field, parent := range from.Parents {
		doc[field] = map[string]any{"id": p.ids[parent]}
	}
	if !p.refer(from, doc) {
		return nil, nil
	}
	w := &wanted{from: from, c: from.Collection}
	w.was = p.find(from, doc)
	if err := p.keep(w, doc); err != nil {
		return nil, err
	}
	id := text(doc, "id")
	p.ids[from] = id
	kind, err := p.g.kindOf(w.c, doc)
	if err != nil {
		p.fault(from, ".name", fmt.Sprintf("plugin '%s' not enabled", text(doc, "name")))
		return nil, nil
	}
	w.c = kind
	sent := doc["password"]
	made, wrong := kind.New(doc, p.now)
	if wrong == nil {
		wrong = p.g.tryPlugin(kind, w.before(), made)
	}
	if wrong != nil {
		for _, f := range listed(wrong.Fields) {
			p.fault(from, "."+f.Path, f.Message)
		}
		return nil, nil
	}
	w.doc, p.docs[w.c.Name+" id "+id] = made, made
	if w.c.Name == basicAuths {
		p.hash(w, sent)
	}
	for _, key := range keysIn(w.c, made) {
		if at := p.twice[key]; at != "" {
			p.fault(from, "", "is there twice: it is also "+at)
			return nil, nil
		}
		p.twice[key], p.names[key] = from.Path, id
	}
	if w.was != nil {
		w.fields = difference(w.c, w.was.doc, made)
	}
	return w, nil
}

// refer replaces what else names other entities by their ids.
func (p *plan) refer(from *declarative.Entity, doc map[string]any) bool {
	for _, f := range from.Collection.Foreign {
		given, ok := doc[f.Field].(map[string]any)
		if !ok || given["id"] != nil {
			continue
		}
		to := entity.Find(f.Collection)
		for _, by := range from.Collection.Record.Field(f.Field).Alternatives {
			value, ok := given[by.Name].(string)
			if !ok {
				continue
			}
			key := keyOf(to, entity.Unique{Fields: []string{by.Name}}, map[string]any{by.Name: value})
			id := p.names[key]
			if o := p.stored[key]; id == "" && o != nil {
				id = o.id.String()
			}
			if id == "" {
				p.fault(from, "."+f.Field, fmt.Sprintf("there is no %s with the %s %q", to.Singular, by.Name, value))
				return false
			}
			doc[f.Field] = map[string]any{"id": id}
			break
		}
	}
	return true
}

// find is what an entity of the document is now; nil if there is nothing.
func (p *plan) find(from *declarative.Entity, doc map[string]any) *object {
	c := from.Collection
	if id, ok := isID(text(doc, "id")); ok {
		return p.stored[c.Name+" id "+id.String()]
	}
	as := schema.Clone(doc).(map[string]any)
	switch c.Name {
	case targets:
		as["target"] = entity.TargetAddress(text(doc, "target"))
	case caCertificates:
		as["cert_digest"] = entity.Digest(text(doc, "cert"))
	}
	for _, key := range keysIn(c, as)[1:] {
		if o := p.stored[key]; o != nil {
			return o
		}
	}
	if c.Name == certificates {
		return p.certificate(from)
	}
	return nil
}

// certificate is the one that a certificate of the document takes the place of:
// the same, or the one that is shown under one of its names.
func (p *plan) certificate(from *declarative.Entity) *object {
	if o := p.stored[pairKey(from.Doc)]; o != nil {
		return o
	}
	for _, other := range p.doc.Entities {
		if other.Parents["certificate"] != from {
			continue
		}
		if sni := p.stored[shownKey(other.Doc)]; sni != nil {
			return p.stored[certificates+" id "+reference(sni.doc, "certificate")]
		}
	}
	return nil
}

// keep gives a document what was made up for it before and is not in it.
func (p *plan) keep(w *wanted, doc map[string]any) error {
	if w.was == nil {
		if doc["id"] == nil {
			doc["id"] = uuid.NewString()
		}
		return nil
	}
	for _, f := range w.c.Record.Fields {
		if _, given := doc[f.Name]; f.Auto && !given {
			doc[f.Name] = schema.Clone(w.was.doc[f.Name])
		}
	}
	return nil
}

var hashForm = regexp.MustCompile(`^[0-9a-f]{40}$`)

// hash settles what the password of a basic-auth is stored as: hashes that are
// in the document are kept.
func (p *plan) hash(w *wanted, sent any) {
	password, _ := sent.(string)
	if p.doc.Hashed && !hashForm.MatchString(password) {
		p.fault(w.from, ".password", "must be a hash (SHA-1 in hexadecimal), as _transform is false")
	}
	if p.doc.Hashed || w.was != nil && password == text(w.was.doc, "password") {
		w.doc["password"] = password
	}
}
