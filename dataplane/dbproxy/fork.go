package dbproxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// Fork makes a session without a client that is who s is, for a filter that
// sends requests of its own from another goroutine. It may outlive s: it ends
// when cancel is called, which closes its handlers and is for that goroutine.
// Kill makes what is under way fail, and may be called from anywhere.
func (s *Session) Fork(service *Service) (fork *Session, cancel func()) {
	nobody := wire.NewConn(noClient{s.client.NetConn()}, wire.PeerClient)
	fork = &Session{
		id: s.id, proxy: s.proxy, service: service, listener: s.listener, client: nobody, remote: s.remote, started: s.now(), parent: s,
		caps: s.caps, charset: s.charset, user: s.user, database: s.database, attributes: s.attributes, identity: s.identity,
		limit: MaxText, mode: s.mode, status: s.status,
	}
	fork.diag.user = s.User()
	fork.config = service.current()
	fork.toClient.session = fork
	ctx, end := context.WithCancelCause(context.WithoutCancel(s.ctx))
	fork.ctx, fork.end = ctx, end
	return fork, func() {
		for _, h := range fork.handlers {
			h.Close()
		}
		end(nil)
		fork.config.release()
	}
}

// noClient is what a fork has for the connection of a client: what is written
// there is gone. Its addresses are the client's.
type noClient struct{ net.Conn }

func (noClient) Read([]byte) (int, error)         { return 0, io.EOF }
func (noClient) Write(b []byte) (int, error)      { return len(b), nil }
func (noClient) Close() error                     { return nil }
func (noClient) SetDeadline(time.Time) error      { return nil }
func (noClient) SetReadDeadline(time.Time) error  { return nil }
func (noClient) SetWriteDeadline(time.Time) error { return nil }

// Open makes the handlers of a forked session: filters and router of its
// service, which must be none of those that the session comes from.
func (s *Service) Open(fork *Session) (Handler, error) {
	for p := fork.parent; p != nil; p = p.parent {
		if p.service == s {
			return nil, fmt.Errorf("service %s would send requests to itself", s.name)
		}
	}
	chain, err := s.open(fork)
	fork.chain = chain
	return chain, err
}

// NewRequest makes a request of the fork's own from a whole payload, valid
// until the next one is made.
func (s *Session) NewRequest(payload []byte) *Request {
	s.request = Request{Command: commandOf(payload), Packet: payload, Head: payload, session: s}
	return &s.request
}

// Nobody gets answers to requests of a fork. Unlike a nil Answer it lets the
// fork see what they tell of its state.
func (s *Session) Nobody() Answer { return &s.toClient }

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
