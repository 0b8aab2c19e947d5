package postgres

import (
	"context"
	"crypto/tls"
	"database/sql"
	"database/sql/driver"
	"errors"
	"maps"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/lib/pq"

	"github.com/backplane/backplane/connectors"
)

// settings are those of an administrator's session. They come with the login,
// where they outrank what an owner set for its database.
func settings() map[string]string {
	return map[string]string{
		"search_path": "pg_catalog", "role": "none", "default_transaction_read_only": "off",
		"statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0",
		"default_transaction_isolation": "read committed", "default_transaction_deferrable": "off",
	}
}

// cancelGrace is how long a statement may take to end after its context; then
// the connection is broken off.
const cancelGrace = time.Second

// session is one connection to one database. When it breaks, the next call
// makes another.
type session struct {
	db       *sql.DB
	source   *source
	database string
}

// open prepares a session and logs in.
func openSession(ctx context.Context, env connectors.Env, c connectors.Config, database string) (*session, error) {
	k := &source{env: env, c: c, database: database}
	s := &session{db: sql.OpenDB(k), source: k, database: database}
	s.db.SetMaxOpenConns(1)
	// The driver's Ping asks the server once more and hides why a login failed.
	conn, err := s.db.Conn(ctx)
	if err != nil {
		s.db.Close() //nolint:errcheck // nothing is open
		return nil, err
	}
	return s, conn.Close()
}

// close logs out.
func (s *session) close() error { return s.db.Close() }

// exec runs statements as one transaction.
func (s *session) exec(ctx context.Context, statements string) error {
	defer s.bound(ctx)()
	_, err := s.db.ExecContext(ctx, statements)
	return ended(ctx, err)
}

// rows runs a query without parameters, and hands each row to scan.
func (s *session) rows(ctx context.Context, query string, scan func(*sql.Rows) error) error {
	defer s.bound(ctx)()
	rows, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return ended(ctx, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return ended(ctx, err)
		}
	}
	return ended(ctx, rows.Err())
}

// one runs a query that gives one row.
func (s *session) one(ctx context.Context, query string, into ...any) error {
	found := false
	err := s.rows(ctx, query, func(r *sql.Rows) error {
		found = true
		return r.Scan(into...)
	})
	if err == nil && !found {
		return sql.ErrNoRows
	}
	return err
}

// bound breaks the connection off some time after ctx ends: the driver asks the
// server to cancel, which a server that hangs does not hear.
func (s *session) bound(ctx context.Context) (release func()) {
	var (
		mu    sync.Mutex
		timer *time.Timer
		over  bool
	)
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			timer = time.AfterFunc(cancelGrace, s.source.breakOff)
		}
	})
	return func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		over = true
		if timer != nil {
			timer.Stop()
		}
	}
}

// ended prefers the end of the context over what it made of the statement.
func ended(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// source makes connections, as the configuration's TLS mode says.
type source struct {
	env      connectors.Env
	c        connectors.Config
	database string

	mu   sync.Mutex
	conn net.Conn // guarded by mu: the one that was made last
}

var _ driver.Connector = (*source)(nil)

// Driver is never used to open anything.
func (k *source) Driver() driver.Driver { return pq.Driver{} }

// Connect makes the attempts that the TLS mode allows, as a test does.
func (k *source) Connect(ctx context.Context) (driver.Conn, error) {
	mode := k.c.String("ssl_mode")
	withTLS := mode != modeDisable && mode != modeAllow
	conn, err := k.attempt(ctx, withTLS)
	if err == nil || mode != modeAllow && mode != modePrefer {
		return conn, err
	}
	if !refused(err) && !(mode == modePrefer && isCode(err, connectors.TLSNotSupported)) {
		return nil, err
	}
	conn, again := k.attempt(ctx, !withTLS)
	switch {
	case again == nil:
		return conn, nil
	case isCode(err, connectors.TLSNotSupported):
		return nil, withoutTLS(again)
	case refused(again), isCode(again, connectors.TLSNotSupported):
		return nil, err
	}
	return nil, again
}

// attempt logs in once, in clear or under TLS.
func (k *source) attempt(ctx context.Context, withTLS bool) (driver.Conn, error) {
	// The driver reads no environment for a Config made by hand, but would look
	// for a password in the home directory.
	connector, err := pq.NewConnectorConfig(pq.Config{
		Host: k.c.String("host"), Port: uint16(k.c.Int("port")), Database: k.database,
		User: k.c.String("username"), Password: k.c.String("password"), Passfile: "/dev/null",
		ApplicationName: "backplane", ClientEncoding: "UTF8", Datestyle: "ISO, MDY",
		SSLMode: pq.SSLModeDisable, // the dialer sees to it
		Runtime: settings(),
	})
	if err != nil {
		return nil, err
	}
	d := &dialer{env: k.env, c: k.c, tls: withTLS}
	connector.Dialer(d)
	conn, err := connector.Connect(ctx)
	if err != nil {
		d.release()
		err = ended(ctx, err)
		if e := fromDriver(err); e != nil {
			return nil, translate(e, &attempt{tls: withTLS}, withDatabase(k.c, k.database))
		}
		return nil, err
	}
	d.release()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.conn = d.first
	return conn, nil
}

// breakOff ends what is under way on the connection.
func (k *source) breakOff() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.conn != nil {
		k.conn.SetDeadline(time.Unix(1, 0)) //nolint:errcheck // closed already
	}
}

// address is where the connection really goes.
func (k *source) address() (netip.AddrPort, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.conn == nil {
		return netip.AddrPort{}, errors.New("not connected")
	}
	return netip.ParseAddrPort(k.conn.RemoteAddr().String())
}

// dialer connects the driver, under TLS where that is wanted. The first
// connection is the session's; later ones carry requests to cancel.
type dialer struct {
	env  connectors.Env
	c    connectors.Config
	tls  bool
	stop func() bool

	first net.Conn
	once  sync.Once
}

var (
	_ pq.Dialer        = (*dialer)(nil)
	_ pq.DialerContext = (*dialer)(nil)
)

// Dial is not used by the driver where DialContext is there.
func (d *dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialContext(context.Background(), network, address)
}

// DialTimeout is Dial with a bound.
func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext connects to an allowed address. Until release, the connection
// ends with ctx: the driver logs in without looking at it.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.env.Dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) }) //nolint:errcheck // closed already
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline) //nolint:errcheck // found when it is used
	}
	out := conn
	if d.tls {
		if out, err = upgrade(ctx, d.c, conn, shakeHands); err != nil {
			stop()
			conn.Close() //nolint:errcheck // of no use
			return nil, err
		}
	}
	d.once.Do(func() { d.first, d.stop = out, stop })
	return out, nil
}

// release lets the first connection live on after the context of its login.
func (d *dialer) release() {
	if d.first == nil {
		return
	}
	if d.stop() {
		d.first.SetDeadline(time.Time{}) //nolint:errcheck // found when it is used
	}
}

func shakeHands(ctx context.Context, raw net.Conn, cfg *tls.Config) (*tls.Conn, error) {
	conn := tls.Client(raw, cfg)
	return conn, conn.HandshakeContext(ctx)
}

// fromDriver is the server's answer inside a driver's error, or nil.
func fromDriver(err error) *serverError {
	var e *pq.Error
	if !errors.As(err, &e) {
		return nil
	}
	return &serverError{severity: e.Severity, state: string(e.Code), message: clip(e.Message), routine: e.Routine}
}

// hostPort is where the configuration says the server is.
func hostPort(c connectors.Config) string {
	return net.JoinHostPort(c.String("host"), strconv.FormatInt(c.Int("port"), 10))
}

// withDatabase is c for another database.
func withDatabase(c connectors.Config, database string) connectors.Config {
	out := maps.Clone(c)
	out["database"] = database
	return out
}
