// Package redis tests connections to Redis and to servers that speak its
// protocol. It speaks RESP by hand: the exchange is short, a wrong password is
// sent exactly once, and a server that is no Redis never sees the password.
// Start at Connector.Test; resp.go is the protocol.
package redis

import (
	"context"
	"net"
	"strconv"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// Connector tests Redis servers.
type Connector struct{}

var _ connectors.Connector = (*Connector)(nil)

// New returns the connector of type redis.
func New() *Connector { return &Connector{} }

// Spec describes the configuration of a Redis service.
func (*Connector) Spec() connectors.Spec {
	fields := []connectors.Field{
		connectors.HostField(),
		connectors.PortField(6379),
		{Name: "username", Kind: connectors.String, Max: 256,
			Doc: "Name of an ACL user (Redis 6 or later); default: the user default."},
		{Name: "password", Kind: connectors.String, Secret: true, Doc: "Password of the user, or the server's requirepass."},
		{Name: "database", Kind: connectors.Integer, Max: 255, Default: int64(0), Doc: "Number of the database."},
		{Name: "use_tls", Kind: connectors.Boolean, Default: false, Doc: "Encrypt the connection with TLS from its start."},
		connectors.PoolField(10),
	}
	timeout := connectors.TimeoutField("connection_timeout")
	timeout.Default = int64(5)
	fields = append(fields, timeout)
	fields = append(fields, connectors.TLSFields()...)
	fields = append(fields, connectors.UnusedFields("read_timeout", "write_timeout", "command_timeout", "max_retries", "retry_delay")...)
	return connectors.Spec{
		Type: "redis", Title: "Redis", Doc: "A Redis cache or key-value store.",
		Fields: fields, Check: check,
	}
}

func check(c connectors.Config, _ connectors.Env) []connectors.Fault {
	faults := connectors.CheckTLS(c)
	if c.String("username") != "" && c.String("password") == "" {
		faults = append(faults, connectors.Fault{Field: "password", Message: "is required with username: Redis has no login by name alone"})
	}
	return faults
}

// Test greets the server, logs in when there is a password, selects the
// database and pings. It writes no key.
func (*Connector) Test(ctx context.Context, p *connectors.Probe, c connectors.Config) error {
	conn, err := dial(ctx, p, c)
	if err != nil {
		return err
	}
	defer conn.Close()
	s := &session{p: p, c: c, resp: newConn(conn)}
	for _, step := range []func() error{s.greet, s.login, s.selectDatabase, s.verify} {
		if err := step(); err != nil {
			return err
		}
	}
	s.describe()
	return s.sentinel()
}

func dial(ctx context.Context, p *connectors.Probe, c connectors.Config) (net.Conn, error) {
	address := net.JoinHostPort(c.String("host"), strconv.FormatInt(c.Int("port"), 10))
	if !c.Bool("use_tls") {
		return p.Dial(ctx, "tcp", address)
	}
	cfg, err := connectors.TLSConfig(c, c.String("host"))
	if err != nil {
		return nil, err
	}
	return p.DialTLS(ctx, "tcp", address, cfg)
}

// session is one test's conversation with the server.
type session struct {
	p    *connectors.Probe
	c    connectors.Config
	resp *conn
	info map[string]string
	// acl says that the server knows HELLO, and so users with names.
	acl bool
	// open says that the server talks without a login.
	open bool
}

// greet finds out whether this is a Redis at all, before any password is sent.
func (s *session) greet() error {
	r, err := s.do("HELLO", "2")
	if err != nil {
		return err
	}
	switch {
	case !r.isError():
		s.acl, s.open = true, true
	case r.hasCode("NOAUTH"):
		// Redis 6 and later name HELLO in this answer; a proxy that wants a
		// login before anything else does not, and may not know names.
		s.acl = strings.Contains(r.text, "HELLO")
	case r.hasCode("DENIED"), strings.Contains(r.text, "max number of clients"):
		return s.refusal(r)
	}
	return nil
}

func (s *session) login() error {
	password := s.c.String("password")
	if password == "" {
		if !s.open && s.acl {
			s.p.Enter(connectors.StageAuth)
			return &connectors.Failure{Code: connectors.AuthRequired, Hint: "Set password, and username for an ACL user."}
		}
		return nil
	}
	s.p.Enter(connectors.StageAuth)
	if !s.c.Bool("use_tls") {
		s.p.WarnPlaintext()
	}
	username := s.c.String("username")
	args := []string{"AUTH", password}
	if username != "" || s.acl {
		args = []string{"AUTH", orDefault(username), password}
	}
	r, err := s.do(args...)
	if err != nil {
		return err
	}
	if r.isError() {
		return s.refusal(r)
	}
	if s.open && orDefault(username) == "default" {
		s.p.Warn("password_not_needed", "The server has no password: it lets everyone in.")
	}
	return nil
}

func (s *session) selectDatabase() error {
	n := s.c.Int("database")
	if n == 0 {
		return nil
	}
	s.p.Enter(connectors.StageSelect)
	r, err := s.do("SELECT", strconv.FormatInt(n, 10))
	if err != nil {
		return err
	}
	if r.isError() {
		return s.refusal(r)
	}
	return nil
}

func (s *session) verify() error {
	s.p.Enter(connectors.StageVerify)
	r, err := s.do("PING")
	if err != nil {
		return err
	}
	switch {
	case r.hasCode("NOPERM"):
		s.p.Warn("restricted", "The user may not run PING; the login itself worked.")
	case r.isError():
		return s.refusal(r)
	case r.text != "PONG":
		return connectors.Mismatch("a Redis", s.p.First())
	}
	s.p.Verified()
	return nil
}

// describe collects version and role. Users without the right to ask, and
// services that hide INFO, leave it at that.
func (s *session) describe() {
	s.info = map[string]string{}
	for _, section := range []string{"server", "replication"} {
		r, err := s.do("INFO", section)
		if err != nil || r.isError() {
			return
		}
		s.parseInfo(r.text)
	}
	s.p.Note(func(r *connectors.Report) { r.ServerVersion = s.info["redis_version"] })
	if s.info["role"] == "slave" {
		s.p.Warn("read_only", "This server is a replica: it usually refuses writes.")
	}
}

func (s *session) parseInfo(text string) {
	for line := range strings.Lines(text) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			s.info[k] = v
		}
	}
}

// sentinel refuses a server that answers PING but holds no data.
func (s *session) sentinel() error {
	if s.info["redis_mode"] != "sentinel" {
		return nil
	}
	return &connectors.Failure{
		Code: connectors.ProtocolMismatch, Phrase: "Not a Redis data server", Detail: "this is a Sentinel",
		Hint: "Give host and port of the data server that the Sentinel watches.",
	}
}

func orDefault(username string) string {
	if username == "" {
		return "default"
	}
	return username
}
