package gateway

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/backplane/backplane/ent/gatewayobject"
	"github.com/backplane/backplane/internal/errs"
)

// checkReferences checks that what an entity refers to is there.
func (e *edit) checkReferences(ctx context.Context, o *object) error {
	for _, f := range o.c.Foreign {
		id, ok := isID(reference(o.doc, f.Field))
		if !ok {
			continue // null, as the schema has made sure of
		}
		there, err := e.client.Query().Where(gatewayobject.Kind(f.Collection), gatewayobject.ObjectID(id)).Exist(ctx)
		if err != nil {
			return err
		}
		if !there {
			return unknownReference(f.Field, id.String(), f.Collection)
		}
	}
	return e.checkAuthorities(ctx, o)
}

// checkAuthorities checks that the authorities that a service is to trust are
// there. What it named before is not asked for again, as stores may have that
// from when nobody did.
func (e *edit) checkAuthorities(ctx context.Context, o *object) error {
	ids := authorities(o)
	if o.row != nil && len(ids) > 0 {
		was, err := e.g.read(o.row, false)
		if err != nil {
			return err
		}
		had := authorities(was)
		ids = slices.DeleteFunc(ids, func(id uuid.UUID) bool { return slices.Contains(had, id) })
	}
	if len(ids) == 0 {
		return nil
	}
	var known []uuid.UUID
	for part := range slices.Chunk(ids, noteSize) {
		rows, err := e.client.Query().Where(gatewayobject.Kind(caCertificates), gatewayobject.ObjectIDIn(part...)).All(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			known = append(known, row.ObjectID)
		}
	}
	for _, id := range ids {
		if !slices.Contains(known, id) {
			return unknownElement(caCertificates, slices.Index(authorities(o), id), id.String(), caCertificates)
		}
	}
	return nil
}

// authorities are those that an entity names in a list.
func authorities(o *object) (ids []uuid.UUID) {
	if o.c.Name != services {
		return nil
	}
	list, _ := o.doc[caCertificates].([]any)
	for _, v := range list {
		if s, ok := v.(string); ok {
			if id, ok := isID(s); ok {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// unknownElement is unknownReference for an element of a list: those before it
// are good.
func unknownElement(field string, at int, id, to string) error {
	key := map[string]any{"id": id}
	list := make([]any, at, at+1)
	message := fmt.Sprintf("the foreign key '%s' does not reference an existing '%s' entity.", pairs(key), to)
	return refusal(errs.ValidationFailed, codeForeignKey, nameForeignKey, message, map[string]any{field: append(list, key)})
}
