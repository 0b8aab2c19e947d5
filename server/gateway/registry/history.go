package registry

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/servicechange"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/gateway/apidoc"
	"github.com/backplane/backplane/server/store"
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

const (
	// keepChanges and mostChanges bound what is kept of changes, by age and by
	// number; mostAtOnce what one refresh adds.
	keepChanges = 90 * 24 * time.Hour
	mostChanges = 100_000
	mostAtOnce  = 1000
	pruneEvery  = time.Hour
)

// compare finds out what has changed in the document of a service.
func (r *Registry) compare(ctx context.Context, row *ent.RegisteredService, got fetched, after *prepared, f *fetch) ([]*ent.ServiceChange, error) {
	if row.DocumentHash == "" {
		return nil, nil
	}
	if done, ok := f.changes[row.ID]; ok {
		return done, nil
	}
	var before *apidoc.Document
	if known := r.known.document(row.ID, row.DocumentHash); known != nil {
		before = known.doc
	} else {
		body, err := r.stored(ctx, row.ID, row.DocumentHash)
		if err != nil {
			return nil, err
		}
		if before, err = apidoc.Parse(body); err != nil {
			return nil, nil // what cannot be read is compared with nothing
		}
	}
	found, err := apidoc.Changes(before, after.doc)
	if err != nil {
		r.Log.WarnContext(ctx, "compare OpenAPI documents", "service", row.Name, "error", err)
	}
	out := make([]*ent.ServiceChange, 0, len(found))
	for _, c := range found {
		out = append(out, &ent.ServiceChange{
			ServiceID: row.ID, Service: row.Name, Level: int8(max(slices.Index(levels, string(c.Level)), 0) + 1),
			Code: shortened(c.Code, 128), Method: shortened(c.Method, 32), Path: clean(c.Path), Text: clean(c.Text), Before: row.DocumentHash, After: got.hash,
		})
	}
	f.changes[row.ID] = out
	return out, nil
}

// shortened is a text as there is room for it.
func shortened(text string, most int) string {
	text = clean(text)
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// recordChanges stores what has changed, the worst if that is too much, and
// forgets what is old.
func (p *plan) recordChanges(ctx context.Context, tx *store.Tx) error {
	var all []*ent.ServiceChange
	for _, v := range p.verdicts {
		all = append(all, v.changes...)
	}
	if len(all) > mostAtOnce {
		slices.SortStableFunc(all, func(a, b *ent.ServiceChange) int { return int(b.Level) - int(a.Level) })
		all = all[:mostAtOnce]
	}
	for part := range slices.Chunk(all, batch) {
		made := make([]*ent.ServiceChangeCreate, len(part))
		for i, c := range part {
			made[i] = tx.ServiceChange.Create().SetServiceID(c.ServiceID).SetService(c.Service).SetAt(p.now).SetLevel(c.Level).SetCode(c.Code).
				SetMethod(c.Method).SetPath(c.Path).SetText(c.Text).SetBefore(c.Before).SetAfter(c.After)
		}
		if err := tx.ServiceChange.CreateBulk(made...).Exec(ctx); err != nil {
			return err
		}
	}
	if len(all) == 0 && !p.prune {
		return nil
	}
	return forget(ctx, tx, p.now, mostChanges)
}

// forget removes changes that are old, and those beyond the newest.
func forget(ctx context.Context, tx *store.Tx, now int64, most int) error {
	old := now - keepChanges.Microseconds()
	if _, err := tx.ServiceChange.Delete().Where(servicechange.AtLT(old)).Exec(ctx); err != nil {
		return err
	}
	beyond, err := tx.ServiceChange.Query().Order(servicechange.ByID(sql.OrderDesc())).Offset(most).Limit(1).IDs(ctx)
	if err != nil || len(beyond) == 0 {
		return err
	}
	_, err = tx.ServiceChange.Delete().Where(servicechange.IDLTE(beyond[0])).Exec(ctx)
	return err
}
