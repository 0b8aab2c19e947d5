package dbaas

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/database"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

// locked is the error of a change of a database that an operation works on.
func locked(row *ent.Database) error {
	return errs.New(errs.InUse, "The task %s works on this database; try again when it has ended", path(tasks, row.OperationID))
}

// UpdateDatabase implements the RPC.
func (a *Admin) UpdateDatabase(ctx context.Context, req *dbaasv1.UpdateDatabaseRequest) (*dbaasv1.Database, error) {
	row, err := a.databaseFor(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	in := req.GetDatabase()
	has := changed(in, req.GetUpdateMask().GetPaths())
	var f faults
	w := wanted{project: row.Project, named: row.ProjectNamed}
	if has("project") {
		if err := a.newProject(ctx, row, in.GetProject(), &w, &f); err != nil {
			return nil, err
		}
	}
	if has("description") {
		f.add("description", checkDescription(in.GetDescription()))
	}
	quarantine := has("quarantine_dt")
	at, fault := quarantineDay(in.GetQuarantineDt())
	if quarantine {
		f.add("quarantine_dt", fault)
	}
	if len(f) > 0 {
		return nil, errs.Invalid(f...)
	}
	err = a.Store.Change(ctx, func(tx *store.Tx) error {
		was, err := tx.Database.Query().Unique(false).Where(database.ID(row.ID), store.Locked).Only(ctx)
		if err != nil {
			return orMissing(err)
		}
		switch moves := w.project != row.Project; {
		case was.Project != row.Project:
			return missing() // where the caller was allowed to change it
		case moves && (was.OperationID != 0 || was.State != row.State):
			// It may be being registered.
			return errs.New(errs.InUse, "A task works on this database; try again when it has ended")
		}
		u := tx.Database.UpdateOneID(row.ID)
		if has("project") {
			u.SetProject(w.project).SetProjectNamed(w.named)
		}
		if has("description") {
			u.SetDescription(in.GetDescription())
		}
		next, err := u.Save(ctx)
		if err != nil {
			return err
		}
		tx.Audit(auditOfDatabase("UpdateDatabase", next, databaseFields(was), databaseFields(next)))
		return nil
	})
	if err != nil {
		return nil, err
	}
	switch {
	case quarantine && at.IsZero() && row.State == stateQuarantined:
		err = a.restore(ctx, row.ID)
	case quarantine && !at.IsZero() && row.State == stateAlive:
		err = a.quarantine(ctx, row.ID, at)
	}
	if err != nil {
		return nil, err
	}
	if row, err = a.loadDatabase(ctx, row.ID); err != nil {
		return nil, err
	}
	return databaseToProto(linksOf(ctx), row), nil
}

// newProject finds the project that a database shall belong to: the one of the
// URL, or the default one.
func (a *Admin) newProject(ctx context.Context, row *ent.Database, projectURL string, w *wanted, f *faults) error {
	if projectURL != "" {
		if err := a.chooseProject(ctx, w, projectURL, "", f); err != nil {
			return err
		}
	} else {
		w.project, w.named = store.DefaultProject, false
		if err := auth.AllowIn(ctx, store.DefaultProject); err != nil {
			return err
		}
	}
	if w.project == row.Project {
		return nil
	}
	// A service stays in its project, where others could use the login.
	id, err := a.registered(ctx, row)
	if err == nil && id != uuid.Nil {
		f.add("project", fmt.Sprintf("The database is registered in the catalogue as the service %s of its project; delete that first.", id))
	}
	return err
}

// quarantineDay reads a day that is not in the future; the zero time for none.
func quarantineDay(text string) (at time.Time, fault string) {
	if text == "" {
		return time.Time{}, ""
	}
	at, err := time.ParseInLocation(time.DateOnly, text, time.Local)
	switch {
	case err != nil:
		return at, "Date has wrong format. Use one of these formats instead: YYYY-MM-DD"
	case at.After(time.Now()):
		return at, "This day is in the future."
	}
	return at, ""
}

// DeleteDatabase implements the RPC.
func (a *Admin) DeleteDatabase(ctx context.Context, req *dbaasv1.DeleteDatabaseRequest) (*dbaasv1.DeleteDatabaseResponse, error) {
	row, err := a.Store.Database.Get(ctx, int(req.GetId()))
	if ent.IsNotFound(err) {
		return nil, missing()
	}
	if err != nil {
		return nil, err
	}
	if err := a.allowDatabase(ctx, row); err != nil {
		return nil, err
	}
	switch row.State {
	case stateCreating:
		err = a.giveUp(ctx, row)
	case stateAlive:
		err = a.quarantine(ctx, row.ID, time.Now())
	case stateQuarantined:
		err = a.drop(ctx, row.ID)
	}
	if err != nil {
		return nil, err
	}
	return &dbaasv1.DeleteDatabaseResponse{}, nil
}

// RestoreDatabase implements the RPC.
func (a *Admin) RestoreDatabase(ctx context.Context, req *dbaasv1.RestoreDatabaseRequest) (*dbaasv1.Database, error) {
	row, err := a.databaseFor(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	if row.State != stateQuarantined {
		return nil, refuse("The database is not in quarantine.")
	}
	if err := a.restore(ctx, row.ID); err != nil {
		return nil, err
	}
	if row, err = a.loadDatabase(ctx, row.ID); err != nil {
		return nil, err
	}
	return databaseToProto(linksOf(ctx), row), nil
}

// giveUp undoes the making of a database that waits for its server.
func (a *Admin) giveUp(ctx context.Context, row *ent.Database) error {
	if err := a.ops.GiveUp(ctx, row.OperationID); err != nil {
		return locked(row)
	}
	return a.afterwards(ctx, row.OperationID, true)
}

// afterwards waits for an operation that nothing depends on any more: when the
// server cannot be reached it goes on by itself.
func (a *Admin) afterwards(ctx context.Context, id int, undone bool) error {
	err := a.await(ctx, id)
	reason := errs.Convert(err).Reason
	if err != nil && (undone || reason == errs.Unavailable || reason == errs.BackendFailed) {
		return nil
	}
	return err
}

// quarantine gives every login of a database a password that nobody knows.
func (a *Admin) quarantine(ctx context.Context, id int, at time.Time) error {
	return a.lockAnd(ctx, id, kindQuarantine, true, func(ctx context.Context, tx *store.Tx, row *ent.Database) (map[string]any, error) {
		if row.State != stateAlive {
			return nil, refuse("The database is in quarantine already.")
		}
		creds, err := tx.Credential.Query().Where(credential.DatabaseID(id)).All(ctx)
		if err != nil {
			return nil, err
		}
		var sealed [][]byte
		for _, c := range creds {
			fresh := a.Keys.Seal([]byte(newPassword()), keys.CredentialPlace(c.ID))
			sealed = append(sealed, fresh)
			if err := tx.Credential.Update().Where(credential.ID(c.ID)).SetSealed(fresh).ClearPending().AddVersion(1).Exec(ctx); err != nil {
				return nil, err
			}
		}
		next, err := tx.Database.UpdateOneID(id).SetState(stateQuarantined).SetQuarantinedAt(at.UnixMicro()).
			SetQuarantinedBy(store.ActorFrom(ctx).Name).Save(ctx)
		if err != nil {
			return nil, err
		}
		tx.Audit(auditOfDatabase("QuarantineDatabase", next, databaseFields(row), databaseFields(next)))
		return nil, a.Keys.Guard(ctx, tx, sealed...)
	})
}

// restore takes a database out of quarantine; its passwords stay.
func (a *Admin) restore(ctx context.Context, id int) error {
	return a.Store.Change(ctx, func(tx *store.Tx) error {
		row, err := tx.Database.Get(ctx, id)
		if err != nil {
			return err
		}
		if row.OperationID != 0 || row.State != stateQuarantined {
			return locked(row)
		}
		next, err := tx.Database.UpdateOneID(id).SetState(stateAlive).SetQuarantinedAt(0).SetQuarantinedBy("").Save(ctx)
		if err != nil {
			return err
		}
		tx.Audit(auditOfDatabase("RestoreDatabase", next, databaseFields(row), databaseFields(next)))
		return nil
	})
}

// drop removes a database for good.
func (a *Admin) drop(ctx context.Context, id int) error {
	return a.lockAnd(ctx, id, kindDrop, true, a.toDrop(func(row *ent.Database) error {
		if row.State != stateQuarantined {
			return refuse("The database is not in quarantine.")
		}
		return nil
	}))
}

// toDrop changes a database to one that is being removed, if check lets it.
func (a *Admin) toDrop(check func(*ent.Database) error) change {
	return func(ctx context.Context, tx *store.Tx, row *ent.Database) (map[string]any, error) {
		if err := check(row); err != nil {
			return nil, err
		}
		if err := unread(ctx, tx, kindClone, "source", row.ID); err != nil {
			return nil, err
		}
		next, err := tx.Database.UpdateOneID(row.ID).SetState(stateDropping).Save(ctx)
		if err != nil {
			return nil, err
		}
		tx.Audit(auditOfDatabase("DropDatabase", next, databaseFields(row), databaseFields(next)))
		return nil, nil
	}
}

// change is what is written of a database when an operation on it begins. It
// returns what the operation needs to know.
type change func(ctx context.Context, tx *store.Tx, row *ent.Database) (map[string]any, error)

// lockAnd changes a database that no operation works on, begins an operation
// on it in the same transaction, and waits for that. later lets the call end
// well while the server cannot be reached.
func (a *Admin) lockAnd(ctx context.Context, id int, kind string, later bool, fn change) error {
	op, err := a.begin(ctx, id, kind, fn)
	if err != nil {
		return err
	}
	if later {
		return a.afterwards(ctx, op.ID, false)
	}
	return a.await(ctx, op.ID)
}

// begin is lockAnd without the waiting. begun, if any, is run in the transaction
// too, with the operation.
func (a *Admin) begin(ctx context.Context, id int, kind string, fn change, begun ...func(*store.Tx, *ent.Operation) error) (*ent.Operation, error) {
	op, err := a.tryBegin(ctx, id, kind, fn, begun)
	if errors.Is(err, keys.ErrRetired) {
		op, err = a.tryBegin(ctx, id, kind, fn, begun) // which seals anew
	}
	if err != nil {
		return nil, err
	}
	a.ops.Go(op)
	return op, nil
}

func (a *Admin) tryBegin(ctx context.Context, id int, kind string, fn change, begun []func(*store.Tx, *ent.Operation) error) (op *ent.Operation, err error) {
	defer a.Keys.Writing()()
	err = a.ops.Change(ctx, kind, func(tx *store.Tx) error {
		if err := tx.TakeTurn(ctx); err != nil {
			return err
		}
		row, err := tx.Database.Query().Where(database.ID(id)).WithEnvironment().WithPlan(func(q *ent.PlanQuery) { q.WithEngine() }).Only(ctx)
		if ent.IsNotFound(err) {
			return missing()
		}
		if err != nil {
			return err
		}
		if row.OperationID != 0 {
			return locked(row)
		}
		data, err := fn(ctx, tx, row)
		if err != nil {
			return err
		}
		if op, err = a.ops.Begin(ctx, tx, kind, a.subject(row, row.Edges.Environment, row.Edges.Plan), data); err != nil {
			return err
		}
		for _, and := range begun {
			if err := and(tx, op); err != nil {
				return err
			}
		}
		return tx.Database.Update().Where(database.ID(id)).SetOperationID(op.ID).Exec(ctx)
	})
	return op, err
}

// quarantineDatabase is the operation that brings the new passwords to the
// engine and ends what is open.
func (a *Admin) quarantineDatabase() operation.Kind {
	return operation.Kind{Name: kindQuarantine, Relevance: "CRITICAL", Steps: []operation.Step{
		{Name: "change the passwords", Do: a.putLogins(true), Record: a.loginsPut, Joined: true},
		{Name: "bring the catalogue up to date", Do: a.reregister, Record: a.unlock},
	}}
}

// putLogins brings every login of a database to what the store says, and cuts
// its sessions.
func (a *Admin) putLogins(cut bool) func(context.Context, *operation.Work) error {
	return func(ctx context.Context, w *operation.Work) error {
		creds, err := a.Store.Credential.Query().Where(credential.DatabaseID(w.Subject.ID)).All(ctx)
		if err != nil {
			return err
		}
		return a.withDatabase(ctx, w, func(row *ent.Database, _ backend, s connectors.DatabaseServer) error {
			failed := a.putEach(ctx, s, row, creds, cut)
			if failed == nil || connectors.MayPass(failed) {
				return failed
			}
			if has, err := s.HasDatabase(ctx, row.Name); err != nil || has {
				return failed
			}
			return a.dropLogins(ctx, w) // it was dropped by hand: there is nothing to log in to
		})
	}
}

// putEach puts logins into the engine. Of those before the last rotation
// nobody knows the password any more, and so they end.
func (a *Admin) putEach(ctx context.Context, s connectors.DatabaseServer, row *ent.Database, creds []*ent.Credential, cut bool) error {
	for _, c := range creds {
		l, err := a.loginOf(row, c)
		if err != nil {
			return err
		}
		if err := s.PutLogin(ctx, l); err != nil {
			return err
		}
		if cut {
			if err := s.CutSessions(ctx, row.Name, c.User); err != nil {
				return err
			}
		}
		for _, name := range []string{c.FormerUser, c.PendingUser} {
			if name == "" || name == c.User {
				continue
			}
			if err := s.DropLogin(ctx, row.Name, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// loginsPut records that former logins are gone.
func (a *Admin) loginsPut(ctx context.Context, tx *store.Tx, w *operation.Work) error {
	return tx.Credential.Update().Where(credential.DatabaseID(w.Subject.ID)).
		SetReady(true).SetFormerUser("").SetFormerUntil(0).SetPendingUser("").ClearPending().Exec(ctx)
}

// unlock ends the work on a database.
func (a *Admin) unlock(ctx context.Context, tx *store.Tx, w *operation.Work) error {
	return tx.Database.Update().Where(database.ID(w.Subject.ID), database.OperationID(w.ID)).SetOperationID(0).Exec(ctx)
}

// dropDatabase is the operation that removes a database for good.
func (a *Admin) dropDatabase() operation.Kind {
	return operation.Kind{Name: kindDrop, Relevance: "CRITICAL", Steps: []operation.Step{
		{Name: "drop the logins", Do: a.dropLogins, Joined: true},
		{Name: "drop the database", Do: a.engineDrop, Joined: true},
		{Name: "unregister", Do: a.unregister, Joined: true},
		{Name: "forget", Record: func(ctx context.Context, tx *store.Tx, w *operation.Work) error {
			_, err := tx.Database.Delete().Where(database.ID(w.Subject.ID)).Exec(ctx)
			return err
		}},
	}}
}
