package dbproxy

import "crypto/tls"

// NewServer makes a server that belongs to no proxy, for monitors by
// themselves.
func NewServer(c ServerConfig) (*Server, error) {
	config, err := newServerConfig(c, "")
	if err != nil {
		return nil, err
	}
	s := newServer(c.Name)
	s.config.Store(config)
	return s, nil
}

// TLSConfig is how connections to the server begin TLS; nil for in clear.
func (srv *Server) TLSConfig() (*tls.Config, error) { return srv.tlsClient() }
