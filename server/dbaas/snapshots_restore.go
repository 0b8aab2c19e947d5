package dbaas

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

// copyRequest is what RestoreSnapshot and CloneDatabase say of the new
// database.
type copyRequest interface {
	GetName() string
	GetPlan() string
	GetEnvironment() string
	GetProject() string
}

// origin is what a copy is made of, and how the new database is when the
// request does not say.
type origin struct {
	engineType        string
	plan, environment int
	project           string
	named             bool
}

// RestoreSnapshot implements the RPC. It does not wait for the work.
func (a *Admin) RestoreSnapshot(ctx context.Context, req *dbaasv1.RestoreSnapshotRequest) (*dbaasv1.Database, error) {
	row, err := a.snapshotFor(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	w, err := a.wantCopy(ctx, req, origin{row.EngineType, row.PlanID, row.EnvironmentID, row.Project, row.Project != store.DefaultProject})
	if err != nil {
		return nil, err
	}
	w.kind, w.data = kindRestore, map[string]any{"backup": row.ID}
	w.guard = func(ctx context.Context, tx *store.Tx) error {
		row, err := tx.Backup.Get(ctx, row.ID)
		if ent.IsNotFound(err) || err == nil && row.Status == snapshotDeleting {
			return missing()
		}
		if err != nil {
			return err
		}
		if row.Status != operation.Success {
			return refuse("The snapshot is not complete.")
		}
		tx.Audit(auditOfSnapshot("RestoreSnapshot", row, nil, map[string]string{"into": jsonOf(w.name)}))
		return nil
	}
	db, err := a.make(ctx, *w)
	if err != nil {
		return nil, err
	}
	return a.answerCreated(ctx, db.ID)
}

// wantCopy is the database that a copy shall be made into.
func (a *Admin) wantCopy(ctx context.Context, req copyRequest, from origin) (*wanted, error) {
	w := &wanted{project: from.project, named: from.named}
	var f faults
	name, fault := checkName(req.GetName())
	w.name = name
	f.add("name", fault)
	if err := a.resolve(ctx, w, cmp.Or(req.GetPlan(), path(plans, from.plan)), cmp.Or(req.GetEnvironment(), path(environments, from.environment)), &f); err != nil {
		return nil, err
	}
	if w.plan != nil && w.plan.Edges.Engine.EngineType != from.engineType {
		f.add("plan", "The plan must be of the engine "+from.engineType+".")
	}
	if req.GetProject() != "" {
		if err := a.chooseProject(ctx, w, req.GetProject(), "", &f); err != nil {
			return nil, err
		}
	}
	if len(f) > 0 {
		return nil, errs.Invalid(f...)
	}
	return w, nil
}

// filling are the steps that make a database with content. Its first login is
// ready, and so known to its owner, when the content is there.
func (a *Admin) filling(fill func(context.Context, *operation.Work) error) []operation.Step {
	steps := a.creation()
	at := slices.IndexFunc(steps, func(s operation.Step) bool { return s.Name == stepLogin })
	load := operation.Step{Name: "load", Do: fill, Record: steps[at].Record, Timeout: copyTimeout}
	steps[at].Record, steps[at].Joined = nil, false // the content takes long
	return slices.Insert(steps, at+1, load)
}

// restoreSnapshot is the operation that makes a database of a snapshot.
func (a *Admin) restoreSnapshot() operation.Kind {
	return operation.Kind{Name: kindRestore, Undo: true, Ended: a.forgetDatabase, Relevance: "CRITICAL", Steps: a.filling(a.loadSnapshot)}
}

// loadSnapshot loads a snapshot into the database that was made for it.
func (a *Admin) loadSnapshot(ctx context.Context, w *operation.Work) error {
	done, err := a.takeCopy()
	if err != nil {
		return err
	}
	defer done()
	row, err := a.Store.Backup.Get(ctx, w.Int("backup"))
	if err != nil {
		return err
	}
	key, err := a.Keys.Open(row.Sealed, keys.SnapshotPlace(row.ID))
	if err != nil {
		return err
	}
	v, err := a.vaultOf(ctx, row)
	if err != nil {
		return err
	}
	defer v.Close() //nolint:errcheck // it was only read
	return a.withDatabase(ctx, w, func(db *ent.Database, b backend, s connectors.DatabaseServer) error {
		if formatOf(b.engine.Rules()) != row.Format {
			return errs.New(errs.BackendFailed, "The service %s does not load snapshots of the format %s", b.row.Name, row.Format)
		}
		ctx, watch := watching(ctx, stallAfter)
		defer watch.end()
		body, size, err := v.Get(ctx, row.Location)
		switch {
		case errors.Is(err, connectors.ErrNoObject):
			return errs.New(errs.BackendFailed, "The snapshot is not where it was written to")
		case err != nil:
			return because(ctx, err)
		}
		defer body.Close()
		if size != row.Size {
			return errDamaged
		}
		// A read that waits ends with the context.
		defer context.AfterFunc(ctx, func() { body.Close() })() //nolint:errcheck // it was only read
		plain, err := content(body, row, key, keys.SnapshotPlace(row.ID), w.Progress)
		if err != nil {
			return because(ctx, err)
		}
		return load(ctx, s, db.Name, &inflow{watch: watch, r: plain})
	})
}
