// Package store opens the store that ent works on: SQLite in the data
// directory, PostgreSQL, or MySQL and MariaDB. It owns the schema, the write
// transactions, the revision that counts them, and the leases.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"entgo.io/ent/dialect/sql/schema"
	"github.com/go-sql-driver/mysql"
	"github.com/lib/pq"
	_ "modernc.org/sqlite" // registers the driver "sqlite"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/migrate"
	"github.com/backplane/backplane/ent/project"
)

// DefaultProject is the project of what names none. It is always there.
const DefaultProject = "default"

// SQLiteFile is the name of the embedded store in the data directory.
const SQLiteFile = "backplane.db"

// Store is an open store. Reads go straight to the embedded client; writes go
// through Change.
type Store struct {
	*ent.Client
	db      *sql.DB
	dialect string
	// turn is the right to write: SQLite has one writer, and waiting here is
	// fair, whereas waiting in SQLite is not.
	turn  chan struct{}
	later later
	lock  *os.File
	feed  *feed
	trail trail
}

// Open opens the store that rawURL names, or the SQLite file in dataDir when
// it is empty, and brings the schema up to date.
func Open(ctx context.Context, rawURL, dataDir string) (*Store, error) {
	s, err := connect(rawURL, dataDir)
	if err != nil {
		return nil, err
	}
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare store: %w", err), s.Close())
	}
	return s, nil
}

// OpenExisting opens a store as Open does, but as it is: it makes neither a
// store nor changes of the schema.
func OpenExisting(ctx context.Context, rawURL, dataDir string) (*Store, error) {
	if rawURL == "" {
		if _, err := os.Stat(filepath.Join(dataDir, SQLiteFile)); err != nil {
			return nil, fmt.Errorf("open store: %w", err)
		}
	}
	s, err := connect(rawURL, dataDir)
	if err != nil {
		return nil, err
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open store: %w", s.unreachable(err)), s.Close())
	}
	return s, nil
}

func connect(rawURL, dataDir string) (*Store, error) {
	s := &Store{turn: make(chan struct{}, 1), feed: newFeed()}
	var err error
	switch scheme, _, _ := strings.Cut(rawURL, "://"); scheme {
	case "":
		err = s.openSQLite(dataDir)
	case "postgres", "postgresql":
		err = s.openPostgres(rawURL)
	case "mysql":
		err = s.openMySQL(rawURL)
	default:
		err = fmt.Errorf("unknown kind of store %q", scheme)
	}
	if err != nil {
		s.unlock()
		return nil, fmt.Errorf("open store: %w", err)
	}
	driver := newPreparing(s.dialect, s.db)
	s.Client = s.client(driver)
	s.prepareLater(driver)
	return s, nil
}

func (s *Store) client(driver dialect.Driver) *ent.Client {
	c := ent.NewClient(ent.Driver(driver))
	c.Database.Use(keepCounts)
	return c
}

// Exclusive reports whether no other process can change the store, so that
// what was read may be kept in memory.
func (s *Store) Exclusive() bool { return s.dialect == dialect.SQLite }

// Ping checks that the store answers.
func (s *Store) Ping(ctx context.Context) error { return s.db.PingContext(ctx) }

// Close closes the store.
func (s *Store) Close() error {
	err := errors.Join(s.closeLater(), s.db.Close())
	s.unlock()
	return err
}

func (s *Store) openSQLite(dataDir string) error {
	lock, err := os.OpenFile(filepath.Join(dataDir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("this user must be able to write to the data directory: %w", err)
	}
	s.lock = lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return fmt.Errorf("data directory %s is in use by another process", dataDir)
	}
	path := filepath.Join(dataDir, SQLiteFile)
	// SQLite makes its -wal and -shm files with the mode of the database file.
	f, err := os.OpenFile(path, os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	s.dialect = dialect.SQLite
	if s.db, err = sql.Open("sqlite", sqliteURL(path, "FULL")); err != nil {
		return err
	}
	s.db.SetMaxOpenConns(8)
	s.db.SetMaxIdleConns(8)
	if s.later.db, err = sql.Open("sqlite", sqliteURL(path, "NORMAL")); err != nil {
		return errors.Join(err, s.db.Close())
	}
	s.later.db.SetMaxOpenConns(1) // there is one writer at a time
	s.later.log = path + "-wal"
	return nil
}

// sqliteURL names the file. With synchronous NORMAL a commit is written to the
// log at once, where a killed process cannot take it away, and flushed to the
// disk with the next one that is FULL.
func sqliteURL(path, synchronous string) string {
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{
		"_txlock": {"immediate"},
		"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(" + synchronous + ")", "foreign_keys(1)"},
	}.Encode()}
	return dsn.String()
}

func (s *Store) openPostgres(rawURL string) error {
	cfg, err := pq.NewConfig(rawURL)
	if err != nil {
		return errors.New("--store is not a valid postgres:// URL")
	}
	connector, err := pq.NewConnectorConfig(cfg)
	if err != nil {
		return err
	}
	s.dialect = dialect.Postgres
	s.db = sql.OpenDB(connector)
	s.pool()
	return nil
}

func (s *Store) openMySQL(rawURL string) error {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return errors.New("--store must look like mysql://user:password@host:3306/database")
	}
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.DBName = "tcp", u.Host, strings.Trim(u.Path, "/")
	if u.Port() == "" {
		cfg.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	cfg.User = u.User.Username()
	cfg.Passwd, _ = u.User.Password()
	cfg.TLSConfig = u.Query().Get("tls")
	cfg.Timeout = 10 * time.Second
	cfg.Collation = "utf8mb4_bin"
	cfg.Params = map[string]string{"sql_mode": "'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO'"}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		return err
	}
	s.dialect = dialect.MySQL
	s.db = sql.OpenDB(connector)
	s.pool()
	return nil
}

// unreachable says which database an error is about, and what to do where the
// cause is known. The URL may have a password and stays out of it.
func (s *Store) unreachable(err error) error {
	switch {
	case s.Exclusive():
		return fmt.Errorf("%s: %w", filepath.Join(filepath.Dir(s.lock.Name()), SQLiteFile), err)
	case errors.Is(err, pq.ErrSSLNotSupported):
		return errors.New("the PostgreSQL server that --store names has no TLS: add ?sslmode=disable to the URL to do without")
	default:
		return fmt.Errorf("connect to the database that --store names: %w", err)
	}
}

func (s *Store) pool() {
	s.db.SetMaxOpenConns(32)
	s.db.SetMaxIdleConns(16)
	s.db.SetConnMaxIdleTime(5 * time.Minute)
}

func (s *Store) unlock() {
	if s.lock != nil {
		// A program that is just being started may still hold a copy of the
		// file, so that closing it alone does not give up the lock at once.
		syscall.Flock(int(s.lock.Fd()), syscall.LOCK_UN) //nolint:errcheck // closing drops the lock otherwise
		s.lock.Close()                                   //nolint:errcheck // and whatever it says
		s.lock = nil
	}
}

// migrate creates what the schema lacks. Processes that share a store take
// turns.
func (s *Store) migrate(ctx context.Context) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return s.unreachable(err)
	}
	defer conn.Close()
	take, free := "", ""
	switch s.dialect {
	case dialect.Postgres:
		take, free = "SELECT pg_advisory_lock(7209413)", "SELECT pg_advisory_unlock(7209413)"
	case dialect.MySQL:
		take, free = "SELECT GET_LOCK('backplane_schema', 60)", "SELECT RELEASE_LOCK('backplane_schema')"
	}
	if take != "" {
		if _, err := conn.ExecContext(ctx, take); err != nil {
			return err
		}
		defer conn.ExecContext(context.WithoutCancel(ctx), free) //nolint:errcheck // freed with the connection otherwise
	}
	// Ent completes the tables as it creates them, so each store needs a copy.
	tables, err := schema.CopyTables(migrate.Tables)
	if err != nil {
		return err
	}
	// Nothing is prepared before the schema is what it will be.
	unprepared := migrate.NewSchema(entsql.OpenDB(s.dialect, s.db))
	if err := migrate.Create(ctx, unprepared, tables, schema.WithForeignKeys(true)); err != nil {
		return err
	}
	return s.seed(ctx)
}

// seed makes the rows that every store has.
func (s *Store) seed(ctx context.Context) error {
	if exists, err := s.Revision.Query().Exist(ctx); err != nil {
		return err
	} else if !exists {
		if err := s.Revision.Create().SetID(revisionRow).SetValue(firstRevision).SetOldest(firstRevision).Exec(ctx); err != nil {
			return err
		}
	}
	if exists, err := s.AuditHead.Query().Exist(ctx); err != nil {
		return err
	} else if !exists {
		if err := s.AuditHead.Create().SetID(auditRow).SetLast(0).SetHash("").Exec(ctx); err != nil {
			return err
		}
	}
	if exists, err := s.Project.Query().Where(project.ID(DefaultProject)).Exist(ctx); err != nil {
		return err
	} else if !exists {
		create := s.Project.Create().SetID(DefaultProject).SetDescription("What belongs to no other project.").SetCreatedAt(time.Now().UnixMicro())
		if err := create.Exec(ctx); err != nil {
			return err
		}
	}
	if err := s.numberProjects(ctx); err != nil {
		return err
	}
	if s.Exclusive() {
		// Whoever held a lease of this store is no more.
		if _, err := s.Lease.Delete().Exec(ctx); err != nil {
			return err
		}
	}
	return s.recount(ctx)
}

// numberProjects gives a number to the projects that have none: the default
// one comes first, then the older ones.
func (s *Store) numberProjects(ctx context.Context) error {
	rows, err := s.Project.Query().Where(project.NumberIsNil()).Order(project.ByCreatedAt(), project.ByID()).All(ctx)
	if err != nil || len(rows) == 0 {
		return err
	}
	if at := slices.IndexFunc(rows, func(p *ent.Project) bool { return p.ID == DefaultProject }); at > 0 {
		def := rows[at]
		rows = slices.Insert(slices.Delete(rows, at, at+1), 0, def)
	}
	last, err := s.Project.Query().Where(project.NumberNotNil()).Order(project.ByNumber(entsql.OrderDesc())).Limit(1).All(ctx)
	if err != nil {
		return err
	}
	number := 0
	if len(last) > 0 {
		number = *last[0].Number
	}
	for _, row := range rows {
		number++
		if err := s.Project.UpdateOne(row).SetNumber(number).Exec(ctx); err != nil {
			return err
		}
	}
	return nil
}
