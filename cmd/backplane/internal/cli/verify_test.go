package cli

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // to change the store behind the program's back

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/server/store"
)

// offline runs the check of a data directory without a server.
func offline(t *testing.T, dir string, args ...string) result {
	t.Helper()
	return runWith(t.Context(), strings.NewReader(""), append([]string{"audit", "verify", "--offline", "--data-dir", dir}, args...)...)
}

func TestVerifyOffline(t *testing.T) {
	bare(t)
	s := servertest.Start(t, servertest.Options{})
	s.AddProject(t, "web")
	if r := offline(t, s.DataDir); r.err == nil || !strings.Contains(r.err.Error(), "in use by another process; if a server runs on this store, ask it") {
		t.Errorf("beside a server: %v", r.err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if r := offline(t, s.DataDir); r.err != nil || r.out != "The audit trail is intact: 2 records\n" {
		t.Errorf("got %q, %v", r.out, r.err)
	}
	if r := offline(t, s.DataDir, "--output", "json"); r.err != nil || !strings.Contains(r.out, `"intact": true`) || !strings.Contains(r.out, `"checked": 2`) {
		t.Errorf("as JSON: %q, %v", r.out, r.err)
	}
	config := filepath.Join(t.TempDir(), "backplane.yaml")
	if err := os.WriteFile(config, []byte("rest-addr: 127.0.0.1:0\nmaster-key-file: "+filepath.Join(s.DataDir, "master.key")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := offline(t, s.DataDir, "--config", config); r.err != nil {
		t.Errorf("with the server's configuration: %v", r.err)
	}

	db, err := sql.Open("sqlite", "file:"+filepath.Join(s.DataDir, store.SQLiteFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = db.Exec("UPDATE audit_records SET actor = 'nobody' WHERE id = 2"); err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, output := range []string{"table", "json"} {
		r := offline(t, s.DataDir, "--output", output)
		if r.err == nil || !strings.Contains(r.err.Error(), "damaged: record 2: ") || strings.Contains(r.out, `"intact": false`) != (output == "json") {
			t.Errorf("a changed record, %s: %q, %v", output, r.out, r.err)
		}
	}
}

// TestVerifyNeedsTheMasterKey: and says so, in place of a verdict.
func TestVerifyNeedsTheMasterKey(t *testing.T) {
	bare(t)
	s := servertest.Start(t, servertest.Options{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	nowhere := filepath.Join(t.TempDir(), "nowhere")
	for name, c := range map[string]struct {
		dir  string
		args []string
		want []string
	}{
		"no master key":       {s.DataDir, []string{"--master-key-file", nowhere}, []string{"cannot be checked", "needs the master key, which is not at " + nowhere}},
		"another master key":  {s.DataDir, []string{"--master-key-command", "echo " + strings.Repeat("00", 32)}, []string{"cannot be checked", "needs the master key", "not the one that this store is sealed with"}},
		"no store":            {nowhere, nil, []string{"open store", "no such file"}},
		"two sources":         {s.DataDir, []string{"--master-key-file", nowhere, "--master-key-command", "true"}, []string{"only one of them"}},
		"an unknown store":    {s.DataDir, []string{"--store", "oracle://x"}, []string{"--store must be"}},
		"a store of a server": {s.DataDir, []string{"--offline=false", "--store", "postgres://x"}, []string{"--store is for --offline"}},
	} {
		r := offline(t, c.dir, c.args...)
		if r.err == nil || r.out != "" {
			t.Errorf("%s: printed %q, %v", name, r.out, r.err)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(r.err.Error(), want) {
				t.Errorf("%s: %v does not say %q", name, r.err, want)
			}
		}
	}
	if _, err := os.Stat(nowhere); !os.IsNotExist(err) {
		t.Errorf("something was made: %v", err)
	}
}
