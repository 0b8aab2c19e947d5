package proxy_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// TestPasswordsOfTheProxyStayInside: what the proxy logs in with is in no
// answer, log line, metric or file, and outlives a rotation of the keys.
func TestPasswordsOfTheProxyStayInside(t *testing.T) {
	t.Parallel()
	const marker = `marker-"5<&word`
	dir := filepath.Join(t.TempDir(), "data")
	s := servertest.Start(t, servertest.Options{DataDir: dir})
	var told []string
	do := func(verb, path string, body any) {
		t.Helper()
		a := s.Do(t, verb, path, body)
		if a.Status >= 300 && a.Status != refused && a.Status != 503 {
			t.Fatalf("%s %s: %d %s", verb, path, a.Status, a.Body)
		}
		told = append(told, string(a.Body))
	}
	login := object{"user": "maxscale", "password": marker}
	name := func(id string, attributes object) object {
		return object{"data": object{"id": id, "attributes": attributes}}
	}
	do("POST", "/v1/servers", name("server1", object{"parameters": object{
		"address": "127.0.0.1", "port": testbed.FreePort(t), "monitoruser": "m", "monitorpw": marker,
	}}))
	do("POST", "/v1/services", name("svc", object{"router": "readconnroute", "parameters": login}))
	do("POST", "/v1/monitors", name("mon", object{"module": "mariadbmon", "parameters": login}))
	do("PATCH", "/v1/monitors/mon", `{"data":{"relationships":{"servers":`+members("servers", "server1")+`}}}`)
	do("PATCH", "/v1/services/svc", `{"data":{"relationships":{"servers":`+members("servers", "server1")+`}}}`)
	do("PATCH", "/v1/services/svc", object{"data": object{"attributes": object{"parameters": object{"password": marker + "2"}}}})
	do("POST", "/v1/services", name("bad", object{"router": "readconnroute", "parameters": object{"user": "u", "password": marker, "rank": marker[:3]}}))
	do("POST", "/v1/services/svc/reload", nil)
	do("GET", "/v1/maxscale/debug/monitor_wait", nil)
	do("POST", "/api/keys/rotate", nil)
	do("PATCH", "/v1/services/svc", `{"data":{"attributes":{"parameters":{"password":"*****","max_connections":7}}}}`)
	for _, path := range []string{"/v1/servers", "/v1/services", "/v1/monitors", "/v1/maxscale", "/v1/maxscale/logs/data", "/v1/maxscale/debug/server_diagnostics", "/api/audit", "/metrics"} {
		do("GET", path, nil)
	}
	if all := strings.Join(told, "\n"); !strings.Contains(all, `"*****"`) || !strings.Contains(all, "monitorpw") {
		t.Error("the passwords are not shown as there")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	places := map[string][]byte{"answers": []byte(strings.Join(told, "\n")), "log": []byte(s.Log.String())}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		places[path], err = os.ReadFile(path)
		return err
	})
	if err != nil || len(places) < 3 {
		t.Fatalf("%d places, %v", len(places), err)
	}
	core := marker[:6] // every way to escape the rest leaves this
	for place, text := range places {
		for _, form := range []string{marker, core, url.QueryEscape(marker), hex.EncodeToString([]byte(marker)), base64.StdEncoding.EncodeToString([]byte(marker))[:12]} {
			if bytes.Contains(text, []byte(form)) {
				t.Errorf("%s: holds the password, as %s", place, form)
			}
		}
	}

	s = servertest.Start(t, servertest.Options{DataDir: dir})
	must(t, s, "PATCH", "/services/svc", `{"data":{"attributes":{"parameters":{"password":"*****","max_connections":8}}}}`)
}
