package dbaas

import (
	"context"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

const kindDeleteCredential = "delete_credential"

// DeleteCredential implements the RPC.
func (a *Admin) DeleteCredential(ctx context.Context, req *dbaasv1.DeleteCredentialRequest) (*dbaasv1.DeleteCredentialResponse, error) {
	cred, err := a.credentialFor(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	db := cred.Edges.Database
	beingMade, err := a.beingMade(ctx, db, cred)
	switch {
	case err != nil:
		return nil, err
	case beingMade:
		err = a.giveUp(ctx, db)
	default:
		err = a.lockAnd(ctx, db.ID, kindDeleteCredential, false, a.toDelete("DeleteCredential", cred.ID, func(*ent.Credential) error { return nil }))
	}
	if err != nil {
		return nil, err
	}
	return &dbaasv1.DeleteCredentialResponse{}, nil
}

// beingMade reports whether the operation on a database makes a credential.
func (a *Admin) beingMade(ctx context.Context, db *ent.Database, cred *ent.Credential) (bool, error) {
	if cred.Ready || db.OperationID == 0 {
		return false, nil
	}
	op, err := a.Store.Operation.Get(ctx, db.OperationID)
	if err != nil {
		return false, err
	}
	w := operation.Work{Data: op.Data}
	return op.Kind == kindCreateCredential && w.Int("credential") == cred.ID, nil
}

// toDelete begins the removal of a credential, if check lets it.
func (a *Admin) toDelete(action string, id int, check func(*ent.Credential) error) change {
	return func(ctx context.Context, tx *store.Tx, row *ent.Database) (map[string]any, error) {
		cred, err := credentialIn(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if err := check(cred); err != nil {
			return nil, err
		}
		tx.Audit(auditOfCredential(action, row, cred, credentialFields(cred), nil))
		return map[string]any{"credential": id}, nil
	}
}

// deleteCredential is the operation that removes a credential: the login
// first, then the row. When the server refuses, both stay.
func (a *Admin) deleteCredential() operation.Kind {
	return operation.Kind{
		Name: kindDeleteCredential, Undo: true, Ended: a.keepCredential,
		Steps: []operation.Step{
			{Name: "drop the logins", Do: a.dropCredentialLogins, Undo: a.putBack, Record: func(ctx context.Context, tx *store.Tx, w *operation.Work) error {
				_, err := tx.Credential.Delete().Where(credential.ID(w.Int("credential"))).Exec(ctx)
				return err
			}},
			{Name: "bring the catalogue up to date", Do: a.reregister, Record: a.unlock},
		},
	}
}

// putBack makes a login again that could not be removed in full. One from
// before the last rotation is gone, or is dropped when its time has come.
func (a *Admin) putBack(ctx context.Context, w *operation.Work) error {
	err := a.withCredential(ctx, w, func(row *ent.Database, cred *ent.Credential, _ backend, s connectors.DatabaseServer) error {
		l, err := a.loginOf(row, cred)
		if err != nil {
			return err
		}
		return s.PutLogin(ctx, l)
	})
	if ent.IsNotFound(err) {
		return nil // it was removed; what failed came later
	}
	return err
}

// keepCredential ends the removal of a credential that has failed.
func (a *Admin) keepCredential(ctx context.Context, tx *store.Tx, w *operation.Work, _ error) error {
	cred, err := tx.Credential.Query().Where(credential.ID(w.Int("credential"))).WithDatabase().Only(ctx)
	if err == nil {
		tx.Audit(auditOfCredential("UndoDeleteCredential", cred.Edges.Database, cred, nil, credentialFields(cred)))
	} else if !ent.IsNotFound(err) {
		return err
	}
	return a.unlock(ctx, tx, w)
}
