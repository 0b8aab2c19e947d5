// Package registry is the API of the services that describe themselves: they
// are registered, their OpenAPI documents are fetched, and what those expose
// becomes services, routes and plugins of the HTTP gateway, which are entities
// like all others.
//
// A refresh fetches documents outside of any transaction and makes the gateway
// what they say in one. It runs when RefreshServices is called, and by itself:
// at the start, on a timer, and a little after a service has been registered or
// changed. There is one refresh at a time in a process; who asks for one while
// another is under way waits for the next, which all who wait share.
package registry

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/registeredservice"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/gateway"
	"github.com/backplane/backplane/server/gateway/apidoc"
	"github.com/backplane/backplane/server/store"
)

// Generator makes entities of the gateway; *gateway.Gateway does.
type Generator interface {
	Generate(ctx context.Context, g gateway.Generation, also func(ctx context.Context, tx *store.Tx) error) (gateway.Outcome, error)
}

var _ Generator = (*gateway.Gateway)(nil)

// Options are what a Registry needs.
type Options struct {
	Store     *store.Store
	Generator Generator
	Log       *slog.Logger
	// Timeout is how long the fetch of a document may take; 5 seconds if it is 0.
	Timeout time.Duration
	// Every is how often documents are fetched by themselves; 0: only when
	// RefreshServices is called.
	Every time.Duration
	// Settle is how long after a change of a service its document is fetched; 2
	// seconds if it is 0.
	Settle time.Duration
	// Auth is the plugin that protects operations of services that name none;
	// jwt if it is empty.
	Auth string
	// Allow says where services may be.
	Allow Allow
	// Deny are networks that no service may be in, but those that Allow names as
	// closely.
	Deny []netip.Prefix
	// Own are the addresses that this program listens on: no service is there.
	Own func() []netip.AddrPort
	// Enabled is whether services can be managed. What is registered is served
	// all the same.
	Enabled bool
}

// Registry implements the RPCs of the GatewayService that are about registered
// services. See Run.
type Registry struct {
	Options
	rules   rules
	fetcher *fetcher
	parse   func([]byte) (*apidoc.Document, error)
	known   knowledge // of the refresh under way

	// writing is held while rows are read, and the gateway is made what they say,
	// if this did not succeed without.
	writing sync.RWMutex

	mu      sync.Mutex
	flights flights

	base   context.Context // of refreshes
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

// New makes a Registry.
func New(o Options) *Registry {
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Settle <= 0 {
		o.Settle = 2 * time.Second
	}
	if o.Auth == "" {
		o.Auth = auths[0]
	}
	r := &Registry{Options: o, rules: rules{allow: o.Allow, deny: o.Deny, own: o.Own}, parse: apidoc.Parse, known: newKnowledge()}
	r.fetcher = newFetcher(r.rules, o.Timeout)
	r.base, r.cancel = context.WithCancel(context.Background())
	return r
}

// columns are those of a row but its document, which may be long.
func columns() []string {
	var out []string
	for _, c := range registeredservice.Columns {
		if c != registeredservice.FieldDocument {
			out = append(out, c)
		}
	}
	return out
}

func (r *Registry) enabled() error {
	if !r.Enabled {
		return errOff()
	}
	return nil
}

// row is a registered service, with its document.
func (r *Registry) row(ctx context.Context, id int64) (*ent.RegisteredService, error) {
	row, err := r.Store.RegisteredService.Get(ctx, id)
	if ent.IsNotFound(err) {
		return nil, errUnknown(id)
	}
	return row, err
}

// GetRegistration implements the RPC.
func (r *Registry) GetRegistration(ctx context.Context, req *gatewayv1.GetRegistrationRequest) (*gatewayv1.RegistrationDetails, error) {
	if err := r.enabled(); err != nil {
		return nil, err
	}
	row, err := r.row(ctx, req.GetIdService())
	if err != nil {
		return nil, err
	}
	return details(row), nil
}
