package filter

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// ticking is a clock that goes on by 1.5 ms whenever it is read.
func ticking() func() time.Time {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	return func() time.Time {
		at = at.Add(1500 * time.Microsecond)
		return at
	}
}

// logging makes a qlafilter with a clock, and the base of its files.
func logging(t *testing.T, given map[string]any) (*qlaFilter, string) {
	t.Helper()
	base := filepath.Join(t.TempDir(), "log")
	given["filebase"] = base
	f := made(t, QLA(), given).(*qlaFilter)
	f.now = ticking()
	return f, base
}

func TestQLADefaults(t *testing.T) {
	f, base := logging(t, map[string]any{})
	c := newChain(t, f, &fakeRouter{})
	c.query("select 1,\n2\r\nfrom dual\rwhere 1")
	c.must(wire.ComPing, nil)
	c.must(wire.ComStmtPrepare, []byte("select ?"))
	id := uint32(len(c.router.requests))
	c.must(wire.ComStmtExecute, statement(id))
	c.must(wire.ComStmtClose, statement(id))
	c.handler.Close()
	const want = "Date,User@Host,Query\n" +
		"2026-01-02 03:04:05,@localhost,select 1, 2 from dual where 1\n" +
		"2026-01-02 03:04:05,@localhost,select ?\n" +
		"2026-01-02 03:04:05,@localhost,select ?\n"
	if got := content(t, base+".0"); got != want {
		t.Errorf("%q", got)
	}
	info, err := os.Stat(base + ".0")
	if err != nil || info.Mode().Perm()&^0o640 != 0 {
		t.Error(info.Mode(), err)
	}
	if got := f.Diagnostics(); !reflect.DeepEqual(got, map[string]any{"separator": ",", "newline_replacement": " "}) {
		t.Error(got)
	}
}

func TestQLAEverything(t *testing.T) {
	f, base := logging(t, map[string]any{"log_type": "unified,stdout,session", "log_data": strings.Join(qlaData, ","), "separator": `" | "`, "duration_unit": "us", "use_canonical_form": true, "flush": true})
	var out bytes.Buffer
	f.stdout = &out
	router := &fakeRouter{answer: func(r *dbproxy.Request) [][]byte {
		switch text, _ := r.SQL(); string(text) {
		case "select 'x'":
			return resultSet(0, "1", "2")
		case "nonsense":
			return [][]byte{(&wire.ServerError{Code: 1064, State: "42000", Message: "You have\nan error"}).Append(nil)}
		}
		return [][]byte{(&wire.OK{Warnings: 3}).Append(nil, 0, false)}
	}}
	c := newChain(t, f, router)
	for _, sql := range []string{"select 'x'", "begin", "nonsense", "commit", "rollback"} {
		c.query(sql)
	}
	c.must(wire.ComPing, nil)
	router.err = errors.New("gone")
	if _, err := c.send(wire.ComQuery, []byte("select 2")); !errors.Is(err, router.err) {
		t.Error(err)
	}
	const date, user = "2026-01-02 03:04:05", "@localhost"
	lines := []string{
		"Service | Session | Date | User@Host | Reply_time | Total_reply_time | Query | Default_db | Num_rows | Reply_size | Transaction | Transaction_time | Num_warnings | Error_msg | Server | Command",
		" | 0 | " + date + " | " + user + " | 1500 | 3000 | select ? |  | 2 | 38 |  | 0 | 0 |  |  | COM_QUERY",
		" | 0 | " + date + " | " + user + " | 1500 | 3000 | begin |  | 0 | 7 | BEGIN | 0 | 3 |  |  | COM_QUERY",
		" | 0 | " + date + " | " + user + " | 1500 | 3000 | nonsense |  | 0 | 26 |  | 0 | 0 | You have an error |  | COM_QUERY",
		" | 0 | " + date + " | " + user + " | 1500 | 3000 | commit |  | 0 | 7 | COMMIT | 12000 | 3 |  |  | COM_QUERY",
		" | 0 | " + date + " | " + user + " | 1500 | 3000 | rollback |  | 0 | 7 | ROLLBACK | 0 | 3 |  |  | COM_QUERY",
		" | 0 | " + date + " | " + user + " | 1500 | 3000 |  |  | 0 | 7 |  | 0 | 3 |  |  | COM_PING",
		" | 0 | " + date + " | " + user + " | 1500 | 1500 | select ? |  | 0 | 0 |  | 0 | 0 | gone |  | COM_QUERY",
	}
	want := strings.Join(lines, "\n") + "\n"
	if got := content(t, base+".unified"); got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}
	if _, rest, _ := strings.Cut(want, "\n"); out.String() != rest {
		t.Errorf("%s", out.String())
	}
	// The file of a session does not name it.
	own := strings.ReplaceAll(strings.ReplaceAll(want, " | 0 | 2026", " | 2026"), " | Session | ", " | ")
	if got := content(t, base+".0"); got != own {
		t.Errorf("%s\nnot\n%s", got, own)
	}
}

func TestQLAMatches(t *testing.T) {
	f, base := logging(t, map[string]any{"log_type": "unified", "log_data": "query,command", "match": "select", "exclude": "dual", "newline_replacement": `""`})
	c := newChain(t, f, &fakeRouter{})
	for _, sql := range []string{"select\n1", "SELECT 1", "select 1 from dual", "insert"} {
		c.query(sql)
	}
	c.must(wire.ComPing, nil)
	f.Close()
	if got := content(t, base+".unified"); got != "Query,Command\nselect\n1,COM_QUERY\n" {
		t.Errorf("%q", got)
	}
}

func TestQLASessions(t *testing.T) {
	for _, tt := range []struct {
		given map[string]any
		want  bool
	}{
		{map[string]any{"user_match": "^$"}, true}, {map[string]any{"user_match": "a"}, false}, {map[string]any{"user_exclude": "^$"}, false}, {map[string]any{"user_exclude": "a"}, true},
		{map[string]any{"source_match": "^local"}, true}, {map[string]any{"source_match": "127"}, false}, {map[string]any{"source_exclude": "^local"}, false},
		{map[string]any{"source_exclude": "^local", "source": "localhost"}, true}, {map[string]any{"user": "john"}, false},
	} {
		f, _ := logging(t, tt.given)
		router := &fakeRouter{}
		c := newChain(t, f, router)
		if got := c.handler != dbproxy.Handler(router); got != tt.want {
			t.Errorf("%v: %v", tt.given, got)
		}
		if tt.want {
			c.handler.Close()
		}
	}
}

func TestQLALog(t *testing.T) {
	f, _ := logging(t, map[string]any{"log_type": "unified", "log_data": "query"})
	run := func(args ...any) []string {
		t.Helper()
		got, err := qlaLog(t.Context(), append([]any{f}, args...))
		if err != nil {
			t.Fatal(err)
		}
		return got.([]string)
	}
	if got := run(); !reflect.DeepEqual(got, []string{"Query"}) {
		t.Errorf("%q", got)
	}
	c := newChain(t, f, &fakeRouter{})
	for _, sql := range []string{"a", "b", "c"} {
		c.query(sql)
	}
	for _, tt := range []struct {
		args []any
		want []string
	}{
		{[]any{nil, nil}, []string{"Query", "a", "b", "c"}}, {[]any{"2"}, []string{"b", "c"}}, {[]any{"1", "3"}, []string{"a", "b"}}, {[]any{"3", "1"}, []string{}}, {[]any{"9", nil}, []string{}}, {[]any{"0", "1"}, []string{"Query"}},
	} {
		if got := run(tt.args...); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%v: %q", tt.args, got)
		}
	}
	other, _ := logging(t, map[string]any{})
	for _, args := range [][]any{{f, "x"}, {f, "-1"}, {other}, {made(t, Hint(), nil)}} {
		if got, err := qlaLog(t.Context(), args); err == nil {
			t.Errorf("%v: %v", args, got)
		}
	}
	command := QLA().Commands[0]
	if command.Name != "log" || command.Method != "GET" || len(command.Args) != 3 {
		t.Errorf("%+v", command)
	}
}

func TestQLARotates(t *testing.T) {
	f, base := logging(t, map[string]any{"log_type": "unified,session", "log_data": "query"})
	c := newChain(t, f, &fakeRouter{})
	c.query("a")
	for _, suffix := range []string{".unified", ".0"} {
		if err := os.Rename(base+suffix, base+suffix+".old"); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Rotate(); err != nil {
		t.Fatal(err)
	}
	c.query("b")
	c.handler.Close()
	f.Close()
	for _, suffix := range []string{".unified", ".0"} {
		if got, old := content(t, base+suffix), content(t, base+suffix+".old"); got != "Query\nb\n" || old != "Query\na\n" {
			t.Errorf("%s: %q after %q", suffix, got, old)
		}
	}
}

func TestQLAAppends(t *testing.T) {
	base := filepath.Join(t.TempDir(), "log")
	for _, tt := range []struct {
		add  bool
		want string
	}{{true, "Query\na\n"}, {true, "Query\na\na\n"}, {false, "Query\na\n"}} {
		f := made(t, QLA(), map[string]any{"filebase": base, "log_type": "unified", "log_data": "query", "append": tt.add})
		newChain(t, f, &fakeRouter{}).query("a")
		f.Close()
		if got := content(t, base+".unified"); got != tt.want {
			t.Errorf("%q", got)
		}
	}
}

func TestQLAFilesThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	refuses(t, QLA(), nil, "filebase")
	refuses(t, QLA(), map[string]any{"filebase": filepath.Join(dir, "none", "log"), "log_type": "unified"}, "filebase")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), filepath.Join(dir, "link.unified")); err != nil {
		t.Fatal(err)
	}
	refuses(t, QLA(), map[string]any{"filebase": filepath.Join(dir, "link"), "log_type": "unified"}, "filebase")
	if _, err := os.Stat(filepath.Join(dir, "elsewhere")); !errors.Is(err, os.ErrNotExist) {
		t.Error("a symbolic link was followed")
	}
	if err := os.Mkdir(filepath.Join(dir, "dir.unified"), 0o700); err != nil {
		t.Fatal(err)
	}
	refuses(t, QLA(), map[string]any{"filebase": filepath.Join(dir, "dir"), "log_type": "unified"}, "filebase")
	refuses(t, QLA(), map[string]any{"filebase": dir, "user_match": "("}, "user_match")
	f := made(t, QLA(), map[string]any{"filebase": filepath.Join(dir, "none", "log")})
	if _, err := f.Session(&dbproxy.Session{}, &fakeRouter{}); err == nil {
		t.Error("a session goes on without its log")
	}
}

func TestLogFileWritesLate(t *testing.T) {
	f, base := logging(t, map[string]any{"log_type": "unified", "log_data": "query"})
	c := newChain(t, f, &fakeRouter{})
	c.query("a")
	f.unified.late()
	if got := content(t, base+".unified"); got != "Query\na\n" {
		t.Errorf("%q", got)
	}
	long := strings.Repeat("x", logBuffer)
	c.query(long)
	if got := content(t, base+".unified"); got != "Query\na\n"+long+"\n" {
		t.Errorf("%d bytes", len(got))
	}
	// A directory in its place loses lines, which is told once.
	if err := os.Remove(base + ".unified"); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(base+".unified", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.Rotate(); err != nil {
		t.Fatal(err)
	}
	c.query("b")
	f.unified.late()
	if !f.losing.Load() {
		t.Error("nothing was lost")
	}
	f.Close()
	if err := f.unified.write([]byte("c\n")); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

func TestTop(t *testing.T) {
	base := filepath.Join(t.TempDir(), "top")
	f := made(t, Top(), map[string]any{"filebase": base, "count": 3, "exclude": "secret"}).(*topFilter)
	k := newClock()
	f.now = k.now
	router := &fakeRouter{}
	took := map[string]time.Duration{"a": 22985 * time.Millisecond, "b": time.Millisecond, "c": time.Second, "d": time.Second, "e": 2 * time.Second, "secret": time.Hour}
	sql := ""
	router.answer = func(r *dbproxy.Request) [][]byte {
		k.at = k.at.Add(took[sql])
		switch r.Command {
		case wire.ComStmtPrepare:
			return [][]byte{wire.Prepared{ID: 1}.Append(nil)}
		case wire.ComPing:
			return [][]byte{(&wire.OK{}).Append(nil, 0, false)}
		}
		return resultSet(0, "1")
	}
	c := newChain(t, f, router)
	for _, sql = range []string{"a", "b", "c", "d", "secret"} {
		c.query(sql)
	}
	c.must(wire.ComStmtPrepare, []byte("e"))
	sql = "e"
	c.must(wire.ComStmtExecute, statement(1))
	c.must(wire.ComPing, nil)
	k.at = time.Time{}.Add(time.Hour) // the session that is no real one began then
	c.handler.Close()
	const want = `Top 3 longest running queries in session.
==========================================

Time (sec) | Query
-----------+-----------------------------------------------------------------
    22.985 |  a
     2.000 |  e
     1.000 |  c
-----------+-----------------------------------------------------------------


Session started Mon Jan  1 00:00:00 0001
Connection from localhost
Username        ` + `

Total of 5 statements executed.
Total statement execution time     26.986 seconds
Average statement execution time    5.397 seconds
Total connection time            3600.000 seconds
`
	if got := content(t, base+".0"); got != want {
		t.Errorf("%s", got)
	}
	made(t, Top(), map[string]any{"filebase": base, "count": 0})
	refuses(t, Top(), nil, "filebase")
}
