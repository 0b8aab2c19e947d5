// Package proxy is the ProxyService: the RPC methods, straight on the store,
// and the configuration of the database proxy that follows from it.
//
// A change is made in one transaction, which reads all objects of the proxy,
// changes some of them, checks the rules between them and hands the outcome to
// the data plane. What the data plane refuses is rolled back. Other processes
// on the store follow its revision.
package proxy

import (
	"context"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/ent"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/lease"
	"github.com/backplane/backplane/server/store"
)

// Catalog is what is needed of the catalogue.
type Catalog interface {
	// Backend is how to reach a service: its connector and its configuration,
	// with secrets.
	Backend(ctx context.Context, id uuid.UUID) (*ent.Service, connectors.Connector, connectors.Config, error)
}

// Users is what is needed of the identities: users are theirs.
type Users interface {
	CreateUser(context.Context, *identityv1.CreateUserRequest) (*identityv1.CreateUserResponse, error)
	UpdateUser(context.Context, *identityv1.UpdateUserRequest) (*identityv1.UpdateUserResponse, error)
	DeleteUser(context.Context, *identityv1.DeleteUserRequest) (*identityv1.DeleteUserResponse, error)
	// EndSignedTokens ends all signed tokens that there are.
	EndSignedTokens(ctx context.Context, action string) error
}

// Options are what a Proxy needs.
type Options struct {
	Store   *store.Store
	Keys    *keys.Keys
	Catalog Catalog
	Users   Users
	Modules dbproxy.Modules
	Log     *slog.Logger
	// Lines is where the lines of the log are kept.
	Lines *Lines
	// Dir is where monitors keep files between starts.
	Dir     string
	Version string
	// Ending is closed when watches must end, so that a server can drain.
	Ending <-chan struct{}
}

// Proxy implements the ProxyService RPCs.
type Proxy struct {
	proxyv1.UnimplementedProxyServiceServer
	Options
	plane   *dbproxy.Proxy
	sql     *sqlConns
	started time.Time

	// mu is held while the configuration changes: by one change at a time, from
	// its beginning to what the data plane makes of it.
	mu      sync.Mutex
	states  map[string][]string    // of servers, as they were applied last
	follows map[uuid.UUID]struct{} // services of the catalogue that servers are given by

	acts atomic.Bool // of all processes on the store, this one's monitors act by themselves
}

// New makes a Proxy that serves nobody yet; see Start. It is to be ended by
// Close.
func New(o Options) (*Proxy, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	sql, err := newSQLConns(idleConnection)
	if err != nil {
		return nil, err
	}
	p := &Proxy{Options: o, sql: sql, started: time.Now(), states: map[string][]string{}, follows: map[uuid.UUID]struct{}{}}
	p.plane = dbproxy.New(dbproxy.Options{
		Modules: o.Modules, Logger: o.Log, Dir: o.Dir, Standby: func() bool { return !p.acts.Load() },
	})
	return p, nil
}

// Plane is the data plane.
func (p *Proxy) Plane() *dbproxy.Proxy { return p.plane }

// Start applies what the store holds. What cannot be applied is left out, and
// told in the log.
func (p *Proxy) Start(ctx context.Context) error { return p.refresh(ctx) }

// actsLease is held by the process whose monitors act by themselves.
const actsLease = "database proxy"

// Run follows the store until ctx ends, and then ends the data plane.
func (p *Proxy) Run(ctx context.Context) {
	var holding sync.WaitGroup
	holding.Go(func() {
		lease.Hold(ctx, p.Store, p.Log, actsLease, func(ctx context.Context) {
			p.acts.Store(true)
			defer p.acts.Store(false)
			<-ctx.Done()
		})
	})
	p.follow(ctx)
	holding.Wait()
	if err := p.Close(); err != nil {
		p.Log.Error("end the database proxy", "error", err)
	}
}

// Close closes the connections for SQL and ends the data plane.
func (p *Proxy) Close() error {
	p.sql.close()
	return p.plane.Close()
}
