// Package postgres is the connector for PostgreSQL and the servers and poolers
// that speak its protocol.
//
// A test speaks the wire protocol itself
// (https://www.postgresql.org/docs/current/protocol.html), which takes a
// startup, a login and one query: this way each step is bounded and named, both
// attempts of the modes prefer and allow report what they met, and neither PG*
// variables nor files of the home directory leak into a test.
//
// Start at Connector.Test; wire.go frames messages, login.go logs in,
// failure.go translates what the server refuses.
package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"slices"

	"github.com/backplane/backplane/connectors"
)

// The TLS modes, named as libpq names them.
const (
	modeDisable    = "disable"
	modeAllow      = "allow"
	modePrefer     = "prefer"
	modeRequire    = "require"
	modeVerifyCA   = "verify-ca"
	modeVerifyFull = "verify-full"
)

// Connector reaches PostgreSQL servers.
type Connector struct{}

var _ connectors.Connector = (*Connector)(nil)

// New returns the connector.
func New() *Connector { return &Connector{} }

// Spec describes the type postgres.
func (*Connector) Spec() connectors.Spec {
	fields := []connectors.Field{
		connectors.HostField(),
		connectors.PortField(5432),
		{Name: "database", Kind: connectors.String, Required: true, Min: 1, Max: 63, Doc: "Name of the database."},
		{Name: "username", Kind: connectors.String, Required: true, Min: 1, Max: 255, Doc: "Role to log in as."},
		{Name: "password", Kind: connectors.String, Secret: true, Doc: "Password of the role; none for trust and certificate logins."},
		{Name: "ssl_mode", Kind: connectors.String,
			Enum: []string{modeDisable, modeAllow, modePrefer, modeRequire, modeVerifyCA, modeVerifyFull},
			Doc:  "When to use TLS and what to check, as in libpq. Default: prefer, or require when use_ssl is true."},
		{Name: "use_ssl", Kind: connectors.Boolean, Doc: "Without ssl_mode, true means require."},
		connectors.PoolField(10),
		connectors.TimeoutField("connect_timeout"),
	}
	fields = append(fields, connectors.TLSFields()...)
	fields = append(fields, connectors.UnusedFields("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count")...)
	return connectors.Spec{
		Type: "postgres", Title: "PostgreSQL", Doc: "PostgreSQL database",
		Fields: fields, Derive: derive, Check: checkConfig,
	}
}

func derive(c connectors.Config) {
	if c.Has("ssl_mode") {
		return
	}
	c["ssl_mode"] = modePrefer
	if c.Bool("use_ssl") {
		c["ssl_mode"] = modeRequire
	}
}

func checkConfig(c connectors.Config, _ connectors.Env) []connectors.Fault {
	faults := connectors.CheckTLS(c)
	mode := c.String("ssl_mode")
	if c.Bool("use_ssl") && mode == modeDisable {
		faults = append(faults, connectors.Fault{Field: "ssl_mode", Message: "disable contradicts use_ssl"})
	}
	if c.Bool("tls_skip_verify") && (mode == modeVerifyCA || mode == modeVerifyFull) {
		faults = append(faults, connectors.Fault{Field: "tls_skip_verify", Message: "contradicts ssl_mode " + mode})
	}
	return faults
}

// attempt is one try to log in: in clear, or under TLS.
type attempt struct {
	conn *wire
	tls  bool
}

// Test logs in and runs one query.
func (*Connector) Test(ctx context.Context, p *connectors.Probe, c connectors.Config) error {
	a, err := open(ctx, p, c)
	if err != nil {
		return err
	}
	p.Enter(connectors.StageVerify)
	if err := verify(p, a); err != nil {
		return translate(err, a, c)
	}
	return a.conn.terminate()
}

// open makes the attempts that the mode allows. A refusal by the server's
// access rules is what a second attempt can change; any other failure, a wrong
// password above all, is final and not tried twice.
func open(ctx context.Context, p *connectors.Probe, c connectors.Config) (*attempt, error) {
	switch c.String("ssl_mode") {
	case modeDisable:
		return login(ctx, p, c, false)
	case modeAllow:
		a, err := login(ctx, p, c, false)
		if !refused(err) {
			return a, err
		}
		return second(ctx, p, c, true, err)
	case modePrefer:
		a, err := login(ctx, p, c, true)
		if !refused(err) && !isCode(err, connectors.TLSNotSupported) {
			return a, err
		}
		return second(ctx, p, c, false, err)
	default:
		return login(ctx, p, c, true)
	}
}

// second makes the other attempt. Its failure replaces the first one's only
// when it tells more: the server let the login begin.
func second(ctx context.Context, p *connectors.Probe, c connectors.Config, withTLS bool, first error) (*attempt, error) {
	p.Note(func(r *connectors.Report) {
		r.TLS = connectors.TLSInfo{}
		r.Warnings = nil
	})
	a, err := login(ctx, p, c, withTLS)
	switch {
	case err == nil:
		return a, nil
	case isCode(first, connectors.TLSNotSupported):
		return nil, withoutTLS(err)
	case refused(err), isCode(err, connectors.TLSNotSupported):
		return nil, first
	default:
		return nil, err
	}
}

// withoutTLS corrects a refusal in clear by a server that has no TLS: asking
// for TLS would not help.
func withoutTLS(err error) error {
	var f *connectors.Failure
	if errors.As(err, &f) && f.Code == connectors.TLSRequired {
		out := *f
		out.Code, out.Hint = connectors.PermissionDenied, hintHBA
		return &out
	}
	return err
}

// refused reports whether the server's access rules (pg_hba.conf) turned the
// attempt down, or its TLS handshake failed for reasons of its own.
func refused(err error) bool {
	var (
		alert tls.AlertError
		f     *connectors.Failure
	)
	if errors.As(err, &alert) {
		return true
	}
	return errors.As(err, &f) && (f.Code == connectors.TLSRequired || f.Code == connectors.PermissionDenied && f.Stage == connectors.StageAuth)
}

func isCode(err error, code connectors.Code) bool {
	var f *connectors.Failure
	return errors.As(err, &f) && f.Code == code
}

func login(ctx context.Context, p *connectors.Probe, c connectors.Config, withTLS bool) (*attempt, error) {
	raw, err := p.Dial(ctx, "tcp", hostPort(c))
	if err != nil {
		return nil, err
	}
	a := &attempt{tls: withTLS}
	conn := raw
	if withTLS {
		if conn, err = upgrade(ctx, c, raw, p.Handshake); err != nil {
			raw.Close()
			return nil, err
		}
	}
	a.conn = newWire(conn)
	if err := a.conn.login(p, c, withTLS); err != nil {
		conn.Close()
		return nil, translate(err, a, c)
	}
	return a, nil
}

// handshake runs a TLS handshake, such as that of a Probe.
type handshake func(ctx context.Context, raw net.Conn, cfg *tls.Config) (*tls.Conn, error)

// upgrade asks for TLS and shakes hands. The server answers the request with
// one byte; anything beyond it was not protected and is refused.
func upgrade(ctx context.Context, c connectors.Config, raw net.Conn, shake handshake) (net.Conn, error) {
	if _, err := raw.Write(sslRequest()); err != nil {
		return nil, err
	}
	answer := make([]byte, 64)
	n, err := raw.Read(answer)
	if err != nil {
		return nil, err
	}
	switch string(answer[:n]) {
	case "S":
	case "N":
		return nil, &connectors.Failure{Code: connectors.TLSNotSupported, Stage: connectors.StageTLS,
			Hint: "Set ssl = on at the server, or ssl_mode to prefer or disable."}
	default:
		if text := startFailure(answer[:n]); text != "" {
			return nil, connectors.Fail(connectors.ServerBusy, nil, "%s", text)
		}
		return nil, connectors.Mismatch("a PostgreSQL", answer[:n])
	}
	cfg, err := tlsConfig(c)
	if err != nil {
		return nil, err
	}
	conn, err := shake(ctx, raw, cfg)
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return nil, connectors.Mismatch("a PostgreSQL", slices.Concat([]byte("S"), record.RecordHeader[:]))
	}
	if err != nil {
		return nil, err
	}
	return conn, nil
}

func tlsConfig(c connectors.Config) (*tls.Config, error) {
	cfg, err := connectors.TLSConfig(c, c.String("host"))
	if err != nil {
		return nil, err
	}
	switch c.String("ssl_mode") {
	case modeVerifyFull:
	case modeVerifyCA:
		connectors.VerifyChainOnly(cfg)
	default:
		cfg.InsecureSkipVerify = true //nolint:gosec // what the mode means, told as a warning
	}
	return cfg, nil
}

// The second query is for servers that speak the protocol without these
// functions and views; it still shows that queries are answered.
const (
	verifyQuery   = "SELECT current_setting('server_version'), pg_is_in_recovery(), (SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_backend_pid())"
	fallbackQuery = "SELECT version()"
)

// verify runs the query: a login alone passes through poolers whose server is
// down.
func verify(p *connectors.Probe, a *attempt) error {
	row, err := a.conn.query(verifyQuery)
	var refusal *serverError
	if errors.As(err, &refusal) && !refusal.fatal() && refusal.class() == "42" {
		row, err = a.conn.query(fallbackQuery)
	}
	if err != nil {
		return err
	}
	p.Verified()
	if len(row) > 0 {
		p.Note(func(r *connectors.Report) { r.ServerVersion = row[0] })
	}
	if len(row) == 3 {
		if row[1] == "t" {
			p.Warn("read_only", "The server is a standby: it accepts no changes.")
		}
		if a.tls && row[2] == "f" {
			p.Warn("tls_proxied", "A proxy ends the encryption; its connection to the server is not encrypted.")
		}
	}
	return nil
}
