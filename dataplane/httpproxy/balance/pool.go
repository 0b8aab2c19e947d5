package balance

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// Errors of picking, in the words that clients are told.
var (
	// ErrName is that the name of a host, or those of all targets of an
	// upstream, have no address.
	ErrName = errors.New("name resolution failed")
	// ErrPeer is that an upstream has no target that may be used.
	ErrPeer = errors.New("failure to get a peer from the ring-balancer")
)

// Resolver looks names up, as *net.Resolver does.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
}

// Options are what a Pool is made of. All may be left out.
type Options struct {
	Resolver Resolver
	// ResolveEvery is how often names are looked up again: 10 seconds by
	// default, since a resolver does not tell how long an answer is good.
	ResolveEvery time.Duration
	// Certificate is what checks of health prove themselves with, by the ID
	// that an upstream names; nil for none.
	Certificate func(uuid.UUID) *tls.Certificate
	// Log is told when an address becomes healthy or unhealthy.
	Log *slog.Logger
}

const (
	resolveEvery   = 10 * time.Second
	resolveTimeout = 5 * time.Second
	// resolveAtOnce bounds how many names of an upstream are looked up at the
	// same time.
	resolveAtOnce = 16
)

// Pool has what balancers share. It is used by many goroutines at once.
type Pool struct {
	options Options
	began   time.Time
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	hosts   hostTable
}

// NewPool makes a Pool, which must be closed.
func NewPool(o Options) *Pool {
	if o.Resolver == nil {
		o.Resolver = net.DefaultResolver
	}
	if o.ResolveEvery <= 0 {
		o.ResolveEvery = resolveEvery
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Pool{options: o, began: time.Now()}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.running.Go(p.tendHosts)
	return p
}

// Close ends all that the Pool and its balancers do by themselves, and waits
// for it. No balancer may be made or updated afterwards.
func (p *Pool) Close() {
	p.cancel()
	p.running.Wait()
}

// New makes the balancer of an upstream. The targets are those of the upstream,
// in any order.
func (p *Pool) New(u *entity.Upstream, targets []*entity.Target) *Balancer {
	b := &Balancer{pool: p, addresses: map[addressKey]*address{}, names: map[string]*name{}}
	b.Update(u, targets)
	return b
}

// since is the time since the Pool was made, by a clock that is never set.
func (p *Pool) since() time.Duration { return time.Since(p.began) }

// every calls f once in an interval until the context ends.
func every(ctx context.Context, interval time.Duration, f func(context.Context)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f(ctx)
		}
	}
}
