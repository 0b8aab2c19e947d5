package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// wantProxyError holds a failure below /v1/ against JSON:API.
func wantProxyError(t *testing.T, a servertest.Answer, status int, code errs.Reason) {
	t.Helper()
	var body struct {
		Errors []struct{ Status, Code, Detail string }
	}
	if err := json.Unmarshal(a.Body, &body); err != nil || len(body.Errors) != 1 {
		t.Fatalf("%d, not one error of JSON:API: %v\n%s", a.Status, err, a.Body)
	}
	e := body.Errors[0]
	if a.Status != status || e.Code != string(code) || e.Status != strconv.Itoa(status) || e.Detail == "" {
		t.Errorf("got %d %s, want %d %s", a.Status, a.Body, status, code)
	}
	if a.Header.Get("Content-Type") != "application/json" {
		t.Errorf("an error is %q", a.Header.Get("Content-Type"))
	}
}

// cookieOf is the cookie that an answer sets; there must be no other.
func cookieOf(t *testing.T, a servertest.Answer) *http.Cookie {
	t.Helper()
	set := (&http.Response{Header: a.Header}).Cookies()
	if len(set) != 1 || set[0].Name != "token_sig" {
		t.Fatalf("%d sets %q", a.Status, a.Header.Values("Set-Cookie"))
	}
	c := set[0]
	if c.Path != "/" || c.Domain != "" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("the cookie is %q", a.Header.Get("Set-Cookie"))
	}
	return c
}

// wantCleared fails unless an answer deletes the cookie.
func wantCleared(t *testing.T, a servertest.Answer) {
	t.Helper()
	if c := cookieOf(t, a); c.MaxAge != -1 || c.Value != "" {
		t.Errorf("%d does not delete the cookie: %q", a.Status, a.Header.Get("Set-Cookie"))
	}
}

// signInAs returns the headers of a browser that has fetched the cookie, and
// that has nothing else to log in with.
func signInAs(t *testing.T, s *servertest.Server, login string) []string {
	t.Helper()
	a := s.Do(t, "GET", "/v1/auth?persist=yes", nil, "Authorization", login)
	if a.Status != http.StatusNoContent || len(a.Body) != 0 || a.Header.Get("Content-Type") != "" {
		t.Fatalf("got %d %q %q, want 204 and nothing", a.Status, a.Header.Get("Content-Type"), a.Body)
	}
	return []string{"Authorization", "", "Cookie", "other=1; token_sig=" + cookieOf(t, a).Value}
}

func TestTokenCookie(t *testing.T) {
	t.Parallel()
	s := start(t)
	login := s.AddUser(t, "person", servertest.Role("viewer"))
	for query, age := range map[string]int{
		"?persist=yes": 0, "?persist=true&max-age=60": 60, "?persist=ON&max-age=2147483646": 86400, "?persist=1&max-age=90000": 86400,
		"?persist=yes&max-age=0": 0, "?persist=yes&max-age=-5": 0, "?persist=yes&max-age=soon": 0, "?persist=yes&max-age=2147483647": 0,
		"?persist=no&persist=yes&pretty=true&sync=false&persist.x=1": 0,
	} {
		a := s.Do(t, "GET", "/v1/auth"+query, nil, "Authorization", login)
		c := cookieOf(t, a)
		_, said := claims(t, c.Value)
		life := float64(28800)
		if age > 0 {
			life = float64(age)
		}
		if a.Status != 204 || len(a.Body) != 0 || c.MaxAge != age || c.Secure || said["sub"] != "person" || said["exp"].(float64)-said["iat"].(float64) != life {
			t.Errorf("%q: %d %q, claims %v", query, a.Status, a.Header.Get("Set-Cookie"), said)
		}
		if strings.Contains(a.Header.Get("Set-Cookie"), "Max-Age") != (age > 0) {
			t.Errorf("%q: the cookie is %q", query, a.Header.Get("Set-Cookie"))
		}
	}
	for _, query := range []string{"", "?persist=no", "?persist=false", "?persist=maybe", "?persist", "?logout=no", "?persist=yes&persist=off"} {
		a := s.Do(t, "GET", "/v1/auth"+query, nil, "Authorization", login)
		if a.Status != 200 || a.JSON(t)["meta"].(object)["token"] == "" || a.Header.Get("Set-Cookie") != "" {
			t.Errorf("%q: %d %q sets %q", query, a.Status, a.Body, a.Header.Get("Set-Cookie"))
		}
	}
	wantProxyError(t, s.Do(t, "GET", "/v1/auth?max-age=%zz", nil, "Authorization", login), 400, errs.BadRequest)
	wantProxyError(t, s.Do(t, "GET", "/v1/auth?persist=yes", nil, "Authorization", ""), 401, errs.Unauthenticated)
	wantProxyError(t, s.Do(t, "POST", "/v1/auth?persist=yes", nil, "Authorization", login), 405, errs.MethodNotAllowed)

	browser := signInAs(t, s, login)
	if who := s.Do(t, "GET", "/api/whoami", nil, browser...).Data(t); who["username"] != "person" || rolesOf(who) != "viewer" {
		t.Errorf("with the cookie one is %v", who)
	}
	// It is a signed token, which makes no other, but can be put away.
	wantProxyError(t, s.Do(t, "GET", "/v1/auth?persist=yes", nil, browser...), 403, errs.PermissionDenied)
	for _, query := range []string{"?logout=yes", "?persist=yes&max-age=60&logout=yes"} {
		for _, headers := range [][]string{browser, {"Authorization", login}} {
			a := s.Do(t, "GET", "/v1/auth"+query, nil, headers...)
			if a.Status != 204 || len(a.Body) != 0 {
				t.Errorf("%q: %d %q", query, a.Status, a.Body)
			}
			wantCleared(t, a)
		}
	}
	// Roles are those of the user at the time, and a new password ends it.
	s.Do(t, "PUT", "/api/users/person", object{"roles": []object{{"role": "editor"}}}).Good(t)
	if who := s.Do(t, "GET", "/api/whoami", nil, browser...).Data(t); rolesOf(who) != "editor" {
		t.Errorf("after the promotion one is %v", who)
	}
	s.Do(t, "PUT", "/api/users/person", object{"password": "something else"}).Good(t)
	a := s.Do(t, "GET", "/api/whoami", nil, browser...)
	wantError(t, a, 401, errs.Unauthenticated)
	wantCleared(t, a)
}

// TestBadTokenCookie: a cookie that is no login is refused, and taken away.
func TestBadTokenCookie(t *testing.T) {
	t.Parallel()
	s := start(t)
	login := s.AddUser(t, "person", servertest.Role("editor"))
	_, token := s.AddToken(t, login, "robot")
	good := strings.TrimPrefix(s.SignIn(t, login), "Bearer ")
	short := cookieOf(t, s.Do(t, "GET", "/v1/auth?persist=yes&max-age=1", nil, "Authorization", login)).Value
	with := func(value string) []string { return []string{"Authorization", "", "Cookie", "token_sig=" + value} }
	servertest.Eventually(t, "the cookie to expire", func() bool { return s.Do(t, "GET", "/api/whoami", nil, with(short)...).Status == 401 })
	for name, value := range map[string]string{
		"expired": short, "empty": "", "tampered": tampered(good), "nonsense": "x", "a token": strings.TrimPrefix(token, "Bearer "),
		"a password": strings.TrimPrefix(login, "Basic "),
	} {
		for _, path := range []string{"/api/whoami", "/api/services/watch", "/v1/auth?logout=yes"} {
			a := s.Do(t, "GET", path, nil, with(value)...)
			if a.Status != 401 || a.Header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s: %s answers %d", name, path, a.Status)
			}
			wantCleared(t, a)
		}
		// Whoever sends another login as well does not need it.
		for _, headers := range [][]string{{"Cookie", "token_sig=" + value}, {"Authorization", "", "Kong-Admin-Token", token[len("Bearer "):], "Cookie", "token_sig=" + value}} {
			a := s.Do(t, "GET", "/api/whoami", nil, headers...)
			if a.Good(t); a.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s: the cookie is touched: %q", name, a.Header.Get("Set-Cookie"))
			}
		}
	}
	// The header goes first, for better or worse.
	if who := s.Do(t, "GET", "/api/whoami", nil, "Cookie", "token_sig="+good).Data(t); who["username"] != "admin" {
		t.Errorf("with both one is %v", who)
	}
	a := s.Do(t, "GET", "/api/whoami", nil, "Authorization", "Bearer x", "Cookie", "token_sig="+good)
	wantError(t, a, 401, errs.Unauthenticated)
	if a.Header.Get("Set-Cookie") != "" {
		t.Error("the cookie goes with a bad header")
	}
	// Over gRPC there are no cookies.
	ctx := metadata.AppendToOutgoingContext(servertest.Context(t), "cookie", "token_sig="+good, "grpcgateway-cookie", "token_sig="+good)
	_, err := identityv1.NewIdentityAdminClient(servertest.Dial(t, s.GRPC, "")).WhoAmI(ctx, &identityv1.WhoAmIRequest{})
	wantCode(t, err, codes.Unauthenticated, errs.Unauthenticated)
}

// TestTokenCookieAndOtherSites: pages of other sites change nothing with it.
func TestTokenCookieAndOtherSites(t *testing.T) {
	t.Parallel()
	s := start(t)
	login := s.AddUser(t, "person", servertest.Role("editor"))
	browser := signInAs(t, s, login)
	id := s.Create(t, sqlite("target"))["id"].(string)
	own := strings.TrimPrefix(s.URL, "http://")
	for i, c := range []struct {
		headers []string
		ok      bool
	}{
		{[]string{"Sec-Fetch-Site", "cross-site"}, false},
		{[]string{"Sec-Fetch-Site", "same-site"}, false},
		{[]string{"Origin", "https://evil.example"}, false},
		{[]string{"Origin", "null"}, false},
		{[]string{"Sec-Fetch-Site", "same-origin"}, true},
		{[]string{"Sec-Fetch-Site", "none"}, true},
		{[]string{"Origin", "http://" + own}, true},
	} {
		headers := append(append([]string{}, browser...), c.headers...)
		for _, verb := range []string{"POST", "PUT", "DELETE"} {
			path, body, status := "/api/services/"+id, any(nil), 403
			if c.ok {
				status = 200
			}
			switch verb {
			case "POST":
				path += "/deactivate"
			case "PUT":
				body = object{"description": "changed"}
			case "DELETE":
				path = "/api/services/" + s.Create(t, sqlite("victim-"+string(rune('a'+i))))["id"].(string)
			}
			if got := s.Do(t, verb, path, body, headers...).Status; got != status {
				t.Errorf("%s with %v: got %d, want %d", verb, c.headers, got, status)
			}
		}
		// Neither is a login put upon the browser, nor taken from it.
		for query, login := range map[string][]string{"?logout=yes": browser, "?persist=yes": {"Authorization", login}} {
			a := s.Do(t, "GET", "/v1/auth"+query, nil, append(append([]string{}, login...), c.headers...)...)
			if c.ok {
				cookieOf(t, a)
				continue
			}
			wantProxyError(t, a, 403, errs.PermissionDenied)
			if a.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s with %v sets %q", query, c.headers, a.Header.Get("Set-Cookie"))
			}
		}
	}
}

// TestTokenCookieWatches: streams take the cookie, and the limits count its
// calls with the user's others.
func TestTokenCookieWatches(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Adjust: func(c *config.Config) { c.MaxCallsAtOnce = 1 }})
	login := s.AddUser(t, "person", servertest.Role("viewer"))
	browser := signInAs(t, s, login)
	req, err := servertest.NewRequest("GET", s.URL+"/api/services/watch", nil, browser...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(servertest.Context(t))
	defer end()
	resp, err := s.Client.Do(req.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("the watch answers %d", resp.StatusCode)
	}
	for _, headers := range [][]string{browser, {"Authorization", login}} {
		wantError(t, s.Do(t, "GET", "/api/whoami", nil, headers...), 429, errs.TooManyCalls)
	}
	end()
	servertest.Eventually(t, "room for another call", func() bool { return s.Do(t, "GET", "/api/whoami", nil, browser...).Status == 200 })
}

func TestTokenCookieOverTLS(t *testing.T) {
	t.Parallel()
	ca := testbed.NewCA(t)
	cert, key := ca.Issue(t, "127.0.0.1").Files(t, t.TempDir(), "rest", "")
	s := servertest.Start(t, servertest.Options{Adjust: func(c *config.Config) { c.RESTTLS.Cert, c.RESTTLS.Key = cert, key }})
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca.PEM)) {
		t.Fatal("the authority is no certificate")
	}
	s.URL = strings.Replace(s.URL, "http://", "https://", 1)
	s.Client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	set := s.Do(t, "GET", "/v1/auth?persist=yes", nil)
	for _, a := range []servertest.Answer{set, s.Do(t, "GET", "/v1/auth?logout=yes", nil)} {
		if c := cookieOf(t, a); a.Status != 204 || !c.Secure {
			t.Errorf("%d sets %q", a.Status, a.Header.Get("Set-Cookie"))
		}
	}
	if who := s.Do(t, "GET", "/api/whoami", nil, "Authorization", "", "Cookie", "token_sig="+cookieOf(t, set).Value).Data(t); who["username"] != "admin" {
		t.Errorf("with the cookie one is %v", who)
	}
}

// TestTokenOverGRPC: the token is all that there is without cookies.
func TestTokenOverGRPC(t *testing.T) {
	t.Parallel()
	s := start(t)
	r, err := s.Identity.GetAuthToken(servertest.Context(t), &identityv1.GetAuthTokenRequest{Persist: true, MaxAge: 60})
	if err != nil {
		t.Fatal(err)
	}
	if who := whoami(t, s, "Authorization", "Bearer "+r.GetMeta().GetToken()); who["username"] != "admin" {
		t.Errorf("the token is of %v", who)
	}
	r, err = s.Identity.GetAuthToken(servertest.Context(t), &identityv1.GetAuthTokenRequest{Persist: true, Logout: true})
	if err != nil || r.GetMeta() != nil {
		t.Errorf("a logout answers %v, %v", r, err)
	}
}
