package mariadbmon

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// login is all that a connection depends on. While it is the same, the
// connection is kept.
type login struct {
	user, password   string
	network, address string
	extra            string // address to try first
	local            string // address to connect from
	tls              *tls.Config
}

// conn is the one connection that is kept to a server.
type conn struct {
	srv      *dbproxy.Server
	params   param.Set // of the monitor
	login    login
	database *sql.DB
	session  *sql.Conn
}

// errDown says that there is no connection.
var errDown = errors.New("not connected")

// wanted is how to log in by the parameters there are now.
func (c *conn) wanted() (login, error) {
	p := c.srv.Params()
	l := login{user: c.params.String("user"), password: c.params.String("password")}
	if user := p.String("monitoruser"); user != "" {
		l.user, l.password = user, p.String("monitorpw")
	}
	l.network, l.address = c.srv.Address()
	l.local = c.srv.LocalAddress()
	if extra := p.Int("extra_port"); extra > 0 && l.network == "tcp" {
		host, _, err := net.SplitHostPort(l.address)
		if err != nil {
			return login{}, err
		}
		l.extra = net.JoinHostPort(host, strconv.FormatInt(extra, 10))
	}
	var err error
	l.tls, err = c.srv.TLSConfig()
	return l, err
}

// open connects, unless there is a connection already. old tells whether there
// was one.
func (c *conn) open(ctx context.Context) (old bool, err error) {
	l, err := c.wanted()
	if err != nil {
		c.close()
		return false, err
	}
	if c.session != nil && l == c.login {
		return true, nil
	}
	c.close()
	c.login = l
	for range c.params.Int("backend_connect_attempts") {
		if err = c.connect(ctx, l); err == nil || denied(err) || ctx.Err() != nil {
			break
		}
	}
	return false, err
}

func (c *conn) connect(ctx context.Context, l login) error {
	if l.extra != "" {
		if err := c.dial(ctx, l, l.extra); err == nil {
			return nil
		}
	}
	return c.dial(ctx, l, l.address)
}

func (c *conn) dial(ctx context.Context, l login, address string) error {
	cfg := mysql.NewConfig()
	cfg.User, cfg.Passwd, cfg.Net, cfg.Addr, cfg.TLS = l.user, l.password, l.network, address, l.tls
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = c.params.Duration("backend_connect_timeout"), c.readTimeout(), c.params.Duration("backend_write_timeout")
	cfg.InterpolateParams, cfg.Logger, cfg.DialFunc = true, &mysql.NopLogger{}, c.srv.DialContext
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	// The driver bounds the connecting itself, but not the login after it.
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	database := sql.OpenDB(connector)
	database.SetMaxOpenConns(1)
	session, err := database.Conn(ctx)
	if err == nil {
		// Texts are quoted in one way on all servers.
		_, err = session.ExecContext(ctx, "SET SESSION sql_mode = ''")
		if err != nil {
			session.Close()
		}
	}
	if err != nil {
		database.Close()
		return err
	}
	c.database, c.session = database, session
	return nil
}

func (c *conn) readTimeout() time.Duration { return c.params.Duration("backend_read_timeout") }

// close gives the connection up, and with it the locks that it holds.
func (c *conn) close() {
	if c.session != nil {
		c.session.Close()
		c.database.Close()
		c.session, c.database = nil, nil
	}
}

// check closes a connection that an error shows to be broken.
func (c *conn) check(err error) error {
	if err != nil && !answered(err) {
		c.close()
	}
	return err
}

// exec runs a statement.
func (c *conn) exec(ctx context.Context, statement string, args ...any) error {
	if c.session == nil {
		return errDown
	}
	_, err := c.session.ExecContext(ctx, statement, args...)
	return c.check(err)
}

// row is a row of an answer, by the lower-cased names of the columns. What is
// NULL is not in it.
type row map[string]string

// first is the value of the first of these columns that is there.
func (r row) first(names ...string) string {
	for _, name := range names {
		if v, ok := r[name]; ok {
			return v
		}
	}
	return ""
}

func (r row) number(fallback int64, names ...string) int64 {
	n, err := strconv.ParseInt(r.first(names...), 10, 64)
	if err != nil {
		return fallback
	}
	return n
}

// on tells whether a variable is switched on.
func (r row) on(name string) bool {
	v := r[name]
	return v != "" && v != "0" && !strings.EqualFold(v, "OFF")
}

// query runs a statement that answers with rows.
func (c *conn) query(ctx context.Context, statement string, args ...any) ([]row, error) {
	if c.session == nil {
		return nil, errDown
	}
	rows, err := c.session.QueryContext(ctx, statement, args...)
	if err != nil {
		return nil, c.check(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return nil, c.check(err)
	}
	var list []row
	cells := make([]sql.NullString, len(columns))
	pointers := make([]any, len(columns))
	for i := range cells {
		pointers[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(pointers...); err != nil {
			return nil, c.check(err)
		}
		r := make(row, len(columns))
		for i, name := range columns {
			if cells[i].Valid {
				r[strings.ToLower(name)] = cells[i].String
			}
		}
		list = append(list, r)
	}
	return list, c.check(rows.Err())
}

// one is the first row of an answer, empty when there is none.
func (c *conn) one(ctx context.Context, statement string, args ...any) (row, error) {
	list, err := c.query(ctx, statement, args...)
	if err != nil || len(list) == 0 {
		return row{}, err
	}
	return list[0], nil
}

// answered tells whether an error is what the server said, so that the
// connection is in order.
func answered(err error) bool {
	said, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && !slices.Contains([]uint16{errShutdown, errConnectionKilled, errInterrupted}, said.Number)
}

// Numbers of errors of MariaDB and MySQL.
const (
	errShutdown         = 1053
	errInterrupted      = 1317
	errConnectionKilled = 1927
	errStatementTimeout = 1969
	errLockWait         = 1205
)

// rightsErrors say that a login, or the rights of a user, are not enough.
var rightsErrors = []uint16{1044, 1045, 1130, 1142, 1143, 1227, 1370, 1698, 1820, 1862, 1873, 4151}

func denied(err error) bool { return hasNumber(err, rightsErrors...) }

// overdue tells whether the server gave a statement up because of its time.
func overdue(err error) bool { return hasNumber(err, errStatementTimeout, errLockWait) }

func hasNumber(err error, numbers ...uint16) bool {
	said, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && slices.Contains(numbers, said.Number)
}
