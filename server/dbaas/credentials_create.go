package dbaas

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/login"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

const kindCreateCredential = "create_credential"

// wantedLogin is a credential that is asked for.
type wantedLogin struct {
	database      *ent.Database
	given, user   string // as it was given, and as engines take it
	privilege     connectors.Privilege
	lease, rotate time.Duration
}

// CreateCredential implements the RPC.
func (a *Admin) CreateCredential(ctx context.Context, req *dbaasv1.CreateCredentialRequest) (*dbaasv1.Credential, error) {
	if _, err := auth.Where(ctx); err != nil {
		return nil, err
	}
	w, err := a.wantedLogin(ctx, req)
	if err != nil {
		return nil, err
	}
	var id int
	err = a.lockAnd(ctx, w.database.ID, kindCreateCredential, false, func(ctx context.Context, tx *store.Tx, row *ent.Database) (map[string]any, error) {
		cred, err := a.insertWanted(ctx, tx, row, w)
		if err != nil {
			return nil, err
		}
		id = cred.ID
		tx.Audit(auditOfCredential("CreateCredential", row, cred, nil, credentialFields(cred)))
		return map[string]any{"credential": id}, a.Keys.Guard(ctx, tx, cred.Sealed)
	})
	if err != nil {
		return nil, err
	}
	out, err := a.answer(ctx, id)
	if err != nil {
		return nil, err
	}
	return out, setLocation(ctx, out.GetLinks().GetSelf())
}

// wantedLogin checks what a request asks for.
func (a *Admin) wantedLogin(ctx context.Context, req *dbaasv1.CreateCredentialRequest) (w wantedLogin, err error) {
	var f faults
	w.given, w.user = req.GetUser(), slug(req.GetUser())
	switch {
	case w.given == "" || w.user == "":
		f.add("user", required)
	case utf8.RuneCountInString(w.given) > maxUser:
		f.add("__all__", w.given+" is too long")
	case len(w.user) > maxUser:
		f.add("__all__", w.user+" is too long")
	}
	id, fault := relation(req.GetDatabase(), databases)
	if fault == "" {
		w.database, err = a.databaseFor(ctx, int64(id))
		switch {
		case err == nil && inQuarantine(w.database):
			fault = quarantineFault
		case err != nil && errs.Convert(err).Reason == errs.NotFound:
			fault = noSuchObject
		case err != nil:
			return w, err
		}
	}
	f.add("database", fault)
	w.privilege = connectors.Privilege(cmp.Or(req.GetRole(), string(connectors.Owner)))
	if !w.privilege.Known() {
		f.add("role", fmt.Sprintf("%q is not a valid choice: one of %q.", req.GetRole(), connectors.Privileges()))
	}
	w.lease = f.span("lease", req.GetLease(), leastLease)
	w.rotate = f.span("rotate_every", req.GetRotateEvery(), leastRotation)
	if len(f) > 0 {
		return w, errs.Invalid(f...)
	}
	return w, nil
}

const quarantineFault = "The database is in quarantine."

func inQuarantine(row *ent.Database) bool {
	return row.State == stateQuarantined || row.State == stateDropping
}

// insertWanted writes a credential that is asked for to the store.
func (a *Admin) insertWanted(ctx context.Context, tx *store.Tx, row *ent.Database, w wantedLogin) (*ent.Credential, error) {
	if inQuarantine(row) {
		return nil, errs.Invalid(errs.Field{Path: "database", Message: quarantineFault})
	}
	rules := a.engines[row.Edges.Plan.Edges.Engine.EngineType].Rules()
	if slices.Contains(rules.ReservedUsers, w.user) {
		return nil, refuse("%s is a reserved user name", w.user)
	}
	taken, err := tx.Credential.Query().Where(credential.DatabaseID(row.ID), credential.Or(
		credential.User(w.user), credential.BaseUser(w.user), credential.OtherUser(w.user))).Exist(ctx)
	if err != nil {
		return nil, err
	}
	if taken {
		field := "__all__"
		if w.given != w.user {
			field = "error"
		}
		return nil, errs.Invalid(errs.Field{Path: field, Message: "Credential with this User name and Database already exists."})
	}
	cred, err := a.insertCredential(ctx, tx, rules, row, w.user, w.privilege)
	if err != nil {
		return nil, err
	}
	u := tx.Credential.UpdateOneID(cred.ID).SetRotateEveryUs(w.rotate.Microseconds())
	if w.lease > 0 {
		u.SetLeaseUs(w.lease.Microseconds()).SetExpiresAt(time.Now().Add(w.lease).UnixMicro())
	}
	return u.Save(ctx)
}

// createCredential is the operation that makes a further login of a database.
func (a *Admin) createCredential() operation.Kind {
	return operation.Kind{
		Name: kindCreateCredential, Undo: true, Ended: a.forgetCredential, AsksFirst: true,
		Steps: []operation.Step{
			{Name: "check that the name is free", Do: a.checkLoginFree},
			{Name: "create the login", Do: a.firstLogin, Undo: a.dropCredentialLogins, Record: a.loginReady},
			{Name: "bring the catalogue up to date", Do: a.reregister, Record: a.unlock},
		},
	}
}

// checkLoginFree makes sure that nobody has made the login by hand: from then
// on, the login is the credential's.
func (a *Admin) checkLoginFree(ctx context.Context, w *operation.Work) error {
	return a.withCredential(ctx, w, func(row *ent.Database, cred *ent.Credential, _ backend, s connectors.DatabaseServer) error {
		exists, err := s.HasLogin(ctx, row.Name, cred.User)
		if err == nil && exists {
			err = fmt.Errorf("on the server the login %s %w", cred.User, connectors.ErrExists)
		}
		return err
	})
}

// withCredential runs fn with the credential of an operation, its database and
// its server.
func (a *Admin) withCredential(ctx context.Context, w *operation.Work, fn func(*ent.Database, *ent.Credential, backend, connectors.DatabaseServer) error) error {
	cred, err := a.Store.Credential.Get(ctx, w.Int("credential"))
	if err != nil {
		return err
	}
	return a.withDatabase(ctx, w, func(row *ent.Database, b backend, s connectors.DatabaseServer) error { return fn(row, cred, b, s) })
}

// dropCredentialLogins removes every login of a credential from its server.
func (a *Admin) dropCredentialLogins(ctx context.Context, w *operation.Work) error {
	return a.dropLoginsOf(ctx, w, login.CredentialID(w.Int("credential")))
}

// forgetCredential ends the making of a credential that has failed.
func (a *Admin) forgetCredential(ctx context.Context, tx *store.Tx, w *operation.Work, _ error) error {
	cred, err := tx.Credential.Query().Where(credential.ID(w.Int("credential"))).WithDatabase().Only(ctx)
	if err != nil {
		return err
	}
	tx.Audit(auditOfCredential("UndoCreateCredential", cred.Edges.Database, cred, credentialFields(cred), nil))
	if err := tx.Credential.DeleteOneID(cred.ID).Exec(ctx); err != nil {
		return err
	}
	return a.unlock(ctx, tx, w)
}
