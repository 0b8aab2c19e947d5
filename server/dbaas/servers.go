package dbaas

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/operation"
)

const (
	// openTimeout bounds an administrator's login.
	openTimeout = 10 * time.Second
	// idleFor is how long an administrator's login is kept for the next call.
	idleFor = 30 * time.Second
	// maxIdle bounds the logins kept for one server.
	maxIdle = 4
	// sessionsAtOnce bounds the logins in use on one server, which has other
	// clients too. Copies take up to two each; what is left is for the rest.
	sessionsAtOnce = 2*copiesAtOnce + 8
)

// serverPool keeps administrators' logins for a short while, because a login
// costs as much as what it is for.
type serverPool struct {
	env connectors.Env

	mu     sync.Mutex
	idle   map[serverKey][]idleServer
	turns  map[uuid.UUID]*turns // of the servers in use
	closed bool
}

// turns are the places on one server.
type turns struct {
	places chan struct{}
	users  int // that have a place or wait for one
}

// serverKey is a service as it was configured when the login was made.
type serverKey struct {
	id      uuid.UUID
	version uint32
}

type idleServer struct {
	connectors.DatabaseServer
	since time.Time
}

func newServerPool(env connectors.Env) *serverPool {
	return &serverPool{env: env, idle: map[serverKey][]idleServer{}, turns: map[uuid.UUID]*turns{}}
}

// enter waits for a place on a server, which leave gives back.
func (p *serverPool) enter(ctx context.Context, id uuid.UUID) (leave func(), err error) {
	p.mu.Lock()
	t := p.turns[id]
	if t == nil {
		t = &turns{places: make(chan struct{}, sessionsAtOnce)}
		p.turns[id] = t
	}
	t.users++
	p.mu.Unlock()
	gone := func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(p.turns, id)
		}
	}
	select {
	case t.places <- struct{}{}:
		return func() { <-t.places; gone() }, nil
	case <-ctx.Done():
		gone()
		return nil, ctx.Err()
	}
}

// take returns a kept login, or nil.
func (p *serverPool) take(key serverKey) connectors.DatabaseServer {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := p.idle[key]
	if len(list) == 0 {
		return nil
	}
	last := list[len(list)-1]
	p.idle[key] = list[:len(list)-1]
	return last.DatabaseServer
}

// give keeps a login that has done its work well.
func (p *serverPool) give(key serverKey, s connectors.DatabaseServer) {
	p.mu.Lock()
	if !p.closed && len(p.idle[key]) < maxIdle {
		p.idle[key] = append(p.idle[key], idleServer{s, time.Now()})
		s = nil
	}
	p.mu.Unlock()
	if s != nil {
		s.Close() //nolint:errcheck // it is not needed any more
	}
}

// closeIdle ends logins that nobody needed for a while, until ctx ends.
func (p *serverPool) closeIdle(ctx context.Context) {
	tick := time.NewTicker(idleFor / 3)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			p.drop(func(s idleServer) bool { return now.Sub(s.since) > idleFor })
		case <-ctx.Done():
			return
		}
	}
}

func (p *serverPool) drop(which func(idleServer) bool) {
	var out []idleServer
	p.mu.Lock()
	for key, list := range p.idle {
		kept := list[:0:0]
		for _, s := range list {
			if which(s) {
				out = append(out, s)
			} else {
				kept = append(kept, s)
			}
		}
		if p.idle[key] = kept; len(kept) == 0 {
			delete(p.idle, key)
		}
	}
	p.mu.Unlock()
	for _, s := range out {
		s.Close() //nolint:errcheck // it is not needed any more
	}
}

func (p *serverPool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.drop(func(idleServer) bool { return true })
}

// backend is a service that databases are made on.
type backend struct {
	row    *ent.Service
	engine connectors.Provisioner
	config connectors.Config
}

func (b backend) endpoint(database string) string { return b.engine.Endpoint(b.config, database) }

// backendOf reads how to reach a service.
func (a *Admin) backendOf(ctx context.Context, id uuid.UUID) (backend, error) {
	row, conn, config, err := a.Catalog.Backend(ctx, id)
	if err != nil {
		return backend{}, err
	}
	engine, ok := conn.(connectors.Provisioner)
	if !ok {
		return backend{}, errs.New(errs.ValidationFailed, "The service %s is of type %s, which holds no databases", id, row.ServiceType)
	}
	return backend{row, engine, config}, nil
}

// recentBackend is how a service was reached a moment ago. When that is not how
// it is reached now, the step fails and reads it anew when it is tried again.
func (a *Admin) recentBackend(ctx context.Context, w *operation.Work, id uuid.UUID) (backend, error) {
	return operation.Remember(w, id, func() (backend, error) { return a.backendOf(ctx, id) })
}

// onServer runs fn with an administrator's login on a service.
func (a *Admin) onServer(ctx context.Context, id uuid.UUID, fn func(b backend, s connectors.DatabaseServer) error) error {
	b, err := a.backendOf(ctx, id)
	if err != nil {
		return err
	}
	return a.onBackend(ctx, b, fn)
}

func (a *Admin) onBackend(ctx context.Context, b backend, fn func(b backend, s connectors.DatabaseServer) error) error {
	leave, err := a.servers.enter(ctx, b.row.ID)
	if err != nil {
		return err
	}
	defer leave()
	key := serverKey{b.row.ID, b.row.Version}
	if s := a.servers.take(key); s != nil {
		err := fn(b, s)
		if err == nil {
			a.servers.give(key, s)
			return nil
		}
		s.Close() //nolint:errcheck // what went wrong is known
		if !connectors.MayPass(err) || ctx.Err() != nil {
			return err
		}
		// The server may have hung up on the login that was kept. Every change
		// can be made again.
	}
	open, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	s, err := b.engine.Open(open, a.Env, b.config)
	if err != nil {
		return fmt.Errorf("log in to service %s: %w", b.row.Name, err)
	}
	if err := fn(b, s); err != nil {
		s.Close() //nolint:errcheck // what went wrong is known
		return err
	}
	a.servers.give(key, s)
	return nil
}
