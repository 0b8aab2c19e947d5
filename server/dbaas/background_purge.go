package dbaas

import (
	"context"
	"errors"
	"time"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/database"
)

// purge begins to drop the databases that have been in quarantine for the
// retention time. Without one they stay until somebody drops them.
func (a *Admin) purge(ctx context.Context) error {
	if a.Retention <= 0 {
		return nil
	}
	until := time.Now().Add(-a.Retention).UnixMicro()
	ids, err := a.Store.Database.Query().
		Where(database.State(stateQuarantined), database.OperationID(0), database.QuarantinedAtGT(0), database.QuarantinedAtLTE(until)).
		Order(database.ByQuarantinedAt(), database.ByID()).Limit(atOnce).IDs(ctx)
	if err != nil {
		return err
	}
	var failed error
	for _, id := range ids {
		failed = errors.Join(failed, a.beginDue(ctx, id, kindDrop, a.toDrop(func(row *ent.Database) error {
			if row.State != stateQuarantined || row.QuarantinedAt > until {
				return errNotDue // it was restored
			}
			return nil
		})))
	}
	return failed
}
