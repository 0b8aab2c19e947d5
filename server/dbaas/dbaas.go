// Package dbaas is the DatabaseAdmin and the CredentialAdmin: the RPC methods,
// straight on the store, and the operations that make and remove databases and
// logins on the servers of the catalogue.
//
// A method that concerns an engine writes what shall be to the store, together
// with an operation, and waits for the operation (see server/operation).
package dbaas

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/telemetry"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

// Catalog is what is needed of the catalogue.
type Catalog interface {
	// Backend is how to reach a service: its connector and its configuration,
	// with secrets.
	Backend(ctx context.Context, id uuid.UUID) (*ent.Service, connectors.Connector, connectors.Config, error)
	CreateService(context.Context, *catalogv1.CreateServiceRequest) (*catalogv1.CreateServiceResponse, error)
	UpdateService(context.Context, *catalogv1.UpdateServiceRequest) (*catalogv1.UpdateServiceResponse, error)
	DeleteService(context.Context, *catalogv1.DeleteServiceRequest) (*catalogv1.DeleteServiceResponse, error)
}

// Projects is what is needed of the identities: projects are theirs.
type Projects interface {
	CreateProject(context.Context, *identityv1.CreateProjectRequest) (*identityv1.CreateProjectResponse, error)
	DescribeProject(ctx context.Context, name, description string) error
	DeleteProject(context.Context, *identityv1.DeleteProjectRequest) (*identityv1.DeleteProjectResponse, error)
}

// Options are what an Admin needs.
type Options struct {
	Store    *store.Store
	Registry *connectors.Registry
	Env      connectors.Env
	Keys     *keys.Keys
	Catalog  Catalog
	Projects Projects
	Metrics  *telemetry.Metrics
	Log      *slog.Logger
	// DataDir is where snapshots are kept that no minio service takes.
	DataDir string
	// Retention is how long a database stays in quarantine before it is
	// dropped.
	Retention time.Duration
	// OwnDatabase and OwnUser are those of the store of this program, wherever
	// that is. Empty when it is a file.
	OwnDatabase, OwnUser string
	// Ending is closed when watches must end, so that a server can drain.
	Ending <-chan struct{}

	intervals intervals // that tests shorten
}

// Admin implements the DatabaseAdmin and CredentialAdmin RPCs.
type Admin struct {
	dbaasv1.UnimplementedDatabaseAdminServer
	dbaasv1.UnimplementedCredentialAdminServer
	Options
	engines map[string]connectors.Provisioner // by engine type
	servers *serverPool
	ops     *operation.Runner
	moved   *moves
	copies  chan struct{} // one place for each copy of a database under way
	// measureNow asks for the sizes of all databases before it is time.
	measureNow chan struct{}
}

// New makes an Admin. It starts nothing; see Run.
func New(o Options) *Admin {
	a := &Admin{Options: o, engines: map[string]connectors.Provisioner{}, moved: newMoves(), copies: make(chan struct{}, copiesAtOnce), measureNow: make(chan struct{}, 1)}
	for _, name := range o.Registry.Types() {
		conn, _ := o.Registry.Lookup(name)
		if p, ok := conn.(connectors.Provisioner); ok {
			a.engines[p.Rules().EngineType] = p
		}
	}
	a.servers = newServerPool(o.Env)
	a.ops = operation.New(operation.Options{Store: o.Store, Log: o.Log, Kinds: a.kinds(), Moved: a.moved.tell})
	return a
}

// kinds are all kinds of operations.
func (a *Admin) kinds() []operation.Kind {
	return []operation.Kind{
		a.createDatabase(), a.quarantineDatabase(), a.dropDatabase(), a.freezeDatabase(), a.thawDatabase(),
		a.createCredential(), a.deleteCredential(), a.resetPassword(), a.rotateCredential(), a.dropFormerLogin(),
		a.snapshotDatabase(), a.deleteSnapshot(), a.restoreSnapshot(), a.cloneDatabase(),
		a.repairDatabase(), a.dropUnknown(),
	}
}

// Run does operations and what is due by itself until ctx ends.
func (a *Admin) Run(ctx context.Context) {
	if err := a.sweep(ctx); err != nil && ctx.Err() == nil {
		a.Log.ErrorContext(ctx, "look for files of no snapshot", "error", err)
	}
	var all sync.WaitGroup
	all.Go(func() { a.ops.Run(ctx) })
	all.Go(func() { a.servers.closeIdle(ctx) })
	all.Go(func() { a.background(ctx) })
	all.Wait()
	a.servers.close()
}
