package firewall

import (
	"bytes"
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

// bench is a firewall between a client of a Unix socket and a server that says
// OK.
type bench struct {
	*firewall
	handler dbproxy.Handler
	session *dbproxy.Session
	file    string
	log     bytes.Buffer
	now     time.Time
	passed  int
	answer  []byte
}

func newBench(t testing.TB, rules string, params map[string]any) *bench {
	t.Helper()
	b := &bench{session: &dbproxy.Session{}, file: filepath.Join(t.TempDir(), "rules"), now: time.Date(2020, 5, 5, 12, 0, 0, 0, time.UTC)}
	write(t, b.file, rules)
	given := map[string]any{"rules": b.file}
	for name, v := range params {
		given[name] = v
	}
	f, err := Module().New(dbproxy.FilterOptions{Name: "fw", Params: param.MustParse(Module().Specs, given), Logger: slog.New(slog.NewTextHandler(&b.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	b.firewall = f.(*firewall) //nolint:errcheck // it panics
	b.firewall.now = func() time.Time { return b.now }
	if b.handler, err = f.Session(b.session, b); err != nil {
		t.Fatal(err)
	}
	return b
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	b.passed++
	if r.Command == wire.ComStmtPrepare {
		return dbproxy.Reply(r, to, wire.Prepared{ID: 1}.Append(nil))
	}
	return dbproxy.Acknowledge(r, to)
}

func (b *bench) Close() {}

func (b *bench) Packet(_ wire.Kind, payload []byte, _ *wire.Reply) error {
	b.answer = bytes.Clone(payload)
	return nil
}

// send returns the error that a request is refused with, "" for none.
func (b *bench) send(t testing.TB, cmd wire.Command, text string) string {
	t.Helper()
	before := b.passed
	if err := b.handler.Handle(b.session.NewRequest(append([]byte{byte(cmd)}, text...)), b); err != nil {
		t.Fatal(err)
	}
	if len(b.answer) > 0 && b.answer[0] != 0xff {
		if b.passed != before+1 {
			t.Errorf("%s %s was answered, but not passed on", cmd, text)
		}
		return ""
	}
	if b.passed != before {
		t.Errorf("%s %s was refused, and passed on", cmd, text)
	}
	return wire.ParseError(b.answer).Error()
}

const forAll = "\nusers %@% match any rules r\n"

func TestRulesMatch(t *testing.T) {
	for _, c := range []struct {
		rule    string
		refused []string
		passed  []string
	}{
		{"wildcard", []string{"SELECT * FROM t", "SELECT t.* FROM t", "SELECT a FROM (SELECT * FROM t) x"}, []string{"SELECT a FROM t", "SELECT COUNT(*) FROM t", "SELECT a * b FROM t"}},
		{"columns name salary", []string{"SELECT NAME FROM t", "SELECT a FROM t WHERE t.`salary` = 1", `SELECT "name" FROM t`, "INSERT INTO t (name) VALUES (1)",
			"PREPARE s FROM 'SELECT name FROM t'", "EXECUTE IMMEDIATE 'SELECT name FROM t'", "SELECT MAX(name) FROM t"}, []string{"SELECT a FROM t", "SELECT 'name'"}},
		{"function sum count", []string{"SELECT COUNT(*) FROM t", "SELECT SUM(a) FROM t"}, []string{"SELECT MAX(a) FROM t"}},
		{"function <", []string{"SELECT a FROM t WHERE a < 1"}, []string{"SELECT a FROM t WHERE a > 1"}},
		{"not_function length", []string{"SELECT LEFT(a, 1) FROM t", "SELECT a FROM t WHERE a = 1"}, []string{"SELECT LENGTH(a) FROM t", "SELECT a FROM t"}},
		{"not_function", []string{"SELECT LENGTH(a) FROM t"}, []string{"SELECT a FROM t"}},
		{"uses_function name", []string{"SELECT CONCAT(name) FROM t", "SELECT a FROM t WHERE name < 'x'", `SELECT CONCAT('name')`}, []string{"SELECT CONCAT(a), name FROM t"}},
		{"function sum columns a b", []string{"SELECT SUM(b) FROM t"}, []string{"SELECT SUM(c), MAX(a) FROM t"}},
		{"not_function length columns a", []string{"SELECT MAX(a) FROM t"}, []string{"SELECT LENGTH(a), MAX(b) FROM t"}},
		{"not_function columns a", []string{"SELECT LENGTH(a) FROM t"}, []string{"SELECT a, LENGTH(b) FROM t"}},
		{"regex '.*select.*from.*accounts.*'", []string{"SELECT a\nFROM accounts", "select 1 from ACCOUNTS"}, []string{"SELECT 1", "DELETE FROM accounts"}},
		{"no_where_clause", []string{"DELETE FROM t", "SELECT 1", "UPDATE t SET a = (SELECT b FROM u WHERE c = 1)"}, []string{"DELETE FROM t WHERE a = 1"}},
		{"no_where_clause on_queries delete|update", []string{"DELETE FROM t", "UPDATE t SET a = 1"}, []string{"SELECT 1", "INSERT INTO t VALUES (1)"}},
		{"wildcard at_times 11:00:00-12:00:00", []string{"SELECT * FROM t"}, nil},
		{"wildcard at_times 12:00:01-11:59:59", nil, []string{"SELECT * FROM t"}},
		{"wildcard at_times 23:00:00-13:00:00", []string{"SELECT * FROM t"}, nil},
		{"regex '.' on_queries use", []string{"USE db"}, []string{"SELECT 1"}},
	} {
		rules := "rule r match " + c.rule + forAll
		for _, cmd := range []wire.Command{wire.ComQuery, wire.ComStmtPrepare} {
			block, allow, ignore := newBench(t, rules, nil), newBench(t, rules, map[string]any{"action": "allow"}), newBench(t, rules, map[string]any{"action": "ignore"})
			for _, sql := range c.refused {
				if got := block.send(t, cmd, sql); !strings.HasPrefix(got, "error 1141 (HY000)") || !strings.Contains(got, "Access denied for user ''@'localhost': ") {
					t.Errorf("%s, %s %s: %q", c.rule, cmd, sql, got)
				}
				if got := ignore.send(t, cmd, sql); got != "" {
					t.Errorf("%s, ignored, %s %s: %q", c.rule, cmd, sql, got)
				}
			}
			for _, sql := range c.passed {
				if got := block.send(t, cmd, sql); got != "" {
					t.Errorf("%s, %s %s: %q", c.rule, cmd, sql, got)
				}
				if got := allow.send(t, cmd, sql); !strings.HasSuffix(got, "Access denied for user ''@'localhost'") {
					t.Errorf("%s, allowed, %s %s: %q", c.rule, cmd, sql, got)
				}
			}
		}
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	const rules = "rule r match regex 'secret'" + forAll
	for _, sql := range []string{"SELECT 'open", "FROBNICATE", "SELECT 1; SELECT 2", "PREPARE s FROM @x", "EXECUTE IMMEDIATE CONCAT('a')"} {
		if newBench(t, rules, nil).send(t, wire.ComQuery, sql) == "" {
			t.Errorf("%s passes", sql)
		}
		if newBench(t, strings.Replace(rules, "secret", ".", 1), map[string]any{"action": "allow"}).send(t, wire.ComQuery, sql) == "" {
			t.Errorf("%s is allowed", sql)
		}
		if got := newBench(t, rules, map[string]any{"strict": false}).send(t, wire.ComQuery, sql); got != "" {
			t.Errorf("%s: %s", sql, got)
		}
	}
	lax := newBench(t, rules, map[string]any{"strict": false})
	if lax.send(t, wire.ComQuery, "SELECT 1; SELECT secret") == "" || lax.send(t, wire.ComQuery, "FROBNICATE secret") == "" {
		t.Error("rules are not tried on what is not understood")
	}
}

func TestCommandsWithoutText(t *testing.T) {
	const rules = "rule r match regex 'secret'" + forAll
	block, allow := newBench(t, rules, nil), newBench(t, rules, map[string]any{"action": "allow"})
	for _, cmd := range []wire.Command{wire.ComPing, wire.ComInitDB, wire.ComSetOption, wire.ComProcessInfo, wire.ComProcessKill, wire.ComFieldList, wire.ComStmtReset, wire.ComResetConnection} {
		if got := allow.send(t, cmd, "db\x00\x00"); got != "" {
			t.Errorf("%s: %s", cmd, got)
		}
	}
	for _, cmd := range []wire.Command{wire.ComCreateDB, wire.ComDropDB, wire.ComShutdown, wire.ComRefresh} {
		if allow.send(t, cmd, "db") == "" {
			t.Errorf("%s is allowed", cmd)
		}
		if got := block.send(t, cmd, "db"); got != "" {
			t.Errorf("%s: %s", cmd, got)
		}
	}
	if block.send(t, wire.ComInitDB, "secret") == "" || block.send(t, wire.ComDropDB, "se`cret`secret") == "" {
		t.Error("a command is not seen as the statement that does the same")
	}
}

func TestModesOfMatching(t *testing.T) {
	const rules = "rule a match columns a\nrule b match columns b\nrule w match wildcard\n"
	for users, want := range map[string]string{
		"users %@% match any rules a b":                                              "111",
		"users %@% match all rules a b":                                              "001",
		"users %@% match strict_all rules b a":                                       "001",
		"users other match any rules a b":                                            "000",
		"users other match any rules b\nusers %@localhost match any rules a":         "101",
		"users %@% match all rules a w\nusers '%'@'local%' match any rules b":        "011",
		"users %@10.% match any rules a b w\nusers %@10.0.0.1 match any rules a b w": "000",
	} {
		b, got := newBench(t, rules+users, nil), ""
		for _, sql := range []string{"SELECT a FROM t", "SELECT b FROM t", "SELECT a, b FROM t"} {
			if b.send(t, wire.ComQuery, sql) == "" {
				got += "0"
			} else {
				got += "1"
			}
		}
		if got != want {
			t.Errorf("%s: %s, not %s", users, got, want)
		}
	}
}

func TestQueriesAreLimited(t *testing.T) {
	b := newBench(t, "rule l match limit_queries 3 5 60\nrule x match regex 'data'\nusers %@% match strict_all rules x l", nil)
	try := func(want string) {
		t.Helper()
		got := ""
		for range len(want) {
			b.send(t, wire.ComQuery, "SELECT 1")
			if b.send(t, wire.ComQuery, "SELECT data FROM t") == "" {
				got += "p"
			} else {
				got += "r"
			}
		}
		if got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
	try("pp")
	b.now = b.now.Add(5 * time.Second)
	try("ppprr")
	b.now = b.now.Add(59 * time.Second)
	try("r")
	b.now = b.now.Add(time.Second)
	try("pppr")
	b.now = b.now.Add(time.Hour)
	l := b.rules.Load().rules[0].limit
	if l.sweep(b.now); len(l.clients) != 0 {
		t.Error("a client that has gone is remembered")
	}
	given := map[string]any{"rules": b.file, "action": "allow"}
	if _, err := Module().New(dbproxy.FilterOptions{Params: param.MustParse(Module().Specs, given)}); err == nil {
		t.Error("limit_queries is taken with action=allow")
	}
}

func TestCommandsOfTheModule(t *testing.T) {
	b := newBench(t, "rule r match columns a"+forAll, map[string]any{"log_match": true, "log_no_match": true})
	show, reload := Module().Commands[0], Module().Commands[1]
	b.send(t, wire.ComQuery, "SELECT a FROM t")
	b.send(t, wire.ComQuery, "SELECT b FROM t")
	got, err := show.Run(t.Context(), []any{dbproxy.Filter(b.firewall)})
	if list, ok := got.([]any); err != nil || !ok || len(list) != 1 || list[0].(map[string]any)["times_matched"] != int64(1) {
		t.Error(got, err)
	}
	if text := b.log.String(); !strings.Contains(text, `rule=r user="" host=localhost statement="SELECT a FROM t"`) || !strings.Contains(text, "no rule") {
		t.Error(text)
	}
	other := filepath.Join(t.TempDir(), "other")
	for _, wrong := range []string{other, "/dev/null"} {
		if _, err := reload.Run(t.Context(), []any{b.firewall, wrong}); err == nil {
			t.Errorf("%s is taken", wrong)
		}
	}
	write(t, other, "rule r match columns b"+forAll)
	if _, err := reload.Run(t.Context(), []any{b.firewall, other}); err != nil {
		t.Error(err)
	}
	if b.send(t, wire.ComQuery, "SELECT a FROM t") != "" || b.send(t, wire.ComQuery, "SELECT b FROM t") == "" {
		t.Error("the other rules are not in use")
	}
	write(t, other, "rule r match columns c"+forAll)
	if _, err := reload.Run(t.Context(), []any{b.firewall, nil}); err != nil || b.send(t, wire.ComQuery, "SELECT b FROM t") != "" {
		t.Error("the file is not read again", err)
	}
}

func FuzzStatement(f *testing.F) {
	b := newBench(f, every, nil)
	f.Add([]byte("SELECT a FROM t"))
	f.Add([]byte("PREPARE s FROM 'SELECT 1'"))
	f.Fuzz(func(t *testing.T, sql []byte) {
		h := b.handler.(*handler)
		h.choose()
		if _, refused := h.text(sql, 0); !refused && bytes.Contains(sql, []byte("salary")) && bytes.HasPrefix(sql, []byte("SELECT salary FROM ")) && !bytes.ContainsAny(sql[19:], ";/'\"`-#\\") {
			t.Errorf("%q passes", sql)
		}
	})
}
