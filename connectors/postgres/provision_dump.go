package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/backplane/backplane/connectors"
)

// What runs in a dump or a load is the tenant's: functions in constraints, in
// views, in the dump itself. So the tools never log in as the administrator,
// whose rights such a function could take up by RESET ROLE, but as a login of
// their own that is gone afterwards.

const (
	// toolLoginLife is how long the login lets in; one session is all it takes.
	toolLoginLife = 10 * time.Minute
	// cleanTimeout bounds its removal after the context has ended.
	cleanTimeout = 15 * time.Second
)

// Dump writes an archive of pg_dump.
func (s *server) Dump(ctx context.Context, database string, w io.Writer) error {
	if err := checkDatabase(database); err != nil {
		return err
	}
	return s.explain(ctx, s.asOwner(ctx, database, func(owner string, t connectors.Tool) error {
		t.Path, t.Stdout = "pg_dump", w
		t.Args = []string{"--format=custom", "--no-owner", "--no-privileges", "--no-tablespaces", "--no-subscriptions",
			"--no-password", "--role=" + owner, "--dbname=" + conninfo(database)}
		return connectors.RunTool(ctx, t)
	}))
}

// Load replaces what the archive holds, all of it or nothing.
func (s *server) Load(ctx context.Context, database string, r io.Reader) error {
	if err := checkDatabase(database); err != nil {
		return err
	}
	return s.explain(ctx, s.asOwner(ctx, database, func(owner string, t connectors.Tool) error {
		t.Path, t.Stdin = "pg_restore", r
		t.Args = []string{"--format=custom", "--no-owner", "--no-privileges", "--no-tablespaces", "--no-subscriptions",
			"--clean", "--if-exists", "--exit-on-error", "--single-transaction",
			"--no-password", "--role=" + owner, "--dbname=" + conninfo(database)}
		return connectors.RunTool(ctx, t)
	}))
}

// asOwner runs a tool with a login that may become the database's owner.
func (s *server) asOwner(ctx context.Context, database string, run func(owner string, t connectors.Tool) error) (err error) {
	name, password := "t_"+strings.ToLower(rand.Text()[:20]), rand.Text()
	p, err := s.look(ctx, database, name)
	if err != nil {
		return err
	}
	if err := p.needs(); err != nil {
		return err
	}
	if err := s.takeBack(ctx, p, connectors.Login{Database: database}, true); err != nil {
		return err
	}
	s.leave()
	if err := s.dropRoles(ctx, p.stale); err != nil {
		return err
	}
	secret, err := verifier(password)
	if err != nil {
		return err
	}
	list := []string{
		"CREATE ROLE " + ident(name) + " LOGIN INHERIT CONNECTION LIMIT 1 PASSWORD " + literal(secret) +
			" VALID UNTIL " + literal(time.Now().Add(toolLoginLife).UTC().Format(time.RFC3339)),
		"COMMENT ON ROLE " + ident(name) + " IS " + literal(toolMark+database),
		"GRANT " + ident(p.owner) + " TO " + ident(name),
	}
	if !s.superuser {
		list = append(list, "GRANT "+ident(name)+" TO CURRENT_USER")
	}
	defer func() {
		// A login that is left lets nobody in, and goes with the next run or
		// the database: that matters only when all else went well.
		if left := s.forget(ctx, name); err == nil {
			err = left
		}
	}()
	if err := s.main.exec(ctx, batch(list)); err != nil {
		return err
	}
	env, remove, err := s.toolEnv(name, password)
	if err != nil {
		return err
	}
	defer remove()
	secrets := append(New().Spec().Secrets(s.c), password)
	return toolFailure(run(p.owner, connectors.Tool{Env: env, Secrets: secrets}))
}

// forget removes a tool's login, also when ctx has ended.
func (s *server) forget(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	if err := s.cut(ctx, name); err != nil {
		return err
	}
	return s.dropRoles(ctx, []string{name})
}

// conninfo names a database so that the tools do not take its name for more.
func conninfo(database string) string {
	return "dbname='" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(database) + "'"
}

// toolEnv tells the tools how to reach the server: at the address to which the
// administrator is connected, with the TLS of the configuration. Every file that
// libpq would look for in a home directory is named
// (https://www.postgresql.org/docs/current/libpq-envars.html).
func (s *server) toolEnv(user, password string) (env []string, remove func(), err error) {
	address, err := s.main.source.address()
	if err != nil {
		return nil, nil, err
	}
	mode, host := s.c.String("ssl_mode"), s.c.String("host")
	if name := s.c.String("tls_server_name"); name != "" {
		host = name
	}
	files := map[string]string{}
	for name, field := range map[string]string{"root.crt": "tls_ca", "client.crt": "tls_client_cert", "client.key": "tls_client_key"} {
		if text := s.c.String(field); text != "" {
			files[name] = text
		}
	}
	if mode != modeVerifyCA && mode != modeVerifyFull {
		delete(files, "root.crt") // with it, libpq would check in mode require too
	}
	paths, remove, err := connectors.PrivateFiles(files)
	if err != nil {
		return nil, nil, err
	}
	root := path(paths, "root.crt")
	if (mode == modeVerifyCA || mode == modeVerifyFull) && files["root.crt"] == "" {
		root = systemRoots()
	}
	return []string{
		"PGHOST=" + host, "PGHOSTADDR=" + address.Addr().String(), "PGPORT=" + strconv.Itoa(int(address.Port())),
		"PGUSER=" + user, "PGPASSWORD=" + password, "PGPASSFILE=" + nowhere,
		"PGSSLMODE=" + mode, "PGSSLROOTCERT=" + root, "PGSSLCERT=" + path(paths, "client.crt"),
		"PGSSLKEY=" + path(paths, "client.key"), "PGSSLCRL=" + nowhere, "PGGSSENCMODE=disable",
		"PGAPPNAME=backplane", "PGCONNECT_TIMEOUT=30", "PGTZ=UTC", "HOME=" + nowhere,
		"PGOPTIONS=-c default_transaction_read_only=off -c statement_timeout=0 -c lock_timeout=0",
	}, remove, nil
}

// nowhere is a file that does not exist.
const nowhere = "/nonexistent/backplane"

func path(paths map[string]string, name string) string {
	if p, ok := paths[name]; ok {
		return p
	}
	return nowhere
}

// systemRoots is where systems keep the authorities they trust, for the
// versions of libpq that cannot find them.
func systemRoots() string {
	list := []string{os.Getenv("SSL_CERT_FILE"), "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
		"/etc/ssl/ca-bundle.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem"}
	for _, p := range list {
		if _, err := os.Stat(p); p != "" && err == nil {
			return p
		}
	}
	return nowhere
}

// toolFailure tells what the tools' complaints amount to. They are not
// translated: the locale is C.
func toolFailure(err error) error {
	var e *connectors.ToolError
	if !errors.As(err, &e) {
		return err
	}
	says := func(text string) bool { return strings.Contains(e.Stderr, text) }
	f := connectors.Fail(connectors.Internal, e, "%s", e.Stderr)
	f.Phrase = e.Tool + " failed"
	switch {
	case says("pg_hba.conf"), says("authentication failed"):
		f.Code, f.Hint = connectors.PermissionDenied, fmt.Sprintf("%s logs in with a passing role t_… and a password: %s", e.Tool, hintHBA)
	case says("version mismatch"):
		f.Hint = "Install the client programs of the server's version."
	case says("Connection refused"):
		f.Code = connectors.Refused
	case says("closed the connection unexpectedly"), says("connection to server was lost"):
		f.Code = connectors.Closed
	case says("terminating connection"), says("starting up"), says("shutting down"), says("too many clients"):
		f.Code = connectors.ServerBusy
	case says("No space left"):
		f.Code = connectors.ServerBusy
	}
	return f
}
