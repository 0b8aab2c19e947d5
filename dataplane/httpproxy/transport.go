package httpproxy

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/internal/evloop"
)

// How long connections to upstreams are kept, and how often that is looked at.
const (
	idleUpstream = time.Minute
	sweepPause   = 15 * time.Second
	// surelyAlive is for how long a connection that was used is taken to be
	// open still, for requests that may be sent again.
	surelyAlive = 20 * time.Millisecond
	maxUses     = 10000 // of a connection
)

// transport has the connections to upstreams.
type transport struct {
	p *Proxy

	mu    sync.RWMutex
	pools map[poolKey]*pool

	openMu sync.Mutex
	open   map[net.Conn]struct{} // all that there are
}

// poolKey tells apart connections that must not be used for each other.
type poolKey struct {
	addr   netip.AddrPort
	secure bool
	host   string // of TLS
	tls    [sha256.Size]byte
	h2     bool
}

// pool is the connections to one address.
type pool struct {
	key   poolKey
	tls   *tls.Config  // nil without TLS
	h2    *h2Pool      // for HTTP/2, which has its own connections
	lanes []lane       // that of goroutines, and those of the event loops
	used  atomic.Int64 // when the pool was last asked for one, for h2; Unix seconds
}

func newTransport(p *Proxy) *transport {
	return &transport{p: p, pools: map[poolKey]*pool{}, open: map[net.Conn]struct{}{}}
}

// pool is where connections for an Exchange are.
func (t *transport) pool(x *Exchange, h2 bool) *pool {
	k := poolKey{addr: x.up.peer.Addr, h2: h2}
	if s := x.up.tls; s != nil {
		k.secure, k.host, k.tls = true, hostOnly(x.up.host), s.key
	}
	t.mu.RLock()
	p := t.pools[k]
	t.mu.RUnlock()
	if p != nil {
		return p
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.pools[k]; p != nil {
		return p
	}
	p = &pool{key: k, lanes: make([]lane, 1+t.p.loops.Loops())}
	protocol := "http/1.1"
	if h2 {
		protocol = "h2"
	}
	if k.secure {
		p.tls = x.up.tls.config(k.host, protocol)
	}
	if h2 {
		p.h2 = newH2Pool(t, p)
	}
	t.pools[k] = p
	return p
}

// dial makes a connection, of the task if there is one. The timeout is for all of
// it, TLS included.
func (t *transport) dial(ctx context.Context, p *pool, timeout time.Duration, task *evloop.Task) (nc net.Conn, c *evloop.Conn, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if nc, err = new(net.Dialer).DialContext(ctx, "tcp", p.key.addr.String()); err != nil {
		return nil, nil, err
	}
	if task != nil {
		if c, err = t.p.loops.Adopt(nc); err != nil {
			_ = nc.Close()
			return nil, nil, err
		}
		_ = c.Bind(task) // what fails here fails again when it is used
		nc = c
	}
	if !t.opened(nc) {
		return nil, nil, net.ErrClosed
	}
	if p.h2 != nil {
		nc = &trackedConn{nc, t} // net/http closes it
	}
	if p.tls == nil {
		return nc, c, nil
	}
	tc := tls.Client(nc, p.tls)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		t.forget(nc)
		return nil, nil, err
	}
	return tc, c, nil
}

// trackedConn is forgotten when it is closed.
type trackedConn struct {
	net.Conn
	t *transport
}

// Close closes the connection.
func (c *trackedConn) Close() error {
	c.t.forget(c.Conn)
	return c.Conn.Close()
}

// opened notes down a connection, unless the Proxy has ended.
func (t *transport) opened(nc net.Conn) bool {
	t.openMu.Lock()
	defer t.openMu.Unlock()
	if t.open == nil {
		_ = nc.Close()
		return false
	}
	t.open[nc] = struct{}{}
	return true
}

// forget is told of connections that are closed.
func (t *transport) forget(nc net.Conn) {
	if tc, ok := nc.(*tls.Conn); ok {
		nc = tc.NetConn()
	}
	t.openMu.Lock()
	defer t.openMu.Unlock()
	delete(t.open, nc)
}

// sweep closes connections that were not used for long, until the Proxy ends.
func (t *transport) sweep() {
	tick := time.NewTicker(sweepPause)
	defer tick.Stop()
	for {
		select {
		case <-t.p.ctx.Done():
			return
		case now := <-tick.C:
			t.closeIdle(now.Add(-idleUpstream))
		}
	}
}

// closeIdle closes what was not used since a time.
func (t *transport) closeIdle(since time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for k, p := range t.pools {
		unused := p.closeIdle(since)
		if p.h2 != nil {
			unused = p.used.Load() < since.Unix()
		}
		if !unused {
			continue
		}
		delete(t.pools, k)
		p.end()
		if p.h2 != nil {
			p.h2.close()
		}
	}
}

// close closes all connections.
func (t *transport) close() {
	t.mu.Lock()
	for _, p := range t.pools {
		if p.h2 != nil {
			p.h2.close()
		}
	}
	t.pools = map[poolKey]*pool{}
	t.mu.Unlock()
	t.openMu.Lock()
	open := t.open
	t.open = nil
	t.openMu.Unlock()
	for nc := range open {
		_ = nc.Close()
	}
}
