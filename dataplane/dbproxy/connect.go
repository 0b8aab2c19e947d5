package dbproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// ErrUnusable is why a server is not connected to: its state, or the number of
// its connections, does not allow it.
var ErrUnusable = errors.New("the server takes no connections")

// connect implements Session.Connect and Session.Await.
func (srv *Server) connect(ctx context.Context, s *Session, until time.Time) (*Backend, error) {
	if !srv.Status().Usable() {
		return nil, srv.unusable()
	}
	if !srv.room.enter(srv.limit()) {
		var err error
		if s.Outside(func() { err = srv.enter(ctx, until) }); err != nil {
			return nil, err
		}
	}
	b, err := srv.provide(ctx, s)
	if err != nil {
		srv.room.leave(srv.limit())
		return nil, err
	}
	b.placed = true
	return b, nil
}

func (srv *Server) unusable() error {
	return fmt.Errorf("%s: %w: it is %s", srv.name, ErrUnusable, srv.State())
}

// provide makes a connection for a session that has a place at the server, or
// takes one from the pool.
func (srv *Server) provide(ctx context.Context, s *Session) (*Backend, error) {
	if !srv.Status().Usable() { // it may have waited
		return nil, srv.unusable()
	}
	if b := srv.pooled(s); b != nil {
		return b, nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.proxy.connectTimeout())
	defer cancel()
	var b *Backend
	var err error
	s.Outside(func() {
		if most := srv.limit(); most > 0 {
			srv.pool.shrink(int(most - srv.room.places()))
		}
		b, err = srv.open(ctx, s)
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", srv.name, err)
	}
	srv.add(b)
	if err := b.initialize(s.listener); err != nil {
		b.Close()
		return nil, fmt.Errorf("%s: %w", srv.name, err)
	}
	return b, nil
}

// open connects and logs in.
func (srv *Server) open(ctx context.Context, s *Session) (*Backend, error) {
	conn, err := srv.reach(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := conn.Bind(s.task); err != nil {
		conn.Close()
		return nil, err
	}
	result, err := s.signIn(ctx, conn, srv)
	if err != nil {
		conn.Close()
		return nil, err
	}
	b := &Backend{
		Conn: conn, server: srv, session: s, service: s.counts(srv), id: result.Greeting.ConnectionID, caps: s.caps,
		version: result.Greeting.Version, opened: s.now(), used: s.now(),
	}
	b.negotiated = result.Capabilities
	if srv.Params().Bool("proxy_protocol") {
		b.proxied = s.remote.String()
	}
	if state, ok := conn.TLS(); ok {
		b.cipher = tls.CipherSuiteName(state.CipherSuite)
	}
	return b, nil
}

// reach connects to the server, or to the service that it stands for.
func (srv *Server) reach(ctx context.Context, s *Session) (*wire.Conn, error) {
	if srv.inner != nil {
		return srv.inner.enter(s)
	}
	return srv.dial(ctx, s.carrier, s.proxyHeader(srv), false)
}

// pooled makes a connection of the pool the session's.
func (srv *Server) pooled(s *Session) *Backend {
	if srv.Params().Int("persistpoolmax") == 0 {
		return nil
	}
	for {
		b := srv.pool.take(s)
		if b == nil {
			srv.counts.poolEmpty.Add(1)
			return nil
		}
		b.session, b.service = s, s.counts(srv)
		srv.add(b)
		b.Conn.SetDeadline(time.Now().Add(s.proxy.connectTimeout())) //nolint:errcheck // the next write tells
		err := b.Conn.Bind(s.task)
		if err == nil {
			err = b.ChangeUser()
		}
		if err == nil && b.Conn.SetDeadline(time.Time{}) == nil && b.initialize(s.listener) == nil {
			srv.counts.reused.Add(1)
			return b
		}
		b.broken = true
		b.Close()
	}
}

// add counts a connection.
func (srv *Server) add(b *Backend) {
	srv.counts.opened()
	b.service.opened()
	srv.mu.Lock()
	srv.backends[b] = struct{}{}
	srv.mu.Unlock()
	b.session.attach(b)
	if !srv.Status().Has(Running) {
		b.Kill() // it went down in between
	}
}

// remove is the opposite of add.
func (srv *Server) remove(b *Backend) {
	srv.mu.Lock()
	_, there := srv.backends[b]
	delete(srv.backends, b)
	srv.mu.Unlock()
	b.session.detach(b)
	if there {
		srv.counts.connections.Add(-1)
		b.service.connections.Add(-1)
	}
}

// initialize runs the statements of connection_init_sql_file.
func (b *Backend) initialize(l *Listener) error {
	for _, statement := range l.initial() {
		if err := b.Command(wire.ComQuery, statement...); err != nil {
			return fmt.Errorf("connection_init_sql_file: %w", err)
		}
	}
	return nil
}

// counts are the numbers of a server within the session's service.
func (s *Session) counts(srv *Server) *serverCounts {
	if c := s.config.counts[srv]; c != nil {
		return c
	}
	return &serverCounts{}
}
