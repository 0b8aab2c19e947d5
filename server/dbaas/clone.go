package dbaas

import (
	"context"
	"io"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/ent/plan"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

// CloneDatabase implements the RPC. It does not wait for the work.
func (a *Admin) CloneDatabase(ctx context.Context, req *dbaasv1.CloneDatabaseRequest) (*dbaasv1.Database, error) {
	source, err := a.databaseFor(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	p, err := a.Store.Plan.Query().Where(plan.ID(source.PlanID)).WithEngine().Only(ctx)
	if err != nil {
		return nil, err
	}
	w, err := a.wantCopy(ctx, req, origin{p.Edges.Engine.EngineType, source.PlanID, source.EnvironmentID, source.Project, source.ProjectNamed})
	if err != nil {
		return nil, err
	}
	w.kind, w.data = kindClone, map[string]any{"source": source.ID}
	w.guard = func(ctx context.Context, tx *store.Tx) error {
		row, err := tx.Database.Query().Where(database.ID(source.ID)).Only(ctx)
		switch {
		case ent.IsNotFound(err):
			return missing()
		case err != nil:
			return err
		case row.State == stateCreating, row.State == stateDropping:
			return locked(row)
		}
		tx.Audit(auditOfDatabase("CloneDatabase", row, nil, map[string]string{"into": jsonOf(w.name)}))
		return nil
	}
	row, err := a.make(ctx, *w)
	if err != nil {
		return nil, err
	}
	return a.answerCreated(ctx, row.ID)
}

// cloneDatabase is the operation that makes a database with the content of
// another one. That stays in use, but is not dropped meanwhile: see unread.
func (a *Admin) cloneDatabase() operation.Kind {
	return operation.Kind{Name: kindClone, Undo: true, Ended: a.forgetDatabase, Relevance: "CRITICAL", Steps: a.filling(a.pipe)}
}

// pipe dumps one database straight into another one.
func (a *Admin) pipe(ctx context.Context, w *operation.Work) error {
	done, err := a.takeCopy()
	if err != nil {
		return err
	}
	defer done()
	source, err := a.loadDatabase(ctx, w.Int("source"))
	if err != nil {
		return err
	}
	return a.onServer(ctx, source.ServiceID, func(_ backend, from connectors.DatabaseServer) error {
		total, exists, err := from.Size(ctx, source.Name)
		if err != nil {
			return err
		}
		if !exists {
			return connectors.Missing(connectors.DatabaseMissing, "Database", source.Name, nil)
		}
		return a.withDatabase(ctx, w, func(db *ent.Database, _ backend, to connectors.DatabaseServer) error {
			return pour(ctx, from, source.Name, to, db.Name, func(n int64) { w.Progress(n, max(n, total)) })
		})
	})
}

// pour copies the content of one database into another one. When the dump
// breaks off, the load does, too.
func pour(ctx context.Context, from connectors.DatabaseServer, source string, to connectors.DatabaseServer, target string, progress func(int64)) error {
	ctx, watch := watching(ctx, stallAfter)
	defer watch.end()
	r, w := io.Pipe()
	defer context.AfterFunc(ctx, func() { r.CloseWithError(ctx.Err()) })() //nolint:errcheck // returns nil
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		w.CloseWithError(from.Dump(ctx, source, w)) //nolint:errcheck // returns nil
	}()
	err := load(ctx, to, target, &inflow{watch: watch, r: &counted{r: r, progress: progress}})
	// A dump that nobody reads any more ends.
	r.CloseWithError(err) //nolint:errcheck // returns nil
	<-ended
	return err
}

// counted tells how much was read.
type counted struct {
	r        io.Reader
	n        int64
	progress func(int64)
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.progress(c.n)
	return n, err
}
