package dbaas

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/backup"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/ent/predicate"
	"github.com/backplane/backplane/ent/service"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/internal/secret"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

// snapshotDeleting is the status of a snapshot that is being removed, which
// nobody is shown any more. The others are those of an operation.
const snapshotDeleting = "DELETING"

// snapshotColumns are what a list of snapshots can be ordered and filtered by.
var snapshotColumns = columns{
	"id": column{backup.FieldID, number}, "database": column{backup.FieldDatabaseID, number},
	"database_name": column{backup.FieldDatabaseName, text}, "status": column{backup.FieldStatus, text},
	"environment": column{backup.FieldEnvironmentID, number}, "engine": column{backup.FieldEngineType, text},
	"start_at": column{backup.FieldStartAt, instant}, "end_at": column{backup.FieldEndAt, instant},
	"size": column{backup.FieldSize, number}, "format": column{backup.FieldFormat, text},
}

// ListSnapshots implements the RPC. Without a condition on the status it lists
// those that can be restored.
func (a *Admin) ListSnapshots(ctx context.Context, req *dbaasv1.ListSnapshotsRequest) (*dbaasv1.ListSnapshotsResponse, error) {
	scope, err := auth.Where(ctx)
	if err != nil {
		return nil, err
	}
	where, err := conditions[predicate.Backup](snapshotColumns, req.GetFilter())
	if err != nil {
		return nil, err
	}
	where = append(where, backup.StatusNEQ(snapshotDeleting))
	if !scope.All {
		where = append(where, backup.ProjectIn(scope.Projects...))
	}
	if id := int(req.GetDatabase()); id != 0 {
		of := backup.DatabaseID(id)
		if err := a.anySnapshots(ctx, id, append(slices.Clone(where), of)); err != nil {
			return nil, err
		}
		where = append(where, of)
	}
	byStatus := func(name string) bool { return name == "status" || strings.HasPrefix(name, "status__") }
	if !slices.ContainsFunc(slices.Collect(maps.Keys(req.GetFilter())), byStatus) {
		where = append(where, backup.Status(operation.Success))
	}
	rows, links, err := listed(ctx, a.Store.Backup.Query().Where(where...), req, snapshotColumns, "-id", snapshots)
	if err != nil {
		return nil, err
	}
	list, err := a.snapshotsToProto(ctx, rows...)
	return &dbaasv1.ListSnapshotsResponse{Links: links, Snapshot: list}, err
}

// anySnapshots fails when neither the database is there for the caller nor
// anything of it.
func (a *Admin) anySnapshots(ctx context.Context, id int, where []predicate.Backup) error {
	may, err := visible(ctx)
	if err != nil {
		return err
	}
	found, err := a.Store.Database.Query().Where(database.ID(id), may).Exist(ctx)
	if err != nil || found {
		return err
	}
	if found, err = a.Store.Backup.Query().Where(where...).Exist(ctx); err == nil && !found {
		return missing()
	}
	return err
}

// GetSnapshot implements the RPC.
func (a *Admin) GetSnapshot(ctx context.Context, req *dbaasv1.GetSnapshotRequest) (*dbaasv1.Snapshot, error) {
	row, err := a.snapshotFor(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	list, err := a.snapshotsToProto(ctx, row)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// snapshotFor is the snapshot of a call, when the caller has the right to it.
func (a *Admin) snapshotFor(ctx context.Context, id int64) (*ent.Backup, error) {
	row, err := a.Store.Backup.Get(ctx, int(id))
	if ent.IsNotFound(err) || err == nil && row.Status == snapshotDeleting {
		return nil, missing()
	}
	if err != nil {
		return nil, err
	}
	return row, auth.Allow(ctx, row.Project, missing)
}

// snapshotsToProto shows snapshots; the database of each only to those who may
// see that.
func (a *Admin) snapshotsToProto(ctx context.Context, rows ...*ent.Backup) ([]*dbaasv1.Snapshot, error) {
	may, err := visible(ctx)
	if err != nil {
		return nil, err
	}
	var of []int
	for _, row := range rows {
		of = append(of, row.DatabaseID)
	}
	there, err := a.Store.Database.Query().Where(database.IDIn(of...), may).IDs(ctx)
	if err != nil {
		return nil, err
	}
	var out []*dbaasv1.Snapshot
	for _, row := range rows {
		out = append(out, snapshotToProto(linksOf(ctx), row, slices.Contains(there, row.DatabaseID)))
	}
	return out, nil
}

func snapshotToProto(l linker, row *ent.Backup, there bool) *dbaasv1.Snapshot {
	out := &dbaasv1.Snapshot{
		Links: &dbaasv1.Links{Self: l.to(snapshots, row.ID)}, Id: int64(row.ID), DatabaseName: row.DatabaseName,
		Status: row.Status, StartAt: moment(row.StartAt), Size: row.Size, Sha256: row.Sha256, Format: row.Format,
	}
	if there {
		out.Database = proto.String(l.to(databases, row.DatabaseID))
	}
	if row.EndAt != 0 {
		out.EndAt = proto.String(moment(row.EndAt))
	}
	if row.StoreServiceID != nil {
		out.Service = proto.String(row.StoreServiceID.String())
	}
	if row.OperationID != 0 {
		out.Task = proto.String(l.to(tasks, row.OperationID))
	}
	return out
}

// CreateSnapshot implements the RPC. It does not wait for the work.
func (a *Admin) CreateSnapshot(ctx context.Context, req *dbaasv1.CreateSnapshotRequest) (*dbaasv1.Snapshot, error) {
	db, err := a.databaseFor(ctx, req.GetDatabase())
	if err != nil {
		return nil, err
	}
	into, err := a.snapshotStore(ctx, req.GetService())
	if err != nil {
		return nil, err
	}
	home, err := a.home(ctx)
	if err != nil {
		return nil, err
	}
	var row *ent.Backup
	op, err := a.begin(ctx, db.ID, kindSnapshot, func(ctx context.Context, tx *store.Tx, db *ent.Database) (map[string]any, error) {
		if db.State != stateAlive && db.State != stateQuarantined {
			return nil, refuse("The database is not there any more.")
		}
		row, err = a.insertSnapshot(ctx, tx, db, into, home)
		if err != nil {
			return nil, err
		}
		tx.Audit(auditOfSnapshot("CreateSnapshot", row, nil, snapshotFields(row)))
		return map[string]any{"backup": row.ID}, a.Keys.Guard(ctx, tx, row.Sealed)
	}, func(tx *store.Tx, op *ent.Operation) error {
		return tx.Backup.Update().Where(backup.ID(row.ID)).SetOperationID(op.ID).Exec(ctx)
	})
	if err != nil {
		return nil, err
	}
	row.OperationID = op.ID
	out := snapshotToProto(linksOf(ctx), row, true)
	return out, setLocation(ctx, out.GetLinks().GetSelf())
}

// insertSnapshot writes a snapshot that is about to be made.
func (a *Admin) insertSnapshot(ctx context.Context, tx *store.Tx, db *ent.Database, into *uuid.UUID, home string) (*ent.Backup, error) {
	if into != nil {
		there, err := tx.Service.Query().Where(service.ID(*into)).Exist(ctx)
		if err != nil {
			return nil, err
		}
		if !there {
			return nil, errs.Invalid(errs.Field{Path: "service", Message: "The service was deleted in the meantime."})
		}
	}
	row, err := tx.Backup.Create().SetDatabaseID(db.ID).SetDatabaseName(db.Name).SetEngineType(db.Edges.Plan.Edges.Engine.EngineType).
		SetPlanID(db.PlanID).SetEnvironmentID(db.EnvironmentID).SetProject(db.Project).SetStatus(operation.Waiting).
		SetNillableStoreServiceID(into).SetCreatedBy(store.ActorFrom(ctx).Name).SetStartAt(time.Now().UnixMicro()).Save(ctx)
	if err != nil {
		return nil, err
	}
	sealed := a.Keys.Seal(secret.NewStreamKey(), keys.SnapshotPlace(row.ID))
	return tx.Backup.UpdateOne(row).SetSealed(sealed).SetLocation(location(home, row.ID)).Save(ctx)
}

// snapshotStore finds the service that a snapshot shall be written to; nil is
// the data directory.
func (a *Admin) snapshotStore(ctx context.Context, name string) (*uuid.UUID, error) {
	if name == "" {
		return nil, nil
	}
	row, fault, err := a.findService(ctx, name)
	if err != nil {
		return nil, err
	}
	if fault == "" {
		// Who may merely see a service may not have things written to it.
		if err := auth.Allow(ctx, row.Project, missing); err != nil {
			return nil, err
		}
		conn, _ := a.Registry.Lookup(row.ServiceType)
		_, keeps := conn.(connectors.ObjectKeeper)
		switch {
		case !keeps:
			fault = "The service is of type " + row.ServiceType + ", which keeps no objects."
		case !row.Enabled:
			fault = "The service is disabled; enable it first."
		}
	}
	if fault == "" {
		_, _, config, err := a.Catalog.Backend(ctx, row.ID)
		if err != nil {
			return nil, err
		}
		if config.String("bucket") == "" {
			fault = "The service names no bucket."
		}
	}
	if fault != "" {
		return nil, errs.Invalid(errs.Field{Path: "service", Message: fault})
	}
	return &row.ID, nil
}

// DeleteSnapshot implements the RPC.
func (a *Admin) DeleteSnapshot(ctx context.Context, req *dbaasv1.DeleteSnapshotRequest) (*dbaasv1.DeleteSnapshotResponse, error) {
	row, err := a.snapshotFor(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	if row.Status == operation.Waiting || row.Status == operation.Running {
		if a.ops.GiveUp(ctx, row.OperationID) != nil {
			return nil, errs.New(errs.InUse, "The task %s makes this snapshot; try again when it has ended", path(tasks, row.OperationID))
		}
		if err := a.afterwards(ctx, row.OperationID, true); err != nil {
			return nil, err
		}
	}
	var op *ent.Operation
	err = a.Store.Change(ctx, func(tx *store.Tx) error {
		op, err = a.beginDelete(ctx, tx, row.ID)
		return err
	})
	if err != nil {
		return nil, err
	}
	a.ops.Go(op)
	return &dbaasv1.DeleteSnapshotResponse{}, a.afterwards(ctx, op.ID, false)
}

// beginDelete begins to remove a snapshot that nothing reads.
func (a *Admin) beginDelete(ctx context.Context, tx *store.Tx, id int) (*ent.Operation, error) {
	if err := tx.TakeTurn(ctx); err != nil {
		return nil, err
	}
	row, err := tx.Backup.Get(ctx, id)
	switch {
	case ent.IsNotFound(err), err == nil && row.Status == snapshotDeleting:
		return nil, missing()
	case err != nil:
		return nil, err
	case row.Status != operation.Success && row.Status != operation.Failed:
		return nil, errs.New(errs.InUse, "The task %s makes this snapshot; try again when it has ended", path(tasks, row.OperationID))
	}
	if err := unread(ctx, tx, kindRestore, "backup", id); err != nil {
		return nil, err
	}
	op, err := a.ops.Begin(ctx, tx, kindDeleteSnapshot, operation.Subject{
		Class: "snapshot", ID: id, DatabaseName: row.DatabaseName, Engine: row.EngineType, Project: row.Project,
	}, nil)
	if err != nil {
		return nil, err
	}
	tx.Audit(auditOfSnapshot("DeleteSnapshot", row, snapshotFields(row), nil))
	return op, tx.Backup.UpdateOne(row).SetStatus(snapshotDeleting).SetOperationID(op.ID).Exec(ctx)
}
