// Package mysql is the connector for MySQL, MariaDB and the servers and
// proxies that speak their protocol.
//
// A test speaks the client/server protocol itself
// (https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html): a
// login and three short queries need little of it, and the drivers at hand
// panic, leaking a goroutine each time, when a server says something odd.
//
// Start at Connector.Test; wire.go frames packets, greeting.go reads the
// server's first one, login.go and plugins.go log in, query.go reads results,
// failure.go translates what the server refuses.
//
// Databases and logins are made over database/sql, where the server is known
// and trusted with an administrator's password: provision.go and the files that
// begin alike. relay.go lets the server's own dump programs in.
package mysql

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"

	"github.com/backplane/backplane/connectors"
)

// The TLS modes, named as MySQL's own clients name them.
const (
	modeDisabled       = "disabled"
	modePreferred      = "preferred"
	modeRequired       = "required"
	modeVerifyCA       = "verify_ca"
	modeVerifyIdentity = "verify_identity"
)

// Connector reaches MySQL and MariaDB servers.
type Connector struct{}

var _ connectors.Connector = (*Connector)(nil)

// New returns the connector.
func New() *Connector { return &Connector{} }

// Spec describes the type mysql.
func (*Connector) Spec() connectors.Spec {
	fields := []connectors.Field{
		connectors.HostField(),
		connectors.PortField(3306),
		{Name: "database", Kind: connectors.String, Required: true, Min: 1, Max: 256, Doc: "Name of the database."},
		{Name: "username", Kind: connectors.String, Required: true, Min: 1, Max: 320, Doc: "Account to log in as."},
		{Name: "password", Kind: connectors.String, Secret: true, Doc: "Password of the account."},
		{Name: "use_ssl", Kind: connectors.Boolean,
			Doc: "Without ssl_mode: true means verify_identity, or required with tls_skip_verify; false, the default, means disabled."},
		{Name: "ssl_mode", Kind: connectors.String,
			Enum: []string{modeDisabled, modePreferred, modeRequired, modeVerifyCA, modeVerifyIdentity},
			Doc:  "When to use TLS and what to check. Default: as use_ssl says."},
		connectors.PoolField(10),
		connectors.TimeoutField("connect_timeout"),
	}
	fields = append(fields, connectors.TLSFields()...)
	fields = append(fields, connectors.UnusedFields("read_timeout", "write_timeout")...)
	return connectors.Spec{
		Type: "mysql", Title: "MySQL / MariaDB", Doc: "MySQL or MariaDB database",
		Fields: fields, Check: checkConfig,
	}
}

// tlsMode is the mode that the fields taken together ask for.
func tlsMode(c connectors.Config) string {
	switch {
	case c.Has("ssl_mode"):
		return c.String("ssl_mode")
	case c.Bool("use_ssl") && c.Bool("tls_skip_verify"):
		return modeRequired
	case c.Bool("use_ssl"):
		return modeVerifyIdentity
	default:
		return modeDisabled
	}
}

func checkConfig(c connectors.Config, _ connectors.Env) []connectors.Fault {
	faults := connectors.CheckTLS(c)
	mode := tlsMode(c)
	wants := mode == modeRequired || mode == modeVerifyCA || mode == modeVerifyIdentity
	if c.Has("use_ssl") && (c.Bool("use_ssl") && mode == modeDisabled || !c.Bool("use_ssl") && wants) {
		faults = append(faults, connectors.Fault{Field: "ssl_mode", Message: mode + " contradicts use_ssl; set both alike or leave one out"})
	}
	if c.Bool("tls_skip_verify") && (mode == modeVerifyCA || mode == modeVerifyIdentity) {
		faults = append(faults, connectors.Fault{Field: "tls_skip_verify", Message: "contradicts ssl_mode " + mode})
	}
	return faults
}

// session is an open connection and what was learned about it.
type session struct {
	*wire
	greeting greeting
	tls      bool
	// hello replaces the beginning of the login packet for a session that is
	// opened for another client: see relay.
	hello []byte
}

// Test logs in to the database and runs a query.
func (*Connector) Test(ctx context.Context, p *connectors.Probe, c connectors.Config) error {
	address := net.JoinHostPort(c.String("host"), strconv.FormatInt(c.Int("port"), 10))
	conn, err := p.Dial(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	s := &session{wire: newWire(conn)}
	if err := s.open(ctx, p, c); err != nil {
		return translate(err, s.tls, c.String("database"))
	}
	p.Enter(connectors.StageVerify)
	if err := s.verify(p); err != nil {
		return translate(err, s.tls, c.String("database"))
	}
	s.quit()
	return nil
}

// open reads the greeting, switches to TLS as the mode says, and logs in.
func (s *session) open(ctx context.Context, p *connectors.Probe, c connectors.Config) error {
	if err := s.greet(); err != nil {
		return err
	}
	p.Note(func(r *connectors.Report) { r.ServerVersion = s.greeting.version })
	if err := s.secure(ctx, c, p.Handshake); err != nil {
		return err
	}
	p.Enter(connectors.StageAuth)
	return s.login(c.String("username"), c.String("password"), c.String("database"))
}

func (s *session) greet() error {
	first, err := s.readGreeting()
	if err == nil {
		s.greeting, err = parseGreeting(first)
	}
	return err
}

// handshake makes a TLS connection of a plain one.
type handshake func(ctx context.Context, raw net.Conn, cfg *tls.Config) (*tls.Conn, error)

// secure switches to TLS as the mode says.
func (s *session) secure(ctx context.Context, c connectors.Config, shake handshake) error {
	mode := tlsMode(c)
	switch {
	case mode == modeDisabled:
	case s.greeting.caps&capSSL != 0:
		return s.upgrade(ctx, c, shake)
	case mode != modePreferred:
		return noTLS(nil)
	}
	return nil
}

func noTLS(cause error) error {
	return &connectors.Failure{Code: connectors.TLSNotSupported, Stage: connectors.StageTLS, Err: cause,
		Hint: "Give the server a certificate (ssl_cert, ssl_key), or set use_ssl to false."}
}

// tlsConfig is what the mode demands of the server; nil for no TLS.
func tlsConfig(c connectors.Config) (*tls.Config, error) {
	mode := tlsMode(c)
	if mode == modeDisabled {
		return nil, nil
	}
	cfg, err := connectors.TLSConfig(c, c.String("host"))
	if err != nil {
		return nil, err
	}
	switch mode {
	case modeVerifyIdentity:
	case modeVerifyCA:
		connectors.VerifyChainOnly(cfg)
	default:
		cfg.InsecureSkipVerify = true //nolint:gosec // what the mode means, told as a warning
	}
	return cfg, nil
}

func (s *session) upgrade(ctx context.Context, c connectors.Config, shake handshake) error {
	cfg, err := tlsConfig(c)
	if err != nil {
		return err
	}
	if s.in.Buffered() > 0 {
		// Whatever came before the handshake was not protected.
		return errMalformed
	}
	if err := s.write(s.header(true)); err != nil {
		return err
	}
	conn, err := shake(ctx, s.conn, cfg)
	var record tls.RecordHeaderError
	if errors.As(err, &record) {
		return connectors.Fail(connectors.TLSHandshake, err, "the server offered TLS but answered in clear")
	}
	if err != nil {
		return err
	}
	s.swap(conn)
	s.tls = true
	return nil
}

// verify asks for the version, which shows that queries are answered, and for
// two things worth a warning, whose refusal does not matter.
func (s *session) verify(p *connectors.Probe) error {
	row, err := s.query("SELECT VERSION()")
	if err != nil {
		return err
	}
	p.Verified()
	if len(row) == 1 {
		p.Note(func(r *connectors.Report) { r.ServerVersion = row[0] })
	}
	row, err = s.optional("SELECT @@global.read_only")
	if err != nil {
		return err
	}
	if len(row) == 1 && row[0] != "0" && row[0] != "OFF" {
		p.Warn("read_only", "The server is read-only: it accepts no changes from ordinary accounts.")
	}
	row, err = s.optional("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
	if err != nil {
		return err
	}
	if s.tls && len(row) == 2 && row[1] == "" {
		p.Warn("tls_proxied", "A proxy ends the encryption; its connection to the server is not encrypted.")
	}
	return nil
}

// optional is query for what a server may refuse to answer.
func (s *session) optional(sql string) ([]string, error) {
	row, err := s.query(sql)
	var refusal *serverError
	if errors.As(err, &refusal) {
		return nil, nil
	}
	return row, err
}
