package dbaas

import (
	"context"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/database"
	entop "github.com/backplane/backplane/ent/operation"
	"github.com/backplane/backplane/ent/service"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

const kindRepair = "repair_database"

// RepairDifferences implements the RPC.
func (a *Admin) RepairDifferences(ctx context.Context, req *dbaasv1.RepairDifferencesRequest) (*dbaasv1.RepairDifferencesResponse, error) {
	if req.GetDropUnknown() && req.GetService() == "" {
		return nil, errs.Invalid(errs.Field{Path: "service", Message: required})
	}
	rows, err := a.toRepair(ctx, req)
	if err != nil {
		return nil, err
	}
	all, err := a.compareAll(ctx, rows)
	if err != nil {
		return nil, err
	}
	var begun []int
	for _, c := range all {
		if c.err != nil && (req.GetService() != "" || req.GetDatabase() != 0) {
			return nil, &errs.Error{Reason: errs.Unavailable, Message: "The service cannot be asked: " + whyNot(c.err), Err: c.err}
		}
		ids, err := a.repairService(ctx, c, int(req.GetDatabase()), req.GetDropUnknown())
		begun = append(begun, ids...)
		if err != nil {
			return nil, err
		}
	}
	return a.repaired(ctx, begun)
}

// toRepair are the services where a repair looks.
func (a *Admin) toRepair(ctx context.Context, req *dbaasv1.RepairDifferencesRequest) ([]*ent.Service, error) {
	rows, err := a.holders(ctx, req.GetService())
	if err != nil || req.GetDatabase() == 0 {
		return rows, err
	}
	of, err := a.Store.Service.Query().Where(service.HasDatabasesWith(database.ID(int(req.GetDatabase())))).Only(ctx)
	if err != nil {
		return nil, orMissing(err)
	}
	if req.GetService() != "" && rows[0].ID != of.ID {
		return nil, errs.Invalid(errs.Field{Path: "database", Message: "The database is on another service."})
	}
	return []*ent.Service{of}, nil
}

// repairService begins what puts one service right, and returns the numbers of
// the operations. only is the number of the only database, 0 for all.
func (a *Admin) repairService(ctx context.Context, c compared, only int, dropUnknown bool) (begun []int, err error) {
	var order []*ent.Database
	lost, drop := map[int][]finding{}, false
	for _, f := range c.findings {
		switch {
		case f.unknown():
			drop = drop || f.spared == ""
		case only == 0 || f.row.ID == only:
			if lost[f.row.ID] == nil {
				order = append(order, f.row)
			}
			lost[f.row.ID] = append(lost[f.row.ID], f)
		}
	}
	for _, row := range order {
		op, err := a.begin(ctx, row.ID, kindRepair, repairOf(lost[row.ID]))
		if reason := errs.Convert(err).Reason; err != nil && (reason == errs.InUse || reason == errs.NotFound) {
			continue // something else is being done with it
		}
		if err != nil {
			return begun, err
		}
		begun = append(begun, op.ID)
	}
	if drop && dropUnknown {
		op, err := a.beginDropUnknown(ctx, c.service)
		if err != nil {
			return begun, err
		}
		begun = append(begun, op.ID)
	}
	return begun, nil
}

// repairOf records what is about to be made again.
func repairOf(lost []finding) change {
	return func(_ context.Context, tx *store.Tx, row *ent.Database) (map[string]any, error) {
		if row.State != stateAlive && row.State != stateQuarantined {
			return nil, locked(row)
		}
		before, after, gone := map[string]string{}, map[string]string{}, false
		for _, f := range lost {
			what, made := "login "+f.user, "made again"
			if f.kind == databaseMissing {
				what, made, gone = "database", "made again, empty", true
			}
			before[what], after[what] = jsonOf("missing"), jsonOf(made)
		}
		tx.Audit(auditOfDatabase("RepairDatabase", row, before, after))
		return map[string]any{"missing": gone}, nil
	}
}

// repaired waits for operations, as long as a call may take, and returns them.
func (a *Admin) repaired(ctx context.Context, begun []int) (*dbaasv1.RepairDifferencesResponse, error) {
	wait, cancel := context.WithTimeout(ctx, awaitFor)
	defer cancel()
	var all sync.WaitGroup
	for _, id := range begun {
		all.Go(func() { a.ops.Await(wait, id) }) //nolint:errcheck // the task says how it went
	}
	all.Wait()
	rows, err := a.Store.Operation.Query().Where(entop.IDIn(begun...)).Order(entop.ByID()).All(ctx)
	if err != nil {
		return nil, err
	}
	out := &dbaasv1.RepairDifferencesResponse{Links: &dbaasv1.Links{Self: selfOr(ctx, "/api/"+differences+"/repair/")}}
	for _, row := range rows {
		out.Task = append(out.Task, a.taskToProto(linksOf(ctx), row))
	}
	return out, nil
}

// repairDatabase is the operation that makes what was dropped by hand again.
func (a *Admin) repairDatabase() operation.Kind {
	return operation.Kind{Name: kindRepair, Relevance: "CRITICAL", Steps: []operation.Step{
		{Name: "create the database", Do: a.recreate},
		{Name: "put the logins", Do: a.putAgain, Record: func(ctx context.Context, tx *store.Tx, w *operation.Work) error {
			return tx.Credential.Update().Where(credential.DatabaseID(w.Subject.ID)).SetReady(true).Exec(ctx)
		}},
		{Name: "hand over", Do: a.measure, Record: func(ctx context.Context, tx *store.Tx, w *operation.Work) error {
			return tx.Database.Update().Where(database.ID(w.Subject.ID), database.OperationID(w.ID)).SetOperationID(0).
				SetUsedSizeInBytes(int64(w.Int("size"))).SetMeasuredAt(time.Now().UnixMicro()).SetMissing(!w.Bool("exists")).Exec(ctx)
		}},
	}}
}

// recreate makes a database again that was found missing. When this was cut
// off it may be half made, and making it again completes it.
func (a *Admin) recreate(ctx context.Context, w *operation.Work) error {
	return a.withDatabase(ctx, w, func(row *ent.Database, _ backend, s connectors.DatabaseServer) error {
		has, err := s.HasDatabase(ctx, row.Name)
		if err != nil || has && !w.Bool("missing") {
			return err
		}
		return s.CreateDatabase(ctx, row.Name)
	})
}

// putAgain brings every login of a database to what the store says. A former
// login stays what it is: its time is running out.
func (a *Admin) putAgain(ctx context.Context, w *operation.Work) error {
	creds, err := a.Store.Credential.Query().Where(credential.DatabaseID(w.Subject.ID)).Order(credential.ByID()).All(ctx)
	if err != nil {
		return err
	}
	return a.withDatabase(ctx, w, func(row *ent.Database, _ backend, s connectors.DatabaseServer) error {
		for _, c := range creds {
			l, err := a.loginOf(row, c)
			if err != nil {
				return err
			}
			if err := s.PutLogin(ctx, l); err != nil {
				return err
			}
		}
		return nil
	})
}

// beginDropUnknown begins to drop what was made by hand on a service.
func (a *Admin) beginDropUnknown(ctx context.Context, row *ent.Service) (op *ent.Operation, err error) {
	err = a.Store.Change(ctx, func(tx *store.Tx) (err error) {
		if err := tx.TakeTurn(ctx); err != nil {
			return err
		}
		op, err = a.ops.Begin(ctx, tx, kindDropUnknown, operation.Subject{Class: "service"}, map[string]any{"service": row.ID.String()})
		return err
	})
	if err != nil {
		return nil, err
	}
	a.ops.Go(op)
	return op, nil
}

// serviceOf is the service that an operation is about.
func serviceOf(w *operation.Work) (uuid.UUID, error) { return uuid.Parse(w.String("service")) }
