package dbproxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
	"github.com/backplane/backplane/internal/evloop"
)

// Listener takes clients for a service.
type Listener struct {
	name  string
	proxy *Proxy
	log   *slog.Logger

	config  atomic.Pointer[listenerConfig]
	service atomic.Pointer[Service]
	socket  net.Listener
	loops   *evloop.Group // that the socket is waited for on; nil where a goroutine does
	mu      sync.Mutex
	paused  bool
	resume  chan struct{} // closed when it is to go on
	closed  bool
	trying  bool                  // to open, again
	done    chan struct{}         // closed when no more clients are taken
	ended   chan struct{}         // closed by close
	failed  atomic.Pointer[error] // why it is not open
	taken   atomic.Int64          // clients
}

// listenerConfig is a listener's configuration with what was read for it.
type listenerConfig struct {
	ListenerConfig
	tls        *tls.Config
	login      *loginRules
	statements [][]byte // of connection_init_sql_file
}

func newListenerConfig(c ListenerConfig) (*listenerConfig, error) {
	lc := &listenerConfig{ListenerConfig: c}
	var err error
	if lc.tls, err = listenerTLS(c.Params); err != nil {
		return nil, err
	}
	if lc.login, err = newLoginRules(c.Params); err != nil {
		return nil, err
	}
	if path := c.Params.String("connection_init_sql_file"); path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("connection_init_sql_file: %w", err)
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, MaxText)
		for lines.Scan() {
			if line := bytes.TrimSpace(lines.Bytes()); len(line) > 0 {
				lc.statements = append(lc.statements, bytes.Clone(line))
			}
		}
		if err := lines.Err(); err != nil {
			return nil, fmt.Errorf("connection_init_sql_file: %w", err)
		}
	}
	return lc, nil
}

// Name is the listener's name.
func (l *Listener) Name() string { return l.name }

// Config is its configuration.
func (l *Listener) Config() ListenerConfig { return l.config.Load().ListenerConfig }

// Addr is where it listens, nil while it does not.
func (l *Listener) Addr() net.Addr {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.socket == nil {
		return nil
	}
	return l.socket.Addr()
}

// Err is why it is not open, nil when it is.
func (l *Listener) Err() error {
	if err := l.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Running tells whether it takes clients.
func (l *Listener) Running() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.socket != nil && !l.paused && !l.closed
}

func (l *Listener) initial() [][]byte {
	if l == nil {
		return nil
	}
	return l.config.Load().statements
}

func (l *Listener) allowsReplication() bool {
	if o := l.Config().Params.Object("MariaDBProtocol"); o != nil {
		if allow, ok := o["allow_replication"].(bool); ok {
			return allow
		}
	}
	return true
}

// open begins to listen. The owner ends it by close.
func (l *Listener) open(ctx context.Context) error {
	p := l.Config().Params
	network, address := "tcp", net.JoinHostPort(strings.Trim(p.String("address"), "[]"), strconv.FormatInt(p.Int("port"), 10))
	if path := p.String("socket"); path != "" {
		network, address = "unix", path
	}
	lc := net.ListenConfig{KeepAliveConfig: keepAlive}
	socket, err := lc.Listen(ctx, network, address)
	if err != nil && network == "tcp" && p.String("address") == "::" {
		// A machine may have no IPv6.
		if four, err4 := lc.Listen(ctx, "tcp4", net.JoinHostPort("0.0.0.0", strconv.FormatInt(p.Int("port"), 10))); err4 == nil {
			socket, err = four, nil
		}
	}
	if err != nil {
		l.failed.Store(&err)
		return err
	}
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return errors.Join(net.ErrClosed, socket.Close())
	}
	l.take(socket)
	l.done = make(chan struct{})
	if l.paused {
		l.interrupt()
	}
	l.mu.Unlock()
	l.failed.Store(nil)
	l.run()
	return nil
}

// keepAlive is how clients are found out to have gone that have not said so.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 60 * time.Second, Interval: 15 * time.Second, Count: 4}

// take makes a socket the listener's, on the proxy's event loops if it can be
// there.
func (l *Listener) take(socket net.Listener) {
	l.socket, l.loops = socket, nil
	tcp, ok := socket.(*net.TCPListener)
	g := l.proxy.carrier.Load()
	if !ok || g == nil {
		return
	}
	if ln, err := g.Listen(tcp, keepAlive); err == nil {
		l.socket, l.loops = ln, g
	}
}

// run takes clients in, by a task where the socket is on event loops.
func (l *Listener) run() {
	if l.loops == nil {
		go l.accept(nil)
		return
	}
	l.loops.Go(func(t *evloop.Task) {
		l.socket.(*evloop.Listener).Bind(t) //nolint:errcheck // they are of one group
		l.accept(t)
	})
}

// deadliner is what the sockets of both networks have.
type deadliner interface{ SetDeadline(time.Time) error }

func (l *Listener) interrupt() {
	l.socket.(deadliner).SetDeadline(time.Unix(1, 0)) //nolint:errcheck // a closed one has ended anyway
}

// pause stops taking clients, who wait at the door, or goes on.
func (l *Listener) pause(paused bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused == paused {
		return
	}
	l.paused = paused
	if paused {
		l.resume = make(chan struct{})
		if l.socket != nil {
			l.interrupt()
		}
		return
	}
	if l.socket != nil {
		l.socket.(deadliner).SetDeadline(time.Time{}) //nolint:errcheck // a closed one has ended anyway
	}
	close(l.resume)
}

// close stops listening and gives the port back.
func (l *Listener) close() {
	l.mu.Lock()
	already := l.closed
	l.closed = true
	if !already {
		close(l.ended)
	}
	socket, done := l.socket, l.done
	if l.paused && !already {
		l.paused = false
		close(l.resume)
	}
	l.mu.Unlock()
	if socket != nil {
		socket.Close()
		<-done
	}
}

// waits returns what to wait for while paused; nil when it is not.
func (l *Listener) waits() chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.paused {
		return l.resume
	}
	return nil
}

// accept takes clients in until the listener is closed: on a task, or on a
// goroutine if there is none.
func (l *Listener) accept(t *evloop.Task) {
	defer close(l.done)
	for failures := 0; ; {
		nc, err := l.next()
		switch {
		case err == nil:
			failures = 0
			l.taken.Add(1)
			l.proxy.serve(l, nc)
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			if resume := l.waits(); resume != nil {
				t.Outside(func() { <-resume })
			}
		default:
			// Too many open files, mostly: it passes.
			failures++
			l.log.Error("cannot accept", "listener", l.name, "error", err)
			t.Outside(func() {
				select {
				case <-l.proxy.ctx.Done():
				case <-time.After(time.Duration(min(failures, 10)) * 50 * time.Millisecond):
				}
			})
		}
	}
}

// next is the next client.
func (l *Listener) next() (net.Conn, error) {
	if ln, ok := l.socket.(*evloop.Listener); ok {
		c, err := ln.AcceptTo(l.proxy.carrier.Load)
		if err != nil {
			return nil, err
		}
		return c, nil
	}
	return l.socket.Accept()
}

// remoteOf is the address of a client, invalid for Unix sockets.
func remoteOf(nc net.Conn) netip.AddrPort {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// serve begins a session.
func (p *Proxy) serve(l *Listener, nc net.Conn) {
	carrier := p.carrier.Load()
	if c, ok := nc.(*evloop.Conn); ok {
		carrier = c.Group()
	} else {
		nc = carried(carrier, nc)
	}
	s := &Session{
		id: p.nextID(), proxy: p, service: l.service.Load(), listener: l, client: wire.NewConn(nc, wire.PeerClient),
		remote: remoteOf(nc), started: time.Now(), limit: wire.MaxPeek, carrier: carrier,
	}
	s.ctx, s.end = context.WithCancelCause(p.ctx)
	if err := p.register(s); err != nil {
		s.client.Close()
		s.end(err)
		return
	}
	p.carry(s)
}
