package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/builtin"
	"github.com/backplane/backplane/server/gateway"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/reference"
)

// newGateway makes the API of the HTTP gateway.
func (s *Server) newGateway(ctx context.Context) (*gateway.Gateway, error) {
	key, err := openKey(ctx, s.store, s.keys, keys.GatewayKey, newHashKey)
	if err != nil {
		return nil, fmt.Errorf("key of the gateway: %w", err)
	}
	pages, err := reference.Pages()
	if err != nil {
		return nil, err
	}
	return gateway.New(gateway.Options{
		Store: s.store, Keys: s.keys, Catalog: s.catalog, Modules: builtin.Modules(), Log: s.log, HashKey: key, Pages: pages,
	}), nil
}

func newHashKey() []byte {
	key := make([]byte, 32)
	rand.Read(key) //nolint:errcheck // crypto/rand.Read never fails
	return key
}

// startGateway opens the listeners of the HTTP gateway, and configures it with
// what the store holds.
func (s *Server) startGateway(ctx context.Context) (*httpproxy.Proxy, error) {
	access, err := s.openAccessLog()
	if err != nil {
		return nil, err
	}
	plane, err := httpproxy.New(httpproxy.Options{
		AccessLog: access, Node: s.gateway.Node().String(),
		HTTP: s.conf.GatewayHTTP, HTTPS: s.conf.GatewayHTTPS, Modules: builtin.Modules(), Logger: s.log, Metrics: s.metrics.Registry,
		TrustedIPs: s.conf.TrustedIPs, Drain: drainTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("--gateway-http, --gateway-https: %w", err)
	}
	if err := s.gateway.Start(ctx, servedGateway{plane}); err != nil {
		return nil, errors.Join(err, plane.Close())
	}
	if addr := plane.Addr(); addr != nil {
		s.GatewayHTTP = addr.String()
	}
	if addr := plane.TLSAddr(); addr != nil {
		s.GatewayHTTPS = addr.String()
	}
	return plane, nil
}
