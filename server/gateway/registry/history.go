package registry

import (
	"context"
	"slices"
	"strconv"

	"entgo.io/ent/dialect/sql"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/servicechange"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
)

const (
	defaultChanges = 100
	maxChanges     = 1000
)

// levels are those of changes, from 1 on.
var levels = []string{"info", "warning", "breaking"}

// ListServiceChanges implements the RPC. It answers where services are not
// managed, too.
func (r *Registry) ListServiceChanges(ctx context.Context, req *gatewayv1.ListServiceChangesRequest) (*gatewayv1.ListServiceChangesResponse, error) {
	limit := defaultChanges
	var faults []errs.Field
	if req.Limit != nil {
		if limit = int(req.GetLimit()); limit < 1 || limit > maxChanges {
			faults = append(faults, errs.Field{Path: "limit", Message: "must be 1 to " + strconv.Itoa(maxChanges)})
		}
	}
	query := r.Store.ServiceChange.Query()
	if req.GetCursor() != "" {
		before, err := strconv.ParseInt(req.GetCursor(), 10, 64)
		if err != nil {
			faults = append(faults, errs.Field{Path: "cursor", Message: "must be the next_cursor of an answer"})
		}
		query = query.Where(servicechange.IDLT(before))
	}
	if level := req.GetLevel(); level != "" {
		at := slices.Index(levels, level)
		if at < 0 {
			faults = append(faults, errs.Field{Path: "level", Message: "must be info, warning or breaking"})
		}
		query = query.Where(servicechange.LevelGTE(int8(at + 1)))
	}
	if len(faults) > 0 {
		e := errs.Invalid(faults...)
		e.Reason = errs.BadRequest
		return nil, e
	}
	if req.GetService() != "" {
		query = query.Where(servicechange.Service(req.GetService()))
	}
	rows, err := query.Order(servicechange.ByID(sql.OrderDesc())).Limit(limit + 1).All(ctx)
	if err != nil {
		return nil, err
	}
	out := &gatewayv1.ListServiceChangesResponse{Ok: true}
	if len(rows) > limit {
		rows = rows[:limit]
		next := strconv.FormatInt(rows[limit-1].ID, 10)
		out.NextCursor = &next
	}
	for _, row := range rows {
		out.Data = append(out.Data, changeToProto(row))
	}
	return out, nil
}

func changeToProto(row *ent.ServiceChange) *gatewayv1.ServiceChange {
	return &gatewayv1.ServiceChange{
		Id: row.ID, IdService: row.ServiceID, Service: row.Service, At: timestamp(row.At), Level: levels[min(max(int(row.Level), 1), len(levels))-1],
		Code: row.Code, Method: row.Method, Path: row.Path, Text: row.Text, Before: row.Before, After: row.After,
	}
}
