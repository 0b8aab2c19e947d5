package dbaas

import (
	"cmp"
	"context"
	"errors"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

const kindReset = "reset_password"

// ResetPassword implements the RPC.
func (a *Admin) ResetPassword(ctx context.Context, req *dbaasv1.ResetPasswordRequest) (*dbaasv1.Credential, error) {
	cred, err := a.credentialFor(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	err = a.lockAnd(ctx, cred.DatabaseID, kindReset, false, func(ctx context.Context, tx *store.Tx, row *ent.Database) (map[string]any, error) {
		now, err := credentialIn(ctx, tx, cred.ID)
		if err != nil {
			return nil, err
		}
		return a.prepare(ctx, tx, "ResetPassword", row, now, "")
	})
	if err != nil {
		return nil, err
	}
	return a.answer(ctx, cred.ID)
}

// prepare writes the password, and the login unless it stays, that an
// operation is about to give a credential. Until the engine has them, those in
// force are others.
func (a *Admin) prepare(ctx context.Context, tx *store.Tx, action string, db *ent.Database, cred *ent.Credential, user string) (map[string]any, error) {
	pending := a.Keys.Seal([]byte(newPassword()), keys.CredentialPlace(cred.ID))
	if err := tx.Credential.UpdateOneID(cred.ID).SetPending(pending).SetPendingUser(user).AddVersion(1).Exec(ctx); err != nil {
		return nil, err
	}
	next := *cred
	next.Sealed, next.User = pending, cmp.Or(user, cred.User)
	tx.Audit(auditOfCredential(action, db, cred, credentialFields(cred), credentialFields(&next)))
	return map[string]any{"credential": cred.ID}, a.Keys.Guard(ctx, tx, pending)
}

// errNothingPending means that the store lost what an operation was to set.
var errNothingPending = errors.New("the credential has no pending password")

// pendingLogin is a credential's login as the operation on it shall make it.
func (a *Admin) pendingLogin(db *ent.Database, cred *ent.Credential) (connectors.Login, error) {
	if len(cred.Pending) == 0 {
		return connectors.Login{}, errNothingPending
	}
	next := *cred
	next.Sealed, next.User = cred.Pending, cmp.Or(cred.PendingUser, cred.User)
	return a.loginOf(db, &next)
}

// adopt puts the pending password of a credential in force, with what set
// changes besides. The row is locked, so that what is copied is not sealed
// anew meanwhile.
func adopt(ctx context.Context, tx *store.Tx, w *operation.Work, set func(*ent.Credential, *ent.CredentialUpdateOne)) error {
	cred, err := credentialIn(ctx, tx, w.Int("credential"))
	if err != nil {
		return err
	}
	if len(cred.Pending) == 0 {
		return errNothingPending
	}
	u := tx.Credential.UpdateOneID(cred.ID).SetSealed(cred.Pending).ClearPending().SetPendingUser("").AddVersion(1)
	set(cred, u)
	return u.Exec(ctx)
}

// abandon ends an operation on a credential that has failed: what was in force
// stays so.
func (a *Admin) abandon(ctx context.Context, tx *store.Tx, w *operation.Work, _ error) error {
	err := tx.Credential.Update().Where(credential.ID(w.Int("credential"))).ClearPending().SetPendingUser("").AddVersion(1).Exec(ctx)
	if err != nil {
		return err
	}
	return a.unlock(ctx, tx, w)
}

// resetPassword is the operation that gives a login another password: to the
// engine first, to the store when that has worked. The old password ends at
// once, in open sessions and in the login before the last rotation too.
func (a *Admin) resetPassword() operation.Kind {
	return operation.Kind{
		Name: kindReset, Undo: true, Ended: a.abandon,
		Steps: []operation.Step{
			{Name: "change the password", Do: a.putPassword, Undo: a.putBack, Record: func(ctx context.Context, tx *store.Tx, w *operation.Work) error {
				return adopt(ctx, tx, w, func(_ *ent.Credential, u *ent.CredentialUpdateOne) { u.SetFormerUser("").SetFormerUntil(0) })
			}},
			{Name: "bring the catalogue up to date", Do: a.reregister, Record: a.unlock},
		},
	}
}

func (a *Admin) putPassword(ctx context.Context, w *operation.Work) error {
	return a.withCredential(ctx, w, func(row *ent.Database, cred *ent.Credential, _ backend, s connectors.DatabaseServer) error {
		l, err := a.pendingLogin(row, cred)
		if err != nil {
			return err
		}
		if err := s.PutLogin(ctx, l); err != nil {
			return err
		}
		if err := s.CutSessions(ctx, row.Name, l.User); err != nil {
			return err
		}
		return dropFormer(ctx, s, row, cred)
	})
}

// dropFormer ends the login before the last rotation, if there is one.
func dropFormer(ctx context.Context, s connectors.DatabaseServer, row *ent.Database, cred *ent.Credential) error {
	if cred.FormerUser == "" || cred.FormerUser == cred.User {
		return nil
	}
	return s.DropLogin(ctx, row.Name, cred.FormerUser)
}
