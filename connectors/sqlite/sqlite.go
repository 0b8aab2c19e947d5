// Package sqlite is the connector for SQLite database files on the machine
// that Backplane runs on.
//
// Start at Connector.Test; failure.go translates what SQLite refuses.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	_ "modernc.org/sqlite" // registers the driver

	"github.com/backplane/backplane/connectors"
)

// Connector reaches SQLite files.
type Connector struct{}

var _ connectors.Connector = (*Connector)(nil)

// New returns the connector.
func New() *Connector { return &Connector{} }

// Spec describes the type sqlite.
func (*Connector) Spec() connectors.Spec {
	return connectors.Spec{
		Type: "sqlite", Title: "SQLite", Doc: "SQLite embedded database",
		Fields: []connectors.Field{
			{Name: "path", Kind: connectors.String, Required: true, Min: 1, Max: 4096, Check: checkPath,
				Doc: "Path of the database file on the server, absolute, or relative to the first directory of --file-roots."},
			{Name: "create_if_missing", Kind: connectors.Boolean, Default: true,
				Doc: "Whether users of the service may create the file. A connection test never does."},
		},
	}
}

func checkPath(value any, env connectors.Env) error {
	path, _ := value.(string)
	if path == ":memory:" || strings.HasPrefix(strings.ToLower(path), "file:") {
		return errors.New("must be a plain path of a file, not :memory: or a URI")
	}
	if strings.HasSuffix(path, "/") {
		return errors.New("must name a file, not a directory")
	}
	_, err := env.Resolve(path)
	return err
}

// Test opens the file, reads its schema and takes the lock of a writer; or, if
// the file is missing and may be created, checks that it could be. It creates
// nothing.
func (*Connector) Test(ctx context.Context, p *connectors.Probe, c connectors.Config) error {
	// Resolved again: links may have changed since the configuration was
	// written.
	path, err := p.Env.Resolve(c.String("path"))
	if err != nil {
		return connectors.Fail(connectors.InvalidConfig, err, "path %s", err)
	}
	p.Enter(connectors.StageConnect)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return checkMissing(p, path, c.Bool("create_if_missing"))
	case err != nil:
		return cannotOpen(path, err)
	case info.IsDir():
		return connectors.Fail(connectors.InvalidConfig, nil, "path is a directory")
	case !info.Mode().IsRegular():
		return connectors.Fail(connectors.InvalidConfig, nil, "path is not a regular file")
	}
	if info.Size() == 0 {
		p.Warn("empty_file", "The file is empty: SQLite takes it for a new database.")
	}
	if unix.Access(filepath.Dir(path), unix.W_OK) != nil {
		p.Warn("directory_read_only", "The file's directory is not writable: SQLite cannot keep its journal there and changes will fail.")
	}
	if err := use(ctx, p, path); err != nil {
		return translate(err, path)
	}
	// SQLite opens a read-only file all the same and then takes the lock of a
	// reader instead of the writer's.
	if err := unix.Access(path, unix.W_OK); err != nil {
		return readOnly(err)
	}
	return nil
}

// checkMissing tells whether a file that does not exist could be made.
func checkMissing(p *connectors.Probe, path string, create bool) error {
	dir := filepath.Dir(path)
	_, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return connectors.Missing(connectors.PathMissing, "Directory", dir, err)
	case err != nil:
		return cannotOpen(path, err)
	case !create:
		return connectors.Missing(connectors.DatabaseMissing, "Database file", path, nil)
	}
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return connectors.Fail(connectors.PermissionDenied, err, "the directory %q is not writable", dir)
	}
	p.Verified()
	p.Note(func(r *connectors.Report) { r.Message = "Connection successful (file will be created)" })
	return nil
}

// use reads and locks the database. Reading alone would pass on a database
// that is locked or must not be changed.
func use(ctx context.Context, p *connectors.Probe, path string) (err error) {
	db, err := sql.Open("sqlite", dsn(path, patience(ctx)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()

	var (
		version         string
		objects, schema int64
	)
	if err := conn.QueryRowContext(ctx, "SELECT sqlite_version(), count(*) FROM sqlite_master").Scan(&version, &objects); err != nil {
		return err
	}
	if err := conn.QueryRowContext(ctx, "PRAGMA schema_version").Scan(&schema); err != nil {
		return err
	}
	p.Note(func(r *connectors.Report) { r.ServerVersion = "SQLite " + version })
	p.Enter(connectors.StageVerify)
	if _, err := conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if _, err := conn.ExecContext(ctx, "ROLLBACK"); err != nil {
		return err
	}
	p.Verified()
	return nil
}

// dsn names the file as a URI, which is the only way to open without creating
// (https://www.sqlite.org/uri.html). The path is escaped: a "?" in it would
// otherwise begin parameters.
func dsn(path string, busy time.Duration) string {
	query := url.Values{"mode": {"rw"}, "_busy_timeout": {strconv.FormatInt(busy.Milliseconds(), 10)}}
	u := url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}
	return u.String()
}

// patience is how long to wait for a lock: nearly all the time there is, so
// that a locked database is told as such and not as a time-out.
func patience(ctx context.Context) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return connectors.DefaultTimeout
	}
	left := time.Until(deadline)
	return max(left-left/4, 0)
}
