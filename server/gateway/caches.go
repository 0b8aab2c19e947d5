package gateway

import (
	"context"

	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/structpb"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
)

// Caches is what a data plane that keeps answers tells of them. The zero id
// stands for any instance of the plugin.
type Caches interface {
	PurgeCaches()
	// CacheEntry is what is kept under a key.
	CacheEntry(plugin uuid.UUID, key string) (map[string]any, bool)
	// DeleteCacheEntry reports whether there was something.
	DeleteCacheEntry(plugin uuid.UUID, key string) bool
}

// PurgeCaches implements the RPC.
func (g *Gateway) PurgeCaches(context.Context, *gatewayv1.PurgeCachesRequest) (*gatewayv1.Deleted, error) {
	if c, ok := g.plane.(Caches); ok {
		c.PurgeCaches()
	}
	return &gatewayv1.Deleted{}, nil
}

// instance is the plugin that a request names; false if it cannot be one.
func instance(text string) (uuid.UUID, bool) {
	if text == "" {
		return uuid.UUID{}, true
	}
	return isID(text)
}

// GetCacheEntry implements the RPC.
func (g *Gateway) GetCacheEntry(_ context.Context, req *gatewayv1.GetCacheEntryRequest) (*structpb.Struct, error) {
	c, caches := g.plane.(Caches)
	id, ok := instance(req.GetPlugin())
	if !caches || !ok {
		return nil, absent()
	}
	entry, ok := c.CacheEntry(id, req.GetKey())
	if !ok {
		return nil, absent()
	}
	return structpb.NewStruct(entry)
}

// DeleteCacheEntry implements the RPC.
func (g *Gateway) DeleteCacheEntry(_ context.Context, req *gatewayv1.DeleteCacheEntryRequest) (*gatewayv1.Deleted, error) {
	c, caches := g.plane.(Caches)
	id, ok := instance(req.GetPlugin())
	if !caches || !ok || !c.DeleteCacheEntry(id, req.GetKey()) {
		return nil, absent()
	}
	return &gatewayv1.Deleted{}, nil
}
