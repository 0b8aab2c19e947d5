// Package catalog is the ServiceCatalog: the RPC methods, straight on the
// store, and the monitor that checks the catalogued services.
package catalog

import (
	"context"
	"log/slog"
	"sync"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/predicate"
	"github.com/backplane/backplane/ent/service"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/internal/telemetry"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/store"
)

// Options are what a Catalog needs.
type Options struct {
	Store    *store.Store
	Registry *connectors.Registry
	Env      connectors.Env
	Keys     *keys.Keys
	Metrics  *telemetry.Metrics
	Log      *slog.Logger
	Version  string // of the program, shown by GetHealth
	// RequireSecretOnRetarget refuses to aim a service elsewhere unless its
	// secrets are sent again.
	RequireSecretOnRetarget bool
}

// Catalog implements the ServiceCatalog RPCs.
type Catalog struct {
	catalogv1.UnimplementedServiceCatalogServer
	Options
	cache  *readCache
	tester *tester
	types  []*catalogv1.ServiceType
	ending chan struct{}
	end    sync.Once
}

// EndWatches ends the watches and long polls that are open, and those to come,
// so that a server can drain.
func (c *Catalog) EndWatches() { c.end.Do(func() { close(c.ending) }) }

// untilEnd is a context that also ends with EndWatches.
func (c *Catalog) untilEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		select {
		case <-c.ending:
			cancel(errs.New(errs.Unavailable, "The server is shutting down; connect again"))
		case <-done:
		}
	}()
	return ctx, sync.OnceFunc(func() { close(done); cancel(nil) })
}

// New makes a Catalog. It starts nothing; see Monitor.
func New(o Options) (*Catalog, error) {
	c := &Catalog{Options: o, cache: newReadCache(o.Store.Exclusive()), tester: newTester(), ending: make(chan struct{})}
	for _, name := range o.Registry.Types() {
		conn, _ := o.Registry.Lookup(name)
		t, err := typeToProto(conn.Spec())
		if err != nil {
			return nil, err
		}
		c.types = append(c.types, t)
	}
	return c, nil
}

func (c *Catalog) connector(serviceType string) (connectors.Connector, error) {
	conn, ok := c.Registry.Lookup(serviceType)
	if !ok {
		return nil, errs.Invalid(errs.Field{Path: "service_type", Message: "must be one of " + c.Registry.TypeList()})
	}
	return conn, nil
}

func missing() error {
	return &errs.Error{Reason: errs.NotFound, Message: "Service not found"}
}

func notFound(err error) error {
	if ent.IsNotFound(err) {
		return missing()
	}
	return err
}

// allow checks the caller's right to the call under way on a service.
func allow(ctx context.Context, row *ent.Service) error {
	return auth.Allow(ctx, row.Project, missing)
}

// visible limits a query to what the caller may do the call under way on.
func visible(ctx context.Context, where []predicate.Service) ([]predicate.Service, error) {
	scope, err := auth.Where(ctx)
	if err == nil && !scope.All {
		where = append(where, service.ProjectIn(scope.Projects...))
	}
	return where, err
}
