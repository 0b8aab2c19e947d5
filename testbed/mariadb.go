package testbed

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// MariaDBOptions says what a MariaDB server should be like. The zero value is
// a server without TLS whose root has the password NastyPassword.
type MariaDBOptions struct {
	Password string // of root; NastyPassword when ""
	Cert     *Cert  // switches TLS on with this certificate
	ClientCA *CA    // the authority of client certificates, for REQUIRE X509
	// RequireTLS refuses logins in clear to all users.
	RequireTLS bool
	// Settings are further options of mariadbd, as name=value.
	Settings []string
	// Durable flushes at every commit; by default a power failure may cost
	// data, which makes the server a good deal faster.
	Durable bool
	// Init are statements that the server runs whenever it starts, each on a
	// line of its own; they do not go to the binary log.
	Init []string

	data string // data directory to begin with a copy of
}

// MariaDB is a running MariaDB server.
type MariaDB struct {
	*Running
	Port     int
	User     string // root
	Password string
	Data     string // data directory

	process Process
	tls     bool
}

// StartMariaDB makes a data directory and runs a MariaDB server on it until t
// ends. The plugin for ed25519 logins is loaded.
func StartMariaDB(t TB, o MariaDBOptions) *MariaDB {
	t.Helper()
	s := prepareMariaDB(t, o)
	s.Running = Start(t, s.process)
	return s
}

// prepareMariaDB does all but starting the server.
func prepareMariaDB(t TB, o MariaDBOptions) *MariaDB {
	t.Helper()
	if o.Password == "" {
		o.Password = NastyPassword
	}
	dir := Folder(t, "mysql")
	data := filepath.Join(dir, "data")
	// A server that starts removes the temporary tables in its tmpdir, also
	// those of others.
	engine := []string{"--no-defaults", "--datadir=" + data, "--tmpdir=" + dir, "--innodb-log-file-size=4M", "--innodb-buffer-pool-size=8M", "--innodb-flush-method=nosync"}
	if o.data != "" {
		Run(t, Process{Path: "cp", Args: []string{"-a", o.data, data}, Dir: dir, User: "mysql"})
	} else {
		Run(t, Process{
			Path: "mariadb-install-db", Dir: dir, User: "mysql",
			Args: append(engine, "--skip-test-db", "--skip-name-resolve", "--auth-root-authentication-method=normal"),
		})
	}
	s := &MariaDB{Port: FreePort(t), User: "root", Password: o.Password, Data: data, tls: o.Cert != nil}
	if o.Durable {
		engine = engine[:len(engine)-1]
	}
	s.process = Process{
		Path: "mariadbd", Args: append(engine, mariadbOptions(t, o, s, dir)...), Dir: dir, User: "mysql",
		Ready: s.ping,
	}
	return s
}

func mariadbOptions(t TB, o MariaDBOptions, s *MariaDB, dir string) []string {
	t.Helper()
	setup := filepath.Join(dir, "init.sql")
	// A replica's own entries in the binary log would part it from its master.
	init := append([]string{
		"SET SESSION sql_log_bin = 0",
		fmt.Sprintf("CREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY %s", mariadbQuote(o.Password)),
		"GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION",
	}, o.Init...)
	Write(t, setup, strings.Join(init, ";\n")+";\n")
	list := []string{
		"--bind-address=127.0.0.1", "--port=" + strconv.Itoa(s.Port), "--socket=" + filepath.Join(dir, "sock"),
		"--pid-file=" + filepath.Join(dir, "pid"), "--skip-name-resolve", "--init-file=" + setup,
		"--character-set-server=utf8mb4", "--plugin-load-add=auth_ed25519",
	}
	if !o.Durable {
		list = append(list, "--innodb-flush-log-at-trx-commit=0")
	}
	if o.Cert != nil {
		cert, key := o.Cert.Files(t, dir, "server", "mysql")
		list = append(list, "--ssl-cert="+cert, "--ssl-key="+key)
	}
	if o.ClientCA != nil {
		ca := filepath.Join(dir, "client-ca.crt")
		Write(t, ca, o.ClientCA.PEM)
		list = append(list, "--ssl-ca="+ca)
	}
	if o.RequireTLS {
		list = append(list, "--require-secure-transport=ON")
	}
	for _, setting := range o.Settings {
		list = append(list, "--"+setting)
	}
	return list
}

// mariadbQuote writes a string literal of MariaDB's SQL.
func mariadbQuote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// URL is the data source name of a user for the go-sql-driver; TLS is used,
// unverified, where the server has it. Parameters are added as name=value.
func (s *MariaDB) URL(user, password, database string, params ...string) string {
	c := mysql.NewConfig()
	c.User, c.Passwd, c.DBName = user, password, database
	c.Net, c.Addr = "tcp", Addr(s.Port)
	if s.tls {
		c.TLSConfig = "skip-verify"
	}
	c.Params = make(map[string]string, len(params))
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		c.Params[name] = value
	}
	return c.FormatDSN()
}

// AdminURL is URL for root.
func (s *MariaDB) AdminURL(database string) string { return s.URL(s.User, s.Password, database) }

// Exec runs SQL statements as root, in the database mysql.
func (s *MariaDB) Exec(t TB, statements ...string) { s.ExecIn(t, "mysql", statements...) }

// ExecIn is Exec in another database.
func (s *MariaDB) ExecIn(t TB, database string, statements ...string) {
	t.Helper()
	execAll(t, "mysql", s.AdminURL(database), statements)
}

// CreateUser makes a user that may log in from anywhere and has no rights.
func (s *MariaDB) CreateUser(t TB, name, password string) {
	t.Helper()
	s.Exec(t, fmt.Sprintf("CREATE USER %s@'%%' IDENTIFIED BY %s", mariadbQuote(name), mariadbQuote(password)))
}

// CreateDatabase makes a database in which owner, an existing user, may do
// everything.
func (s *MariaDB) CreateDatabase(t TB, name, owner string) {
	t.Helper()
	quoted := "`" + strings.ReplaceAll(name, "`", "``") + "`"
	s.Exec(t, "CREATE DATABASE "+quoted, fmt.Sprintf("GRANT ALL ON %s.* TO %s@'%%'", quoted, mariadbQuote(owner)))
}

// Stop shuts the server down; its data and port stay reserved for Restart.
func (s *MariaDB) Stop() { s.Close() }

// Restart stops the server if it runs and starts it again on the same data and
// port.
func (s *MariaDB) Restart(t TB) {
	t.Helper()
	s.Close()
	s.Running = Start(t, s.process)
}

// UseCert changes the server's certificate while it runs. The server must have
// been started with one.
func (s *MariaDB) UseCert(t TB, c Cert) {
	t.Helper()
	c.Files(t, s.process.Dir, "server", "mysql")
	s.Exec(t, "FLUSH SSL")
}

// ping waits for the port first, because the driver prints failed connects.
func (s *MariaDB) ping(ctx context.Context) error {
	if err := Listening(s.Port)(ctx); err != nil {
		return err
	}
	return pingDatabase(ctx, "mysql", s.AdminURL("mysql"))
}
