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
func (g *Gateway) PurgeCaches(ctx context.Context, _ *gatewayv1.PurgeCachesRequest) (*gatewayv1.Deleted, error) {
	if _, err := g.purge(ctx, purge{}); err != nil {
		return nil, err
	}
	return &gatewayv1.Deleted{}, nil
}

// purge forgets something here and in the other processes. It tells whether
// there was something here.
func (g *Gateway) purge(ctx context.Context, p purge) (bool, error) {
	c, ok := g.plane.(Caches)
	return ok && p.from(c), g.announce(ctx, act{Purge: &p})
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
func (g *Gateway) DeleteCacheEntry(ctx context.Context, req *gatewayv1.DeleteCacheEntryRequest) (*gatewayv1.Deleted, error) {
	id, ok := instance(req.GetPlugin())
	if !ok || req.GetKey() == "" {
		return nil, absent()
	}
	found, err := g.purge(ctx, purge{Plugin: id, Key: req.GetKey()})
	switch {
	case err != nil:
		return nil, err
	case !found:
		return nil, absent()
	}
	return &gatewayv1.Deleted{}, nil
}
