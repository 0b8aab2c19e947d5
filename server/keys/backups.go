package keys

import (
	"context"
	"strconv"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/backup"
	"github.com/backplane/backplane/server/store"
)

// SnapshotPlace is where the key of a snapshot is kept.
func SnapshotPlace(id int) string { return "snapshot/" + strconv.Itoa(id) }

// backups are the keys of snapshots. Those that are new have none yet.
type backups struct{}

func (backups) Rows(ctx context.Context, c *ent.Client, after string, limit int) ([]Row, error) {
	q := c.Backup.Query().Where(backup.SealedNotNil())
	if after != "" {
		id, err := strconv.Atoi(after)
		if err != nil {
			return nil, err
		}
		q.Where(backup.IDGT(id))
	}
	found, err := q.Order(backup.ByID()).Limit(limit).Select(backup.FieldID, backup.FieldSealed).All(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(found))
	for i, b := range found {
		rows[i] = Row{
			Cursor: strconv.Itoa(b.ID), Values: []Value{{Place: SnapshotPlace(b.ID), Sealed: b.Sealed}},
			Replace: func(ctx context.Context, tx *store.Tx, fresh [][]byte) (bool, error) {
				n, err := tx.Backup.Update().Where(backup.ID(b.ID), backup.Sealed(b.Sealed)).SetSealed(fresh[0]).Save(ctx)
				return n == 1, err
			},
		}
	}
	return rows, nil
}
