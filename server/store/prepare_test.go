package store

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
)

// openPreparing has one connection: preparing must never wait for a second.
func openPreparing(t *testing.T) (context.Context, *preparing) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	p := newPreparing(dialect.SQLite, db)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	if err := p.Exec(ctx, "CREATE TABLE numbers (n INTEGER)", []any{}, nil); err != nil {
		t.Fatal(err)
	}
	return ctx, p
}

func sum(ctx context.Context, t *testing.T, q dialect.ExecQuerier) (n int) {
	t.Helper()
	rows := &entsql.Rows{}
	if err := q.Query(ctx, "SELECT coalesce(sum(n), 0) FROM numbers WHERE n > ?", []any{0}, rows); err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestPreparedInAndOutOfTransactions(t *testing.T) {
	ctx, p := openPreparing(t)
	const insert = "INSERT INTO numbers VALUES (?)"
	for round, commit := range []bool{true, false, true} {
		before := sum(ctx, t, p)
		tx, err := p.Tx(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 10} {
			if err := tx.Exec(ctx, insert, []any{n}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if got := sum(ctx, t, tx); got != before+11 {
			t.Errorf("round %d: the transaction sees %d, want %d", round, got, before+11)
		}
		want := before
		if commit {
			want += 11
			err = tx.Commit()
		} else {
			err = tx.Rollback()
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := sum(ctx, t, p); got != want {
			t.Errorf("round %d: the sum is %d, want %d", round, got, want)
		}
		if stmt, _ := p.statements.known(insert); stmt == nil {
			t.Errorf("round %d: the insert is not kept prepared", round)
		}
	}
}

func TestPreparedStatementsAreBounded(t *testing.T) {
	ctx, p := openPreparing(t)
	for i := range maxPrepared + 50 {
		if err := p.Exec(ctx, fmt.Sprintf("INSERT INTO numbers VALUES (?) -- %d", i), []any{1}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if got := sum(ctx, t, p); got != maxPrepared+50 {
		t.Errorf("%d of the inserts worked", got)
	}
	if got := len(p.statements.byText); got != maxPrepared {
		t.Errorf("%d statements are kept", got)
	}
}

func TestPreparingFails(t *testing.T) {
	ctx, p := openPreparing(t)
	if err := p.Exec(ctx, "INSERT INTO nowhere VALUES (?)", []any{1}, nil); err == nil {
		t.Error("a statement on no table succeeded")
	}
	tx, err := p.Tx(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := tx.Exec(ctx, "INSERT INTO nowhere VALUES (?)", []any{1}, nil); err == nil {
		t.Error("a statement on no table succeeded in a transaction")
	}
	if err := tx.Commit(); err != nil {
		t.Errorf("the commit fails because a statement could not be prepared: %v", err)
	}
	if got := sum(ctx, t, p); got != 0 {
		t.Errorf("the sum is %d", got)
	}
}
