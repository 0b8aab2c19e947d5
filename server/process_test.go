package server_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

var adminEnv = []string{"BACKPLANE_ADMIN_PASSWORD=" + servertest.Password}

func TestProcess(t *testing.T) {
	t.Parallel()
	bin := servertest.Build(t)
	for name, test := range map[string]func(*testing.T, string){
		"killed while creating": killedWhileCreating, "drains": drains, "keys": keys, "second process": secondProcess,
		"first start": firstStart, "configuration": configuration,
	} {
		t.Run(name, func(t *testing.T) { test(t, bin) })
	}
}

func killedWhileCreating(t *testing.T, bin string) {
	dir := t.TempDir()
	p := servertest.Serve(t, bin, dir, adminEnv)
	const total, workers, killAfter = 1000, 25, 400
	var (
		mu       sync.Mutex
		answered = map[string]string{} // id to name
		all      sync.WaitGroup
		enough   = make(chan struct{})
	)
	for w := range workers {
		all.Go(func() {
			for i := w; i < total; i += workers {
				name := fmt.Sprintf("service %d", i)
				a, err := p.Try("POST", "/api/services", redisBody(name, 1, "password", "hidden-word"))
				if err != nil {
					return // killed
				}
				if a.Status != http.StatusOK {
					t.Errorf("create: %d %s", a.Status, a.Body)
					return
				}
				mu.Lock()
				answered[strings.TrimPrefix(a.Header.Get("Location"), "/api/services/")] = name
				if len(answered) == killAfter {
					close(enough)
				}
				mu.Unlock()
			}
		})
	}
	<-enough
	p.Signal(syscall.SIGKILL)
	all.Wait()
	if code, _ := p.Exit(t); code != -1 || len(answered) == total {
		t.Fatalf("the program was not killed in the middle: exit code %d after %d creates", code, len(answered))
	}
	p = servertest.Serve(t, bin, dir, nil)
	stored := map[string]string{}
	for _, s := range p.Do(t, "GET", "/api/services", nil).List(t) {
		stored[s["id"].(string)] = s["name"].(string)
	}
	for id, name := range answered {
		if stored[id] != name {
			t.Errorf("%s %q was answered and is lost", id, name)
		}
	}
	t.Logf("%d creates were answered before the kill, %d are stored", len(answered), len(stored))
	for id := range stored { // whole, with its version and its secret
		if v := p.Do(t, "GET", "/api/services/"+id+"/versions", nil).List(t); len(v) != 1 {
			t.Fatalf("%s has %d versions", id, len(v))
		}
		if p.Do(t, "POST", "/api/services/"+id+"/test", nil).Data(t)["code"] == "internal" {
			t.Fatalf("the secret of %s is lost", id)
		}
		break
	}
	p.Do(t, "POST", "/api/services", sqlite("after the restart")).Data(t)
}

func drains(t *testing.T, bin string) {
	p := servertest.Serve(t, bin, t.TempDir(), adminEnv)
	connected := make(chan struct{})
	port := testbed.Peer(t, func(c net.Conn) {
		close(connected)
		io.Copy(io.Discard, c) //nolint:errcheck // until the other side closes
	})
	answered := make(chan servertest.Answer, 1)
	go func() {
		a, err := p.Try("POST", "/api/services/test?timeout=1", redisBody("", port))
		if err != nil {
			t.Errorf("the call under way was cut: %v", err)
		}
		answered <- a
	}()
	<-connected
	p.Signal(syscall.SIGTERM)
	if a := <-answered; a.Status != http.StatusOK || !strings.Contains(string(a.Body), `"timeout"`) {
		t.Errorf("the call under way answers %d %s", a.Status, a.Body)
	}
	if code, log := p.Exit(t); code != 0 || !strings.Contains(log, "draining") {
		t.Errorf("after SIGTERM the exit code is %d: %s", code, log)
	}
	if _, err := p.Try("GET", "/healthz", nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("after the end: %v", err)
	}
}

func keys(t *testing.T, bin string) {
	end := func(p *servertest.Process) {
		t.Helper()
		p.Signal(syscall.SIGTERM)
		if code, log := p.Exit(t); code != 0 {
			t.Fatalf("exit code %d: %s", code, log)
		}
	}
	refuses := func(dir string, env []string, want string, never ...string) {
		t.Helper()
		p := servertest.Launch(t, bin, dir, env)
		code, log := p.Exit(t)
		if code != 1 || !strings.HasPrefix(log, "backplane: ") || !strings.Contains(log, want) || strings.Count(strings.TrimSpace(log), "\n") > 0 {
			t.Errorf("exit code %d, message %q, want one line with %q", code, log, want)
		}
		for _, secret := range never {
			if strings.Contains(log, secret) {
				t.Errorf("the message shows a key: %s", log)
			}
		}
	}
	one, two := "BACKPLANE_MASTER_KEY="+strings.Repeat("1f", 32), "BACKPLANE_MASTER_KEY="+strings.Repeat("2e", 32)
	given := t.TempDir()
	end(servertest.Serve(t, bin, given, append([]string{one}, adminEnv...)))
	if _, err := os.Stat(filepath.Join(given, "data", "master.key")); !os.IsNotExist(err) {
		t.Errorf("a key was generated beside the given one: %v", err)
	}
	refuses(given, []string{two}, "is not the one that this store is sealed with", strings.Repeat("2e", 32))
	refuses(given, nil, "BACKPLANE_MASTER_KEY")
	refuses(given, []string{"BACKPLANE_MASTER_KEY=too-short-a-key"}, "BACKPLANE_MASTER_KEY must be 32 bytes", "too-short")
	end(servertest.Serve(t, bin, given, []string{one}))

	made := t.TempDir()
	end(servertest.Serve(t, bin, made, adminEnv))
	file := filepath.Join(made, "data", "master.key")
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	refuses(made, nil, "there is no master key")
	if err := os.WriteFile(file, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	refuses(made, nil, file, "damaged\n")
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	end(servertest.Serve(t, bin, made, nil))
}

func secondProcess(t *testing.T, bin string) {
	dir := t.TempDir()
	p := servertest.Serve(t, bin, dir, adminEnv)
	second := servertest.Launch(t, bin, dir, nil)
	if code, log := second.Exit(t); code != 1 || !strings.Contains(log, "in use by another process") {
		t.Errorf("a second process on the data directory: exit code %d, %s", code, log)
	}
	p.Do(t, "GET", "/api/services", nil).List(t)
	taken := servertest.Launch(t, bin, t.TempDir(), nil, "--rest-addr", strings.TrimPrefix(p.URL, "http://"))
	if code, log := taken.Exit(t); code != 1 || !strings.Contains(log, "--rest-addr") {
		t.Errorf("an address in use: exit code %d, %s", code, log)
	}
}

func firstStart(t *testing.T, bin string) {
	dir := t.TempDir()
	p := servertest.Serve(t, bin, dir, nil)
	data := filepath.Join(dir, "data")
	for name, mode := range map[string]os.FileMode{"": 0o700, "admin-password": 0o600, "master.key": 0o600, "backplane.db": 0o600, "backplane.db-wal": 0o600, "lock": 0o600} {
		info, err := os.Stat(filepath.Join(data, name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%q: %v %v, want mode %v", name, info, err, mode)
		}
	}
	text, err := os.ReadFile(filepath.Join(data, "admin-password"))
	if err != nil {
		t.Fatal(err)
	}
	password := strings.TrimSpace(string(text))
	if len(password) < 20 {
		t.Errorf("the generated password %q is short", password)
	}
	if out := p.Out.String(); !strings.Contains(out, filepath.Join(data, "admin-password")) || strings.Contains(out+p.Log.String(), password) {
		t.Errorf("the console should name the file and not show the password:\n%s", out)
	}
	p.Do(t, "GET", "/api/services", nil, "Authorization", servertest.Basic("admin", password)).List(t)
	p.Signal(syscall.SIGTERM)
	p.Exit(t)
	// The password holds on later starts, whatever the environment says then.
	p = servertest.Serve(t, bin, dir, []string{"BACKPLANE_ADMIN_PASSWORD=another"})
	p.Do(t, "GET", "/api/services", nil, "Authorization", servertest.Basic("admin", password)).List(t)
	if a := p.Do(t, "GET", "/api/services", nil, "Authorization", servertest.Basic("admin", "another")); a.Status != 401 {
		t.Errorf("a later password logs in: %d", a.Status)
	}
}

func configuration(t *testing.T, bin string) {
	dir := t.TempDir()
	file := filepath.Join(dir, "backplane.yaml")
	testbed.Write(t, file, "log-level: debug\ndata-dir: from-file\nfile-roots:\n  - "+dir+"\nrequire-secret-on-retarget: true\n")
	p := servertest.Serve(t, bin, dir, append([]string{"BACKPLANE_DATA_DIR=from-env"}, adminEnv...), "--config", file)
	if _, err := os.Stat(filepath.Join(dir, "from-env", "backplane.db")); err != nil {
		t.Errorf("the environment does not win over the file: %v", err)
	}
	p.Do(t, "GET", "/api/services", nil).List(t)
	servertest.Eventually(t, "a log at the level of the file", func() bool { return strings.Contains(p.Log.String(), `"level":"DEBUG"`) })
	outside := p.Do(t, "POST", "/api/services", object{"name": "x", "service_type": "sqlite", "config": object{"path": "/etc/passwd"}})
	inside := p.Do(t, "POST", "/api/services", object{"name": "x", "service_type": "sqlite", "config": object{"path": filepath.Join(dir, "x.db")}})
	own := p.Do(t, "POST", "/api/services", object{"name": "y", "service_type": "sqlite", "config": object{"path": filepath.Join(dir, "from-env", "backplane.db")}})
	if outside.Status != 422 || inside.Status != 200 || own.Status != 422 {
		t.Errorf("file-roots of the file: outside %d, inside %d, own store %d", outside.Status, inside.Status, own.Status)
	}
	p.Signal(syscall.SIGTERM)
	p.Exit(t)
	servertest.Serve(t, bin, dir, append([]string{"BACKPLANE_DATA_DIR=from-env", "BACKPLANE_CONFIG=" + file}, adminEnv...), "--data-dir", filepath.Join(dir, "from-flag"))
	if _, err := os.Stat(filepath.Join(dir, "from-flag", "backplane.db")); err != nil {
		t.Errorf("the flag does not win over the environment: %v", err)
	}

	testbed.Write(t, file, "log-levle: debug\n")
	bad := servertest.Launch(t, bin, dir, []string{"BACKPLANE_STORE=oracle://x", "BACKPLANE_REQUIRE_SECRET_ON_RETARGET=perhaps"}, "--config", file, "--grpc-addr", "nowhere", "--log-level", "loud")
	code, log := bad.Exit(t)
	for _, want := range []string{"log-levle", "--store", "BACKPLANE_REQUIRE_SECRET_ON_RETARGET", "--grpc-addr", "--log-level"} {
		if !strings.Contains(log, want) {
			t.Errorf("the faults do not name %s: %s", want, log)
		}
	}
	if code != 1 {
		t.Errorf("exit code %d", code)
	}
}
