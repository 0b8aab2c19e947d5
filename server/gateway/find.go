package gateway

import (
	"context"

	"entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/gatewayobject"
	"github.com/backplane/backplane/ent/predicate"
)

// reader reads objects, within a transaction or outside of one.
type reader struct {
	g       *Gateway
	client  *ent.GatewayObjectClient
	secrets bool // whether objects have them
}

// refers finds what refers to an entity of a collection.
func refers(collection string, id uuid.UUID) predicate.GatewayObject {
	return predicate.GatewayObject(sql.FieldEQ(column(collection), id))
}

// one is the object that a query finds; nil if there is none.
func (r reader) one(ctx context.Context, where ...predicate.GatewayObject) (*object, error) {
	row, err := r.client.Query().Where(where...).First(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return r.g.read(row, r.secrets)
}

// byID is an entity by its id; nil if there is none.
func (r reader) byID(ctx context.Context, c *entity.Collection, id uuid.UUID) (*object, error) {
	return r.one(ctx, gatewayobject.Kind(c.Name), gatewayobject.ObjectID(id))
}

// holder is the entity that has values which no other may have; nil if there is
// none.
func (r reader) holder(ctx context.Context, c *entity.Collection, u entity.Unique, doc map[string]any) (*object, error) {
	key := r.g.uniqueKey(c, u, doc)
	if key == nil {
		return nil, nil
	}
	if ofName(c, u) {
		return r.one(ctx, gatewayobject.Kind(c.Name), gatewayobject.NameKey(*key))
	}
	return r.one(ctx, gatewayobject.Kind(c.Name), gatewayobject.OtherKey(*key))
}

// scope is what the entities that a request is about belong to: its fields by
// which they refer to it.
type scope []belongs

type belongs struct {
	field  string
	parent *object
}

// holds tells whether an entity belongs to the scope.
func (s scope) holds(o *object) bool {
	for _, b := range s {
		if reference(o.doc, b.field) != b.parent.id.String() {
			return false
		}
	}
	return true
}

// attach makes a document belong to the scope.
func (s scope) attach(doc map[string]any) {
	for _, b := range s {
		doc[b.field] = b.parent.ref()
	}
}

// find is the entity that a path names within a scope; nil if there is none. By
// a name that is theirs alone, entities are also found outside of the scope.
func (r reader) find(ctx context.Context, c *entity.Collection, key string, s scope) (*object, error) {
	if id, ok := isID(key); ok {
		return r.byID(ctx, c, id)
	}
	if key == "" {
		return nil, nil
	}
	if c.Name == certificates {
		return r.certificateOf(ctx, key)
	}
	u, ok := nameOf(c, s)
	if !ok {
		return nil, invalidKey("expected a valid UUID")
	}
	doc := map[string]any{c.Key: key}
	if c.Name == targets {
		doc[c.Key] = entity.TargetAddress(key)
	}
	s.attach(doc)
	if message, ok := c.Record.Field(c.Key).Validate(doc[c.Key]).(string); ok && c.Name != targets {
		return nil, invalidUnique(c.Key, message)
	}
	return r.holder(ctx, c, u, doc)
}

// nameOf are the fields that a name stands for in a scope.
func nameOf(c *entity.Collection, s scope) (entity.Unique, bool) {
	for _, u := range c.Unique {
		if ofName(c, u) {
			return u, len(u.Fields) == 1 || len(s) > 0
		}
	}
	return entity.Unique{}, false
}

// certificateOf is the certificate that is shown under a name.
func (r reader) certificateOf(ctx context.Context, name string) (*object, error) {
	c := entity.Find(snis)
	sni, err := r.holder(ctx, c, c.Unique[0], map[string]any{"name": name})
	if sni == nil || err != nil {
		return nil, err
	}
	id, _ := isID(reference(sni.doc, "certificate"))
	return r.byID(ctx, entity.Find(certificates), id)
}
