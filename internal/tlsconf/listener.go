package tlsconf

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"
)

// defaultEvery is how often the files are looked at.
const defaultEvery = time.Second

// Options say how a Listener serves.
type Options struct {
	Name  string // of the listener, for the log
	Files Files
	// Protocols are offered by ALPN, the preferred first: h2 for gRPC, h2 and
	// http/1.1 for HTTP.
	Protocols []string
	// AllowPlaintext permits to serve without TLS on an address that others
	// can reach.
	AllowPlaintext bool
	Log            *slog.Logger
	// Every is how often the files are looked at; 0 is once a second.
	Every time.Duration
}

// ErrPlaintext is why a listener is refused.
var ErrPlaintext = errors.New("serves without TLS on an address that is not loopback; set a certificate and key, or --allow-plaintext")

// Listener accepts connections: with TLS, those that Accept returns are
// *tls.Conn, as net/http needs for HTTP/2. Handshakes happen at the first read
// or write, so the server's own time limits bound them.
type Listener struct {
	net.Listener
	o     Options
	inUse atomic.Pointer[tls.Config]

	// What the files held: when they were last used or complained about, and
	// when they were last found bad. Only Listen and then Run touch these.
	settled, suspect [sha256.Size]byte
}

// Listen opens a listener on a TCP address. Its files are watched while Run
// runs.
func Listen(ctx context.Context, addr string, o Options) (*Listener, error) {
	l := &Listener{o: o}
	if o.Files.Enabled() {
		m, err := o.Files.load()
		if err != nil {
			return nil, err
		}
		l.use(ctx, m)
	}
	inner, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	l.Listener = inner
	switch {
	case l.Secure():
		l.Listener = tls.NewListener(inner, l.outer())
	case !o.AllowPlaintext && !loopback(inner.Addr()):
		return nil, errors.Join(fmt.Errorf("%s %w", addr, ErrPlaintext), inner.Close())
	}
	return l, nil
}

// Secure reports whether the listener serves TLS.
func (l *Listener) Secure() bool { return l.inUse.Load() != nil }

// Run puts changed files in force until ctx ends. What cannot be used is
// logged, once, and what was in use stays. Connections live on under the
// certificate that they began with. Run returns at once without TLS.
//
// It reads the files instead of asking for notifications: those miss what
// happens behind links and on network file systems, and half a kilobyte a
// second costs nothing.
func (l *Listener) Run(ctx context.Context) {
	if !l.Secure() {
		return
	}
	every := l.o.Every
	if every == 0 {
		every = defaultEvery
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.reload(ctx)
		}
	}
}

func (l *Listener) reload(ctx context.Context) {
	m, err := l.o.Files.load()
	switch {
	case m.digest == l.settled:
		return
	case err != nil && m.digest != l.suspect:
		l.suspect = m.digest // perhaps half written: complain when it stays so
		return
	case err != nil:
		l.settled = m.digest
		l.o.Log.ErrorContext(ctx, "cannot use the changed TLS files; those in use stay", "listener", l.o.Name, "error", err)
		return
	}
	l.use(ctx, m)
	l.o.Log.InfoContext(ctx, "TLS files changed and are in use", "listener", l.o.Name,
		"names", m.pair.Leaf.DNSNames, "until", m.pair.Leaf.NotAfter)
}

// use puts material in force.
func (l *Listener) use(ctx context.Context, m material) {
	if leaf, now := m.pair.Leaf, time.Now(); now.After(leaf.NotAfter) || now.Before(leaf.NotBefore) {
		l.o.Log.WarnContext(ctx, "the TLS certificate is not valid now, clients will refuse it", "listener", l.o.Name,
			"from", leaf.NotBefore, "until", leaf.NotAfter)
	}
	l.settled = m.digest
	l.inUse.Store(&tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   l.o.Protocols,
		Certificates: []tls.Certificate{m.pair},
		ClientAuth:   m.auth,
		ClientCAs:    m.pool,
		// A resumed session would bring back a client certificate whose
		// authority was removed since.
		SessionTicketsDisabled: m.pool != nil,
	})
}

// outer is the configuration that looks up the one in force at each handshake.
func (l *Listener) outer() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: l.o.Protocols,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return l.inUse.Load(), nil
		},
	}
}

// Loopback reports whether only this machine can reach a host:port to listen
// on. A host name other than localhost counts as reachable.
func Loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// loopback is Loopback for an address really listened on.
func loopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
