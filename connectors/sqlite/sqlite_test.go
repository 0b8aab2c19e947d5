package sqlite_test

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	_ "modernc.org/sqlite"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/sqlite"
	"github.com/backplane/backplane/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type config = conformance.Config

// oddName holds what cuts or extends a URI.
const oddName = `q?mode=memory&_pragma=journal_mode(wal)#%41 "'ä.db`

// open opens or creates a database with the statements run.
func open(t *testing.T, path string, statements ...string) *sql.DB {
	t.Helper()
	u := url.URL{Scheme: "file", Path: path, RawQuery: "mode=rwc"}
	db, err := sql.Open("sqlite", u.String())
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { db.Close() })
	for _, q := range statements {
		if _, err := db.Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	return db
}

// create makes a database file and closes it again.
func create(t *testing.T, path string, statements ...string) {
	t.Helper()
	db := open(t, path, append([]string{"CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)", "INSERT INTO item (name) VALUES ('a')"}, statements...)...)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestConformance(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	in := func(name string) string { return filepath.Join(root, name) }
	env := connectors.Env{FileRoots: []string{root}, FileDeny: []string{in("own.db")}}

	create(t, in("good.db"))
	create(t, in(oddName))
	create(t, in("wal.db"), "PRAGMA journal_mode = wal")
	create(t, in("own.db"))
	create(t, in("damaged.db"))
	damage(t, in("damaged.db"))
	create(t, in("locked.db"))
	open(t, in("locked.db"), "BEGIN IMMEDIATE")
	write(t, in("text.db"), bytes.Repeat([]byte("just some text\n"), 200))
	write(t, in("empty.db"), nil)
	if err := os.Mkdir(in("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(in("pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, in("way-out")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("good.db", in("link.db")); err != nil {
		t.Fatal(err)
	}
	before := listing(t, root)

	conformance.Run(t, conformance.Backend{
		Connector: sqlite.New(),
		Env:       env,
		Good:      config{"path": in("good.db"), "create_if_missing": false},
		Cases: []conformance.Case{
			{Name: "missing file", Change: config{"path": in("missing.db")}, Want: connectors.DatabaseMissing, Contain: "missing.db"},
			{Name: "missing file that may be created", Change: config{"path": "missing.db", "create_if_missing": true}, Check: says("Connection successful (file will be created)")},
			{Name: "missing directory", Change: config{"path": "nowhere/app.db", "create_if_missing": true}, Want: connectors.PathMissing, Contain: "nowhere"},
			{Name: "relative path", Change: config{"path": "good.db"}, Check: says("Connection successful")},
			{Name: "name full of URI syntax", Change: config{"path": in(oddName)}, Check: says("Connection successful")},
			{Name: "link inside the root", Change: config{"path": in("link.db")}},
			{Name: "write-ahead log", Change: config{"path": in("wal.db")}, Check: says("Connection successful")},
			{Name: "directory", Change: config{"path": in("folder")}, Want: connectors.InvalidConfig, Contain: "directory"},
			{Name: "pipe", Change: config{"path": in("pipe")}, Want: connectors.InvalidConfig},
			{Name: "text file", Change: config{"path": in("text.db")}, Want: connectors.ProtocolMismatch, Contain: "not an SQLite database"},
			{Name: "damaged file", Change: config{"path": in("damaged.db")}, Want: connectors.ProtocolMismatch, Contain: "damaged"},
			{Name: "empty file", Change: config{"path": in("empty.db")}, Warning: "empty_file"},
			{Name: "locked by another", Change: config{"path": in("locked.db")}, Want: connectors.ServerBusy, Stage: connectors.StageVerify, Contain: "database is locked", Timeout: time.Second},
		},
		Invalid: []conformance.Invalid{
			{Name: "a database in memory", Change: config{"path": ":memory:"}, Fields: []string{"path"}},
			{Name: "a URI", Change: config{"path": "file:" + in("good.db")}, Fields: []string{"path"}},
			{Name: "a path outside the root", Change: config{"path": filepath.Join(outside, "app.db")}, Fields: []string{"path"}},
			{Name: "a path that climbs out", Change: config{"path": "../app.db"}, Fields: []string{"path"}},
			{Name: "a link that leads out", Change: config{"path": "way-out/app.db"}, Fields: []string{"path"}},
			{Name: "Backplane's own file", Change: config{"path": in("own.db")}, Fields: []string{"path"}},
			{Name: "a file in the directory's place", Change: config{"path": "good.db/app.db"}, Fields: []string{"path"}},
			{Name: "a directory", Change: config{"path": in("folder") + "/"}, Fields: []string{"path"}},
			{Name: "NUL", Change: config{"path": "a\x00b"}, Fields: []string{"path"}},
			{Name: "an empty path", Change: config{"path": ""}, Fields: []string{"path"}},
		},
	})
	for name, size := range listing(t, root) {
		if was, ok := before[name]; !ok || was != size {
			t.Errorf("the tests left %s with %d bytes; before: %d (existed: %v)", name, size, was, ok)
		}
	}
}

// damage overwrites the list of tables but leaves the header as it is.
func damage(t *testing.T, path string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 100; i < len(content); i++ {
		content[i] = 0xff
	}
	write(t, path, content)
}

func listing(t *testing.T, dir string) map[string]int64 {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]int64, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name()] = info.Size()
	}
	return out
}

func says(message string) func(*testing.T, connectors.Report, *connectors.Failure) {
	return func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
		if r.Message != message || len(r.Warnings) != 0 {
			t.Errorf("message %q, warnings %+v", r.Message, r.Warnings)
		}
	}
}

// validated returns a checked configuration.
func validated(t *testing.T, env connectors.Env, raw config) connectors.Config {
	t.Helper()
	c, faults := sqlite.New().Spec().Validate(raw, env)
	if faults != nil {
		t.Fatal(faults)
	}
	return c
}

func TestPathIsResolvedAgainAtTheTest(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	create(t, filepath.Join(outside, "app.db"))
	env := connectors.Env{FileRoots: []string{root}}
	path := filepath.Join(root, "app.db")
	c := validated(t, env, config{"path": path})
	if err := os.Symlink(filepath.Join(outside, "app.db"), path); err != nil {
		t.Fatal(err)
	}
	if _, f := connectors.Run(t.Context(), sqlite.New(), c, env, 0); f == nil || f.Code != connectors.InvalidConfig {
		t.Errorf("got %v", f)
	}
}

// TestPermissions needs a user whom permissions bind: root runs it again as
// nobody.
func TestPermissions(t *testing.T) {
	if os.Getuid() == 0 {
		runAsNobody(t)
		return
	}
	root := t.TempDir()
	env := connectors.Env{FileRoots: []string{root}}
	at := func(dir string, dirMode, fileMode os.FileMode) string {
		dir = filepath.Join(root, dir)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.Chmod(dir, 0o700) })
		path := filepath.Join(dir, "app.db")
		create(t, path)
		if err := os.Chmod(path, fileMode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, dirMode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	sealed := at("sealed-folder", 0o500, 0o600)
	for name, tc := range map[string]struct {
		path    string
		want    connectors.Code
		warning string
	}{
		"file not readable":                  {at("unreadable", 0o700, 0o000), connectors.PermissionDenied, ""},
		"file not writable":                  {at("read-only", 0o700, 0o400), connectors.PermissionDenied, ""},
		"directory not writable":             {sealed, "", "directory_read_only"},
		"directory in which none is made":    {filepath.Join(filepath.Dir(sealed), "new.db"), connectors.PermissionDenied, ""},
		"file and directory as they must be": {at("fine", 0o700, 0o600), "", ""},
	} {
		r, f := connectors.Run(t.Context(), sqlite.New(), validated(t, env, config{"path": tc.path}), env, 0)
		got := connectors.Code("")
		if f != nil {
			got = f.Code
		}
		if got != tc.want {
			t.Errorf("%s: got %q (%v), want %q", name, got, f, tc.want)
		}
		if tc.warning != "" && (len(r.Warnings) != 1 || r.Warnings[0].Code != tc.warning) {
			t.Errorf("%s: warnings %+v", name, r.Warnings)
		}
	}
}

func runAsNobody(t *testing.T) {
	t.Helper()
	program := filepath.Join(testbed.Folder(t, "nobody"), "tests")
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.OpenFile(program, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^TestPermissions$")
	cmd.Dir = filepath.Dir(program)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestExampleConfig(t *testing.T) {
	var raw map[string]any
	if err := json.Unmarshal([]byte(`{"path": "/data/app.db", "create_if_missing": true}`), &raw); err != nil {
		t.Fatal(err)
	}
	env := connectors.Env{FileRoots: []string{"/var/lib/backplane", "/data"}}
	c := validated(t, env, raw)
	if c.String("path") != "/data/app.db" || !c.Bool("create_if_missing") {
		t.Errorf("got %v", c)
	}
	delete(raw, "create_if_missing")
	if c = validated(t, env, raw); !c.Bool("create_if_missing") {
		t.Errorf("defaults: got %v", c)
	}
}
