package mysql_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"testing"

	driver "github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/mysql"
	"github.com/backplane/backplane/testbed"
)

// tenant is a session of a login, with the driver that Go programs use.
type tenant struct {
	db   *sql.DB
	conn *sql.Conn
}

func logIn(s *testbed.MariaDB) func(ctx context.Context, l connectors.Login) (conformance.Session, error) {
	return func(ctx context.Context, l connectors.Login) (conformance.Session, error) {
		return enter(ctx, s, l)
	}
}

func enter(ctx context.Context, s *testbed.MariaDB, l connectors.Login) (*tenant, error) {
	cfg := driver.NewConfig()
	cfg.User, cfg.Passwd, cfg.DBName = l.User, l.Password, l.Database
	cfg.Net, cfg.Addr, cfg.Logger = "tcp", testbed.Addr(s.Port), &driver.NopLogger{}
	connector, err := driver.NewConnector(cfg)
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(connector)
	conn, err := db.Conn(ctx)
	if err != nil {
		db.Close()
		return nil, err
	}
	return &tenant{db, conn}, nil
}

func (s *tenant) exec(ctx context.Context, query string, args ...any) error {
	_, err := s.conn.ExecContext(ctx, query, args...)
	return err
}

func (s *tenant) Make(ctx context.Context, place string) error {
	return s.exec(ctx, "CREATE TABLE "+place+" (k VARCHAR(200) CHARACTER SET utf8mb4 PRIMARY KEY, v LONGTEXT CHARACTER SET utf8mb4)")
}

func (s *tenant) Alter(ctx context.Context, place string) error {
	return s.exec(ctx, "ALTER TABLE "+place+" COMMENT 'altered'")
}

func (s *tenant) Drop(ctx context.Context, place string) error {
	return s.exec(ctx, "DROP TABLE "+place)
}

func (s *tenant) Put(ctx context.Context, place, key, value string) error {
	return s.exec(ctx, "REPLACE INTO "+place+" (k, v) VALUES (?, ?)", key, value)
}

func (s *tenant) Get(ctx context.Context, place, key string) (string, error) {
	var v string
	err := s.conn.QueryRowContext(ctx, "SELECT v FROM "+place+" WHERE k = ?", key).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, err
}

func (s *tenant) Delete(ctx context.Context, place, key string) error {
	return s.exec(ctx, "DELETE FROM "+place+" WHERE k = ?", key)
}

func (s *tenant) Count(ctx context.Context, place string) (n int, err error) {
	err = s.conn.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+place).Scan(&n)
	return n, err
}

func (s *tenant) Close() error { return errors.Join(s.conn.Close(), s.db.Close()) }

// refused knows the numbers of refusals for the lack of a right.
func refused(err error) bool {
	var e *driver.MySQLError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Number {
	case 1044, 1045, 1142, 1143, 1227, 1370, 1410, 1698:
		return true
	}
	return false
}

// attempt is an escape by one statement; %s is the victim's database.
func attempt(name, statement string) conformance.Escape {
	return conformance.Escape{Name: name, Try: func(ctx context.Context, a conformance.Attack) error {
		if strings.Contains(statement, "%s") {
			return a.Session.(*tenant).exec(ctx, fmt.Sprintf(statement, a.Victim.Database))
		}
		return a.Session.(*tenant).exec(ctx, statement)
	}}
}

func escapes() []conformance.Escape {
	hides := func(name, query string) conformance.Escape {
		return conformance.Escape{Name: name, Try: func(ctx context.Context, a conformance.Attack) error {
			var n int
			if err := a.Session.(*tenant).conn.QueryRowContext(ctx, query, a.Victim.Database, a.Victim.User).Scan(&n); err != nil || n > 0 {
				return err
			}
			return conformance.ErrNothing
		}}
	}
	return []conformance.Escape{
		attempt("read another's table by its full name", "DO (SELECT COUNT(*) FROM `%s`.goods)"),
		attempt("write another's table by its full name", "INSERT INTO `%s`.goods VALUES ('x', 'x')"),
		attempt("make a table in another's database", "CREATE TABLE `%s`.x (i INT)"),
		attempt("drop another's database", "DROP DATABASE `%s`"),
		attempt("use another's database", "USE `%s`"),
		attempt("make a database", "CREATE DATABASE mine"),
		attempt("make a user", "CREATE USER mine IDENTIFIED BY 'x'"),
		attempt("hand its rights on", "GRANT SELECT ON `%s`.* TO CURRENT_USER()"),
		attempt("give itself all rights", "GRANT ALL PRIVILEGES ON *.* TO CURRENT_USER()"),
		attempt("read passwords", "DO (SELECT COUNT(*) FROM mysql.global_priv)"),
		attempt("write files", "SELECT 1 INTO OUTFILE '/tmp/backplane-escape'"),
		attempt("read files of the server", "LOAD DATA INFILE '/etc/passwd' INTO TABLE goods"),
		attempt("change the server's settings", "SET GLOBAL general_log = 1"),
		attempt("load a plugin", "INSTALL SONAME 'auth_ed25519'"),
		attempt("shut the server down", "SHUTDOWN"),
		attempt("make a view as the administrator", "CREATE DEFINER = root@localhost VIEW v AS SELECT 1"),
		attempt("make a routine as the administrator", "CREATE DEFINER = root@localhost PROCEDURE p() SELECT 1"),
		attempt("change its own rights by hand", "UPDATE mysql.db SET Db = '%%'"),
		hides("see that another's database is there", "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = ? AND ? <> ''"),
		hides("see sessions of others", "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = ? OR USER = ?"),
		{Name: "end another's session", Try: func(ctx context.Context, a conformance.Attack) error {
			err := a.Session.(*tenant).exec(ctx, "KILL USER "+"'"+a.Victim.User+"'@'%'")
			var e *driver.MySQLError
			if err == nil || errors.As(err, &e) && e.Number == 1095 { // not the owner of the session
				return conformance.ErrNothing // that it goes on is checked by the suite
			}
			return err
		}},
	}
}

func TestProvisioner(t *testing.T) {
	s := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	conformance.Provisioner(t, conformance.ProvisionerSubject{
		Provisioner:     mysql.New(),
		Admin:           admin(s),
		At:              at,
		LogIn:           logIn(s),
		Refused:         refused,
		OwnersStructure: true,
		Escapes:         escapes(),
		Stop:            s.Stop,
		Start:           func(*testing.T) { s.Restart(t) },
	})
}

func admin(s *testbed.MariaDB) config {
	return config{"host": "127.0.0.1", "port": int64(s.Port), "database": "mysql", "username": s.User, "password": s.Password}
}
