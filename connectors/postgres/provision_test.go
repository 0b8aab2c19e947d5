package postgres_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/lib/pq"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/postgres"
	"github.com/backplane/backplane/testbed"
)

// client is a session of a tenant, over its own connection.
type client struct {
	db   *sql.DB
	conn *sql.Conn
}

func logIn(s *testbed.Postgres) func(ctx context.Context, l connectors.Login) (conformance.Session, error) {
	return func(ctx context.Context, l connectors.Login) (conformance.Session, error) {
		db, err := sql.Open("postgres", s.URL(l.User, l.Password, l.Database))
		if err != nil {
			return nil, err
		}
		conn, err := db.Conn(ctx)
		if err != nil {
			db.Close()
			return nil, err
		}
		return &client{db: db, conn: conn}, nil
	}
}

func (c *client) exec(ctx context.Context, query string, args ...any) error {
	_, err := c.conn.ExecContext(ctx, query, args...)
	return err
}

func (c *client) Make(ctx context.Context, place string) error {
	return c.exec(ctx, fmt.Sprintf("CREATE TABLE %s (n serial, key text PRIMARY KEY, value text)", pq.QuoteIdentifier(place)))
}

func (c *client) Alter(ctx context.Context, place string) error {
	return c.exec(ctx, fmt.Sprintf("ALTER TABLE %s ADD COLUMN IF NOT EXISTS more text", pq.QuoteIdentifier(place)))
}

func (c *client) Drop(ctx context.Context, place string) error {
	return c.exec(ctx, "DROP TABLE "+pq.QuoteIdentifier(place))
}

func (c *client) Put(ctx context.Context, place, key, value string) error {
	return c.exec(ctx, fmt.Sprintf("INSERT INTO %s (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
		pq.QuoteIdentifier(place)), key, value)
}

func (c *client) Get(ctx context.Context, place, key string) (value string, err error) {
	err = c.conn.QueryRowContext(ctx, fmt.Sprintf("SELECT value FROM %s WHERE key = $1", pq.QuoteIdentifier(place)), key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

func (c *client) Delete(ctx context.Context, place, key string) error {
	return c.exec(ctx, fmt.Sprintf("DELETE FROM %s WHERE key = $1", pq.QuoteIdentifier(place)), key)
}

func (c *client) Count(ctx context.Context, place string) (n int, err error) {
	err = c.conn.QueryRowContext(ctx, "SELECT count(*) FROM "+pq.QuoteIdentifier(place)).Scan(&n)
	return n, err
}

func (c *client) Close() error {
	c.conn.Close()
	return c.db.Close()
}

// lacksRight recognises the server's refusals for the lack of a right.
func lacksRight(err error) bool {
	var e *pq.Error
	return errors.As(err, &e) && e.Code == "42501"
}

func adminOf(s *testbed.Postgres, user, password string) config {
	return config{"host": "127.0.0.1", "port": int64(s.Port), "database": "postgres", "username": user, "password": password}
}

func subject(s *testbed.Postgres, admin config) conformance.ProvisionerSubject {
	return conformance.ProvisionerSubject{
		Provisioner:     postgres.New(),
		Admin:           admin,
		At:              at,
		LogIn:           logIn(s),
		Refused:         lacksRight,
		OwnersStructure: true,
		Escapes:         escapes(),
		Stop:            s.Stop,
		Start:           func(t *testing.T) { s.Restart(t) },
	}
}

func TestProvisioner(t *testing.T) {
	s := testbed.StartPostgres(t, testbed.PostgresOptions{})
	conformance.Provisioner(t, subject(s, adminOf(s, s.User, s.Password)))
}

// The administrator need not be a superuser.
func TestProvisionerWithoutSuperuser(t *testing.T) {
	s := testbed.StartPostgres(t, testbed.PostgresOptions{})
	s.Exec(t, "CREATE ROLE landlord LOGIN CREATEROLE CREATEDB PASSWORD "+pq.QuoteLiteral(testbed.NastyPassword))
	sub := subject(s, adminOf(s, "landlord", testbed.NastyPassword))
	const same = "does not depend on who the administrator is, and takes long"
	sub.Skip = map[string]string{
		"a hostile name of a database is quoted right or refused": same,
		"a hostile name of a login is quoted right or refused":    same,
		"a large dump is streamed":                                same,
	}
	conformance.Provisioner(t, sub)
}
