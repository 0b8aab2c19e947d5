package autogateway_test

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/builtin"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// closed is the URL of nobody.
func closed(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// says is an upstream that answers any request with a text.
func says(t *testing.T, text string) string {
	return gatewaytest.ServeTCP(t, func(c net.Conn) {
		if _, err := c.Read(make([]byte, 4096)); err == nil {
			_, _ = io.WriteString(c, text)
		}
	})
}

// nobody is a resolver that knows no name.
type nobody struct{}

func (nobody) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func (nobody) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, &net.DNSError{Err: "no such host", IsNotFound: true}
}

func TestUpstreamsThatDoNotAnswer(t *testing.T) {
	ended := make(chan struct{})
	hanging := gatewaytest.ServeTCP(t, func(c net.Conn) { <-ended })
	t.Cleanup(func() { close(ended) })
	impatient := func(s *entity.Service) { s.ReadTimeout = 50 }
	notTLS := func(s *entity.Service) { s.Protocol = "https" }
	for name, c := range map[string]struct {
		service *entity.Service
		status  int
		detail  string
	}{
		"nobody listens":        {gatewaytest.Service(closed(t)), 503, "Service is unavailable."},
		"no such host":          {gatewaytest.Service("http://nobody.invalid:80"), 503, "Service is unavailable."},
		"no TLS":                {gatewaytest.Service(gatewaytest.Echo(t, "plain"), notTLS), 503, "Service is unavailable."},
		"it hangs":              {gatewaytest.Service(hanging, impatient), 504, "Service did not answer in time."},
		"it hangs with TLS":     {gatewaytest.Service(hanging, notTLS, func(s *entity.Service) { s.ConnectTimeout = 50 }), 504, "Service did not answer in time."},
		"half a head":           {gatewaytest.Service(says(t, "HTTP/1.1 200 OK\r\nContent-")), 502, "Service error."},
		"garbage":               {gatewaytest.Service(says(t, "\x00\x01\x02garbage\r\n\r\n")), 502, "Service error."},
		"another protocol":      {gatewaytest.Service(says(t, "SSH-2.0-OpenSSH_9.2\r\n")), 502, "Service error."},
		"it closes at once":     {gatewaytest.Service(says(t, "")), 502, "Service error."},
		"a status that is none": {gatewaytest.Service(says(t, "HTTP/1.1 99 Odd\r\n\r\n")), 502, "Service error."},
		"two lengths":           {gatewaytest.Service(says(t, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")), 502, "Service error."},
	} {
		t.Run(name, func(t *testing.T) {
			c.service.Retries = 1
			g := gatewaytest.Start(t, httpproxy.Options{Modules: builtin.Modules(), Resolver: nobody{}},
				gatewaytest.All(registered(c.service, "", all("/x"))...))
			for _, method := range []string{"GET", "POST"} {
				for _, accept := range []string{"", "text/html"} {
					for _, base := range []string{g.URL, g.SecureURL} {
						want(t, method+" "+accept, g.Do(method, base+"/users/x", "", "Accept", accept), c.status, c.detail)
					}
				}
			}
		})
	}
}

func TestAnUpstreamThatGoesAndComesBack(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	up := &http.Server{Handler: gatewaytest.EchoHandler("users")}
	go func() { _ = up.Serve(l) }()
	g := start(t, registered(gatewaytest.Service("http://"+address), "", get("/x"))...)
	if res := g.Get("/users/x"); res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
	if err := up.Close(); err != nil {
		t.Fatal(err)
	}
	want(t, "while it is down", g.Get("/users/x"), 503, "Service is unavailable.")
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	up = &http.Server{Handler: gatewaytest.EchoHandler("users")}
	go func() { _ = up.Serve(l) }()
	defer up.Close()
	if res := g.Get("/users/x"); res.StatusCode != 200 {
		t.Error(res.Status)
	}
}

func token(t *testing.T, key, secret string) string {
	t.Helper()
	s, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": key, "exp": 4102444800}).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + s
}

func basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

func TestCredentials(t *testing.T) {
	ann := gatewaytest.Consumer("ann", "")
	secret := gatewaytest.Secret(ann, "ann-key", strings.Repeat("s", 32))
	expired, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"iss": "ann-key", "exp": 1}).SignedString([]byte(secret.Secret))
	if err != nil {
		t.Fatal(err)
	}
	const missing, scheme, invalid = "Not authenticated", "Invalid authentication credentials", "Invalid token or expired token."
	for _, auth := range []struct {
		plugin, config string
		rows           []struct{ header, value, detail string } // "" for one that may pass
	}{
		{"jwt", `{"claims_to_verify":["exp"]}`, []struct{ header, value, detail string }{
			{"X-None", "", missing},
			{"Authorization", "", missing},
			{"Authorization", "Bearer", missing},
			{"Authorization", "Bearer ", missing},
			{"Authorization", "nonsense", missing},
			{"Authorization", basic("ann", "pass"), scheme},
			{"Authorization", "Token abc", scheme},
			{"Authorization", "Bearer abc", invalid},
			{"Authorization", "Bearer a.b.c", invalid},
			{"Authorization", token(t, "nobody", "x"), invalid},
			{"Authorization", token(t, "ann-key", "wrong"), invalid},
			{"Authorization", "Bearer " + expired, invalid},
			{"Authorization", "bearer " + expired, invalid},
			{"Authorization", token(t, "ann-key", secret.Secret), ""},
		}},
		{"key-auth", `{}`, []struct{ header, value, detail string }{
			{"X-None", "", missing},
			{"Authorization", "Bearer x", missing},
			{"apikey", "", missing},
			{"apikey", "wrong", invalid},
			{"apikey", "ann-secret", ""},
		}},
		{"basic-auth", `{}`, []struct{ header, value, detail string }{
			{"X-None", "", missing},
			{"Authorization", "Basic", missing},
			{"Authorization", "Bearer abc", scheme},
			{"Authorization", "Basic !", invalid},
			{"Authorization", basic("ann", "wrong"), invalid},
			{"Proxy-Authorization", basic("bob", "wrong"), invalid},
			{"Authorization", basic("ann", "pass"), ""},
		}},
	} {
		for _, status := range []int{403, 401} {
			config := `"auth":"` + auth.plugin + `"`
			if status == 401 {
				config += `,"unauthorized_status":401`
			}
			s := gatewaytest.Service(gatewaytest.Echo(t, "users"))
			g := start(t, append(registered(s, config, get("/open"), get("/secure", auth.plugin, auth.config)),
				ann, secret, gatewaytest.Key(ann, "ann-secret"), gatewaytest.Password(ann, "ann", "pass"))...)
			for _, r := range auth.rows {
				res := g.Get("/users/secure", r.header, r.value, "Accept", "text/html")
				if r.detail == "" {
					if res.StatusCode != 200 || res.Asked(t).Header["X-Consumer-Username"][0] != "ann" {
						t.Errorf("%s %s: %s %s", auth.plugin, r.value, res.Status, res.Text)
					}
					continue
				}
				want(t, auth.plugin+" "+r.header+": "+r.value, res, status, r.detail)
				if res.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s: no challenge", auth.plugin)
				}
			}
			if res := g.Get("/users/open"); res.StatusCode != 200 {
				t.Errorf("what is not protected: %s", res.Status)
			}
			want(t, "another method", g.Do("POST", "/users/secure", ""), 405, "Method Not Allowed")
			g.Stop()
		}
	}
}

// TestAnotherPluginThatProtects is that the words go by the plugin that has
// refused.
func TestAnotherPluginThatProtects(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "users"))
	g := start(t, registered(s, `"auth":"jwt"`, get("/key", "key-auth", `{}`), get("/basic", "basic-auth", `{}`),
		get("/terminated", "request-termination", `{"status_code":401,"message":"not today"}`),
		get("/groups", "acl", `{"allow":["a"]}`))...)
	want(t, "key-auth", g.Get("/users/key"), 403, "Not authenticated")
	want(t, "key-auth", g.Get("/users/key", "apikey", "x"), 403, "Invalid token or expired token.")
	want(t, "basic-auth", g.Get("/users/basic", "Authorization", basic("a", "b")), 403, "Invalid token or expired token.")
	want(t, "acl", g.Get("/users/groups"), 403, "Not authenticated")
	want(t, "request-termination", g.Get("/users/terminated"), 401, "not today")
	s = gatewaytest.Service(gatewaytest.Echo(t, "users"))
	g = start(t, registered(s, "", get("/key", "key-auth", `{}`))...)
	want(t, "without auth", g.Get("/users/key"), 401, "No API key found in request")
}

func TestAnswersOfOtherPlugins(t *testing.T) {
	up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.WriteHeader(cmp.Or(map[string]int{"/401": 401, "/cached": 404, "/500": 500}[r.URL.Path], 200))
		_, _ = io.WriteString(w, `{"message":"of the service"}`)
	})
	ann := gatewaytest.Consumer("ann", "")
	s := gatewaytest.Service(gatewaytest.Serve(t, up))
	g := start(t, append(registered(s, `"auth":"key-auth"`, get("/401"), get("/500"),
		get("/limited", "rate-limiting", `{"year":1}`),
		get("/acl", "key-auth", `{}`, "acl", `{"allow":["a"]}`),
		get("/ip", "ip-restriction", `{"deny":["127.0.0.1"]}`),
		get("/size", "request-size-limiting", `{"require_content_length":true,"allowed_payload_size":1,"size_unit":"bytes"}`),
		get("/cached", "proxy-cache", `{"strategy":"memory"}`),
		get("/message", "request-termination", `{"status_code":418,"message":"a \"teapot\""}`),
		get("/body", "request-termination", `{"status_code":418,"body":"{\"message\":\"mine\"}"}`),
		get("/fine", "request-termination", `{"status_code":200,"message":"fine"}`),
		get("/echo", "request-termination", `{"status_code":418,"echo":true,"message":"hi"}`),
		get("/jsoned", "request-termination", `{"status_code":418,"message":"hi"}`, "response-transformer", `{"add":{"json":["by:me"]}}`),
	), ann, gatewaytest.Key(ann, "key"))...)
	g.Get("/users/limited")
	for _, c := range []struct {
		target string
		status int
		detail string
	}{
		{"/users/limited", 429, "API rate limit exceeded"},
		{"/users/acl", 403, "You cannot consume this service"},
		{"/users/message", 418, `a \"teapot\"`},
	} {
		want(t, c.target, g.Get(c.target, "apikey", "key", "Accept", "text/plain"), c.status, c.detail)
	}
	if res := g.Get("/users/ip"); res.StatusCode != 403 || res.JSON(t)["detail"] == nil {
		t.Errorf("ip-restriction: %s %s", res.Status, res.Text)
	}
	if res := g.Do("GET", "/users/size", "too long"); res.StatusCode != 413 || res.JSON(t)["detail"] == nil {
		t.Errorf("request-size-limiting: %s %s", res.Status, res.Text)
	}
	// What is no refusal stays as it is, and so does what the service says.
	for target, text := range map[string]string{
		"/users/body": `{"message":"mine"}`, "/users/fine": `{"message":"fine"}`, "/users/401": `{"message":"of the service"}`,
		"/users/500": `{"message":"of the service"}`, "/users/cached": `{"message":"of the service"}`,
		"/users/jsoned": `{"by":"me","detail":"hi"}`,
	} {
		for range 2 {
			if res := g.Get(target); res.Text != text {
				t.Errorf("%s: %s %s", target, res.Status, res.Text)
			}
		}
	}
	if res := g.Get("/users/cached"); res.Header.Get("X-Cache-Status") != "Hit" {
		t.Errorf("the cache: %v", res.Header)
	}
	if res := g.Get("/users/echo"); res.JSON(t)["message"] != "hi" || res.JSON(t)["request"] == nil {
		t.Errorf("an echo: %s", res.Text)
	}
}

func TestBodiesThatTheGatewayRefuses(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "users"))
	g := gatewaytest.Start(t, httpproxy.Options{Modules: builtin.Modules(), MaxBody: 8}, gatewaytest.All(registered(s, "", all("/x"))...))
	want(t, "a long body", g.Do("POST", "/users/x", "123456789"), 413, "Payload too large")
}

// responder is a plugin that is run after the others.
type responder func(x *httpproxy.Exchange) error

func (r responder) Respond(x *httpproxy.Exchange) error { return r(x) }

// TestRefusalsThatComeLate is that those have the form, too, that come about when
// the plugin has seen the response.
func TestRefusalsThatComeLate(t *testing.T) {
	late := map[string]responder{
		"fails":  func(*httpproxy.Exchange) error { return errors.New("it fails") },
		"panics": func(*httpproxy.Exchange) error { panic("it panics") },
		"spoils": func(x *httpproxy.Exchange) error { x.Response.Header.Set("X-Bad", "a\r\nb"); return nil },
	}
	broken := gatewaytest.Service(gatewaytest.Echo(t, "users"))
	modules := builtin.Modules()
	var operations []operation
	for name, r := range late {
		modules = append(modules, httpproxy.PluginModule{Name: name, Priority: 1,
			New: func(httpproxy.PluginOptions) (httpproxy.Plugin, error) { return r, nil }})
		operations = append(operations, get("/"+name, name, `{}`))
	}
	modules = append(modules, httpproxy.PluginModule{Name: "refuses", Priority: 1,
		New: func(httpproxy.PluginOptions) (httpproxy.Plugin, error) {
			return responder(func(x *httpproxy.Exchange) error { x.Refuse(http.StatusBadGateway, "I do not like it"); return nil }), nil
		}})
	operations = append(operations, get("/refuses", "refuses", `{}`))
	g := gatewaytest.Start(t, httpproxy.Options{Modules: modules}, gatewaytest.All(registered(broken, "", operations...)...))
	for name := range late {
		want(t, name, g.Get("/users/"+name), 500, "Internal Server Error")
	}
	want(t, "refuses", g.Get("/users/refuses"), 502, "I do not like it")
}

// TestGRPC is that clients of gRPC are told in their way.
func TestGRPC(t *testing.T) {
	s := gatewaytest.Service(closed(t))
	g := start(t, registered(s, "", all("/x"))...)
	for path, status := range map[string]string{"/users/x": "14", "/users/nothing": "5"} {
		res := g.Do("POST", g.SecureURL+path, "", "Content-Type", "application/grpc")
		if res.StatusCode != 200 || res.Header.Get("Grpc-Status") != status || res.Text != "" {
			t.Errorf("%s: %s %v %s", path, res.Status, res.Header, res.Text)
		}
	}
}
