package dbaas

import (
	"context"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

const (
	kindFreeze = "freeze_database"
	kindThaw   = "thaw_database"
)

// toFreeze begins to make the logins of a database read-only, or to give them
// back what they may do.
func (a *Admin) toFreeze(frozen bool) change {
	return func(_ context.Context, tx *store.Tx, row *ent.Database) (map[string]any, error) {
		if row.State != stateAlive || row.ReadOnly == frozen {
			return nil, errNotDue
		}
		next := *row
		next.ReadOnly = frozen
		action := "ThawDatabase"
		if frozen {
			action = "FreezeDatabase"
		}
		tx.Audit(auditOfDatabase(action, row, databaseFields(row), databaseFields(&next)))
		return nil, nil
	}
}

// freezeDatabase is the operation that takes the right to write away from the
// logins of a database that is over its size.
func (a *Admin) freezeDatabase() operation.Kind { return a.freezing(kindFreeze, true) }

// thawDatabase is the operation that gives it back.
func (a *Admin) thawDatabase() operation.Kind { return a.freezing(kindThaw, false) }

func (a *Admin) freezing(kind string, frozen bool) operation.Kind {
	return operation.Kind{
		Name: kind, Undo: true,
		Ended: func(ctx context.Context, tx *store.Tx, w *operation.Work, _ error) error { return a.unlock(ctx, tx, w) },
		Steps: []operation.Step{{
			Name: "change the rights of the logins", Do: a.putFrozen(frozen), Undo: a.putFrozen(!frozen),
			Record: func(ctx context.Context, tx *store.Tx, w *operation.Work) error {
				if err := a.loginsPut(ctx, tx, w); err != nil {
					return err
				}
				if err := tx.Database.Update().Where(database.ID(w.Subject.ID)).SetReadOnly(frozen).Exec(ctx); err != nil {
					return err
				}
				return a.unlock(ctx, tx, w)
			},
		}},
	}
}

// putFrozen gives every login of a database its rights, without that to write
// when it is frozen. Open sessions end then: what they may do is decided at
// the login.
func (a *Admin) putFrozen(frozen bool) func(context.Context, *operation.Work) error {
	return func(ctx context.Context, w *operation.Work) error {
		creds, err := a.Store.Credential.Query().Where(credential.DatabaseID(w.Subject.ID)).All(ctx)
		if err != nil {
			return err
		}
		return a.withDatabase(ctx, w, func(row *ent.Database, _ backend, s connectors.DatabaseServer) error {
			row.ReadOnly = frozen
			return a.putEach(ctx, s, row, creds, frozen)
		})
	}
}
