package server

import (
	"strings"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/proxycache"
	"github.com/backplane/backplane/server/gateway"
)

// servedGateway is the HTTP gateway with what its plugin proxy-cache keeps.
type servedGateway struct{ *httpproxy.Proxy }

var (
	_ gateway.Caches    = servedGateway{}
	_ gateway.Balancers = servedGateway{}
)

func (g servedGateway) cache() *proxycache.Cache { return proxycache.Of(g.Host()) }

// PurgeCaches implements gateway.Caches.
func (g servedGateway) PurgeCaches() { g.cache().PurgeAll() }

// entry is what is kept under a key by an instance, nil if there is nothing.
func (g servedGateway) entry(plugin uuid.UUID, key string) *proxycache.Entry {
	e := g.cache().Get(key)
	if e == nil || plugin != uuid.Nil && plugin != e.Plugin {
		return nil
	}
	return e
}

// CacheEntry implements gateway.Caches. The members are those of an entry in
// "Proxy Cache" of the Kong Admin API.
func (g servedGateway) CacheEntry(plugin uuid.UUID, key string) (map[string]any, bool) {
	e := g.entry(plugin, key)
	if e == nil {
		return nil, false
	}
	headers := map[string]any{}
	for _, f := range e.Header {
		value := strings.ToValidUTF8(f.Value, "\uFFFD")
		switch before := headers[f.Name].(type) {
		case nil:
			headers[f.Name] = value
		case string:
			headers[f.Name] = []any{before, value}
		case []any:
			headers[f.Name] = append(before, value)
		}
	}
	return map[string]any{
		"status": e.Status, "headers": headers,
		"body": strings.ToValidUTF8(string(e.Body), "\uFFFD"), "body_len": len(e.Body),
		"timestamp": e.Stored.Unix(), "ttl": e.TTL.Seconds(), "version": 1,
	}, true
}

// DeleteCacheEntry implements gateway.Caches.
func (g servedGateway) DeleteCacheEntry(plugin uuid.UUID, key string) bool {
	return g.entry(plugin, key) != nil && g.cache().Purge(key)
}
