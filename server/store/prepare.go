package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
)

const (
	// maxPrepared bounds the statements that are kept. What ent generates for
	// the calls of the API is far less; filters and bulk inserts vary without
	// end, and those that come too late are run unprepared.
	maxPrepared = 256
	// maxPreparedText keeps large bulk inserts out.
	maxPreparedText = 4 << 10
)

// preparing is ent's driver with every statement prepared once and kept on each
// connection: parsing costs SQLite as much as running, and the servers a round
// trip.
type preparing struct {
	*entsql.Driver
	db         *sql.DB
	statements *statements
	// began is run at the beginning of every transaction. May be nil.
	began func(context.Context, *sql.Tx) error
}

func newPreparing(kind string, db *sql.DB) *preparing {
	s := &statements{db: db, byText: map[string]*sql.Stmt{}}
	return &preparing{Driver: entsql.NewDriver(kind, entsql.Conn{ExecQuerier: s}), db: db, statements: s}
}

// beginning is the same driver with transactions that begin with something.
func (p *preparing) beginning(began func(context.Context, *sql.Tx) error) *preparing {
	return &preparing{Driver: p.Driver, db: p.db, statements: p.statements, began: began}
}

// Tx implements dialect.Driver.
func (p *preparing) Tx(ctx context.Context) (dialect.Tx, error) { return p.BeginTx(ctx, nil) }

// BeginTx is Tx with options.
func (p *preparing) BeginTx(ctx context.Context, opts *sql.TxOptions) (dialect.Tx, error) {
	tx, err := p.db.BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	if p.began != nil {
		if err := p.began(ctx, tx); err != nil {
			return nil, errors.Join(err, tx.Rollback())
		}
	}
	t := &inTx{Tx: tx, ctx: ctx, statements: p.statements}
	return &entsql.Tx{Conn: entsql.Conn{ExecQuerier: t}, Tx: t}, nil
}

// Close implements dialect.Driver. Closing the connections frees what was
// prepared on them.
func (p *preparing) Close() error { return p.db.Close() }

// statements runs each statement prepared, while there is room.
type statements struct {
	db *sql.DB

	mu     sync.RWMutex
	byText map[string]*sql.Stmt
}

// known returns the prepared statement, or nil and whether it may be prepared.
func (s *statements) known(text string) (stmt *sql.Stmt, room bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byText[text], len(s.byText) < maxPrepared && len(text) <= maxPreparedText
}

// find returns the prepared statement, or nil when it is to be run as it is.
func (s *statements) find(ctx context.Context, text string) (*sql.Stmt, error) {
	stmt, room := s.known(text)
	if stmt != nil || !room {
		return stmt, nil
	}
	made, err := s.db.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.byText[text]; other != nil {
		made.Close() //nolint:errcheck // nobody has used it
		return other, nil
	}
	s.byText[text] = made
	return made, nil
}

// ExecContext implements entsql.ExecQuerier.
func (s *statements) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	stmt, err := s.find(ctx, text)
	if err != nil {
		return nil, err
	}
	if stmt == nil {
		return s.db.ExecContext(ctx, text, args...)
	}
	return stmt.ExecContext(ctx, args...)
}

// QueryContext implements entsql.ExecQuerier.
func (s *statements) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	stmt, err := s.find(ctx, text)
	if err != nil {
		return nil, err
	}
	if stmt == nil {
		return s.db.QueryContext(ctx, text, args...)
	}
	return stmt.QueryContext(ctx, args...)
}

// inTx runs the statements of a transaction prepared, where they are known.
// Those that are not it has prepared after the commit: preparing takes a
// connection, and a transaction that waits for a second one may wait for ever.
type inTx struct {
	*sql.Tx
	ctx        context.Context
	statements *statements
	unknown    []string
}

func (t *inTx) find(ctx context.Context, text string) *sql.Stmt {
	stmt, room := t.statements.known(text)
	if stmt == nil {
		if room {
			t.unknown = append(t.unknown, text)
		}
		return nil
	}
	return t.StmtContext(ctx, stmt)
}

// ExecContext implements entsql.ExecQuerier.
func (t *inTx) ExecContext(ctx context.Context, text string, args ...any) (sql.Result, error) {
	if stmt := t.find(ctx, text); stmt != nil {
		return stmt.ExecContext(ctx, args...)
	}
	return t.Tx.ExecContext(ctx, text, args...)
}

// QueryContext implements entsql.ExecQuerier.
func (t *inTx) QueryContext(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	if stmt := t.find(ctx, text); stmt != nil {
		return stmt.QueryContext(ctx, args...)
	}
	return t.Tx.QueryContext(ctx, text, args...)
}

// Commit implements driver.Tx.
func (t *inTx) Commit() error {
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	for _, text := range t.unknown {
		if _, err := t.statements.find(t.ctx, text); err != nil {
			break // it is committed, and the next use tries again
		}
	}
	return nil
}
