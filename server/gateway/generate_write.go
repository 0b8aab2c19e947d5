package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"

	entsql "entgo.io/ent/dialect/sql"
	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/gatewaylabel"
	"github.com/backplane/backplane/ent/gatewayobject"
	"github.com/backplane/backplane/ent/predicate"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/store"
)

// Bounds of a statement that inserts many rows.
const (
	insertRows  = 500
	insertBytes = 1 << 20
)

// recordedOwners is how many owners one record names at most.
const recordedOwners = 200

// carryOut makes the changes of the owners that are not refused: what goes and
// what changes is removed first, so that what they hold is free.
func (m *making) carryOut(ctx context.Context) error {
	var gone, puts []*object
	owner := map[*object]string{}
	var changes []schema.AuditChange
	others := 0
	for _, of := range m.owners {
		if of.refused != nil || len(of.puts)+len(of.gone) == 0 {
			continue
		}
		gone, puts = append(gone, of.gone...), append(puts, of.puts...)
		for _, o := range of.puts {
			owner[o] = of.name
		}
		after := m.counted(of)
		if len(changes) == recordedOwners {
			others++
			continue
		}
		changes = append(changes, schema.AuditChange{Field: of.name, After: after})
	}
	if len(gone)+len(puts) == 0 {
		return nil
	}
	if others > 0 {
		changes = append(changes, schema.AuditChange{Field: "others", After: fmt.Sprint(others)})
	}
	if err := m.detach(ctx, gone, puts); err != nil {
		return err
	}
	var stored []*object
	for _, o := range puts {
		if o.row != nil {
			stored = append(stored, o)
		}
	}
	if err := m.erase(ctx, slices.Concat(gone, stored)); err != nil {
		return err
	}
	if err := m.insertAll(ctx, puts, owner); err != nil {
		return err
	}
	for _, o := range gone {
		m.removed.add(o)
		m.put.drop(o)
		delete(m.found, o.key())
	}
	for _, o := range puts {
		m.put.add(o)
		m.removed.drop(o)
		m.found[o.key()] = generated{m.byName[owner[o]].wanted[o.key()].digest, o.row.ID, o.row.Version}
	}
	m.tx.Audit(store.Audit{Action: m.action, Kind: "gateway_generation", Changes: changes})
	return nil
}

// detach takes what users attached to entities that go from them.
func (m *making) detach(ctx context.Context, gone, puts []*object) error {
	rows := map[int]bool{} // of those that go or are written anyway
	for _, o := range slices.Concat(gone, puts) {
		if o.row != nil {
			rows[o.row.ID] = true
		}
	}
	ids := map[string][]uuid.UUID{}
	for _, o := range gone {
		ids[o.c.Name] = append(ids[o.c.Name], o.id)
	}
	for _, c := range entity.Collections() {
		for _, f := range c.Foreign {
			for part := range slices.Chunk(ids[f.Collection], insertRows) {
				found, err := m.client.Query().Where(gatewayobject.Kind(c.Name), refersToAny(f.Collection, part)).Order(gatewayobject.ByID()).All(ctx)
				if err != nil {
					return err
				}
				for _, row := range found {
					if rows[row.ID] {
						continue
					}
					if err := m.detachRow(ctx, row, f); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// detachRow removes an entity together with the one it refers to, or has it
// refer to none.
func (m *making) detachRow(ctx context.Context, row *ent.GatewayObject, f entity.ForeignKey) error {
	o, err := m.g.read(row, true)
	if err != nil {
		return err
	}
	if !f.Cascade {
		err = m.link(ctx, o, f.Field, nil)
		var refused *errs.Error
		if !errors.As(err, &refused) {
			return err
		}
		// It cannot be without.
	}
	return m.remove(ctx, o)
}

// refersToAny finds what refers to any of the entities of a collection.
func refersToAny(collection string, ids []uuid.UUID) predicate.GatewayObject {
	return predicate.GatewayObject(entsql.FieldIn(column(collection), ids...))
}

// erase takes rows and their labels out of the store.
func (m *making) erase(ctx context.Context, all []*object) error {
	ids := map[string][]uuid.UUID{}
	rows := make([]int, len(all))
	for i, o := range all {
		rows[i] = o.row.ID
		ids[o.c.Name] = append(ids[o.c.Name], o.id)
	}
	for part := range slices.Chunk(rows, insertRows) {
		if _, err := m.client.Delete().Where(gatewayobject.IDIn(part...)).Exec(ctx); err != nil {
			return err
		}
	}
	for _, c := range entity.Collections() {
		for part := range slices.Chunk(ids[c.Name], insertRows) {
			if _, err := m.tx.GatewayLabel.Delete().Where(gatewaylabel.Kind(c.Name), gatewaylabel.ObjectIDIn(part...)).Exec(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// insertAll stores entities, as many with one statement as have room in it.
func (m *making) insertAll(ctx context.Context, all []*object, owner map[*object]string) error {
	var rows []*ent.GatewayObjectCreate
	var of []*object
	var marks []*ent.GatewayLabelCreate
	size := 0
	flush := func() error {
		if len(rows) == 0 {
			return nil
		}
		stored, err := m.client.CreateBulk(rows...).Save(ctx)
		for i := range stored {
			of[i].row = stored[i]
		}
		rows, of, size = nil, nil, 0
		return err
	}
	for _, o := range all {
		plain, sealed, err := m.g.seal(o)
		if err != nil {
			return err
		}
		version := uint64(1)
		if o.row != nil {
			version = o.row.Version + 1
		}
		for _, value := range sealed {
			m.sealed = append(m.sealed, value)
		}
		if len(rows) == insertRows || size > 0 && size+len(plain) > insertBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		rows, of, size = append(rows, m.creation(o, plain, sealed).SetOwner(owner[o]).SetVersion(version)), append(of, o), size+len(plain)
		for _, l := range labels(o) {
			marks = append(marks, m.mark(o, l))
		}
	}
	if err := flush(); err != nil {
		return err
	}
	for part := range slices.Chunk(marks, insertRows) {
		if err := m.tx.GatewayLabel.CreateBulk(part...).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}
