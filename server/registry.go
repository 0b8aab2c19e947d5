package server

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/gateway"
	"github.com/backplane/backplane/server/gateway/registry"
)

// gatewayService is the GatewayService: the entities of the gateway, and the
// services that it makes some of by itself.
type gatewayService struct {
	*gateway.Gateway
	*registry.Registry
}

var _ gatewayv1.GatewayServiceServer = gatewayService{}

// newRegistry makes the API of the services that describe themselves.
func (s *Server) newRegistry() (*registry.Registry, error) {
	allow, err := registry.ParseAllow(s.conf.RegistryAllow)
	if err != nil {
		return nil, fmt.Errorf("--registry-allow: %w", err)
	}
	r := registry.New(registry.Options{
		Store: s.store, Generator: s.gateway, Log: s.log, Enabled: s.conf.ServiceManagement,
		Timeout: s.conf.RegistryTimeout, Every: s.conf.RegistryRefresh, Auth: s.conf.RegistryAuth,
		Allow: allow, Deny: s.conf.DenyTargets, Own: s.ownAddresses,
	})
	s.closers.Push("registry", func(context.Context) error { r.Close(); return nil })
	return r, nil
}

// ownAddresses are those that this program listens on.
func (s *Server) ownAddresses() []netip.AddrPort {
	own := s.listening
	for _, l := range s.proxy.Plane().Config().Listeners {
		if listener, ok := s.proxy.Plane().Listener(l.Name); ok {
			own = withAddress(own, listener.Addr())
		}
	}
	return own
}

// withAddress adds an address to others, if it is one of TCP.
func withAddress(to []netip.AddrPort, addr net.Addr) []netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return to
	}
	return append(to[:len(to):len(to)], tcp.AddrPort())
}
