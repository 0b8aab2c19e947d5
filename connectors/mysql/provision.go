package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strconv"
	"strings"
	"time"

	driver "github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/connectors"
)

var (
	_ connectors.Provisioner    = (*Connector)(nil)
	_ connectors.DatabaseServer = (*server)(nil)
)

// Rules of MySQL and MariaDB: logins are the server's.
func (*Connector) Rules() connectors.EngineRules {
	return connectors.EngineRules{
		EngineType:    "mysql",
		Reserved:      []string{"admin", "test", "mysql", "information_schema", "performance_schema", "sys"},
		ReservedUsers: []string{"root", "mysql", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "debian-sys-maint"},
		Format:        "mysqldump",
	}
}

// systemDatabases belong to the server itself.
var systemDatabases = []string{"mysql", "information_schema", "performance_schema", "sys"}

// Endpoint is the URL of a database.
func (*Connector) Endpoint(c connectors.Config, database string) string {
	return "mysql://<user>:<password>@" + address(c) + "/" + database
}

// ConfigFor logs in as l to its database, over the same address and TLS. A
// client certificate is the administrator's and stays so.
func (*Connector) ConfigFor(c connectors.Config, l connectors.Login) (connectors.Config, error) {
	out := maps.Clone(c)
	delete(out, "tls_client_cert")
	delete(out, "tls_client_key")
	out["database"], out["username"], out["password"] = l.Database, l.User, l.Password
	return out, nil
}

func address(c connectors.Config) string {
	return net.JoinHostPort(c.String("host"), strconv.FormatInt(c.Int("port"), 10))
}

// server is a server with an administrator logged in, over one connection that
// is made anew when it breaks.
type server struct {
	db      *sql.DB
	env     connectors.Env
	config  connectors.Config
	version string
	admin   string // the account that the login became, without its host
	maria   bool
	// everybodys are the patterns of databases that everybody reaches; nil until
	// they are asked for.
	everybodys []string
	// empty is a database that was just made, and has no logins yet.
	empty string
}

// loginTime bounds how long a server may take to accept a connection.
const loginTime = 10 * time.Second

// lockWait is how long a statement waits, in seconds, for others to let go of
// what it changes. The servers' own default is a day and more.
const lockWait = "10"

// Open logs in.
func (*Connector) Open(ctx context.Context, env connectors.Env, c connectors.Config) (connectors.DatabaseServer, error) {
	s := &server{env: env, config: c}
	cfg, err := s.driverConfig()
	if err != nil {
		return nil, s.failure(ctx, err)
	}
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		return nil, s.failure(ctx, err)
	}
	s.db = sql.OpenDB(connector)
	s.db.SetMaxOpenConns(1)
	if err := s.hello(ctx); err != nil {
		s.db.Close() //nolint:errcheck // the failure is told
		return nil, s.failure(ctx, err)
	}
	return s, nil
}

// driverConfig has no state outside of itself: nothing is registered with the
// driver.
func (s *server) driverConfig() (*driver.Config, error) {
	c := s.config
	cfg := driver.NewConfig()
	cfg.User, cfg.Passwd = c.String("username"), c.String("password")
	cfg.Net, cfg.Addr = "tcp", address(c)
	cfg.DialFunc = s.env.Dial
	cfg.Timeout = loginTime
	if n := c.Int("connect_timeout"); n > 0 {
		cfg.Timeout = time.Duration(n) * time.Second
	}
	cfg.Logger = &driver.NopLogger{}
	var err error
	if cfg.TLS, err = tlsConfig(c); err != nil {
		return nil, err
	}
	cfg.AllowFallbackToPlaintext = tlsMode(c) == modePreferred
	// How names and texts are quoted depends on these: see provision_quote.go.
	cfg.Params = map[string]string{
		"sql_mode":              "'NO_BACKSLASH_ESCAPES'",
		"character_set_client":  "utf8mb4",
		"character_set_results": "utf8mb4",
		"collation_connection":  "utf8mb4_general_ci",
		"lock_wait_timeout":     lockWait,
	}
	return cfg, nil
}

// hello makes the first connection. The driver trusts servers to speak the
// protocol: what speaks another may make it panic.
func (s *server) hello(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = connectors.Fail(connectors.ProtocolMismatch, fmt.Errorf("panic: %v", r), "the driver failed on the server's answer")
		}
	}()
	var current string
	if err := s.db.QueryRowContext(ctx, "SELECT VERSION(), CURRENT_USER()").Scan(&s.version, &current); err != nil {
		return err
	}
	s.admin, _, _ = cutLast(current, "@")
	s.maria = strings.Contains(s.version, "MariaDB")
	return nil
}

// Close logs out.
func (s *server) Close() error { return s.db.Close() }

// exec runs a statement. Statements are written out in full: with arguments,
// each would take two round trips more.
func (s *server) exec(ctx context.Context, statement string) error {
	_, err := s.db.ExecContext(ctx, statement)
	return err
}

// list runs a query with one column.
func (s *server) list(ctx context.Context, query string) ([]string, error) {
	rows, err := s.table(ctx, query, 1)
	if err != nil {
		return nil, err
	}
	list := make([]string, len(rows))
	for i, r := range rows {
		list[i] = r[0]
	}
	return list, nil
}

// table runs a query with a number of columns, NULL read as "".
func (s *server) table(ctx context.Context, query string, columns int) ([][]string, error) {
	rows, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out [][]string
	for rows.Next() {
		cells, into := make([]sql.NullString, columns), make([]any, columns)
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		row := make([]string, columns)
		for i, c := range cells {
			row[i] = c.String
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

// is runs a query for a truth.
func (s *server) is(ctx context.Context, query string) (bool, error) {
	var yes bool
	err := s.db.QueryRowContext(ctx, query).Scan(&yes)
	return yes, err
}

// failure is what callers are told of an error.
func (s *server) failure(ctx context.Context, err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = ctx.Err() // the driver tells a broken connection instead
	}
	var refused *driver.MySQLError
	switch {
	case errors.As(err, &refused):
		err = adminFailure(refused.Number, refused.Message, s.encrypted())
	case errors.Is(err, driver.ErrInvalidConn):
		err = fmt.Errorf("%w: %w", err, io.ErrUnexpectedEOF)
	case errors.Is(err, driver.ErrNoTLS):
		err = noTLS(err)
	case errors.Is(err, driver.ErrMalformPkt), errors.Is(err, driver.ErrPktSync), errors.Is(err, driver.ErrPktSyncMul), errors.Is(err, driver.ErrOldProtocol):
		err = connectors.Fail(connectors.ProtocolMismatch, err, "the server's answer is malformed")
	case errors.Is(err, driver.ErrUnknownPlugin), errors.Is(err, driver.ErrOldPassword), errors.Is(err, driver.ErrCleartextPassword), errors.Is(err, driver.ErrNativePassword):
		err = connectors.Fail(connectors.AuthUnsupported, err, "%s", err)
	}
	return connectors.Classify(err, address(s.config), append(secrets, s.config.String("password"))...)
}

// encrypted reports whether the configuration demands TLS.
func (s *server) encrypted() bool {
	mode := tlsMode(s.config)
	return mode != modeDisabled && mode != modePreferred
}

// mayChange fails for the names of the server's own accounts and of the
// administrator's.
func (s *server) mayChange(user string) error {
	if user == s.admin || user == s.config.String("username") || contains((*Connector)(nil).Rules().ReservedUsers, user) {
		return exists("Login", user)
	}
	return nil
}

// exists is the failure of a name that is somebody else's.
func exists(what, name string) error {
	return &connectors.Failure{Code: connectors.InvalidConfig, Phrase: fmt.Sprintf("%s %q exists already", what, name), Err: connectors.ErrExists}
}
