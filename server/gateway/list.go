package gateway

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"entgo.io/ent/dialect/sql"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/ent/gatewaylabel"
	"github.com/backplane/backplane/ent/gatewayobject"
	"github.com/backplane/backplane/ent/predicate"
)

const (
	defaultSize = 100
	maxSize     = 1000
	maxTags     = 5
)

// page is a part of a list.
type page struct {
	objects []*object
	next    *string // URL of the page after
	offset  *string
}

// get is one entity.
func (g *Gateway) get(ctx context.Context, req request) (*object, error) {
	r := g.reader(ctx)
	s, child, by, err := req.scope(ctx, r)
	if err != nil {
		return nil, err
	}
	var o *object
	if child != nil {
		o, err = r.target(ctx, req.c, child, by)
	} else {
		o, err = r.find(ctx, req.c, req.id(), s)
	}
	if err != nil {
		return nil, err
	}
	if o == nil || !s.holds(o) {
		if _, isUUID := isID(req.id()); isUUID && req.c.Name == certificates && child == nil {
			return nil, notFound("id", req.id())
		}
		return nil, absent()
	}
	return o, r.addNames(ctx, []*object{o})
}

// sizeOf is how many entities a page is to have.
func (r request) sizeOf() (size int, given bool, err error) {
	f := r.m.Descriptor().Fields().ByName("size")
	if !r.m.Has(f) {
		return defaultSize, false, nil
	}
	size = int(r.m.Get(f).Int())
	if size < 1 || size > maxSize {
		return 0, true, invalidSize()
	}
	return size, true, nil
}

// optional is an optional text of the request.
func (r request) optional(name protoreflect.Name) (string, bool) {
	f := r.m.Descriptor().Fields().ByName(name)
	if f == nil || !r.m.Has(f) {
		return "", false
	}
	return r.m.Get(f).String(), true
}

// list is a page of entities.
func (g *Gateway) list(ctx context.Context, req request) (page, error) {
	size, sized, err := req.sizeOf()
	if err != nil {
		return page{}, err
	}
	r := g.reader(ctx)
	s, _, _, err := req.scope(ctx, r)
	if err != nil {
		return page{}, err
	}
	q := r.client.Query().Where(gatewayobject.Kind(req.c.Name))
	for _, b := range s {
		q.Where(refers(b.parent.c.Name, b.parent.id))
	}
	tags, tagged := req.optional("tags")
	if tagged && len(s) == 0 {
		where, err := withTags(req.c, tags)
		if err != nil {
			return page{}, err
		}
		q.Where(where...)
	}
	if custom := req.text("custom_id"); custom != "" {
		q.Where(gatewayobject.OtherKey(indexed(custom)))
	}
	newest := req.c.Name == targets
	if offset, ok := req.optional("offset"); ok && offset != "" {
		where, err := after(offset, newest)
		if err != nil {
			return page{}, err
		}
		q.Where(where)
	}
	if newest {
		q.Order(gatewayobject.ByCreatedAt(sql.OrderDesc()), gatewayobject.ByObjectID())
	} else {
		q.Order(gatewayobject.ByObjectID())
	}
	rows, err := q.Limit(size + 1).All(ctx)
	if err != nil {
		return page{}, err
	}
	var out page
	if len(rows) > size {
		rows = rows[:size]
		last := rows[size-1]
		offset := last.ObjectID.String()
		if newest {
			offset = strconv.FormatInt(last.CreatedAt, 10) + "." + offset
		}
		next := nextPage(ctx, req, s, offset, tags, tagged, size, sized)
		out.next, out.offset = &next, &offset
	}
	for _, row := range rows {
		o, err := g.read(row, r.secrets)
		if err != nil {
			return page{}, err
		}
		out.objects = append(out.objects, o)
	}
	return out, r.addNames(ctx, out.objects)
}

// after is what comes after an offset. Ids are resumed after, so that it does
// not matter if theirs is gone.
func after(offset string, newest bool) (predicate.GatewayObject, error) {
	name := offset
	var created int64
	if newest {
		time, rest, ok := strings.Cut(offset, ".")
		at, err := strconv.ParseInt(time, 10, 64)
		if !ok || err != nil {
			return nil, invalidOffset(offset)
		}
		name, created = rest, at
	}
	id, ok := isID(name)
	if !ok {
		return nil, invalidOffset(offset)
	}
	if newest {
		return gatewayobject.Or(gatewayobject.CreatedAtLT(created), gatewayobject.And(gatewayobject.CreatedAt(created), gatewayobject.ObjectIDGT(id))), nil
	}
	return gatewayobject.ObjectIDGT(id), nil
}

// nextPage is the URL of the page after an offset.
func nextPage(ctx context.Context, req request, s scope, offset, tags string, tagged bool, size int, sized bool) string {
	var b strings.Builder
	b.WriteString(base(ctx))
	for _, belonging := range s {
		parent := belonging.parent.c
		b.WriteString("/" + parent.Name + "/" + url.PathEscape(req.text(protoreflect.Name(selectorOf(parent)))))
	}
	name := req.c.Name
	if len(s) > 0 && req.c.Nested != "" {
		name = req.c.Nested
	}
	b.WriteString("/" + name + "?offset=" + url.QueryEscape(offset))
	if len(s) == 0 && tagged {
		b.WriteString("&tags=" + url.QueryEscape(tags))
	}
	if len(s) == 0 && sized {
		b.WriteString("&size=" + strconv.Itoa(size))
	}
	return b.String()
}

// withTags reads a filter: with commas all of the tags are wanted, with slashes
// one of them.
func withTags(c *entity.Collection, filter string) (out []predicate.GatewayObject, err error) {
	all, some := strings.Contains(filter, ","), strings.Contains(filter, "/")
	var list []string
	switch {
	case filter == "":
		return nil, invalidOption("tags", "cannot be null")
	case all && some:
		return nil, invalidOption("tags", "invalid filter syntax")
	case some:
		list = strings.Split(filter, "/")
	default:
		list = strings.Split(filter, ",")
	}
	if len(list) > maxTags {
		return nil, invalidOption("tags", "must be less than or equal to 5 tags")
	}
	keys := make([]any, len(list))
	for i, tag := range list {
		if tag == "" {
			return nil, invalidOption("tags", "invalid filter syntax")
		}
		if err := schema.Tag(tag); err != nil {
			return nil, invalidOption("tags", err.Error())
		}
		keys[i] = indexed(tag)
	}
	if some {
		return []predicate.GatewayObject{labelled(c, keys)}, nil
	}
	for _, key := range keys {
		out = append(out, labelled(c, []any{key}))
	}
	return out, nil
}

// labelled finds what has one of the tags.
func labelled(c *entity.Collection, keys []any) predicate.GatewayObject {
	return func(s *sql.Selector) {
		t := sql.Table(gatewaylabel.Table)
		s.Where(sql.In(s.C(gatewayobject.FieldObjectID), sql.Select(t.C(gatewaylabel.FieldObjectID)).From(t).Where(sql.And(
			sql.EQ(t.C(gatewaylabel.FieldClass), tagLabel),
			sql.In(t.C(gatewaylabel.FieldValueKey), keys...),
			sql.EQ(t.C(gatewaylabel.FieldKind), c.Name),
		))))
	}
}
