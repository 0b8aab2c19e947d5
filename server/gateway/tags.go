package gateway

import (
	"context"
	"net/url"
	"strconv"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/ent/gatewaylabel"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
)

// ListTags implements the RPC.
func (g *Gateway) ListTags(ctx context.Context, req *gatewayv1.ListTagsRequest) (*gatewayv1.ListTagsResponse, error) {
	size, sized, err := request{m: req.ProtoReflect()}.sizeOf()
	if err != nil {
		return nil, err
	}
	q := g.Store.GatewayLabel.Query().Where(gatewaylabel.Class(tagLabel))
	path := "/tags"
	if tag := req.GetTag(); tag != "" {
		if err := schema.Tag(tag); err != nil {
			return nil, errs.New(errs.BadRequest, "invalid tag '%s': %v", tag, err)
		}
		q.Where(gatewaylabel.ValueKey(indexed(tag)))
		path += "/" + url.PathEscape(tag)
	}
	if offset := req.GetOffset(); offset != "" {
		id, err := strconv.Atoi(offset)
		if err != nil {
			return nil, invalidOffset(offset)
		}
		q.Where(gatewaylabel.IDGT(id))
	}
	rows, err := q.Order(gatewaylabel.ByID()).Limit(size + 1).All(ctx)
	if err != nil {
		return nil, err
	}
	out := &gatewayv1.ListTagsResponse{}
	if len(rows) > size {
		rows = rows[:size]
		offset := strconv.Itoa(rows[size-1].ID)
		next := base(ctx) + path + "?offset=" + offset
		if sized {
			next += "&size=" + strconv.Itoa(size)
		}
		out.Next, out.Offset = &next, &offset
	}
	for _, row := range rows {
		name := row.Kind
		if c := entity.Find(row.Kind); c != nil {
			name = c.SchemaName()
		}
		out.Data = append(out.Data, &gatewayv1.Tag{Tag: string(row.Value), EntityName: name, EntityId: row.ObjectID.String()})
	}
	return out, nil
}
