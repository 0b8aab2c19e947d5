package gateway

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/gatewaylabel"
	"github.com/backplane/backplane/ent/gatewayobject"
	"github.com/backplane/backplane/server/store"
)

// edit is a change under way, in its transaction.
type edit struct {
	reader
	tx     *store.Tx
	action string
	now    time.Time

	put     noted // as they are now
	removed noted
	paged   bool // whether pages have changed
	sealed  [][]byte
}

// insert makes a new entity of a valid document.
func (e *edit) insert(ctx context.Context, c *entity.Collection, doc map[string]any) (*object, error) {
	id, ok := isID(text(doc, "id"))
	if !ok {
		return nil, invalidField("id", "expected a valid UUID")
	}
	if there, err := e.byID(ctx, c, id); err != nil || there != nil {
		if err == nil {
			err = keyTaken(id.String())
		}
		return nil, err
	}
	o := &object{c: c, id: id, doc: doc}
	return o, e.write(ctx, o)
}

// replace gives an entity another document.
func (e *edit) replace(ctx context.Context, was *object, doc map[string]any) (*object, error) {
	o := &object{c: was.c, id: was.id, doc: doc, row: was.row}
	return o, e.write(ctx, o)
}

// write checks what concerns other entities, and stores an entity.
func (e *edit) write(ctx context.Context, o *object) error {
	if err := e.checkReferences(ctx, o); err != nil {
		return err
	}
	for _, u := range o.c.Unique {
		other, err := e.holder(ctx, o.c, u, o.doc)
		if err != nil {
			return err
		}
		if other != nil && other.id != o.id {
			return notUnique(valuesOf(o, u))
		}
	}
	if o.c.Name == plugins {
		if err := e.checkProtocols(ctx, o); err != nil {
			return err
		}
	}
	before := auditFields(o.row)
	if err := e.save(ctx, o); err != nil {
		return err
	}
	e.audit(o, before, auditFields(o.row))
	e.put.add(o)
	e.removed.drop(o)
	return nil
}

// valuesOf are values that only one entity may have, as a refusal shows them.
func valuesOf(o *object, u entity.Unique) map[string]any {
	out := map[string]any{}
	for _, field := range u.Fields {
		out[field] = o.doc[field]
		if f := o.c.Record.Field(field); f != nil && f.Hidden {
			out[field] = hiddenValue
		}
	}
	return out
}

func (e *edit) audit(o *object, before, after map[string]string) {
	e.tx.Audit(store.Audit{
		Action: e.action, Kind: "gateway_" + selectorOf(o.c), ID: o.id.String(), Name: shortened(o.name()), Changes: store.Changes(before, after),
	})
}

// shortened is a name as the audit trail has room for it, without what is none
// of a text.
func shortened(name string) string {
	const most = 200
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, name)
	if len(name) > most {
		return strings.ToValidUTF8(name[:most], "") + "…"
	}
	return name
}

// resolve replaces names of other entities in a document that was sent by their
// ids.
func (e *edit) resolve(ctx context.Context, c *entity.Collection, doc map[string]any) error {
	for _, f := range c.Foreign {
		given, ok := doc[f.Field].(map[string]any)
		if !ok || given["id"] != nil {
			continue
		}
		to := entity.Find(f.Collection)
		for _, by := range c.Record.Field(f.Field).Alternatives {
			value, ok := given[by.Name].(string)
			if !ok {
				continue
			}
			o, err := e.named(ctx, to, by.Name, value)
			if err != nil {
				return err
			}
			if o == nil {
				return unresolved(f.Field, by.Name, value, f.Collection)
			}
			doc[f.Field] = o.ref()
			break
		}
	}
	return nil
}

// named is the entity with a value in a field that is theirs alone.
func (r reader) named(ctx context.Context, c *entity.Collection, field, value string) (*object, error) {
	for _, u := range c.Unique {
		if len(u.Fields) == 1 && u.Fields[0] == field {
			return r.holder(ctx, c, u, map[string]any{field: value})
		}
	}
	return nil, fmt.Errorf("%s have no unique %s", c.Name, field)
}

// save writes the row of an entity, and what it is found by.
func (e *edit) save(ctx context.Context, o *object) error {
	plain, sealed, err := e.g.seal(o)
	if err != nil {
		return err
	}
	for _, value := range sealed {
		e.sealed = append(e.sealed, value)
	}
	var tags []string
	if o.row == nil {
		o.row, err = e.creation(o, plain, sealed).Save(ctx)
	} else {
		if tags, err = e.labelsOf(ctx, o); err == nil {
			o.row, err = e.update(o, plain, sealed).Save(ctx)
		}
	}
	if ent.IsConstraintError(err) {
		return keyTaken(o.id.String()) // whoever came in between has what this one was to have
	}
	if err != nil {
		return err
	}
	return e.label(ctx, o, tags)
}

// fields are the columns that follow from a document.
type fields struct {
	names    [2]*string // name_key and other_key
	refers   map[string]*uuid.UUID
	created  int64
	modified int64
}

func (e *edit) fieldsOf(o *object) fields {
	out := fields{refers: map[string]*uuid.UUID{}, created: milliseconds(o.doc["created_at"]), modified: e.now.UnixMilli()}
	for _, u := range o.c.Unique {
		at := 1
		if ofName(o.c, u) {
			at = 0
		}
		out.names[at] = e.g.uniqueKey(o.c, u, o.doc)
	}
	for _, f := range o.c.Foreign {
		if id, ok := isID(reference(o.doc, f.Field)); ok {
			out.refers[column(f.Collection)] = &id
		}
	}
	return out
}

// milliseconds is a time of a document, which is in seconds.
func milliseconds(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v * 1000
	case float64:
		return int64(v * 1000)
	}
	return 0
}

func (e *edit) creation(o *object, plain []byte, sealed map[string][]byte) *ent.GatewayObjectCreate {
	f := e.fieldsOf(o)
	return e.client.Create().SetKind(o.c.Name).SetObjectID(o.id).SetNillableNameKey(f.names[0]).SetNillableOtherKey(f.names[1]).
		SetNillableServiceID(f.refers[gatewayobject.FieldServiceID]).SetNillableRouteID(f.refers[gatewayobject.FieldRouteID]).
		SetNillableConsumerID(f.refers[gatewayobject.FieldConsumerID]).SetNillableUpstreamID(f.refers[gatewayobject.FieldUpstreamID]).
		SetNillableCertificateID(f.refers[gatewayobject.FieldCertificateID]).
		SetDocument(plain).SetSealed(sealed).SetCreatedAt(f.created).SetUpdatedAt(f.modified).SetVersion(1)
}

func (e *edit) update(o *object, plain []byte, sealed map[string][]byte) *ent.GatewayObjectUpdateOne {
	f := e.fieldsOf(o)
	u := e.client.UpdateOneID(o.row.ID).SetDocument(plain).SetSealed(sealed).SetCreatedAt(f.created).SetUpdatedAt(f.modified).AddVersion(1)
	setOrClear(f.names[0], u.SetNameKey, u.ClearNameKey)
	setOrClear(f.names[1], u.SetOtherKey, u.ClearOtherKey)
	setOrClear(f.refers[gatewayobject.FieldServiceID], u.SetServiceID, u.ClearServiceID)
	setOrClear(f.refers[gatewayobject.FieldRouteID], u.SetRouteID, u.ClearRouteID)
	setOrClear(f.refers[gatewayobject.FieldConsumerID], u.SetConsumerID, u.ClearConsumerID)
	setOrClear(f.refers[gatewayobject.FieldUpstreamID], u.SetUpstreamID, u.ClearUpstreamID)
	setOrClear(f.refers[gatewayobject.FieldCertificateID], u.SetCertificateID, u.ClearCertificateID)
	return u
}

func setOrClear[T, U any](v *T, set func(T) U, reset func() U) {
	if v == nil {
		reset()
		return
	}
	set(*v)
}

// The classes of labels.
const (
	tagLabel       = "tag"
	authorityLabel = "authority" // that a service is trusted by
	pluginLabel    = "plugin"    // which kind of plugin it is
)

// labels are what an entity is found by besides its keys, as class and value.
func labels(o *object) (out []string) {
	add := func(class string, v any) {
		if value, ok := v.(string); ok {
			out = append(out, class+" "+value)
		}
	}
	list, _ := o.doc["tags"].([]any)
	for _, tag := range list {
		add(tagLabel, tag)
	}
	switch o.c.Name {
	case services:
		list, _ := o.doc[caCertificates].([]any)
		for _, id := range list {
			add(authorityLabel, id)
		}
	case plugins:
		add(pluginLabel, o.doc["name"])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// labelsOf are the labels of an entity in the store.
func (e *edit) labelsOf(ctx context.Context, o *object) ([]string, error) {
	was, err := e.g.read(o.row, false)
	if err != nil {
		return nil, err
	}
	return labels(was), nil
}

// label stores the labels of an entity that had others.
func (e *edit) label(ctx context.Context, o *object, was []string) error {
	is := labels(o)
	if slices.Equal(is, was) {
		return nil
	}
	if len(was) > 0 {
		if err := e.unlabel(ctx, o); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(is, 100) {
		rows := make([]*ent.GatewayLabelCreate, len(batch))
		for i, l := range batch {
			rows[i] = e.mark(o, l)
		}
		if err := e.tx.GatewayLabel.CreateBulk(rows...).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}

// mark is the row of a label.
func (e *edit) mark(o *object, label string) *ent.GatewayLabelCreate {
	class, value := cut(label)
	return e.tx.GatewayLabel.Create().SetClass(class).SetValueKey(indexed(value)).SetValue([]byte(value)).SetKind(o.c.Name).SetObjectID(o.id)
}

func cut(label string) (class, value string) {
	for i := range label {
		if label[i] == ' ' {
			return label[:i], label[i+1:]
		}
	}
	return label, ""
}

func (e *edit) unlabel(ctx context.Context, o *object) error {
	_, err := e.tx.GatewayLabel.Delete().Where(gatewaylabel.ObjectID(o.id), gatewaylabel.Kind(o.c.Name)).Exec(ctx)
	return err
}

// checkProtocols checks that a plugin is for something that its route, or a
// route of its service, is for.
func (e *edit) checkProtocols(ctx context.Context, o *object) error {
	own, _ := o.doc["protocols"].([]any)
	if id, ok := isID(reference(o.doc, "route")); ok {
		route, err := e.byID(ctx, entity.Find(routes), id)
		if err != nil || route == nil {
			return err
		}
		if !overlap(own, route.doc["protocols"]) {
			return invalidField("protocols", "must match the associated route's protocols")
		}
		return nil
	}
	id, ok := isID(reference(o.doc, "service"))
	if !ok {
		return nil
	}
	const page = 1000
	var after uuid.UUID
	for first := true; ; first = false {
		rows, err := e.client.Query().Where(gatewayobject.Kind(routes), refers(services, id), gatewayobject.ObjectIDGT(after)).
			Order(gatewayobject.ByObjectID()).Limit(page).All(ctx)
		if err != nil || first && len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			route, err := schema.DecodeObject(row.Document)
			if err != nil || overlap(own, route["protocols"]) {
				return err
			}
			after = row.ObjectID
		}
		if len(rows) < page {
			return invalidField("protocols", "must match the protocols of at least one route pointing to this Plugin's service")
		}
	}
}

func overlap(own []any, v any) bool {
	others, _ := v.([]any)
	return slices.ContainsFunc(own, func(p any) bool { return slices.Contains(others, p) })
}
