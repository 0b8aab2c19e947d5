package server_test

import (
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/server/servertest"
)

// TestTamperingIsNamed changes the audit trail behind the server's back, in
// every way that is not allowed, and wants to be told which record is wrong.
func TestTamperingIsNamed(t *testing.T) {
	t.Parallel()
	s := start(t)
	login := s.AddUser(t, "ann", servertest.Role("admin"))
	_, token := s.AddToken(t, login, "robot")
	s.AddProject(t, "web")
	for n := range 3 {
		s.Do(t, "POST", "/api/services", redisBody(fmt.Sprint("s", n), 1, "password", "hidden-word"), "Authorization", token).Data(t)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.DataDir, "backplane.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	exec := func(statement string, args ...any) {
		t.Helper()
		if _, err := db.Exec(statement, args...); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	verdict := func() object { return s.Do(t, "GET", "/api/audit/verify", nil).Data(t) }
	named := func(what string, want ...uint64) {
		t.Helper()
		v := verdict()
		if v["intact"] != false || !slices.Contains(want, wide(v["first_bad"])) || v["problem"] == "" {
			t.Errorf("%s: the verdict is %v, want record %v", what, v, want)
		}
	}
	count := number(t, lastRecord(t, s))
	if v := verdict(); v["intact"] != true || wide(v["checked"]) != count || wide(v["first_bad"]) != 0 {
		t.Fatalf("at first the verdict is %v", v)
	}
	for _, flip := range append(flips(t, db), headFlips(t, db, count)...) {
		exec(flip.forth, flip.args...)
		named(flip.what, flip.id)
		exec(flip.back, flip.undo...)
	}
	exec("CREATE TABLE kept AS SELECT * FROM audit_records")
	restore := func() { exec("DELETE FROM audit_records"); exec("INSERT INTO audit_records SELECT * FROM kept") }
	for id := uint64(1); id <= count; id++ {
		exec("DELETE FROM audit_records WHERE id = ?", id)
		named(fmt.Sprintf("without record %d", id), id)
		restore()
	}
	exec("DELETE FROM audit_records")
	named("without any record", 1)
	restore()
	exec("UPDATE audit_records SET id = CASE id WHEN 2 THEN -3 WHEN 3 THEN -2 ELSE id END")
	exec("UPDATE audit_records SET id = -id WHERE id < 0")
	named("with two in another order", 2)
	restore()
	exec("INSERT INTO audit_records SELECT id + ?, at, actor, token_id, address, request_id, action, resource_kind, resource_id, resource_name, project, changes, previous_hash, hash FROM kept WHERE id = 1", count+10)
	named("with one beyond the end", count+1)
	restore()
	exec("UPDATE audit_records SET at = 'yesterday' WHERE id = 2")
	named("with one that cannot be read", 2)
	restore()
	exec("CREATE TABLE head AS SELECT * FROM audit_heads")
	restoreHead := func() { exec("DELETE FROM audit_heads"); exec("INSERT INTO audit_heads SELECT * FROM head") }
	exec("UPDATE audit_heads SET last = last - 1")
	named("with an earlier end", count)
	restoreHead()
	exec("DELETE FROM audit_heads")
	named("without an end", count)
	restoreHead()
	for from := uint64(1); from <= count; from++ {
		forgeTrail(t, db, from, false)
		named(fmt.Sprintf("forged from record %d on", from), from)
		forgeTrail(t, db, from, true)
		named(fmt.Sprintf("forged from record %d on, with the end", from), from)
		restore()
		restoreHead()
	}
	if v := verdict(); v["intact"] != true {
		t.Errorf("at last the verdict is %v", v)
	}
}

// flip is one changed bit, and how it is changed back.
type flip struct {
	what, forth, back string
	args, undo        []any
	id                uint64
}

// forgeTrail changes a record and gives it, and all that come after it, the hashes
// that whoever has no key can compute.
func forgeTrail(t *testing.T, db *sql.DB, from uint64, head bool) {
	t.Helper()
	var last uint64
	var previous string
	for id := from; ; id++ {
		var at int64
		var f [11]string
		err := db.QueryRow("SELECT at, actor, token_id, address, request_id, action, resource_kind, resource_id, resource_name, project, changes, previous_hash FROM audit_records WHERE id = ?", id).
			Scan(&at, &f[0], &f[1], &f[2], &f[3], &f[4], &f[5], &f[6], &f[7], &f[8], &f[9], &f[10])
		if errors.Is(err, sql.ErrNoRows) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if id == from {
			f[0], previous = "nobody", f[10]
		}
		text, err := json.Marshal([]any{id, at, f[0], f[1], f[2], f[3], f[4], f[5], f[6], f[7], f[8], f[9], previous})
		if err != nil {
			t.Fatal(err)
		}
		hash := fmt.Sprintf("%x", sha256.Sum256(text))
		if _, err := db.Exec("UPDATE audit_records SET actor = ?, previous_hash = ?, hash = ? WHERE id = ?", f[0], previous, hash, id); err != nil {
			t.Fatal(err)
		}
		last, previous = id, hash
	}
	if !head {
		return
	}
	if _, err := db.Exec("UPDATE audit_heads SET last = ?, hash = ?, mac = ?", last, previous, fmt.Sprintf("%x", sha256.Sum256([]byte(previous)))); err != nil {
		t.Fatal(err)
	}
}

// headFlips changes every bit of the number, and one bit of every byte of the
// texts, of the row that says where the trail ends: at record last, which is
// the one that is named.
func headFlips(t *testing.T, db *sql.DB, last uint64) (out []flip) {
	t.Helper()
	var number int64
	var texts [2]string
	if err := db.QueryRow("SELECT last, hash, mac FROM audit_heads").Scan(&number, &texts[0], &texts[1]); err != nil {
		t.Fatal(err)
	}
	for bit := range 64 {
		set := "UPDATE audit_heads SET last = ?"
		out = append(out, flip{fmt.Sprintf("end, last, bit %d", bit), set, set, []any{number ^ 1<<bit}, []any{number}, last})
	}
	for i, column := range []string{"hash", "mac"} {
		set := "UPDATE audit_heads SET " + column + " = ?"
		for at := range texts[i] {
			b := []byte(texts[i])
			b[at] ^= 1 << (at % 8)
			out = append(out, flip{fmt.Sprintf("end, %s, byte %d", column, at), set, set, []any{string(b)}, []any{texts[i]}, last})
		}
		out = append(out, flip{"end, no " + column, set, set, []any{""}, []any{texts[i]}, last})
	}
	return out
}

// flips changes every bit of every number, and one bit of every byte of every
// text, of three records; the bit moves with the place, so that each kind of
// bit is met.
func flips(t *testing.T, db *sql.DB) (out []flip) {
	t.Helper()
	columns := []string{"at", "actor", "token_id", "address", "request_id", "action", "resource_kind", "resource_id", "resource_name", "project", "changes", "previous_hash", "hash"}
	rows, err := db.Query("SELECT id, " + strings.Join(columns, ", ") + " FROM audit_records WHERE id IN (1, 4, (SELECT MAX(id) FROM audit_records))")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id uint64
		values := make([]any, len(columns))
		into := []any{&id}
		for i := range values {
			into = append(into, &values[i])
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		for i, column := range columns {
			set := "UPDATE audit_records SET " + column + " = ? WHERE id = ?"
			add := func(what string, value any) {
				out = append(out, flip{fmt.Sprintf("record %d, %s, %s", id, column, what), set, set, []any{value, id}, []any{values[i], id}, id})
			}
			switch v := values[i].(type) {
			case int64:
				for bit := range 63 {
					add(fmt.Sprintf("bit %d", bit), v^1<<bit)
				}
			case string:
				for at := range v {
					b := []byte(v)
					b[at] ^= 1 << ((at + int(id)) % 8)
					add(fmt.Sprintf("byte %d", at), string(b))
				}
				add("one more", v+" ")
			default:
				t.Fatalf("%s is a %T", column, v)
			}
		}
	}
	if len(out) < 1000 {
		t.Fatalf("there are just %d", len(out))
	}
	return out
}
