package gateway_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/server/servertest"
)

const marker = "Zebra9-secret"

// withSecrets makes an entity of each kind that has some, and returns the calls
// that show them.
func withSecrets(t *testing.T, call func(method, request string) object) (reads []string, key string) {
	t.Helper()
	cert, key := pair(t)
	call("CreateConsumer", `{"document":{"username":"ann"}}`)
	for _, c := range []struct{ singular, document string }{
		{"KeyAuth", `{"key":"` + marker + `-key"}`}, {"BasicAuth", `{"username":"ann","password":"` + marker + `"}`},
		{"Jwt", `{"key":"public","secret":"` + marker + `-jwt"}`},
	} {
		o := call("Create"+c.singular, `{"consumer":"ann","document":`+c.document+`}`)
		reads = append(reads, "Get"+c.singular+` {"id":"`+o["id"].(string)+`"}`, "List"+c.singular+"s {}")
	}
	for _, config := range []string{
		`"name":"http-log","config":{"http_endpoint":"http://ann:` + marker + `@127.0.0.1:1/?token=` + marker + `","headers":{"X-Key":"` + marker + `"}}`,
		`"name":"rate-limiting","config":{"minute":5,"policy":"redis","redis":{"host":"127.0.0.1","port":1,"password":"` + marker + `"}}`,
		`"name":"request-transformer","config":{"add":{"headers":["X-Key:` + marker + `"]},"append":{"querystring":["key:` + marker + `"]},` +
			`"replace":{"body":["key:` + marker + `"]}}`,
	} {
		o := call("CreatePlugin", `{"document":{`+config+`}}`)
		reads = append(reads, `GetPlugin {"id":"`+o["id"].(string)+`"}`)
	}
	o := call("CreateCertificate", fmt.Sprintf(`{"document":{"cert":%q,"key":%q}}`, cert, key))
	return append(reads, `GetCertificate {"id":"`+o["id"].(string)+`"}`, "ListCertificates {}"), key
}

// TestSecretsStayInside: what is secret is in no file, log or record, and only
// admins see it.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	s := servertest.Start(t, servertest.Options{DataDir: dir})
	viewer := servertest.Dial(t, s.GRPC, s.AddUser(t, "eve", servertest.Role("viewer")))
	reads, key := withSecrets(t, func(method, request string) object { return must(t, s.Conn, method, request) })
	hash := must(t, s.Conn, "GetBasicAuth", `{"id":"ann"}`)["password"].(string)
	line := strings.Split(key, "\n")[1]
	secrets := []string{marker, hash, line}
	for range 2 {
		for _, read := range reads {
			method, request, _ := strings.Cut(read, " ")
			if got := fmt.Sprint(must(t, s.Conn, method, request)); !containsAny(got, secrets) {
				t.Errorf("an admin is not shown the secret by %s: %s", read, got)
			}
			if got := fmt.Sprint(must(t, viewer, method, request)); containsAny(got, secrets) {
				t.Errorf("a viewer is shown the secret by %s: %s", read, got)
			}
		}
		// What does not change stays, also under new keys.
		must(t, s.Conn, "UpdateJwt", `{"id":"public","document":{"tags":["x"]}}`)
		s.Do(t, "POST", "/api/keys/rotate", nil).Good(t)
	}
	if got := said(call(t, s.Conn, "CreateKeyAuth", `{"consumer":"ann","document":{"key":"`+marker+`-key"}}`)); !strings.Contains(got, "5 unique") || strings.Contains(got, marker) {
		t.Errorf("a key twice: %s", got)
	}
	if trail := string(s.Do(t, "GET", "/api/audit?limit=1000", nil).Body); containsAny(trail, secrets) || !strings.Contains(trail, "gateway_key_auth") {
		t.Errorf("the audit trail is %s", trail)
	}
	for _, config := range []string{`{"add":{"headers":["X-Key:` + marker + `$("]}}`, `{"add":{"headers":["X-Key:\r` + marker + `"]}}`} {
		refused := call(t, s.Conn, "CreatePlugin", `{"document":{"name":"request-transformer","consumer":{"username":"ann"},"config":`+config+`}}`)
		if got := said(refused); !strings.Contains(got, "2 schema violation") || strings.Contains(got, marker) {
			t.Errorf("%s: %s", config, got)
		}
	}
	// Requests have the plugins use their secrets, in vain.
	made(t, s.Conn, "CreateRoute", `{"paths":["/"]}`)
	if res, err := http.Get("http://" + s.GatewayHTTP + "/"); err != nil {
		t.Error(err)
	} else {
		res.Body.Close()
	}
	if containsAny(s.Log.String(), secrets) {
		t.Error("the log has a secret")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	notInFiles(t, dir, secrets)
	again := servertest.Start(t, servertest.Options{DataDir: dir})
	for _, read := range reads {
		method, request, _ := strings.Cut(read, " ")
		if got := fmt.Sprint(must(t, again.Conn, method, request)); !containsAny(got, secrets) {
			t.Errorf("after a start, %s: %s", read, got)
		}
	}
}

func containsAny(text string, of []string) bool {
	for _, s := range of {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}

func notInFiles(t *testing.T, dir string, secrets []string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		text, err := os.ReadFile(path)
		for _, s := range secrets {
			if bytes.Contains(text, []byte(s)) {
				t.Errorf("%s has a secret", path)
			}
		}
		return err
	})
	if err != nil || files == 0 {
		t.Errorf("%d files, %v", files, err)
	}
}

// TestSecretsOfPlugins: what the schema of a plugin calls secret is sealed.
func TestSecretsOfPlugins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	id := made(t, w, "CreatePlugin", `{"name":"limiter","config":{"minute":1,"redis":{"password":"`+marker+`"}}}`)
	has := func(p *plane) string { return string(p.of(httpproxy.Plugins, id).(*entity.Plugin).Config) }
	later := &plane{}
	if err := w.Start(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(has(w.plane), marker) || !strings.Contains(has(later), marker) {
		t.Errorf("the data plane has %s, later %s", has(w.plane), has(later))
	}
	notInFiles(t, w.dir, []string{marker})
	must(t, w, "UpdatePlugin", `{"id":"`+id+`","document":{"config":{"redis":{"password":null}}}}`)
	if strings.Contains(has(later), marker) {
		t.Errorf("what was taken out is still there: %s", has(later))
	}
}
