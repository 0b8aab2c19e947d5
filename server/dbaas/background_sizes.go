package dbaas

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/server/store"
)

const (
	// serversAtOnce bounds the servers that are measured at the same time.
	serversAtOnce = 4
	// sizesAtOnce is how many databases are measured before that is written.
	sizesAtOnce = 200
	sizeTimeout = 10 * time.Second
)

// measureAll measures every database that no operation works on. What goes
// wrong on one server does not stop the others.
func (a *Admin) measureAll(ctx context.Context) error {
	var hosts []struct {
		ServiceID uuid.UUID `json:"service_id"`
	}
	err := a.Store.Database.Query().Where(database.StateIn(stateAlive, stateQuarantined)).
		Order(database.ByServiceID()).GroupBy(database.FieldServiceID).Scan(ctx, &hosts)
	if err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(serversAtOnce)
	for _, host := range hosts {
		group.Go(func() error {
			err := a.measureServer(ctx, host.ServiceID)
			if err != nil && ctx.Err() == nil {
				a.Log.WarnContext(ctx, "the databases of a server cannot be measured", "service", host.ServiceID, "error", err)
			}
			return nil
		})
	}
	return group.Wait()
}

// measured is a database and what its server says of it.
type measured struct {
	row    *ent.Database
	size   int64
	exists bool
}

func (m measured) oversize() bool {
	return m.exists && m.row.TotalSizeInBytes > 0 && m.size > m.row.TotalSizeInBytes
}

// measureServer measures the databases of one server, over one login.
func (a *Admin) measureServer(ctx context.Context, id uuid.UUID) error {
	for after := 0; ; {
		rows, err := a.Store.Database.Query().
			Where(database.ServiceID(id), database.StateIn(stateAlive, stateQuarantined), database.OperationID(0), database.IDGT(after)).
			Order(database.ByID()).Limit(sizesAtOnce).WithPlan().All(ctx)
		if err != nil || len(rows) == 0 {
			return err
		}
		after = rows[len(rows)-1].ID
		found, err := a.sizes(ctx, id, rows)
		if err := errors.Join(err, a.recordSizes(ctx, found), a.enforce(ctx, found)); err != nil {
			return err
		}
	}
}

// sizes asks a server how big databases are. What it cannot say of one is left
// for the next time; when it cannot be reached, so are the others.
func (a *Admin) sizes(ctx context.Context, id uuid.UUID, rows []*ent.Database) (out []measured, err error) {
	next := 0 // a login that was kept may be found dead on the way
	err = a.onServer(ctx, id, func(_ backend, s connectors.DatabaseServer) error {
		for ; next < len(rows); next++ {
			row := rows[next]
			size, exists, err := sizeOf(ctx, s, row.Name)
			switch {
			case err == nil:
				out = append(out, measured{row, size, exists})
			case connectors.MayPass(err) || ctx.Err() != nil:
				return err
			default:
				a.Log.WarnContext(ctx, "a database cannot be measured", "database", row.ID, "error", err)
			}
		}
		return nil
	})
	return out, err
}

func sizeOf(ctx context.Context, s connectors.DatabaseServer, name string) (int64, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, sizeTimeout)
	defer cancel()
	return s.Size(ctx, name)
}

// recordSizes writes down what was measured of databases that no operation
// has taken meanwhile.
func (a *Admin) recordSizes(ctx context.Context, found []measured) error {
	if len(found) == 0 {
		return nil
	}
	return a.Store.Change(ctx, func(tx *store.Tx) error {
		ids := make([]int, len(found))
		for i, m := range found {
			ids[i] = m.row.ID
			if m.exists != m.row.Missing && m.oversize() == m.row.Oversize && (!m.exists || m.size == m.row.UsedSizeInBytes) {
				continue // as it was
			}
			err := tx.Database.Update().Where(database.ID(m.row.ID), database.OperationID(0)).
				SetUsedSizeInBytes(m.size).SetMissing(!m.exists).SetOversize(m.oversize()).Exec(ctx)
			if err != nil {
				return err
			}
		}
		return tx.Database.Update().Where(database.IDIn(ids...), database.OperationID(0)).SetMeasuredAt(time.Now().UnixMicro()).Exec(ctx)
	})
}

// enforce begins to take the right to write away, or to give it back, where a
// plan wants that and a database has crossed its limit.
func (a *Admin) enforce(ctx context.Context, found []measured) error {
	var failed error
	for _, m := range found {
		frozen := m.oversize() && m.row.Edges.Plan.Enforce
		if !m.exists || m.row.State != stateAlive || frozen == m.row.ReadOnly {
			continue
		}
		kind := kindThaw
		if frozen {
			kind = kindFreeze
		}
		failed = errors.Join(failed, a.beginDue(ctx, m.row.ID, kind, a.toFreeze(frozen)))
	}
	return failed
}
