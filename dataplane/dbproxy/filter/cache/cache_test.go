package cache

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// The regular expressions have a clock that runs while they are used.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/dlclark/regexp2.runClock"))
}

// bench is a cache in front of a server whose answers are numbered.
type bench struct {
	*cacheFilter
	t    testing.TB
	now  time.Time
	sent int
	rows int
	fail bool
	// during is called while the server answers.
	during func()
}

func newBench(t testing.TB, params map[string]any) *bench {
	t.Helper()
	f, err := Module().New(dbproxy.FilterOptions{Params: param.MustParse(Module().Specs, params), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{cacheFilter: f.(*cacheFilter), t: t, now: time.Unix(1e9, 0), rows: 1} //nolint:errcheck // it panics
	b.cacheFilter.now = func() time.Time { return b.now }
	return b
}

func (b *bench) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	b.sent++
	text := fmt.Sprint(b.sent)
	if b.during != nil {
		b.during()
	}
	switch sql, _ := r.SQL(); {
	case b.fail:
		return dbproxy.Refuse(r, to, &wire.ServerError{Code: 1064, State: "42000", Message: text})
	case r.Command == wire.ComStmtPrepare:
		return dbproxy.Reply(r, to, wire.Prepared{ID: 7}.Append(nil))
	case !bytes.HasPrefix(bytes.ToUpper(sql), []byte("SELECT")):
		return dbproxy.Acknowledge(r, to)
	}
	column := wire.Column{Name: []byte("a"), Type: wire.TypeVarString}
	packets := [][]byte{wire.ColumnCount{Columns: 1}.Append(nil, 0), column.Append(nil, 0), wire.AppendEOF(nil, wire.StatusAutocommit, 0)}
	for range b.rows {
		packets = append(packets, wire.AppendString(nil, text))
	}
	return dbproxy.Reply(r, to, append(packets, wire.AppendEOF(nil, wire.StatusAutocommit, 1))...)
}

func (b *bench) Close() {}

// client is a session of a bench.
type client struct {
	b       *bench
	session *dbproxy.Session
	handler dbproxy.Handler
	answer  string
	packets int
}

func (b *bench) client() *client {
	b.t.Helper()
	c := &client{b: b, session: &dbproxy.Session{}}
	var err error
	if c.handler, err = b.Session(c.session, b); err != nil {
		b.t.Fatal(err)
	}
	return c
}

// Packet implements dbproxy.Answer; it spoils the packet, as others may.
func (c *client) Packet(kind wire.Kind, payload []byte, _ *wire.Reply) error {
	c.packets++
	switch kind {
	case wire.KindRow:
		c.answer = string(payload[1:])
	case wire.KindError:
		c.answer = wire.ParseError(payload).Error()
	case wire.KindOK:
		c.answer = "OK"
	}
	clear(payload)
	return nil
}

func (c *client) send(cmd wire.Command, text string) string {
	c.b.t.Helper()
	c.answer = ""
	if err := c.handler.Handle(c.session.NewRequest(append([]byte{byte(cmd)}, text...)), c); err != nil {
		c.b.t.Fatal(err)
	}
	return c.answer
}

// expect sends queries and compares the answers, written as "query => answer".
func (c *client) expect(lines ...string) {
	c.b.t.Helper()
	for _, line := range lines {
		sql, want, _ := strings.Cut(line, " => ")
		if got := c.send(wire.ComQuery, sql); got != want {
			c.b.t.Errorf("%s: %q, not %q", sql, got, want)
		}
	}
}

func TestResultsAreKept(t *testing.T) {
	b := newBench(t, nil)
	one, two := b.client(), b.client()
	one.expect("SELECT a FROM t => 1", "SELECT a FROM t => 1", "SELECT b FROM t => 2")
	before := two.packets
	two.expect("SELECT a FROM t => 1", "SELECT a FROM t => 1", "SELECT b FROM t => 2")
	if n := two.packets - before; n != 15 {
		t.Errorf("%d packets, not 15", n)
	}
	one.expect("SELECT a FROM t FOR UPDATE => 3", "SELECT a FROM t FOR UPDATE => 4", "SELECT @a => 5", "SELECT @a => 6", "SELECT LAST_INSERT_ID() => 7",
		"SELECT LAST_INSERT_ID() => 8", "SELECT a FROM t; SELECT 2 => 9", "SELECT a FROM t; SELECT 2 => 10", "SELECT 'open => 11", "SELECT 'open => 12",
		"SELECT a INTO @x FROM t => 13", "SELECT a INTO @x FROM t => 14")
	b.fail = true
	one.expect("SELECT c => error 1064 (42000): 15")
	b.fail = false
	one.expect("SELECT c => 16", "SELECT c => 16")
	if got := b.Diagnostics(); got["items"] != int64(3) || got["stores"] != int64(3) || got["hits"] != int64(5) {
		t.Error(got)
	}
}

func TestWhatDiffersIsNotShared(t *testing.T) {
	b := newBench(t, nil)
	one, two := b.client(), b.client()
	one.expect("SET NAMES latin1 => OK", "SELECT 1 => 2", "SELECT 1 => 2")
	two.expect("SELECT 1 => 3", "SET NAMES latin1 => OK", "SELECT 1 => 2", "SET autocommit = 0 => OK", "SELECT 1 => 2")
	two.expect("SET time_zone = @x => OK", "SELECT 1 => 7", "SELECT 1 => 7", "SET ROLE r => OK", "SELECT 1 => 9")
	one.expect("SET time_zone = @x => OK", "SELECT 1 => 11", "SELECT 1; SET x = 1 => 12", "SELECT 1 => 13")
	b.fail = true
	one.expect("SET x = 2 => error 1064 (42000): 14", "SELECT 1 => 13", "SELECT 1; SET x = 3 => error 1064 (42000): 15")
	b.fail = false
	one.expect("SELECT 1 => 16")
	two.send(wire.ComResetConnection, "")
	two.expect("SELECT 1 => 3", "CREATE TEMPORARY TABLE t (a INT) => OK", "SELECT 1 => 19", "SELECT 1 => 20")
}

func TestVerifiedSelects(t *testing.T) {
	b := newBench(t, map[string]any{"selects": "verify_cacheable"})
	for i, sql := range []string{"SELECT NOW()", "SELECT CURRENT_DATE", "SELECT RAND()", "SELECT USER()", "SELECT my_function()", "SELECT @@version", "SELECT @@global.port", "SELECT UUID()"} {
		b.client().expect(fmt.Sprintf("%s => %d", sql, 2*i+1), fmt.Sprintf("%s => %d", sql, 2*i+2))
	}
	b.client().expect("SELECT UPPER(a) FROM t => 17", "SELECT UPPER(a) FROM t => 17")
	assuming := newBench(t, nil)
	assuming.client().expect("SELECT NOW() => 1", "SELECT NOW() => 1")
}

func TestResultsGrowOld(t *testing.T) {
	b := newBench(t, map[string]any{"soft_ttl": "10s", "hard_ttl": "20s"})
	one, two := b.client(), b.client()
	one.expect("SELECT 1 => 1")
	b.now = b.now.Add(9 * time.Second)
	one.expect("SELECT 1 => 1")
	b.now = b.now.Add(time.Second)
	b.during = func() {
		b.during = nil
		two.expect("SELECT 1 => 1", "SELECT 1 => 1") // while another one refreshes it
	}
	one.expect("SELECT 1 => 2", "SELECT 1 => 2")
	b.now = b.now.Add(15 * time.Second)
	b.fail = true
	one.expect("SELECT 1 => error 1064 (42000): 3", "SELECT 1 => error 1064 (42000): 4")
	b.fail = false
	b.now = b.now.Add(5 * time.Second)
	one.expect("SELECT 1 => 5", "SELECT 1 => 5")
}

func TestLimits(t *testing.T) {
	b := newBench(t, map[string]any{"max_resultset_rows": 2, "max_count": 2})
	c := b.client()
	b.rows = 3
	c.expect("SELECT 1 => 1", "SELECT 1 => 2")
	b.rows = 2
	c.expect("SELECT 1 => 3", "SELECT 1 => 3", "SELECT 2 => 4", "SELECT 1 => 3", "SELECT 3 => 5", "SELECT 1 => 3", "SELECT 2 => 6")
	b = newBench(t, map[string]any{"max_resultset_size": 500, "max_size": 1100})
	c = b.client()
	b.rows = 20
	c.expect("SELECT 1 => 1", "SELECT 1 => 2")
	b.rows = 5
	c.expect("SELECT 1 => 3", "SELECT 1 => 3", "SELECT 2 => 4", "SELECT 1 => 5")
	if s := b.store.statistics(); s.Items != 1 || s.Size != b.store.size || s.Evictions != 2 {
		t.Errorf("%+v", s)
	}
	given := map[string]any{"max_resultset_size": 500, "max_size": 400}
	if _, err := Module().New(dbproxy.FilterOptions{Params: param.MustParse(Module().Specs, given)}); err == nil {
		t.Error("results may be larger than the cache")
	}
}

func TestWritesInvalidate(t *testing.T) {
	b := newBench(t, map[string]any{"invalidate": "current"})
	c := b.client()
	c.expect("SELECT 1 FROM t, d.u => 1", "SELECT 2 FROM t => 2", "INSERT INTO d.u VALUES (1) => OK", "SELECT 1 FROM t, d.u => 4", "SELECT 2 FROM t => 2",
		"UPDATE T SET a = 1 => OK", "SELECT 1 FROM t, d.u => 6", "SELECT 2 FROM t => 7", "SHOW TABLES => OK", "SELECT 2 FROM t => 7",
		"CALL p() => OK", "SELECT 2 FROM t => 10", "FROBNICATE => OK", "SELECT 2 FROM t => 12")
	c.send(wire.ComStmtPrepare, "DELETE FROM t WHERE a = ?")
	c.expect("SELECT 2 FROM t => 12")
	c.send(wire.ComStmtExecute, "\x07\x00\x00\x00\x00\x01\x00\x00\x00")
	c.expect("SELECT 2 FROM t => 15", "SELECT 1 FROM d.u => 16")
	c.send(wire.ComStmtClose, "\x07\x00\x00\x00")
	c.send(wire.ComStmtExecute, "\x07\x00\x00\x00\x00\x01\x00\x00\x00")
	c.expect("SELECT 1 FROM d.u => 19")
	b.during = func() {
		b.during = nil
		b.client().send(wire.ComQuery, "DELETE FROM w")
	}
	c.expect("SELECT 1 FROM w => 20", "SELECT 1 FROM w => 22") // read while it was written to
	lax := newBench(t, map[string]any{"invalidate": "current", "clear_cache_on_parse_errors": false})
	lax.client().expect("SELECT 1 FROM t => 1", "FROBNICATE => OK", "SELECT 1 FROM t => 1", "DELETE FROM t => OK", "SELECT 1 FROM t => 4")
	never := newBench(t, nil)
	never.client().expect("SELECT 1 FROM t => 1", "DELETE FROM t => OK", "SELECT 1 FROM t => 1")
}

func TestSettingsOfTheSession(t *testing.T) {
	b := newBench(t, map[string]any{"enabled": false})
	c := b.client()
	c.expect("SELECT 1 => 1", "SELECT 1 => 2", "SET @maxscale.cache.populate = true => OK", "SELECT 1 => 4", "SELECT 1 => 5",
		"SET @maxscale.cache.populate = FALSE, @maxscale.cache.use = 1 => OK", "SELECT 1 => 5", "SELECT 2 => 7", "SELECT 2 => 8",
		"SET @`maxscale.cache.use` = 'off' => OK", "SELECT 1 => 10", "SET @maxscale.cache.use = on, @maxscale.cache.hard_ttl = 60 => OK", "SELECT 1 => 5")
	b.now = b.now.Add(time.Minute)
	c.expect("SELECT 1 => 12", "SELECT 1 => 12") // what is too old is kept anew
	c.expect("SET @maxscale.cache.soft_ttl = 5 => OK")
	b.now = b.now.Add(5 * time.Second)
	c.expect("SELECT 1 => 14")
	for _, wrong := range []string{"use = 'fake'", "soft_ttl = -1", "hard_ttl = 1 + 1", "populate = NULL", "other = 1"} {
		if got := c.send(wire.ComQuery, "SET @maxscale.cache."+wrong); !strings.HasPrefix(got, "error 1") {
			t.Errorf("%s: %s", wrong, got)
		}
	}
}

func TestRulesOfWhatIsKept(t *testing.T) {
	for rules, want := range map[string]string{
		`{}`:            "111",
		`{"store": []}`: "000",
		`{"store": [{"attribute": "table", "op": "=", "value": "t"}]}`:                                                                               "110",
		`{"store": [{"attribute": "table", "op": "=", "value": "db.t"}]}`:                                                                            "010",
		`{"store": [{"attribute": "table", "op": "!=", "value": "t"}]}`:                                                                              "001",
		`{"store": [{"attribute": "table", "op": "like", "value": "^db\\."}]}`:                                                                       "010",
		`{"store": [{"attribute": "database", "op": "=", "value": "db"}]}`:                                                                           "010",
		`{"store": [{"attribute": "column", "op": "=", "value": "u.a"}]}`:                                                                            "001",
		`{"store": [{"attribute": "column", "op": "=", "value": "a"}]}`:                                                                              "101",
		`{"store": [{"attribute": "column", "op": "unlike", "value": "b"}]}`:                                                                         "101",
		`{"store": [{"attribute": "query", "op": "like", "value": "WHERE"}]}`:                                                                        "010",
		`{"store": [{"attribute": "query", "op": "=", "value": "SELECT a FROM t"}]}`:                                                                 "100",
		`{"store": [{"attribute": "query", "op": "!=", "value": "SELECT a FROM t"}]}`:                                                                "011",
		`[{"store": [{"attribute": "table", "op": "=", "value": "u"}], "use": []}, {"store": [{"attribute": "table", "op": "=", "value": "db.t"}]}]`: "010",
		`{"use": [{"attribute": "user", "op": "=", "value": "'x'@'%'"}]}`:                                                                            "000",
		`{"use": [{"attribute": "user", "op": "!=", "value": "'x'@'%'"}]}`:                                                                           "111",
		`{"use": [{"attribute": "user", "op": "like", "value": "@localhost$"}]}`:                                                                     "111",
	} {
		b, got := ruled(t, rules), ""
		c := b.client()
		for _, sql := range []string{"SELECT a FROM t", "SELECT b FROM db.t WHERE b = 1", "SELECT a FROM u"} {
			if first := c.send(wire.ComQuery, sql); c.send(wire.ComQuery, sql) == first {
				got += "1"
			} else {
				got += "0"
			}
		}
		if got != want {
			t.Errorf("%s: %s, not %s", rules, got, want)
		}
	}
}

func ruled(t testing.TB, rules string) *bench {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rules.json")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	return newBench(t, map[string]any{"rules": file, "debug": 31})
}

func TestFaultsInRules(t *testing.T) {
	for text, want := range map[string]string{
		`{"store": [{"attribute": "user", "op": "=", "value": "x"}]}`:      "attribute",
		`{"use": [{"attribute": "table", "op": "=", "value": "x"}]}`:       "attribute",
		`{"store": [{"attribute": "table", "op": "is", "value": "x"}]}`:    "op must",
		`{"store": [{"attribute": "table", "op": "=", "value": "a.b.c"}]}`: "name of a table",
		`{"store": [{"attribute": "column", "op": "=", "value": ""}]}`:     "name of a column",
		`{"store": [{"attribute": "query", "op": "like", "value": "("}]}`:  "value",
		`[{}, {"use": [{"attribute": "user", "op": "=", "value": "@"}]}]`:  "object 2",
		`{"stores": []}`: "line 1",
		``:               "line 1",
	} {
		if _, err := parseRules([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %q", text, err, want)
		}
	}
}

func FuzzRules(f *testing.F) {
	f.Add([]byte(`[{"store": [{"attribute": "column", "op": "unlike", "value": "b"}], "use": [{"attribute": "user", "op": "=", "value": "x"}]}]`), []byte("SELECT a FROM t"))
	f.Fuzz(func(t *testing.T, text, sql []byte) {
		sets, err := parseRules(text)
		if err != nil {
			return
		}
		if set := find(sets, &statement{sql: sql, database: "db"}); set != nil && len(sets) == 0 {
			t.Error("a rule is found where there are none")
		}
	})
}

func FuzzStatus(f *testing.F) {
	f.Add([]byte{0xfe, 0, 0, 2, 0})
	ok := wire.OK{AffectedRows: 300, Status: wire.StatusAutocommit | wire.StatusNoIndexUsed}
	f.Add(ok.Append(nil, wire.CapProtocol41, true))
	f.Fuzz(func(t *testing.T, p []byte) {
		before, err := wire.ParseOK(p, wire.CapProtocol41)
		setStatus(p, wire.StatusInTransaction)
		if after, err2 := wire.ParseOK(p, wire.CapProtocol41); err == nil && len(p) > 5 &&
			(err2 != nil || !after.Status.Has(wire.StatusInTransaction) || after.Status.Has(wire.StatusAutocommit) || after.AffectedRows != before.AffectedRows) {
			t.Errorf("%x", p)
		}
	})
}
