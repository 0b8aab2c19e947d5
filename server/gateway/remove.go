package gateway

import (
	"context"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/ent/gatewaylabel"
	"github.com/backplane/backplane/ent/gatewayobject"
	"github.com/backplane/backplane/ent/predicate"
)

// delete removes an entity. One that is not there is none to be removed, but
// within a scope.
func (g *Gateway) delete(ctx context.Context, action string, req request) error {
	return g.change(ctx, action, func(e *edit) error {
		s, child, by, err := req.scope(ctx, e.reader)
		if err != nil {
			return err
		}
		if child != nil {
			o, err := e.target(ctx, req.c, child, by)
			if err != nil {
				return err
			}
			// Refused before what it is refused for is undone.
			if err := e.link(ctx, child, by.Field, nil); err != nil {
				return err
			}
			return e.remove(ctx, o)
		}
		o, err := e.find(ctx, req.c, req.id(), s)
		switch {
		case err != nil:
			return err
		case len(s) > 0 && (o == nil || !s.holds(o)), o == nil && req.c.Name == targets:
			return absent()
		case o == nil:
			return nil
		}
		return e.remove(ctx, o)
	})
}

// remove removes an entity with all that cannot be without it.
func (e *edit) remove(ctx context.Context, o *object) error {
	if o.c.Name == caCertificates {
		label, err := e.tx.GatewayLabel.Query().
			Where(gatewaylabel.Class(authorityLabel), gatewaylabel.ValueKey(indexed(o.id.String())), gatewaylabel.Kind(services)).All(ctx)
		if err != nil {
			return err
		}
		if len(label) > 0 {
			return referenced(o.id.String(), label[0].ObjectID.String())
		}
	}
	for _, c := range entity.Collections() {
		for _, f := range c.Foreign {
			if f.Collection != o.c.Name || f.Cascade {
				continue
			}
			used, err := e.client.Query().Where(gatewayobject.Kind(c.Name), refers(o.c.Name, o.id)).Exist(ctx)
			if err != nil {
				return err
			}
			if used {
				return restricted(c.Name, o.c.Name)
			}
		}
	}
	for _, c := range entity.Collections() {
		if f, ok := foreignTo(c, o.c.Name); ok && f.Cascade {
			if err := e.removeAll(ctx, gatewayobject.Kind(c.Name), refers(o.c.Name, o.id)); err != nil {
				return err
			}
		}
	}
	if err := e.unlabel(ctx, o); err != nil {
		return err
	}
	if err := e.client.DeleteOneID(o.row.ID).Exec(ctx); err != nil {
		return err
	}
	e.audit(o, auditFields(o.row), nil)
	e.removed.add(o)
	e.put.drop(o)
	return nil
}

// removeAll removes what a query finds, in pages.
func (e *edit) removeAll(ctx context.Context, where ...predicate.GatewayObject) error {
	const page = 500
	var after uuid.UUID
	for {
		rows, err := e.client.Query().Where(where...).Where(gatewayobject.ObjectIDGT(after)).Order(gatewayobject.ByObjectID()).Limit(page).All(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			after = row.ObjectID
			o, err := e.g.read(row, false)
			if err != nil {
				return err
			}
			if err := e.remove(ctx, o); err != nil {
				return err
			}
		}
		if len(rows) < page {
			return nil
		}
	}
}
