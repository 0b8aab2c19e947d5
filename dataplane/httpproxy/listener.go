package httpproxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/backplane/backplane/internal/evloop"
)

const maxHead = 64 << 10

// listener takes connections in.
type listener struct {
	address string
	secure  bool
	socket  net.Listener
	once    sync.Once
}

func (p *Proxy) listen(l *listener) error {
	socket, err := new(net.ListenConfig).Listen(p.ctx, "tcp", l.address)
	if err != nil {
		return fmt.Errorf("the gateway cannot listen: %w", err)
	}
	l.socket = socket
	if tcp, ok := socket.(*net.TCPListener); ok && p.loops != nil && !l.secure {
		// What is said under TLS, and with it who serves it, is known later.
		if ln, err := p.loops.Listen(tcp, keepAlive); err == nil {
			l.socket = ln
		}
	}
	return nil
}

// keepAlive is what package net does unless it is told otherwise.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 15 * time.Second, Count: 9}

// takeIn has connections be taken in until the listener is closed.
func (p *Proxy) takeIn(l *listener) {
	ln, ok := l.socket.(*evloop.Listener)
	if !ok {
		p.accepting.Go(func() { p.accept(l, nil) })
		return
	}
	p.accepting.Add(1)
	p.loops.Go(func(t *evloop.Task) {
		defer p.accepting.Done()
		_ = ln.Bind(t) // what fails here fails again when it accepts
		p.accept(l, t)
	})
}

func (l *listener) close() { l.once.Do(func() { _ = l.socket.Close() }) }

// accept takes connections in until the listener is closed, on a task if there
// is one.
func (p *Proxy) accept(l *listener, t *evloop.Task) {
	wait := time.NewTimer(0)
	defer wait.Stop()
	for {
		c, err := l.socket.Accept()
		if err == nil {
			p.counts.accepted.Add(1)
			p.counts.active.Add(1)
			if l.secure {
				p.running.Go(func() { p.serveTLS(c) })
			} else {
				p.carry(c)
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		// Such as when there are no more file descriptors: it may pass.
		p.log.Warn("the gateway could not take a connection", "error", err)
		wait.Reset(50 * time.Millisecond)
		t.Outside(func() {
			select {
			case <-wait.C:
			case <-p.ctx.Done():
			}
		})
		if p.ctx.Err() != nil {
			return
		}
	}
}

// serveTLS serves a connection with TLS, or hands it over once it is known what
// is spoken.
func (p *Proxy) serveTLS(nc net.Conn) {
	beneath := &beneathTLS{nc}
	tc := tls.Server(beneath, p.tls)
	ctx, cancel := context.WithTimeout(p.ctx, p.options.HeadTimeout)
	err := tc.HandshakeContext(ctx)
	cancel()
	switch {
	case err != nil:
		p.counts.active.Add(-1)
		_ = nc.Close()
	case tc.ConnectionState().NegotiatedProtocol == "h2":
		p.counts.active.Add(-1) // it is counted there
		p.front.serve(tc)
	default:
		p.carryTLS(tc, beneath)
	}
}

// drain ends all connections, those with requests under way after a while.
func (p *Proxy) drain() {
	for _, l := range p.listeners {
		l.close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), max(p.options.Drain, 0))
	defer cancel()
	var h2 sync.WaitGroup
	h2.Go(func() { _ = p.front.server.Shutdown(ctx) }) // Close ends what is left
	p.conns.shutdown(ctx)
	h2.Wait()
}
