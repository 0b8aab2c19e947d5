// Package gateway is the API of the HTTP gateway: the RPC methods, straight on
// the store, and the configuration of the data plane that follows from it.
//
// Entities are documents, which the schemas of dataplane/httpproxy/entity
// complete and check. A change is made in one transaction, which notes which
// objects it concerns; once it is committed the data plane is told of those,
// and other processes on the store read them when they come to its revision.
// So no change reads more than what it concerns.
package gateway

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/ent"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/store"
)

// Catalog is what is needed of the catalogue.
type Catalog interface {
	// Backend is how to reach a service.
	Backend(ctx context.Context, id uuid.UUID) (*ent.Service, connectors.Connector, connectors.Config, error)
}

// Plane is what is needed of the data plane.
type Plane interface {
	Update(httpproxy.Update) error
}

// Options are what a Gateway needs.
type Options struct {
	Store   *store.Store
	Keys    *keys.Keys
	Catalog Catalog
	Modules []httpproxy.PluginModule
	Log     *slog.Logger
	// HashKey is what secrets are hashed under to be found.
	HashKey []byte
	// Pages are served besides those that are stored, while there are any.
	Pages []*entity.Page
}

// Gateway implements the RPCs of the GatewayService, the ConsumerService, the
// NodeService and the DeclarationService.
type Gateway struct {
	gatewayv1.UnimplementedGatewayServiceServer
	gatewayv1.UnimplementedConsumerServiceServer
	gatewayv1.UnimplementedNodeServiceServer
	gatewayv1.UnimplementedDeclarationServiceServer
	Options
	node    uuid.UUID // of this process
	started time.Time
	kinds   map[string]*entity.Collection      // of plugins, by name
	modules map[string]*httpproxy.PluginModule // by name

	// mu is held while the data plane is told of something, from the change of
	// the store on: so it is told in the order of the changes.
	mu    sync.Mutex
	plane Plane
	at    uint64                      // up to which revision the data plane has everything
	own   map[uuid.UUID]struct{}      // changes after that which it was told of when they were made
	hosts map[httpproxy.Key]uuid.UUID // services of the catalogue that services and targets are at
	// generated is what Generate has seen last; the map itself does not change.
	generated map[httpproxy.Key]generated
}

// New makes a Gateway that has told the data plane nothing yet; see Start.
func New(o Options) *Gateway {
	g := &Gateway{
		Options: o, node: uuid.New(), started: time.Now(), kinds: map[string]*entity.Collection{},
		modules: map[string]*httpproxy.PluginModule{}, own: map[uuid.UUID]struct{}{}, hosts: map[httpproxy.Key]uuid.UUID{},
	}
	for i := range o.Modules {
		m := &o.Modules[i]
		g.modules[m.Name] = m
		g.kinds[m.Name] = entity.PluginsOf(m.Config, m.Protocols, m.NoConsumer)
	}
	return g
}

// Node is the ID by which this process is known.
func (g *Gateway) Node() uuid.UUID { return g.node }

// kindOf is the collection of a document that is being written: for plugins,
// that of its name.
func (g *Gateway) kindOf(c *entity.Collection, doc map[string]any) (*entity.Collection, error) {
	if c.Name != plugins {
		return c, nil
	}
	name, ok := doc["name"].(string)
	if !ok {
		return c, nil // whose schema says what is wrong with it
	}
	if of := g.kinds[name]; of != nil {
		return of, nil
	}
	return nil, invalid(entity.NotEnabled(name))
}

// Kind is the collection of the plugins of one kind; nil if there is none of
// that name.
func (g *Gateway) Kind(name string) *entity.Collection { return g.kinds[name] }

// collectionOf is kindOf for a document that is stored.
func (g *Gateway) collectionOf(c *entity.Collection, doc map[string]any) *entity.Collection {
	if of, err := g.kindOf(c, doc); err == nil {
		return of
	}
	return c
}
