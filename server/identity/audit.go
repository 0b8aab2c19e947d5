package identity

import (
	"context"
	"strconv"
	"time"

	"entgo.io/ent/dialect/sql"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/auditrecord"
	"github.com/backplane/backplane/ent/predicate"
	"github.com/backplane/backplane/ent/schema"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/store"
)

const (
	defaultRecords = 100
	maxRecords     = 1000
	watchBatch     = 500
	// watchEvery is how soon a watch of the audit trail sees a new record.
	watchEvery = 250 * time.Millisecond
)

func recordToProto(r *ent.AuditRecord) *identityv1.AuditRecord {
	out := &identityv1.AuditRecord{
		Id: r.ID, At: seconds(r.At), Actor: r.Actor, TokenId: r.TokenID, Address: r.Address, RequestId: r.RequestID,
		Action: r.Action, ResourceKind: r.ResourceKind, ResourceId: r.ResourceID, ResourceName: r.ResourceName,
		Project: r.Project, PreviousHash: r.PreviousHash, Hash: r.Hash,
	}
	changes, err := store.ChangesOf(r)
	if err != nil {
		// The rest of the trail is to be seen all the same.
		changes = []schema.AuditChange{{Field: "this record is damaged"}}
	}
	for _, c := range changes {
		out.Changes = append(out.Changes, &identityv1.AuditChange{Field: c.Field, Before: c.Before, After: c.After})
	}
	return out
}

// mine limits the audit trail to the projects that the caller is an admin of.
func mine(ctx context.Context) ([]predicate.AuditRecord, error) {
	scope, err := auth.Where(ctx)
	if err != nil || scope.All {
		return nil, err
	}
	return []predicate.AuditRecord{auditrecord.ProjectIn(scope.Projects...)}, nil
}

func parseTime(path, text string, faults *[]errs.Field) int64 {
	if text == "" {
		return 0
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		*faults = append(*faults, errs.Field{Path: path, Message: "must be a time such as 2024-01-15T10:30:00Z"})
	}
	return t.UnixMicro()
}

// ListAudit implements the RPC.
func (i *Identity) ListAudit(ctx context.Context, req *identityv1.ListAuditRequest) (*identityv1.ListAuditResponse, error) {
	var faults []errs.Field
	since, until := parseTime("since", req.GetSince(), &faults), parseTime("until", req.GetUntil(), &faults)
	limit := int(req.GetLimit())
	if limit == 0 {
		limit = defaultRecords
	}
	if limit > maxRecords {
		faults = append(faults, errs.Field{Path: "limit", Message: "must be 1 to 1000"})
	}
	if len(faults) > 0 {
		e := errs.Invalid(faults...)
		e.Reason = errs.BadRequest
		return nil, e
	}
	where, err := mine(ctx)
	if err != nil {
		return nil, err
	}
	for value, make := range map[*string]func(string) predicate.AuditRecord{
		&req.Actor: auditrecord.Actor, &req.Action: auditrecord.Action, &req.ResourceId: auditrecord.ResourceID, &req.Project: auditrecord.Project,
	} {
		if *value != "" {
			where = append(where, make(*value))
		}
	}
	if req.GetBefore() > 0 {
		where = append(where, auditrecord.IDLT(req.GetBefore()))
	}
	if since > 0 {
		where = append(where, auditrecord.AtGTE(since))
	}
	if until > 0 {
		where = append(where, auditrecord.AtLTE(until))
	}
	rows, err := i.Store.AuditRecord.Query().Where(where...).Order(auditrecord.ByID(sql.OrderDesc())).Limit(limit).All(ctx)
	if err != nil {
		return nil, err
	}
	out := &identityv1.ListAuditResponse{Ok: true}
	for _, r := range rows {
		out.Data = append(out.Data, recordToProto(r))
	}
	return out, nil
}

// VerifyAudit implements the RPC.
func (i *Identity) VerifyAudit(ctx context.Context, _ *identityv1.VerifyAuditRequest) (*identityv1.VerifyAuditResponse, error) {
	v, err := i.Store.VerifyAudit(ctx)
	if err != nil {
		return nil, err
	}
	return &identityv1.VerifyAuditResponse{Ok: true, Data: &identityv1.AuditVerdict{
		Intact: v.FirstBad == 0, Checked: v.Checked, FirstBad: v.FirstBad, Problem: v.Problem,
	}}, nil
}

// WatchAudit implements the RPC.
func (i *Identity) WatchAudit(req *identityv1.WatchAuditRequest, stream grpc.ServerStreamingServer[identityv1.WatchAuditResponse]) error {
	ctx := stream.Context()
	where, err := mine(ctx)
	if err != nil {
		return err
	}
	last, err := i.Store.AuditRecord.Query().Order(auditrecord.ByID(sql.OrderDesc())).Limit(1).All(ctx)
	if err != nil {
		return err
	}
	at := uint64(0)
	if len(last) > 0 {
		at = last[0].ID
	}
	if req.Index != nil {
		at = req.GetIndex()
	}
	if err := stream.SendHeader(metadata.Pairs("x-index", strconv.FormatUint(at, 10))); err != nil {
		return err
	}
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		rows, err := i.Store.AuditRecord.Query().Where(append(where, auditrecord.IDGT(at))...).
			Order(auditrecord.ByID()).Limit(watchBatch).All(ctx)
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			if err := auth.Recheck(ctx); err != nil {
				return err
			}
		}
		for _, r := range rows {
			if err := stream.Send(&identityv1.WatchAuditResponse{Index: r.ID, Record: recordToProto(r)}); err != nil {
				return err
			}
			at = r.ID
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-i.Ending:
			return errs.New(errs.Unavailable, "The server is shutting down; connect again")
		}
	}
}
