package filter

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// content is what a file has.
func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRegexFilter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f := made(t, Regex(), map[string]any{"match": `TYPE\s*=`, "replace": "ENGINE=", "log_file": path, "log_trace": true})
	c := newChain(t, f, &fakeRouter{})
	c.query("create table t (a int) type = x")
	if got := c.router.last().sql; got != "create table t (a int) ENGINE= x" {
		t.Error(got)
	}
	c.must(wire.ComStmtPrepare, []byte("Type="))
	if got := c.router.last(); got.sql != "ENGINE=" || got.command != wire.ComStmtPrepare {
		t.Error(got)
	}
	c.query("select 1")
	if got := c.router.last().sql; got != "select 1" {
		t.Error(got)
	}
	c.must(wire.ComInitDB, []byte("type="))
	if got := f.Diagnostics(); !reflect.DeepEqual(got, map[string]any{"altered": int64(2), "unaltered": int64(1)}) {
		t.Error(got)
	}
	if err := f.(*regexFilter).Rotate(); err != nil {
		t.Fatal(err)
	}
	const want = `Matched TYPE\s*=: [create table t (a int) type = x] -> [create table t (a int) ENGINE= x]
Matched TYPE\s*=: [Type=] -> [ENGINE=]
No match TYPE\s*=: [select 1]
`
	if got := content(t, path); got != want {
		t.Errorf("%s", got)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	c.query("select 2")
	f.Close()
	if got := content(t, path); got != "No match TYPE\\s*=: [select 2]\n" {
		t.Errorf("%s", got)
	}
	router := &fakeRouter{}
	if c := newChain(t, made(t, Regex(), map[string]any{"match": "a", "replace": "b", "user": "john"}), router); c.handler != dbproxy.Handler(router) {
		t.Error("a session of another user is taken")
	}
	refuses(t, Regex(), map[string]any{"replace": "a"}, "match")
	refuses(t, Regex(), map[string]any{"match": "a"}, "replace")
	refuses(t, Regex(), map[string]any{"match": "a", "replace": "$1"}, "replace")
	refuses(t, Regex(), map[string]any{"match": "a", "replace": "b", "log_file": filepath.Join(path, "x")}, "log_file")
}

func TestComment(t *testing.T) {
	c := newChain(t, made(t, Comment(), map[string]any{"inject": "IP=$IP, $ip"}), &fakeRouter{})
	c.query("SELECT user FROM people;")
	if got := c.router.last().sql; got != "/* IP=localhost, $ip */SELECT user FROM people;" {
		t.Error(got)
	}
	c.must(wire.ComStmtPrepare, []byte("select ?"))
	if got := c.router.last().sql; got != "/* IP=localhost, $ip */select ?" {
		t.Error(got)
	}
	refuses(t, Comment(), map[string]any{"inject": "*/ drop table t /*"}, "inject")
	refuses(t, Comment(), nil, "inject")
}
