package testbed

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/lib/pq"
)

// PostgresOptions says what a PostgreSQL server should be like. The zero value
// is a server without TLS whose superuser has the password NastyPassword and
// where every user may reach every database with a SCRAM login.
type PostgresOptions struct {
	Password string // of the superuser; NastyPassword when ""
	Cert     *Cert  // switches TLS on with this certificate
	ClientCA *CA    // the authority of client certificates, for HBA lines with cert
	// RequireTLS refuses logins in clear to all but the superuser.
	RequireTLS bool
	// HBA are lines of pg_hba.conf that come before the general one.
	HBA []string
	// Settings are further settings of postgresql.conf, as name=value.
	Settings []string
	// Durable keeps fsync and full-page writes on; by default a power failure
	// may cost the data, which makes the server a good deal faster.
	Durable bool
}

// Postgres is a running PostgreSQL server.
type Postgres struct {
	*Running
	Port     int
	User     string // superuser
	Password string
	Data     string // the cluster's data directory

	process Process
	tls     bool
}

// StartPostgres makes a cluster and runs a PostgreSQL server on it until t
// ends.
func StartPostgres(t TB, o PostgresOptions) *Postgres {
	t.Helper()
	if o.Password == "" {
		o.Password = NastyPassword
	}
	dir := Folder(t, "postgres")
	data := filepath.Join(dir, "data")
	pwfile := filepath.Join(dir, "password")
	Write(t, pwfile, o.Password+"\n")
	Run(t, Process{
		Path: postgresTool("initdb"), Dir: dir, User: "postgres",
		Args: []string{"-D", data, "-U", "postgres", "--pwfile", pwfile, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"},
	})
	Write(t, filepath.Join(data, "pg_hba.conf"), strings.Join(postgresHBA(o), "\n")+"\n")

	s := &Postgres{Port: FreePort(t), User: "postgres", Password: o.Password, Data: data, tls: o.Cert != nil}
	args := []string{"-D", data, "-p", strconv.Itoa(s.Port)}
	for _, setting := range postgresSettings(t, o, dir) {
		args = append(args, "-c", setting)
	}
	s.process = Process{
		Path: postgresTool("postgres"), Args: args, Dir: dir, User: "postgres", Stop: syscall.SIGINT,
		Ready: s.ping,
	}
	s.Running = Start(t, s.process)
	return s
}

// postgresTool prefers the newest version that Debian installed over the PATH,
// where wrappers with settings of their own may come first.
func postgresTool(name string) string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	slices.SortFunc(found, func(a, b string) int { return postgresVersion(a) - postgresVersion(b) })
	if len(found) > 0 {
		return found[len(found)-1]
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	return name
}

func postgresVersion(tool string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(tool))))
	return n
}

func postgresHBA(o PostgresOptions) []string {
	lines := append([]string{"host all postgres 127.0.0.1/32 scram-sha-256"}, o.HBA...)
	kind := "host"
	if o.RequireTLS {
		kind = "hostssl"
	}
	return append(lines, kind+" all all 127.0.0.1/32 scram-sha-256", kind+" replication all 127.0.0.1/32 scram-sha-256")
}

func postgresSettings(t TB, o PostgresOptions, dir string) []string {
	t.Helper()
	list := []string{"listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=16MB", "dynamic_shared_memory_type=mmap", "jit=off"}
	if !o.Durable {
		list = append(list, "fsync=off", "full_page_writes=off", "synchronous_commit=off")
	}
	if o.Cert != nil {
		cert, key := o.Cert.Files(t, dir, "server", "postgres")
		list = append(list, "ssl=on", "ssl_cert_file="+cert, "ssl_key_file="+key)
	}
	if o.ClientCA != nil {
		ca := filepath.Join(dir, "client-ca.crt")
		Write(t, ca, o.ClientCA.PEM)
		list = append(list, "ssl_ca_file="+ca)
	}
	return append(list, o.Settings...)
}

// URL is the connection URL of a user for lib/pq and libpq; TLS is used,
// unverified, where the server has it. Parameters are added as name=value.
func (s *Postgres) URL(user, password, database string, params ...string) string {
	query := url.Values{"sslmode": {"disable"}}
	if s.tls {
		query.Set("sslmode", "require")
	}
	for _, p := range params {
		name, value, _ := strings.Cut(p, "=")
		query.Set(name, value)
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(user, password), Host: Addr(s.Port), Path: "/" + database, RawQuery: query.Encode()}
	return u.String()
}

// AdminURL is URL for the superuser.
func (s *Postgres) AdminURL(database string) string { return s.URL(s.User, s.Password, database) }

// Exec runs SQL statements as the superuser, in the database postgres.
func (s *Postgres) Exec(t TB, statements ...string) { s.ExecIn(t, "postgres", statements...) }

// ExecIn is Exec in another database.
func (s *Postgres) ExecIn(t TB, database string, statements ...string) {
	t.Helper()
	execAll(t, "postgres", s.AdminURL(database), statements)
}

// CreateUser makes a user that may log in.
func (s *Postgres) CreateUser(t TB, name, password string) {
	t.Helper()
	s.Exec(t, fmt.Sprintf("CREATE USER %s PASSWORD %s", pq.QuoteIdentifier(name), pq.QuoteLiteral(password)))
}

// CreateDatabase makes a database that belongs to owner.
func (s *Postgres) CreateDatabase(t TB, name, owner string) {
	t.Helper()
	s.Exec(t, fmt.Sprintf("CREATE DATABASE %s OWNER %s", pq.QuoteIdentifier(name), pq.QuoteIdentifier(owner)))
}

// Stop shuts the server down; its data and port stay reserved for Restart.
func (s *Postgres) Stop() { s.Close() }

// Restart stops the server if it runs and starts it again on the same data and
// port.
func (s *Postgres) Restart(t TB) {
	t.Helper()
	s.Close()
	s.Running = Start(t, s.process)
}

func (s *Postgres) ping(ctx context.Context) error {
	return pingDatabase(ctx, "postgres", s.AdminURL("postgres"))
}

func pingDatabase(ctx context.Context, driver, dsn string) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.PingContext(ctx)
}

// execAll runs each statement by itself, all on one connection.
func execAll(t TB, driver, dsn string, statements []string) {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for _, q := range statements {
		if _, err := db.ExecContext(ctx, q); err != nil {
			t.Fatalf("testbed: %s: %v", q, err)
		}
	}
}
