package proxy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// TestFlushOpensFilesAnew: files of filters are moved away and, after a flush,
// written anew, also those of a filter that only sessions have left.
func TestFlushOpensFilesAnew(t *testing.T) {
	t.Parallel()
	db := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	db.CreateUser(t, "app", "app-word")
	s := servertest.Start(t, servertest.Options{})
	dir := t.TempDir()
	must(t, s, "POST", "/servers", serverBody("server1", db.Port))
	must(t, s, "POST", "/filters", fmt.Sprintf(`{"data":{"id":"log","attributes":{"module":"qlafilter","parameters":{"filebase":%q,"log_type":"unified,session","log_data":"query"}}}}`, filepath.Join(dir, "qla")))
	must(t, s, "POST", "/filters", fmt.Sprintf(`{"data":{"id":"rewrite","attributes":{"module":"regexfilter","parameters":{"match":"pears","replace":"plums","log_file":%q}}}}`, filepath.Join(dir, "rewritten")))
	port := behind(t, s, "svc", db, `{"servers":`+members("servers", "server1")+`,"filters":`+members("filters", "log", "rewrite")+`}`)
	conn := client(t, port, "app", "app-word", "")
	files := []string{"qla.unified", "qla." + ids(read(t, s, "/sessions"))[0], "rewritten"}
	asks := func(word string) {
		t.Helper()
		if _, err := ask(t.Context(), conn, "SELECT '"+word+"'"); err != nil {
			t.Fatal(err)
		}
	}
	has := func(suffix string, want, not string) {
		t.Helper()
		for _, name := range files {
			text, err := os.ReadFile(filepath.Join(dir, name+suffix))
			if err != nil || !strings.Contains(string(text), want) || strings.Contains(string(text), not) {
				t.Errorf("%s%s: %q, %v; want %q and not %q", name, suffix, text, err, want, not)
			}
		}
	}
	move := func(suffix string) {
		t.Helper()
		for _, name := range files {
			if err := os.Rename(filepath.Join(dir, name), filepath.Join(dir, name+suffix)); err != nil {
				t.Fatal(err)
			}
		}
	}
	asks("one")
	move(".1")
	asks("two") // still to the files that were moved, which are open
	must(t, s, "POST", "/maxscale/logs/flush", nil)
	has(".1", "two", "three")
	asks("three")
	must(t, s, "POST", "/maxscale/logs/flush/", nil)
	has("", "three", "two")

	// The service has the filters no longer, but the session does.
	must(t, s, "PATCH", "/services/svc", `{"data":{"relationships":{"filters":{"data":[]}}}}`)
	must(t, s, "DELETE", "/filters/log", nil)
	must(t, s, "DELETE", "/filters/rewrite", nil)
	move(".2")
	must(t, s, "POST", "/maxscale/logs/flush", nil)
	asks("four")
	must(t, s, "POST", "/maxscale/logs/flush", nil)
	has("", "four", "three")
}
