package dbaas

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/backup"
	entoperation "github.com/backplane/backplane/ent/operation"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/internal/secret"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

// The kinds of operations on the content of databases.
const (
	kindSnapshot       = "snapshot_database"
	kindDeleteSnapshot = "delete_snapshot"
	kindRestore        = "restore_snapshot"
	kindClone          = "clone_database"
)

const (
	// copyTimeout bounds one try to copy a database, however big.
	copyTimeout = 24 * time.Hour
	// removeTimeout bounds the removal of a snapshot.
	removeTimeout = time.Minute
	// copiesAtOnce bounds the copies under way in one process, so that the
	// other operations have room.
	copiesAtOnce = 8
)

// zipped ends the formats of snapshots that are compressed, because what the
// engine writes is not.
const zipped = "+gzip"

// formatOf is how a snapshot of an engine is written.
func formatOf(rules connectors.EngineRules) string {
	if strings.Contains(rules.Format, "pg_dump-custom") {
		return rules.Format // compressed already
	}
	return rules.Format + zipped
}

func auditOfSnapshot(action string, row *ent.Backup, before, after map[string]string) store.Audit {
	return store.Audit{
		Action: action, Kind: "snapshot", ID: fmt.Sprint(row.ID), Name: row.DatabaseName, Project: row.Project,
		Changes: store.Changes(before, after),
	}
}

// snapshotFields are what the audit trail compares of a snapshot.
func snapshotFields(row *ent.Backup) map[string]string {
	out := map[string]string{"database": jsonOf(row.DatabaseID)}
	if row.StoreServiceID != nil {
		out["service"] = jsonOf(row.StoreServiceID.String())
	}
	return out
}

// unread fails while an operation of a kind reads what it names under key.
func unread(ctx context.Context, tx *store.Tx, kind, key string, id int) error {
	rows, err := tx.Operation.Query().Where(entoperation.Kind(kind), entoperation.Finished(false)).All(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if (&operation.Work{Data: row.Data}).Int(key) == id {
			return errs.New(errs.InUse, "The task %s reads this; try again when it has ended", path(tasks, row.ID))
		}
	}
	return nil
}

// snapshotDatabase is the operation that makes a snapshot.
func (a *Admin) snapshotDatabase() operation.Kind {
	return operation.Kind{Name: kindSnapshot, Undo: true, Ended: a.snapshotFailed, Steps: []operation.Step{
		{Name: "begin", Record: func(ctx context.Context, tx *store.Tx, w *operation.Work) error {
			return tx.Backup.UpdateOneID(w.Int("backup")).SetStatus(operation.Running).SetOperationID(w.ID).Exec(ctx)
		}},
		{Name: "write", Do: a.writeSnapshot, Undo: a.removeSnapshot, Timeout: copyTimeout},
		{Name: "record", Record: a.snapshotDone},
	}}
}

// snapshotDone records what was written, and lets go of the database.
func (a *Admin) snapshotDone(ctx context.Context, tx *store.Tx, w *operation.Work) error {
	err := tx.Backup.UpdateOneID(w.Int("backup")).SetStatus(operation.Success).SetFormat(w.String("format")).
		SetSize(int64(w.Int("size"))).SetSha256(w.String("sha256")).SetEndAt(time.Now().UnixMicro()).Exec(ctx)
	if err != nil {
		return err
	}
	return a.unlock(ctx, tx, w)
}

// snapshotFailed keeps the record of a snapshot that could not be made.
func (a *Admin) snapshotFailed(ctx context.Context, tx *store.Tx, w *operation.Work, _ error) error {
	err := tx.Backup.Update().Where(backup.ID(w.Int("backup"))).
		SetStatus(operation.Failed).SetOperationID(w.ID).SetEndAt(time.Now().UnixMicro()).Exec(ctx)
	if err != nil {
		return err
	}
	return a.unlock(ctx, tx, w)
}

// writeSnapshot copies the content of a database into its snapshot.
func (a *Admin) writeSnapshot(ctx context.Context, w *operation.Work) error {
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
	defer v.Close() //nolint:errcheck // what was written is known
	return a.withDatabase(ctx, w, func(db *ent.Database, b backend, s connectors.DatabaseServer) error {
		total, exists, err := s.Size(ctx, db.Name)
		if err != nil {
			return err
		}
		if !exists {
			return connectors.Missing(connectors.DatabaseMissing, "Database", db.Name, nil)
		}
		ctx, watch := watching(ctx, stallAfter)
		defer watch.end()
		m := &making{format: formatOf(b.engine.Rules()), key: key, place: keys.SnapshotPlace(row.ID), total: total, watch: watch, progress: w.Progress}
		err = m.into(ctx, v, row.Location, func(out io.Writer) error { return s.Dump(ctx, db.Name, out) })
		if err != nil {
			return because(ctx, err)
		}
		w.Data["size"], w.Data["sha256"], w.Data["format"] = m.stored.n, m.stored.hex(), m.format
		return nil
	})
}

// takeCopy takes one of the places for copies of databases.
func (a *Admin) takeCopy() (done func(), err error) {
	select {
	case a.copies <- struct{}{}:
		return func() { <-a.copies }, nil
	default:
		return nil, errs.New(errs.Unavailable, "Other databases are being copied; this one waits for its turn")
	}
}

// making is a snapshot on its way from an engine to where it is kept:
// compressed when the format says so, sealed, counted.
type making struct {
	format   string
	key      []byte
	place    string
	total    int64 // size of the database, about
	watch    *watch
	progress func(done, total int64)

	stored meter
}

// into writes what dump gives, all of it or nothing.
func (m *making) into(ctx context.Context, v connectors.Bucket, location string, dump func(io.Writer) error) error {
	r, w := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.CloseWithError(m.write(w, dump)) //nolint:errcheck // returns nil
	}()
	err := v.Put(ctx, location, r, m.total)
	// Whoever still writes is told that nobody reads.
	r.CloseWithError(err) //nolint:errcheck // returns nil
	<-ended
	return err
}

func (m *making) write(out io.Writer, dump func(io.Writer) error) error {
	m.stored = meter{w: out, hash: newHash()}
	sealed, err := secret.NewStreamWriter(&m.stored, m.key, m.place)
	if err != nil {
		return err
	}
	var plain io.Writer = sealed
	var zip *gzip.Writer
	if strings.HasSuffix(m.format, zipped) {
		if zip, err = gzip.NewWriterLevel(sealed, gzip.BestSpeed); err != nil {
			return err
		}
		plain = zip
	}
	if err := dump(&outflow{w: plain, m: m}); err != nil {
		// A program that was cut off may still be writing: nothing is closed.
		return err
	}
	if zip != nil {
		if err := zip.Close(); err != nil {
			return err
		}
	}
	return sealed.Close()
}

// outflow is what a dump writes to.
type outflow struct {
	w io.Writer
	m *making
	n int64
}

func (o *outflow) Write(p []byte) (int, error) {
	o.m.watch.moved()
	n, err := o.w.Write(p)
	o.m.watch.moved()
	o.n += int64(n)
	o.m.progress(o.n, max(o.n, o.m.total))
	return n, err
}

// removeSnapshot takes away what was written of a snapshot that cannot be made.
// When the store refuses that, as it may have refused the snapshot, the
// database is not kept locked until somebody talks it round.
func (a *Admin) removeSnapshot(ctx context.Context, w *operation.Work) error {
	err := a.removeStored(ctx, w.Int("backup"))
	var refused *connectors.Failure
	if errors.As(err, &refused) && !connectors.MayPass(err) {
		a.Log.WarnContext(ctx, "what was written of a snapshot may be left", "task", w.ID, "error", err)
		return nil
	}
	return err
}

func (a *Admin) removeStored(ctx context.Context, id int) error {
	ctx, cancel := context.WithTimeout(ctx, removeTimeout)
	defer cancel()
	row, err := a.Store.Backup.Get(ctx, id)
	if err != nil {
		return err
	}
	v, err := a.vaultOf(ctx, row)
	if err != nil {
		return err
	}
	defer v.Close() //nolint:errcheck // nothing was written
	return v.Remove(ctx, row.Location)
}

// deleteSnapshot is the operation that removes a snapshot.
func (a *Admin) deleteSnapshot() operation.Kind {
	return operation.Kind{Name: kindDeleteSnapshot, Steps: []operation.Step{
		{Name: "remove", Timeout: 2 * removeTimeout, Do: func(ctx context.Context, w *operation.Work) error { return a.removeStored(ctx, w.Subject.ID) }},
		{Name: "forget", Record: func(ctx context.Context, tx *store.Tx, w *operation.Work) error {
			_, err := tx.Backup.Delete().Where(backup.ID(w.Subject.ID)).Exec(ctx)
			return err
		}},
	}}
}
