package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/gatewayobject"
	"github.com/backplane/backplane/ent/predicate"
)

// making is a generation under way, in its transaction.
type making struct {
	*edit
	owners  []*owned
	byName  map[string]*owned
	whole   bool
	pages   []*entity.Page
	outcome Outcome
	// found is what is as it is to be, once this is done.
	found map[httpproxy.Key]generated
}

// make finds out what is to be done, and does it.
func (m *making) make(ctx context.Context, known map[httpproxy.Key]generated) error {
	if err := m.compare(ctx, known); err != nil {
		return err
	}
	if err := m.refuse(ctx); err != nil {
		return err
	}
	m.outcome.Refused = map[string]error{}
	for _, o := range m.owners {
		if o.refused != nil {
			m.outcome.Refused[o.name] = o.refused
		}
	}
	if err := m.carryOut(ctx); err != nil {
		return err
	}
	return m.putPages(ctx, m.pages)
}

// compare compares what owners have with what they are to have. Only the
// documents are read of what is not known to be so.
func (m *making) compare(ctx context.Context, known map[httpproxy.Key]generated) error {
	m.found = make(map[httpproxy.Key]generated, len(known))
	if !m.whole {
		maps.Copy(m.found, known) // with what this is not about
	}
	stored := make(map[httpproxy.Key]bool, len(known))
	var unknown []int
	err := m.eachOwned(ctx, func(row *ent.GatewayObject) {
		key := httpproxy.Key{Kind: httpproxy.Kind(row.Kind), ID: row.ObjectID}
		stored[key] = true
		is := m.ownerOf(row).wanted[key]
		if k, ok := known[key]; ok && is != nil && k == (generated{is.digest, row.ID, row.Version}) {
			m.found[key] = k
			return
		}
		unknown = append(unknown, row.ID)
	})
	if err != nil {
		return err
	}
	for part := range slices.Chunk(unknown, noteSize) {
		rows, err := m.client.Query().Where(gatewayobject.IDIn(part...)).Order(gatewayobject.ByID()).All(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := m.compareRow(row); err != nil {
				return err
			}
		}
	}
	for _, of := range m.owners {
		for _, key := range of.keys {
			if !stored[key] {
				m.want(of, of.wanted[key])
			}
		}
	}
	return nil
}

// ownerOf is the owner of a row, whether it is to have something or not.
func (m *making) ownerOf(row *ent.GatewayObject) *owned {
	of := m.byName[row.Owner]
	if of == nil {
		of = &owned{name: row.Owner}
		m.owners, m.byName[row.Owner] = append(m.owners, of), of
	}
	return of
}

func (m *making) compareRow(row *ent.GatewayObject) error {
	was, err := m.g.read(row, true)
	if err != nil {
		return err
	}
	of := m.ownerOf(row)
	w := of.wanted[was.key()]
	if w == nil {
		of.gone = append(of.gone, was)
		return nil
	}
	if o := m.want(of, w); o != nil {
		o.row, o.doc["created_at"] = row, was.doc["created_at"]
		if sameOf(was, o) {
			of.puts = of.puts[:len(of.puts)-1]
			m.found[o.key()] = generated{w.digest, row.ID, row.Version}
		}
	}
	return nil
}

// want has an entity written, unless its owner is refused for it.
func (m *making) want(of *owned, w *wanting) *object {
	if of.refused != nil {
		return nil
	}
	if of.refused = m.g.complete(w, m.now); of.refused != nil {
		return nil
	}
	o := &object{c: entity.Find(w.from.Collection), id: w.id, doc: w.doc}
	of.puts = append(of.puts, o)
	return o
}

// eachOwned calls a function with each row of the owners, in one order and
// without documents.
func (m *making) eachOwned(ctx context.Context, f func(*ent.GatewayObject)) error {
	var of []predicate.GatewayObject
	if m.whole {
		of = []predicate.GatewayObject{gatewayobject.OwnerGT("")}
	} else {
		names := make([]string, len(m.owners))
		for i, o := range m.owners {
			names[i] = o.name
		}
		for part := range slices.Chunk(names, noteSize) {
			of = append(of, gatewayobject.OwnerIn(part...))
		}
	}
	const page = 5000
	for _, where := range of {
		for after := 0; ; {
			rows, err := m.client.Query().Where(where, gatewayobject.IDGT(after)).Order(gatewayobject.ByID()).Limit(page).
				Select(gatewayobject.FieldID, gatewayobject.FieldKind, gatewayobject.FieldObjectID, gatewayobject.FieldOwner, gatewayobject.FieldVersion).All(ctx)
			if err != nil {
				return err
			}
			for _, row := range rows {
				after = row.ID
				f(row)
			}
			if len(rows) < page {
				break
			}
		}
	}
	return nil
}

// sameOf tells whether an entity is as it is to be, no matter when it was made.
func sameOf(was, is *object) bool {
	if len(was.doc) != len(is.doc) {
		return false
	}
	for field, v := range is.doc {
		if field != "created_at" && field != "updated_at" && !schema.Equal(was.doc[field], v) {
			return false
		}
	}
	return true
}

// slot is something that only one entity may have: an id, or what stands in a
// column for a name.
type slot struct {
	collection, column, value string
}

// slots are what an entity takes, with what they are for.
func (m *making) slots(o *object) (out []slot, of []entity.Unique) {
	out, of = append(out, slot{o.c.Name, gatewayobject.FieldObjectID, o.id.String()}), append(of, entity.Unique{})
	for _, u := range o.c.Unique {
		key := m.g.uniqueKey(o.c, u, o.doc)
		if key == nil {
			continue
		}
		column := gatewayobject.FieldOtherKey
		if ofName(o.c, u) {
			column = gatewayobject.FieldNameKey
		}
		out, of = append(out, slot{o.c.Name, column, *key}), append(of, u)
	}
	return out, of
}

// holders are the rows that have what entities are to take, and that they
// refer to, without their documents.
type holders map[slot]*ent.GatewayObject

// find adds the rows that have any of some slots.
func (h holders) find(ctx context.Context, client *ent.GatewayObjectClient, wanted []slot) error {
	type place struct{ collection, column string }
	var order []place
	by := map[place][]string{}
	for _, s := range wanted {
		p := place{s.collection, s.column}
		if by[p] == nil {
			order = append(order, p)
		}
		by[p] = append(by[p], s.value)
	}
	for _, p := range order {
		for part := range slices.Chunk(by[p], noteSize) {
			rows, err := client.Query().Where(gatewayobject.Kind(p.collection), holding(p.column, part)).
				Select(gatewayobject.FieldID, gatewayobject.FieldKind, gatewayobject.FieldObjectID, gatewayobject.FieldOwner,
					gatewayobject.FieldNameKey, gatewayobject.FieldOtherKey).All(ctx)
			if err != nil {
				return err
			}
			for _, row := range rows {
				h[slot{p.collection, p.column, held(row, p.column)}] = row
			}
		}
	}
	return nil
}

func holding(column string, values []string) predicate.GatewayObject {
	switch column {
	case gatewayobject.FieldNameKey:
		return gatewayobject.NameKeyIn(values...)
	case gatewayobject.FieldOtherKey:
		return gatewayobject.OtherKeyIn(values...)
	}
	ids := make([]uuid.UUID, 0, len(values))
	for _, value := range values {
		if id, ok := isID(value); ok {
			ids = append(ids, id)
		}
	}
	return gatewayobject.ObjectIDIn(ids...)
}

// held is what a row has in a column of slots.
func held(row *ent.GatewayObject, column string) string {
	switch {
	case column == gatewayobject.FieldNameKey && row.NameKey != nil:
		return *row.NameKey
	case column == gatewayobject.FieldOtherKey && row.OtherKey != nil:
		return *row.OtherKey
	}
	return row.ObjectID.String()
}

// refuse finds the owners that are to have what others have, or that refer to
// what is not there.
func (m *making) refuse(ctx context.Context) error {
	var wanted []slot
	for _, of := range m.owners {
		for _, o := range of.puts {
			s, _ := m.slots(o)
			wanted = append(wanted, s...)
			for _, to := range of.foreign(o) {
				wanted = append(wanted, slot{to.Collection, gatewayobject.FieldObjectID, reference(o.doc, to.Field)})
			}
		}
	}
	there := holders{}
	if err := there.find(ctx, m.client, wanted); err != nil {
		return err
	}
	for _, of := range m.owners {
		m.yield(of, there)
	}
	// What a refused owner was to give away stays, which others may be refused
	// for.
	for {
		frees, again := m.frees(), false
		for _, of := range m.owners {
			if of.refused == nil {
				of.refused = m.outside(of, there, frees)
				again = again || of.refused != nil
			}
		}
		if !again && !m.amongOwners() {
			return nil
		}
	}
}

// yield leaves out what gives way to entities of users.
func (m *making) yield(of *owned, there holders) {
	of.puts = slices.DeleteFunc(of.puts, func(o *object) bool {
		if w := of.wanted[o.key()]; w == nil || !w.from.Yields {
			return false
		}
		taken, _ := m.slots(o)
		return slices.ContainsFunc(taken[1:], func(s slot) bool { row := there[s]; return row != nil && row.Owner == "" })
	})
}

// foreign are the fields by which an entity refers to others than its owner's.
func (of *owned) foreign(o *object) (out []entity.ForeignKey) {
	for _, f := range o.c.Foreign {
		id, ok := isID(reference(o.doc, f.Field))
		if ok && of.wanted[httpproxy.Key{Kind: httpproxy.Kind(f.Collection), ID: id}] == nil {
			out = append(out, f)
		}
	}
	return out
}

// frees are the rows that go, or that may take others slots.
func (m *making) frees() map[int]bool {
	out := map[int]bool{}
	for _, of := range m.owners {
		if of.refused != nil {
			continue
		}
		for _, o := range of.gone {
			out[o.row.ID] = true
		}
		for _, o := range of.puts {
			if o.row != nil {
				out[o.row.ID] = true
			}
		}
	}
	return out
}

// outside is why an owner is refused for what is stored; nil if it is not.
func (m *making) outside(of *owned, there holders, frees map[int]bool) error {
	for _, o := range of.puts {
		taken, unique := m.slots(o)
		for i, s := range taken {
			row := there[s]
			if row == nil || frees[row.ID] {
				continue // what is put in its place is compared among the owners
			}
			if s.column == gatewayobject.FieldObjectID {
				return keyTaken(o.id.String())
			}
			return notUnique(valuesOf(o, unique[i]))
		}
		for _, f := range of.foreign(o) {
			id := reference(o.doc, f.Field)
			row := there[slot{f.Collection, gatewayobject.FieldObjectID, id}]
			if row == nil || m.goes(row) {
				return unknownReference(f.Field, id, f.Collection)
			}
		}
	}
	return nil
}

// goes tells whether a row is removed.
func (m *making) goes(row *ent.GatewayObject) bool {
	of := m.byName[row.Owner]
	return row.Owner != "" && of != nil && of.refused == nil &&
		slices.ContainsFunc(of.gone, func(o *object) bool { return o.row.ID == row.ID })
}

// amongOwners refuses the first owner that is to have what another one is to
// have; false if there is none.
func (m *making) amongOwners() bool {
	taken := map[slot]bool{}
	for _, of := range m.owners {
		if of.refused != nil {
			continue
		}
		for _, o := range of.puts {
			s, unique := m.slots(o)
			for i := range s {
				if taken[s[i]] {
					if of.refused = keyTaken(o.id.String()); i > 0 {
						of.refused = notUnique(valuesOf(o, unique[i]))
					}
					return true
				}
				taken[s[i]] = true
			}
		}
	}
	return false
}

// counted adds changes of an owner to the outcome, and says them in a record.
func (m *making) counted(of *owned) string {
	var added, changed, removed int
	count := func(o *object, all, ofRoutes *int) {
		*all++
		if o.c.Name == routes {
			*ofRoutes++
		}
	}
	for _, o := range of.puts {
		if o.row == nil {
			count(o, &added, &m.outcome.RoutesAdded)
		} else {
			count(o, &changed, &m.outcome.RoutesChanged)
		}
	}
	for _, o := range of.gone {
		count(o, &removed, &m.outcome.RoutesRemoved)
	}
	return fmt.Sprintf(`{"added":%d,"changed":%d,"removed":%d}`, added, changed, removed)
}
