package account

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/backplane/backplane/internal/errs"
)

// Querier runs statements on a server, in the character set utf8mb4. What a
// server refuses has to come back as a *ServerError somewhere in the chain.
type Querier interface {
	// Query gives each row to each, and ends with the error that each returns.
	// A Row may be used again for the next one.
	Query(ctx context.Context, statement string, each func(Row) error) error
}

// Row is a row of a result in text form. A nil value is NULL.
type Row struct {
	Columns []string
	Values  [][]byte
}

// ServerError is an error that a server answered with.
type ServerError struct {
	Number  uint16
	Message string
}

// Error returns the number and the message.
func (e *ServerError) Error() string { return fmt.Sprintf("%s (error %d)", e.Message, e.Number) }

// The error numbers of servers that matter here (MySQL Server Error
// Reference).
const (
	errDatabaseDenied  = 1044
	errLoginDenied     = 1045
	errNoSuchTable     = 1146
	errTableDenied     = 1142
	errColumnDenied    = 1143
	errUnknownVariable = 1193
	errPrivilegeNeeded = 1227
	errNoSuchDatabase  = 1049

	errShutdown         = 1053
	errConnectionKilled = 1927
)

func serverError(err error, numbers ...uint16) bool {
	var answer *ServerError
	if !errors.As(err, &answer) {
		return false
	}
	for _, n := range numbers {
		if answer.Number == n {
			return true
		}
	}
	return false
}

func missing(err error) bool { return serverError(err, errNoSuchTable, errNoSuchDatabase) }

func denied(err error) bool {
	return serverError(err, errDatabaseDenied, errTableDenied, errColumnDenied, errPrivilegeNeeded)
}

// Limits bound what is read of one server. The zero value holds the defaults.
type Limits struct {
	Rows  int // of all tables together; 1,000,000
	Bytes int // of all values together; 256 MiB
}

func (l Limits) orDefaults() Limits {
	if l.Rows <= 0 {
		l.Rows = 1_000_000
	}
	if l.Bytes <= 0 {
		l.Bytes = 256 << 20
	}
	return l
}

// loader reads one server.
type loader struct {
	ctx  context.Context
	q    Querier
	left Limits
	data Data
	self Name // the account that reads
}

// Load reads the accounts of a server: MariaDB from 10.0 on, MySQL from 5.6
// on. A table of grants that the server does not have is no error, and one
// that may not be read makes the Table say so (Unread); the accounts
// themselves must be readable.
func Load(ctx context.Context, q Querier, limits Limits) (*Table, error) {
	l := &loader{ctx: ctx, q: q, left: limits.orDefaults()}
	if err := l.server(); err != nil {
		return nil, err
	}
	accounts := l.mariadbAccounts
	if l.data.Product == MySQL {
		accounts = l.userTable
	}
	for _, step := range []func() error{accounts, l.grants, l.proxies, l.roles, l.databases} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return New(l.data), nil
}

// fields gives the values of a row by the names of their columns.
type fields struct {
	index map[string]int
	row   Row
}

// text is the value of a column, "" for NULL and where there is no such one.
func (f *fields) text(column string) string {
	i, ok := f.index[column]
	if !ok || i >= len(f.row.Values) {
		return ""
	}
	return string(f.row.Values[i])
}

// yes tells whether a column of the type ENUM('N','Y') holds Y.
func (f *fields) yes(column string) bool { return strings.EqualFold(f.text(column), "Y") }

func (f *fields) name() Name { return Name{User: f.text("user"), Host: f.text("host")} }

// each runs a statement within the limits.
func (l *loader) each(statement string, row func(*fields)) error {
	f := fields{}
	return l.q.Query(l.ctx, statement, func(r Row) error {
		if f.index == nil {
			f.index = make(map[string]int, len(r.Columns))
			for i, c := range r.Columns {
				f.index[strings.ToLower(c)] = i
			}
		}
		l.left.Rows--
		for _, v := range r.Values {
			l.left.Bytes -= len(v)
		}
		if l.left.Rows < 0 || l.left.Bytes < 0 {
			return errs.New(errs.TooLarge, "the server has more accounts and grants than the proxy is ready to hold")
		}
		f.row = r
		row(&f)
		return nil
	})
}

// must is each for what cannot be left out.
func (l *loader) must(table, statement string, row func(*fields)) error {
	err := l.each(statement, row)
	if denied(err) {
		return l.lacks("SELECT ON "+table, err)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", table, err)
	}
	return nil
}

// optional is each for a table of grants that need not be there.
func (l *loader) optional(table, statement string, row func(*fields)) error {
	err := l.each(statement, row)
	switch {
	case missing(err):
		return nil
	case denied(err):
		l.data.Unread = append(l.data.Unread, table)
		return nil
	case err != nil:
		return fmt.Errorf("read %s: %w", table, err)
	}
	return nil
}

// lacks is the error for a grant that the reading account does not have.
func (l *loader) lacks(grant string, cause error) error {
	return &errs.Error{
		Reason:  errs.PermissionDenied,
		Message: fmt.Sprintf("the service user %s needs GRANT %s", l.self, grant),
		Err:     cause,
	}
}

// server asks what the server is and who the reading account is.
func (l *loader) server() error {
	var who string
	err := l.each("SELECT VERSION() AS version, CURRENT_USER() AS who, @@lower_case_table_names AS lower_case", func(f *fields) {
		l.data.Version, who = f.text("version"), f.text("who")
		l.data.LowerCase, _ = strconv.Atoi(f.text("lower_case"))
	})
	if err != nil {
		return fmt.Errorf("ask the server for its version: %w", err)
	}
	l.data.Product = product(l.data.Version)
	l.self.User = who
	if at := strings.LastIndexByte(who, '@'); at >= 0 {
		l.self = Name{User: who[:at], Host: who[at+1:]}
	}
	return nil
}

func (l *loader) grants() error {
	if err := l.must("mysql.db", "SELECT Host, Db, User FROM mysql.db", l.grant(false)); err != nil {
		return err
	}
	for _, table := range []string{"mysql.tables_priv", "mysql.columns_priv", "mysql.procs_priv"} {
		if err := l.optional(table, "SELECT DISTINCT Host, Db, User FROM "+table, l.grant(true)); err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) grant(literal bool) func(*fields) {
	return func(f *fields) {
		l.data.Grants = append(l.data.Grants, Grant{Name: f.name(), Database: f.text("db"), Literal: literal})
	}
}

func (l *loader) proxies() error {
	const statement = "SELECT Host, User, Proxied_host, Proxied_user FROM mysql.proxies_priv"
	return l.optional("mysql.proxies_priv", statement, func(f *fields) {
		l.data.Proxies = append(l.data.Proxies, Proxy{
			Name:    f.name(),
			Proxied: Name{User: f.text("proxied_user"), Host: f.text("proxied_host")},
		})
	})
}

func (l *loader) roles() error {
	if l.data.Product == MySQL {
		return l.mysqlRoles()
	}
	return l.optional("mysql.roles_mapping", "SELECT Host, User, Role FROM mysql.roles_mapping", func(f *fields) {
		l.data.Memberships = append(l.data.Memberships, Membership{Member: f.name(), Role: Name{User: f.text("role")}})
	})
}

// databases lists the databases, which is all of them only for an account that
// has SHOW DATABASES or any right on all.
func (l *loader) databases() error {
	const statement = "SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA"
	err := l.must("information_schema.SCHEMATA", statement, func(f *fields) {
		l.data.Databases = append(l.data.Databases, f.text("name"))
	})
	if err != nil {
		return err
	}
	for i := range l.data.Accounts {
		if a := &l.data.Accounts[i]; a.Name == l.self {
			l.data.Complete = a.Privileges&(ShowDatabases|onDatabases) != 0
		}
	}
	return nil
}
