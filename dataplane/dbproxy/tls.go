package dbproxy

import (
	"context"
	"crypto/tls"

	"github.com/pires/go-proxyproto"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// serverConfig is what a server is at one time.
type serverConfig struct {
	ServerConfig
	params param.Set
	tls    *tls.Config // nil without TLS
}

func newServerConfig(c ServerConfig) (*serverConfig, error) {
	return &serverConfig{ServerConfig: c, params: c.Params}, nil
}

// tlsClient is how connections to the server begin TLS; nil for in clear.
func (s *Server) tlsClient() (*tls.Config, error) { return s.config.Load().tls, nil }

// listenerTLS is how connections of clients begin TLS; nil for in clear.
func listenerTLS(params param.Set) (*tls.Config, error) { return nil, nil }

// dial connects to the server, to its extra port if there is one and extra is
// true, and sends the header.
func (s *Server) dial(ctx context.Context, header *proxyproto.Header, extra bool) (*wire.Conn, error) {
	return nil, nil
}
