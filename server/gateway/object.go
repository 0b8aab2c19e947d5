package gateway

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/store"
)

// object is one entity.
type object struct {
	c   *entity.Collection
	id  uuid.UUID
	doc map[string]any
	row *ent.GatewayObject // nil for one that is being made
}

func (o *object) ref() map[string]any { return map[string]any{"id": o.id.String()} }

// name is what people call it.
func (o *object) name() string {
	for _, field := range []string{"name", o.c.Key, "custom_id"} {
		if f := o.c.Record.Field(field); f != nil && !f.Hidden && text(o.doc, field) != "" {
			return text(o.doc, field)
		}
	}
	return o.id.String()
}

// read makes an object of a row. Without secrets, null stands for them.
func (g *Gateway) read(row *ent.GatewayObject, secrets bool) (*object, error) {
	doc, err := schema.DecodeObject(row.Document)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", row.Kind, row.ObjectID, err)
	}
	c := entity.Find(row.Kind)
	if c == nil {
		return nil, fmt.Errorf("%s %s: there is no such collection", row.Kind, row.ObjectID)
	}
	o := &object{c: c, id: row.ObjectID, doc: doc, row: row}
	for _, path := range slices.Sorted(maps.Keys(row.Sealed)) {
		var value any
		if secrets {
			if value, err = g.open(row, path); err != nil {
				return nil, err
			}
		}
		set(doc, path, value)
	}
	return o, nil
}

// open is a secret of a row.
func (g *Gateway) open(row *ent.GatewayObject, path string) (any, error) {
	plain, err := g.Keys.Open(row.Sealed[path], keys.GatewayPlace(row.Kind, row.ObjectID, path))
	if err != nil {
		return nil, fmt.Errorf("%s %s: the stored %s is damaged: %w", row.Kind, row.ObjectID, path, err)
	}
	return schema.Decode(plain)
}

// seal parts a document into JSON without secrets, and the sealed secrets. What
// did not change keeps its sealed form.
func (g *Gateway) seal(o *object) (plain []byte, sealed map[string][]byte, err error) {
	sealed = map[string][]byte{}
	doc, _ := schema.Clone(o.doc).(map[string]any)
	for _, path := range secretsOf(g.collectionOf(o.c, o.doc)) {
		value := get(doc, path)
		if value == nil || value != "" && schema.Empty(value) {
			continue // a list of nothing is no secret
		}
		set(doc, path, nil)
		place := keys.GatewayPlace(o.c.Name, o.id, path)
		if o.row != nil && o.row.Sealed[path] != nil {
			if was, err := g.open(o.row, path); err == nil && schema.Equal(was, value) {
				if sealed[path], err = g.Keys.Fresh(o.row.Sealed[path], place); err != nil {
					return nil, nil, err
				}
				continue
			}
		}
		secret, err := json.Marshal(value)
		if err != nil {
			return nil, nil, err
		}
		sealed[path] = g.Keys.Seal(secret, place)
	}
	plain, err = json.Marshal(doc)
	return plain, sealed, err
}

// auditFields are what the audit trail compares of an object.
func auditFields(row *ent.GatewayObject) map[string]string {
	if row == nil {
		return nil
	}
	var doc map[string]json.RawMessage
	if err := json.Unmarshal(row.Document, &doc); err != nil {
		return nil // then it says that all of it is new
	}
	out := map[string]string{}
	for field, value := range doc {
		switch {
		case string(value) == "null", field == "id", field == "created_at", field == "updated_at":
			continue
		case field == "config":
			var config map[string]json.RawMessage
			if err := json.Unmarshal(value, &config); err == nil {
				for name, v := range config {
					if string(v) != "null" {
						out["config."+name] = string(v)
					}
				}
				continue
			}
		}
		out[field] = string(value)
	}
	for path, value := range row.Sealed {
		out[path] = store.SecretValue(value)
	}
	return out
}
