package connectors

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Stage is a step of a connection test, in the order below.
type Stage string

// The stages of a connection test.
const (
	StageConfig   Stage = "config"
	StageResolve  Stage = "resolve"
	StageConnect  Stage = "connect"
	StageTLS      Stage = "tls"
	StageGreeting Stage = "greeting"
	StageAuth     Stage = "auth"
	StageSelect   Stage = "select"
	StageVerify   Stage = "verify"
)

// Step is one finished or failed stage.
type Step struct {
	Stage Stage
	Took  time.Duration
}

// TLSInfo tells how a connection was encrypted.
type TLSInfo struct {
	Used         bool
	Version      string // "TLS 1.3"; empty when the server does not tell
	Verified     bool
	PeerNotAfter time.Time // expiry of the server's certificate; zero when unknown
}

// Peer is the result for one server of a type that lists several.
type Peer struct {
	Address string
	Version string
	Error   string
}

// Report is what a connection test found out.
type Report struct {
	Latency       time.Duration // from the start of name resolution to the last verifying reply
	Message       string        // "Connection successful" unless the connector says more
	Warnings      []Warning
	ServerVersion string
	Address       string // the address really connected to
	TLS           TLSInfo
	Steps         []Step
	Peers         []Peer
	// Learned are configuration keys the test found out and the caller should
	// store, such as an SFTP host key under the policy accept-new.
	Learned map[string]string
}

// Warning is something short of failure that the operator should know.
type Warning struct{ Code, Message string }

// Probe is the one shared dialer and notebook of a connection test. Every
// connection it makes is closed, at the latest, when the context ends, and has
// the context's deadline pinned: libraries that set their own, later deadlines
// cannot outlive it. Methods are safe for concurrent use.
type Probe struct {
	Env Env

	mu         sync.Mutex
	report     Report
	stage      Stage
	stageStart time.Time
	start      time.Time
	verified   time.Time
	address    string
	first      []byte
	conns      []*pinnedConn
	stops      []func() bool
}

func newProbe(env Env) *Probe {
	now := time.Now()
	return &Probe{Env: env, stage: StageConfig, start: now, stageStart: now}
}

// Enter marks the beginning of a stage and the end of the one before.
func (p *Probe) Enter(s Stage) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s == p.stage {
		return
	}
	now := time.Now()
	p.report.Steps = append(p.report.Steps, Step{p.stage, now.Sub(p.stageStart)})
	p.stage, p.stageStart = s, now
}

// Stage returns the stage under way.
func (p *Probe) Stage() Stage {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stage
}

// Address returns the address last dialled, as configured (host:port).
func (p *Probe) Address() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.address
}

// First returns the first bytes (64 at most) any server sent, for Mismatch.
func (p *Probe) First() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]byte(nil), p.first...)
}

// Verified marks the last verifying reply: latency ends here.
func (p *Probe) Verified() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.verified = time.Now()
}

// Note changes the report under the probe's lock.
func (p *Probe) Note(change func(r *Report)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.report)
}

// Warn adds a warning.
func (p *Probe) Warn(code, message string) {
	p.Note(func(r *Report) { r.Warnings = append(r.Warnings, Warning{code, message}) })
}

// NoteTLS records an established TLS connection; verified says whether the
// certificate chain and name were checked. Unverified adds a warning.
func (p *Probe) NoteTLS(cs tls.ConnectionState, verified bool) {
	info := TLSInfo{Used: true, Version: tls.VersionName(cs.Version), Verified: verified}
	if len(cs.PeerCertificates) > 0 {
		info.PeerNotAfter = cs.PeerCertificates[0].NotAfter
	}
	p.Note(func(r *Report) { r.TLS = info })
	if !verified {
		p.Warn("tls_unverified", "The connection is encrypted, but the server's certificate was not checked.")
	}
}

// WarnPlaintext adds the warning for a password sent without encryption.
func (p *Probe) WarnPlaintext() {
	p.Warn("plaintext_credentials", "The password travels unencrypted.")
}

type deniedError struct{ addr netip.Addr }

func (e *deniedError) Error() string { return fmt.Sprintf("address %s is not allowed", e.addr) }

// Dial resolves and connects; network is "tcp". The stages resolve and connect
// are entered on the way; what follows is up to the caller.
func (p *Probe) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	p.mu.Lock()
	p.address = address
	p.mu.Unlock()
	p.Enter(StageResolve)
	c, err := p.dial(ctx, network, address, func() { p.Enter(StageConnect) })
	if err != nil {
		return nil, err
	}
	p.Note(func(r *Report) { r.Address = c.RemoteAddr().String() })
	p.Enter(StageGreeting)
	return c, nil
}

// DialMore opens a further connection of a test, such as FTP's for data, under
// the same rules as Dial. It leaves the stage and the reported address alone.
func (p *Probe) DialMore(ctx context.Context, network, address string) (net.Conn, error) {
	return p.dial(ctx, network, address, func() {})
}

func (p *Probe) dial(ctx context.Context, network, address string, resolved func()) (net.Conn, error) {
	d := p.Env.dialer(resolved)
	d.KeepAlive = -1
	raw, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c := &pinnedConn{Conn: raw, p: p}
	if deadline, ok := ctx.Deadline(); ok {
		if err := raw.SetDeadline(deadline); err != nil {
			raw.Close()
			return nil, err
		}
	}
	p.mu.Lock()
	p.conns = append(p.conns, c)
	// An expired deadline, not a close: the reader must see a time-out.
	p.stops = append(p.stops, context.AfterFunc(ctx, func() { raw.SetDeadline(time.Unix(1, 0)) }))
	p.mu.Unlock()
	return c, nil
}

// DialTLS is Dial followed by a TLS handshake under ctx, recorded with
// NoteTLS; cfg is not changed.
func (p *Probe) DialTLS(ctx context.Context, network, address string, cfg *tls.Config) (*tls.Conn, error) {
	raw, err := p.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return p.Handshake(ctx, raw, cfg)
}

// Handshake runs a TLS handshake on an open connection as stage tls.
func (p *Probe) Handshake(ctx context.Context, raw net.Conn, cfg *tls.Config) (*tls.Conn, error) {
	p.Enter(StageTLS)
	c := tls.Client(raw, cfg)
	if err := c.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	p.NoteTLS(c.ConnectionState(), !cfg.InsecureSkipVerify || cfg.VerifyConnection != nil)
	p.Enter(StageGreeting)
	return c, nil
}

// close ends every connection of the test.
func (p *Probe) close() {
	p.mu.Lock()
	conns, stops := p.conns, p.stops
	p.conns, p.stops = nil, nil
	p.mu.Unlock()
	for _, stop := range stops {
		stop()
	}
	for _, c := range conns {
		c.Conn.Close() //nolint:errcheck // closed before by the connector, usually
	}
}

// finish returns the report with the last stage and the latency filled in.
func (p *Probe) finish() Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	end := p.verified
	if end.IsZero() {
		end = now
	}
	r := p.report
	r.Steps = append(r.Steps, Step{p.stage, now.Sub(p.stageStart)})
	r.Latency = end.Sub(p.start)
	return r
}

// pinnedConn ignores later deadlines and remembers the first bytes received.
type pinnedConn struct {
	net.Conn
	p *Probe
}

func (c *pinnedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if n > 0 {
		c.p.mu.Lock()
		if room := 64 - len(c.p.first); room > 0 {
			c.p.first = append(c.p.first, b[:min(n, room)]...)
		}
		c.p.mu.Unlock()
	}
	return n, err
}

func (c *pinnedConn) SetDeadline(time.Time) error      { return nil }
func (c *pinnedConn) SetReadDeadline(time.Time) error  { return nil }
func (c *pinnedConn) SetWriteDeadline(time.Time) error { return nil }
