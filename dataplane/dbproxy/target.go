package dbproxy

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// A service may route to other services. To its router such a service is a
// server: connecting to it begins a session there, over a pair of sockets, in
// which the client of the outer session logs in again.

// newTarget makes the server that stands for a service.
func newTarget(inner *Service) *Server {
	s := newServer(inner.name)
	s.inner = inner
	return s
}

// retarget gives the server that stands for a service what the service's
// parameters say.
func (srv *Server) retarget(c ServiceConfig) {
	params := param.MustParse(ServerSpecs(), map[string]any{"rank": c.Params.String("rank")})
	srv.config.Store(&serverConfig{ServerConfig: ServerConfig{Name: srv.name, Params: params}, params: params})
}

// bestStatus is the best state that servers of the service are in.
func (s *Service) bestStatus() (best Status) {
	for _, srv := range s.Servers() {
		if st := srv.Status(); st.Usable() {
			best |= st & (Running | Master | Slave | Synced)
		}
	}
	if best.Has(Master) {
		best &^= Slave
	}
	return best
}

// leastLag is that of the server which is least behind.
func (s *Service) leastLag() (least time.Duration, known bool) {
	for _, srv := range s.Servers() {
		if lag, ok := srv.Lag(); ok && srv.Status().Usable() && (!known || lag < least) {
			least, known = lag, true
		}
	}
	return least, known
}

// real are the servers that the service routes to in the end, also by way of
// other services.
func (s *Service) real() (servers []*Server) {
	for _, srv := range s.Servers() {
		if srv.inner != nil {
			servers = append(servers, srv.inner.real()...)
			continue
		}
		servers = append(servers, srv)
	}
	return servers
}

// socketPair is two sockets that are connected with each other, which no program
// that is started inherits.
func socketPair() (pair [2]int, err error) {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if pair, err = syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0); err != nil {
		return pair, os.NewSyscallError("socketpair", err)
	}
	for _, fd := range pair {
		syscall.CloseOnExec(fd)
	}
	return pair, nil
}

// enter begins a session of the service for a session of another one.
func (s *Service) enter(outer *Session) (*wire.Conn, error) {
	pair, err := socketPair()
	if err != nil {
		return nil, err
	}
	near, err := socket(pair[0])
	if err != nil {
		syscall.Close(pair[1]) //nolint:errcheck // nothing is lost with it
		return nil, err
	}
	far, err := socket(pair[1])
	if err != nil {
		near.Close()
		return nil, err
	}
	carrier := s.proxy.carrier.Load()
	inner := &Session{
		id: s.proxy.nextID(), proxy: s.proxy, service: s, listener: s.door, client: wire.NewConn(carried(carrier, far), wire.PeerClient),
		remote: outer.remote, started: time.Now(), limit: wire.MaxPeek, parent: outer, carrier: carrier,
	}
	inner.ctx, inner.end = context.WithCancelCause(s.proxy.ctx)
	conn := wire.NewConn(carried(outer.carrier, near), wire.PeerServer)
	if err := s.proxy.register(inner); err != nil {
		inner.client.Close()
		inner.end(err)
		conn.Close()
		return nil, err
	}
	s.proxy.carry(inner)
	return conn, nil
}

// socket makes a connection of a file descriptor, which it takes over.
func socket(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "service")
	defer f.Close()
	return net.FileConn(f)
}

// newDoor is the listener by which sessions of other services come.
func newDoor(p *Proxy, s *Service) (*Listener, error) {
	params, faults := param.Parse(ListenerSpecs(), nil)
	if len(faults) > 0 {
		return nil, faults
	}
	lc, err := newListenerConfig(ListenerConfig{Service: s.name, Params: params})
	if err != nil {
		return nil, err
	}
	l := &Listener{name: "", proxy: p, log: p.log, ended: make(chan struct{})}
	l.config.Store(lc)
	l.service.Store(s)
	return l, nil
}

// cycle looks for a service that would send requests to itself.
func cycle(services []ServiceConfig) error {
	targets := map[string][]string{}
	for _, c := range services {
		targets[c.Name] = c.Services
	}
	const seen, done = 1, 2
	marks := map[string]int{}
	var visit func(name string) error
	visit = func(name string) error {
		switch marks[name] {
		case seen:
			return &ObjectError{"service", name, errors.New("would send requests to itself")}
		case done:
			return nil
		}
		marks[name] = seen
		for _, next := range targets[name] {
			if err := visit(next); err != nil {
				return err
			}
		}
		marks[name] = done
		return nil
	}
	for _, c := range services {
		if err := visit(c.Name); err != nil {
			return err
		}
	}
	return nil
}
