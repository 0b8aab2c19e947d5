package dbproxy

import (
	"context"
	"net"

	"github.com/pires/go-proxyproto"
)

// Fork makes a session without a client that is who s is, for a filter that
// sends requests of its own from another goroutine. Its answers must not be
// asked for files of the client. It ends with s, or when cancel is called,
// which closes its handlers.
func (s *Session) Fork(service *Service) (fork *Session, cancel func()) {
	fork = &Session{
		id: s.id, proxy: s.proxy, service: service, listener: s.listener, client: s.client, remote: s.remote, started: s.now(),
		caps: s.caps, charset: s.charset, user: s.user, database: s.database, attributes: s.attributes, identity: s.identity,
		limit: MaxText, mode: s.mode, status: s.status,
	}
	fork.diag.user = s.User()
	fork.config = service.current()
	fork.toClient.session = fork
	ctx, end := context.WithCancelCause(s.ctx)
	fork.ctx, fork.end = ctx, end
	return fork, func() {
		for _, h := range fork.handlers {
			h.Close()
		}
		end(nil)
		fork.config.release()
	}
}

// Open makes the handlers of a forked session: filters and router of its
// service.
func (s *Service) Open(fork *Session) (Handler, error) {
	chain, err := s.open(fork)
	fork.chain = chain
	return chain, err
}

// NewRequest makes a request of the fork's own from a whole payload.
func (s *Session) NewRequest(payload []byte) *Request {
	return &Request{Command: commandOf(payload), Packet: payload, Head: payload, session: s}
}

// proxyHeader is what a server is told of the client, nil when it wants to
// hear nothing.
func (s *Session) proxyHeader(srv *Server) *proxyproto.Header {
	if !srv.Params().Bool("proxy_protocol") {
		return nil
	}
	if !s.remote.IsValid() {
		return &proxyproto.Header{Version: 1, Command: proxyproto.PROXY, TransportProtocol: proxyproto.UNSPEC}
	}
	local, ok := s.client.NetConn().LocalAddr().(*net.TCPAddr)
	if !ok {
		// A client whose own header came over a local socket.
		local = &net.TCPAddr{IP: net.IPv4zero}
	}
	return proxyproto.HeaderProxyFromAddrs(1, net.TCPAddrFromAddrPort(s.remote), local)
}
