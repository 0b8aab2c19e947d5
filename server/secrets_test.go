package server_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/builtin"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// tape records every answer: headers and bodies, streams too.
type tape struct {
	servertest.Buffer
	next http.RoundTripper
}

func (r *tape) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := r.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if err := resp.Header.Write(r); err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.TeeReader(resp.Body, r), resp.Body}
	return resp, nil
}

// CloseIdleConnections serves http.Client.
func (r *tape) CloseIdleConnections() {
	if c, ok := r.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// marker is a secret with a word in it that occurs nowhere else.
func marker(word string) string { return word + testbed.NastyPassword }

// forms are the ways in which a word could be written.
func forms(word string) []string {
	out := []string{word, url.QueryEscape(word), strings.ToUpper(fmt.Sprintf("%x", word)), fmt.Sprintf("%x", word)}
	for shift := range 3 { // base64 of a longer text that has the word at any place
		enc := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", shift) + word))
		first := (shift*8 + 5) / 6
		last := (shift + len(word)) * 8 / 6
		out = append(out, enc[first:last])
	}
	return out
}

func TestFormsAreFound(t *testing.T) {
	t.Parallel()
	word := "Zebra7 word/"
	for i := range 7 {
		text := strings.Repeat("<", i) + word + strings.Repeat(">", 7-i)
		for _, written := range []string{text, url.QueryEscape(text), base64.StdEncoding.EncodeToString([]byte(text)), fmt.Sprintf("%x", text)} {
			if !slices.ContainsFunc(forms(word), func(f string) bool { return strings.Contains(written, f) }) {
				t.Errorf("%q is not found in %q", word, written)
			}
		}
	}
}

// plants are configurations with a marker in every secret field, and the words
// to look for.
type plants struct {
	configs map[string]object // by name of the service
	types   map[string]string
	words   []string
	covered map[string]bool // type.field
}

func (p *plants) add(name, serviceType string, config object, secrets map[string]string) {
	p.configs[name], p.types[name] = maps.Clone(config), serviceType
	for field, word := range secrets {
		p.words = append(p.words, word)
		p.covered[serviceType+"."+field] = true
	}
}

// pemWord is a line from the middle of a PEM text.
func pemWord(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-3][8:40]
}

func plant(t *testing.T, at func(serviceType string) int) *plants {
	t.Helper()
	p := &plants{configs: map[string]object{}, types: map[string]string{}, covered: map[string]bool{}}
	pair := testbed.NewCA(t).Issue(t, "client")
	withTLS := func(c object) object {
		c["tls_client_cert"], c["tls_client_key"] = pair.CertPEM, pair.KeyPEM
		return c
	}
	tlsWord := map[string]string{"tls_client_key": pemWord(pair.KeyPEM)}
	with := func(more map[string]string) map[string]string {
		maps.Copy(more, tlsWord)
		return more
	}
	server := func(typ string, more object) object {
		c := object{"host": "127.0.0.1", "port": at(typ)}
		maps.Copy(c, more)
		return c
	}
	for typ, more := range map[string]object{
		"postgres": {"database": "d", "username": "u"}, "mysql": {"database": "d", "username": "u"}, "redis": {"username": "u"},
		"memcached": {"auth": "ascii", "username": "u"}, "mongodb": {"database": "d", "username": "u"},
		"email": {"username": "u", "encryption": "none", "allow_plaintext_auth": true, "from_address": "a@b.example"},
	} {
		word := "Zebra7" + typ
		c := withTLS(server(typ, more))
		c["password"] = marker(word)
		p.add(typ, typ, c, with(map[string]string{"password": word}))
	}
	p.add("uri", "mongodb", object{"uri": fmt.Sprintf("mongodb://u:%s@127.0.0.1:%d/", url.QueryEscape(marker("Zebra7uri")), at("mongodb")), "database": "d"},
		map[string]string{"uri": "Zebra7uri"})
	p.add("minio", "minio", withTLS(object{
		"endpoint": fmt.Sprintf("127.0.0.1:%d", at("minio")), "access_key": "shown", "secret_key": marker("Zebra7store"), "session_token": "Zebra7token",
	}), with(map[string]string{"secret_key": "Zebra7store", "session_token": "Zebra7token"}))
	p.add("ftp", "ftp", server("ftp", object{"username": "u", "password": marker("Zebra7ftp")}), map[string]string{"password": "Zebra7ftp"})
	p.add("ftps", "ftp", withTLS(server("ftp", object{"username": "u", "password": marker("Zebra7ftps"), "protocol": "ftps"})), with(map[string]string{"password": "Zebra7ftps"}))

	text := encryptedKey(t, marker("Zebra7phrase"))
	p.add("sftp", "ftp", server("ftp", object{"username": "u", "protocol": "sftp", "host_key_policy": "insecure", "private_key": text, "private_key_passphrase": marker("Zebra7phrase")}),
		map[string]string{"private_key": pemWord(text), "private_key_passphrase": "Zebra7phrase"})
	file := filepath.Join(t.TempDir(), "Zebra7path")
	testbed.Write(t, file, text)
	p.add("sftp by path", "ftp", server("ftp", object{"username": "u", "protocol": "sftp", "host_key_policy": "insecure", "private_key_path": file, "private_key_passphrase": marker("Zebra7phrase")}),
		map[string]string{"private_key_path": "Zebra7path"})
	p.add("sqlite", "sqlite", object{"path": "/tmp/no.db"}, nil)
	return p
}

// encryptedKey is a private key under a passphrase, in a format that costs
// little to decrypt, because that is done often here.
func encryptedKey(t *testing.T, passphrase string) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	//lint:ignore SA1019 newer formats are slow on purpose
	block, err := x509.EncryptPEMBlock(rand.Reader, "EC PRIVATE KEY", der, []byte(passphrase), x509.PEMCipherAES256)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(block))
}

// TestSecretsStayInside plants secrets in every secret field of every type,
// does everything that can be done with the services, against closed ports and
// servers that say back what they hear, and then looks for the secrets.
func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	s := start(t)
	tape := &tape{next: s.Client.Transport}
	s.Client.Transport = tape
	registry, err := builtin.Registry()
	if err != nil {
		t.Fatal(err)
	}
	parrots := map[string]int{}
	for _, typ := range registry.Types() {
		parrots[typ] = parrot(t, typ)
	}
	closed := testbed.ClosedPort(t)
	p := plant(t, func(string) int { return closed })
	loud := plant(t, func(typ string) int { return parrots[typ] })
	wantEverySecretPlanted(t, registry, p.covered)

	for _, name := range slices.Sorted(maps.Keys(p.configs)) {
		exercise(t, s, name, p.types[name], p.configs[name], loud.configs[name])
	}
	s.Do(t, "POST", "/api/services/test-all?timeout=2", nil).List(t)
	for _, path := range []string{"/api/services", "/api/service-types", "/openapi.json", "/metrics", "/api/services?q=Zebra7", "/api/audit?limit=1000"} {
		s.Do(t, "GET", path, nil)
	}
	s.Create(t, sqlite("the last"))
	w := openWatch(t, s, "?index=0") // every change again
	for {
		e, ok := w.next()
		if !ok {
			t.Fatal("the watch ended")
		}
		if _, _, service := e.body(t); service["name"] == "the last" {
			break
		}
	}
	words := append(append([]string{}, p.words...), loud.words...)
	places := map[string]string{"answers": tape.String(), "log": s.Log.String()}
	maps.Copy(places, files(t, s.DataDir)) // while the server runs, with its journal
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for name, content := range files(t, s.DataDir) {
		places[name+" at rest"] = content
	}
	for place, content := range places {
		if len(content) == 0 && !strings.Contains(place, "lock") {
			t.Errorf("there is nothing in %s", place)
		}
		for _, word := range append(words, servertest.Password) {
			for _, form := range forms(word) {
				if i := strings.Index(content, form); i >= 0 {
					t.Errorf("%s: found %q of %q in …%q…", place, form, word, content[max(0, i-300):min(len(content), i+100)])
				}
			}
		}
	}
}

func wantEverySecretPlanted(t *testing.T, registry *connectors.Registry, covered map[string]bool) {
	t.Helper()
	for _, typ := range registry.Types() {
		conn, _ := registry.Lookup(typ)
		for _, f := range conn.Spec().Fields {
			if f.Sealed() && !covered[typ+"."+f.Name] {
				t.Errorf("no secret is planted in %s of %s", f.Name, typ)
			}
		}
	}
}

// parrot is a server that greets as its type does and then says back what it
// hears, as a part of an error.
func parrot(t *testing.T, serviceType string) int {
	greeting := map[string]string{"ftp": "220 parrot\r\n", "email": "220 parrot ESMTP\r\n", "mysql": "parrot, not mysql\r\n"}[serviceType]
	return testbed.Peer(t, func(c net.Conn) {
		if _, err := io.WriteString(c, greeting); err != nil {
			return
		}
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			if err != nil {
				return
			}
			heard := bytes.TrimSpace(buf[:n])
			say := map[string]string{
				"redis": "-WRONGPASS you said %q\r\n", "memcached": "CLIENT_ERROR authentication failure %s\r\n", "ftp": "331 %s\r\n", "email": "535 5.7.8 you said %s\r\n",
			}[serviceType]
			switch {
			case serviceType == "email" && bytes.HasPrefix(heard, []byte("EHLO")):
				say = "250-parrot\r\n250 AUTH PLAIN LOGIN\r\n%.0s"
			case serviceType == "ftp" && bytes.HasPrefix(heard, []byte("PASS")):
				say = "530 you said %s\r\n"
			case say == "":
				say = "ERROR %s\r\n"
			}
			if _, err := fmt.Fprintf(c, say, heard); err != nil {
				return
			}
		}
	})
}

// exercise does with one service what the API allows.
func exercise(t *testing.T, s *servertest.Server, name, serviceType string, config, loud object) {
	t.Helper()
	id := s.Create(t, object{"name": name, "service_type": serviceType, "config": config})["id"].(string)
	one := "/api/services/" + id
	get := func(path string) { s.Do(t, "GET", path, nil).Good(t) }
	s.Do(t, "POST", one+"/test?timeout=2", nil).Data(t)
	put(t, s, id, object{"config": loud})
	s.Do(t, "POST", one+"/test?timeout=2", nil).Data(t)
	put(t, s, id, object{"description": "changed"})
	s.Do(t, "POST", "/api/services/test?timeout=2", object{"service_type": serviceType, "config": loud})
	s.Do(t, "POST", "/api/services/test?timeout=2", object{"id": id, "config": object{"port": 1}})
	s.Do(t, "POST", "/api/services?verify=true", object{"name": name + " verified", "service_type": serviceType, "config": config})
	for _, bad := range badConfigs(config) {
		s.Do(t, "PUT", one, object{"config": bad})
		s.Do(t, "POST", "/api/services", object{"name": name + " bad", "service_type": serviceType, "config": bad})
		s.Do(t, "POST", "/api/services/test", object{"service_type": serviceType, "config": bad})
	}
	text, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, malformed := range []string{`{"name":"x","config":` + string(text), `{"config":` + string(text) + `,"config":{}}`, string(text)} {
		s.Do(t, "POST", "/api/services", malformed)
		s.Do(t, "PUT", one, malformed)
	}
	for _, path := range []string{one, one + "/versions", one + "/health", "/api/services"} {
		get(path)
	}
	s.Do(t, "POST", one+"/rollback", object{"version": 1}).Data(t)
	s.Do(t, "POST", one+"/deactivate", nil).Data(t)
	get(one)
}

// badConfigs spoil every secret in turn, and something else beside it.
func badConfigs(config object) (out []object) {
	for key, value := range config {
		text, ok := value.(string)
		if !ok || !strings.Contains(text, "Zebra7") && !strings.Contains(text, "KEY") {
			continue
		}
		for _, spoilt := range []any{text + "\r\n" + text, strings.Repeat(text, 2000), []any{text}, object{text: text}} {
			c := maps.Clone(config)
			c[key] = spoilt
			out = append(out, c)
		}
		c := maps.Clone(config)
		delete(c, key)
		c["x"+key], c["port"] = text, text
		out = append(out, c)
	}
	return out
}

// files reads everything below a folder.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, dir+"/")] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
