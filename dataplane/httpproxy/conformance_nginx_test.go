package httpproxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/testbed"
)

const large = 3<<20 + 17

// nginx starts one that tells what it was asked, and has what others have:
// files, answers without a body, errors of its own, TLS with certificates of
// clients.
func nginx(t *testing.T) (*testbed.Nginx, *testbed.CA) {
	t.Helper()
	ca := testbed.NewCA(t)
	cert := ca.Issue(t, "up.example")
	return testbed.StartNginx(t, testbed.NginxOptions{
		Cert: &cert, ClientCA: ca,
		Files: map[string]string{"large": strings.Repeat("0123456789abcdef", large/16+1)[:large], "small": "small\n"},
		Server: []string{
			"client_max_body_size 1m;", "keepalive_requests 3;",
			`location / { return 200 "$request_method $request_uri $server_protocol"; }`,
			`location /fields { return 200 "host=$http_host xff=$http_x_forwarded_for prefix=$http_x_forwarded_prefix proto=$http_x_forwarded_proto via=$http_via te=$http_te connection=$http_connection"; }`,
			`location /tls { return 200 "$ssl_server_name $ssl_client_verify $ssl_client_s_dn"; }`,
			`location /status/204 { return 204; }`, `location /status/304 { return 304; }`, `location /status/404 { return 404; }`,
			`location /status/500 { return 500; }`, `location /status/502 { return 502; }`, `location /status/504 { return 504 "its own\n"; }`,
			`location /moved { return 301 http://elsewhere.test/x; }`,
			`location /cookies { add_header Set-Cookie a=1; add_header Set-Cookie b=2; add_header Via "1.1 inner"; return 200 ok; }`,
			`location /cut { return 444; }`,
			`location /large { }`, `location /small { }`,
			`location /packed { gzip on; gzip_types *; gzip_proxied any; gzip_min_length 1; alias small; }`,
		},
	}), ca
}

// TestNginxAsUpstream is what passes between clients and an upstream that is not
// of this program.
func TestNginxAsUpstream(t *testing.T) {
	up, ca := nginx(t)
	plain, secure := gatewaytest.Service(up.URL()), gatewaytest.Service(up.SecureURL())
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(plain, secure, gatewaytest.Route(plain, "/plain"), gatewaytest.Route(secure, "/secure")))
	bases := []string{g.URL + "/plain", g.URL + "/secure", g.SecureURL + "/plain", g.SecureURL + "/secure"}
	for _, base := range bases {
		t.Run(strings.ReplaceAll(strings.Replace(base, g.URL, "http", 1), g.SecureURL, "https"), func(t *testing.T) {
			nginxAnswers(t, g, base)
			nginxBodies(t, g, base)
		})
	}
	t.Run("certificates", func(t *testing.T) { nginxCertificates(t, g, up, ca) })
	t.Run("at once", func(t *testing.T) { nginxAtOnce(t, g, bases) })
}

func nginxAnswers(t *testing.T, g *gatewaytest.Gateway, base string) {
	for path, want := range map[string]struct {
		status int
		text   string
	}{
		"":                       {200, "GET / HTTP/1.1"},
		"/":                      {200, "GET / HTTP/1.1"},
		"/a%20b/%2F%3f;x=1?q=%2": {200, "GET /a%20b/%2F%3F;x=1?q=%2 HTTP/1.1"},
		"/x?":                    {200, "GET /x? HTTP/1.1"},
		"/status/204":            {204, ""},
		"/status/304":            {304, ""},
		"/status/404":            {404, "nginx"},
		"/status/500":            {500, "nginx"},
		"/status/502":            {502, "nginx"}, // an error of the upstream passes untouched
		"/status/504":            {504, "its own\n"},
		"/moved":                 {301, "nginx"},
		"/small":                 {200, "small\n"},
	} {
		res := g.Do(http.MethodGet, base+path, "")
		if res.StatusCode != want.status || !strings.Contains(res.Text, want.text) {
			t.Errorf("%s: %s %q", path, res.Status, res.Text)
		}
		if !strings.HasPrefix(res.Header.Get("Server"), "nginx/") || res.Header.Get("Date") == "" ||
			res.Header.Get("Via") != "1.1 kong/3.10.0" || res.Header.Get("X-Kong-Upstream-Latency") == "" ||
			res.Header.Get("X-Kong-Proxy-Latency") == "" || res.Header.Get("X-Kong-Response-Latency") != "" ||
			res.Header.Get("X-Kong-Upstream-Status") != "" || len(res.Header.Get("X-Kong-Request-Id")) != 32 {
			t.Errorf("%s: the header is %v", path, res.Header)
		}
	}
	if got := g.Do(http.MethodGet, base+"/moved", "").Header.Get("Location"); got != "http://elsewhere.test/x" {
		t.Errorf("the location is %q", got)
	}
	res := g.Do(http.MethodGet, base+"/cookies", "")
	if got := res.Header["Set-Cookie"]; len(got) != 2 || res.Header.Get("Via") != "1.1 inner, 1.1 kong/3.10.0" {
		t.Errorf("the header is %v", res.Header)
	}
	res = g.Do(http.MethodHead, base+"/large", "")
	if res.StatusCode != 200 || res.ContentLength != large || res.Text != "" {
		t.Errorf("HEAD: %s, %d", res.Status, res.ContentLength)
	}
	etag := res.Header.Get("Etag")
	if res = g.Do(http.MethodGet, base+"/large", "", "If-None-Match", etag); res.StatusCode != 304 || etag == "" {
		t.Errorf("%q is the same: %s", etag, res.Status)
	}
	if res = g.Do(http.MethodGet, base+"/large", "", "Range", "bytes=16-31"); res.StatusCode != 206 || res.Text != "0123456789abcdef" {
		t.Errorf("a range: %s %q", res.Status, res.Text)
	}
	if res = g.Do(http.MethodGet, base+"/packed", "", "Accept-Encoding", "gzip"); res.Header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(res.Text, "\x1f\x8b") {
		t.Errorf("packed: %s %v %q", res.Status, res.Header, res.Text)
	}
	res = g.Do(http.MethodGet, base+"/fields", "", "Host", "client.test:99", "TE", "trailers")
	for _, want := range []string{"xff=127.0.0.1 ", "prefix=/", "host=127.0.0.1:"} {
		if !strings.Contains(res.Text, want) {
			t.Errorf("it was asked %s", res.Text)
		}
	}
	wantMessage(t, g.Do(http.MethodGet, base+"/cut", "", "Accept", "*/*"), http.StatusBadGateway, badUpstream)
}

func nginxBodies(t *testing.T, g *gatewaytest.Gateway, base string) {
	res := g.Do(http.MethodGet, base+"/large", "")
	if len(res.Text) != large || res.Text[large-17:] != "0123456789abcdef0" {
		t.Errorf("%d bytes", len(res.Text))
	}
	// Bodies that the upstream does not read are none of the gateway's business,
	// and those that are too long for it are answered before they are read.
	for _, size := range []int{1, 100_000, 900_000} {
		if res := g.Do(http.MethodPost, base+"/x", strings.Repeat("b", size)); res.Text != "POST /x HTTP/1.1" {
			t.Errorf("%d bytes: %s %q", size, res.Status, res.Text)
		}
	}
	if res := g.Do(http.MethodPut, base+"/large", strings.Repeat("b", 2<<20)); res.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(res.Text, "nginx") {
		t.Errorf("too long: %s %q", res.Status, res.Text)
	}
}

func nginxCertificates(t *testing.T, g *gatewaytest.Gateway, up *testbed.Nginx, ca *testbed.CA) {
	shown := ca.Issue(t, "gateway.example")
	cert := &entity.Certificate{ID: uuid.New(), Cert: shown.CertPEM, Key: shown.KeyPEM}
	authority := &entity.CACertificate{ID: uuid.New(), Cert: ca.PEM}
	yes := true
	s := gatewaytest.Service(up.SecureURL(), func(s *entity.Service) {
		s.ClientCertificate, s.TLSVerify, s.CACertificates = &entity.Reference{ID: cert.ID}, &yes, []uuid.UUID{authority.ID}
	})
	g.Put(cert, authority, s, gatewaytest.Route(s, "/verified", func(r *entity.Route) { r.PreserveHost = true }))
	if res := g.Get("/verified/tls", "Host", "up.example:99"); res.Text != "up.example SUCCESS CN=gateway.example" {
		t.Errorf("%s %q", res.Status, res.Text)
	}
	wantMessage(t, g.Get("/verified/tls", "Host", "other.example", "Accept", "*/*"), http.StatusBadGateway, badUpstream)
}

// nginxAtOnce asks from many connections at once, while the upstream closes each
// of its own after a few requests.
func nginxAtOnce(t *testing.T, g *gatewaytest.Gateway, bases []string) {
	var clients sync.WaitGroup
	for i := range 16 {
		clients.Go(func() {
			for j := range 50 {
				path := fmt.Sprintf("/%d/%d", i, j)
				res, err := g.Client.Get(bases[(i+j)%len(bases)] + path)
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || string(b) != "GET "+path+" HTTP/1.1" {
					t.Errorf("%s: %s %q %v", path, res.Status, b, err)
				}
			}
		})
	}
	clients.Wait()
}
