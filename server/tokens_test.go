package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
)

// whoami asks over both transports, which must agree, and returns the answer;
// nil when the login is refused. header is Authorization or Kong-Admin-Token.
func whoami(t *testing.T, s *servertest.Server, header, value string) object {
	t.Helper()
	headers := []string{"Authorization", "", header, value}
	if header == "Authorization" {
		headers = headers[2:]
	}
	a := s.Do(t, "GET", "/api/whoami", nil, headers...)
	conn := servertest.Dial(t, s.GRPC, "")
	ctx := metadata.AppendToOutgoingContext(servertest.Context(t), header, value)
	r, err := identityv1.NewIdentityAdminClient(conn).WhoAmI(ctx, &identityv1.WhoAmIRequest{})
	if a.Status != 200 {
		wantError(t, a, 401, errs.Unauthenticated)
		wantCode(t, err, codes.Unauthenticated, errs.Unauthenticated)
		return nil
	}
	if err != nil {
		t.Fatalf("REST says %s, gRPC %v", a.Body, err)
	}
	data := a.Data(t)
	if data["username"] != r.GetData().GetUsername() || data["token_id"] != r.GetData().GetTokenId() || len(data["roles"].([]any)) != len(r.GetData().GetRoles()) {
		t.Errorf("REST says %s, gRPC %v", a.Body, r)
	}
	return data
}

func rolesOf(o object) string {
	var out []string
	for _, r := range o["roles"].([]any) {
		b := r.(object)
		out = append(out, strings.TrimSuffix(fmt.Sprintf("%s %s", b["role"], b["project"]), " "))
	}
	return strings.Join(out, ", ")
}

func TestTokens(t *testing.T) {
	t.Parallel()
	s := start(t)
	login := s.AddUser(t, "robot", servertest.Role("editor"))
	made := s.Do(t, "POST", "/api/tokens", object{"name": " deploy ", "expires_in": "90d", "roles": []object{{"role": "viewer"}}}, "Authorization", login)
	data := made.Data(t)
	secret, _ := data["token"].(string)
	if !regexp.MustCompile(`^bp_[A-Z2-7]{32}$`).MatchString(secret) {
		t.Fatalf("the token is %q", secret)
	}
	if made.Header.Get("Cache-Control") != "no-store" {
		t.Error("the answer with the token may be stored")
	}
	created, err := time.Parse(time.RFC3339, data["created_at"].(string))
	if err != nil {
		t.Fatal(err)
	}
	if data["expires_at"] != created.Add(90*24*time.Hour).Format(time.RFC3339) || data["name"] != "deploy" || data["username"] != "robot" ||
		data["prefix"] != secret[:8] || rolesOf(data) != "viewer" || data["last_used_at"] != nil {
		t.Errorf("created %v", data)
	}
	for header, value := range map[string]string{"Authorization": "Bearer " + secret, "Kong-Admin-Token": secret} {
		who := whoami(t, s, header, value)
		if who["username"] != "robot" || who["token_id"] != data["id"] || rolesOf(who) != "viewer" {
			t.Errorf("%s: the caller is %v", header, who)
		}
	}
	for _, wrong := range []string{secret + "A", secret[:len(secret)-1], strings.ToLower(secret), "bp_", secret[3:]} {
		if whoami(t, s, "Authorization", "Bearer "+wrong) != nil || whoami(t, s, "Kong-Admin-Token", wrong) != nil {
			t.Errorf("%q is accepted", wrong)
		}
	}
	list := s.Do(t, "GET", "/api/tokens", nil)
	if o := list.List(t); len(o) != 1 || o[0]["id"] != data["id"] || o[0]["last_used_at"] == nil || o[0]["token"] != nil {
		t.Errorf("the list is %s", list.Body)
	}
	if strings.Contains(string(list.Body), secret) || strings.Contains(string(s.Do(t, "GET", "/api/audit?limit=1000", nil).Body), secret[8:]) {
		t.Error("the token is shown again")
	}
	s.Do(t, "DELETE", "/api/tokens/"+data["id"].(string), nil, "Authorization", login).Good(t)
	if who := whoami(t, s, "Authorization", "Bearer "+secret); who != nil {
		t.Errorf("a revoked token is %v", who)
	}
	wantError(t, s.Do(t, "DELETE", "/api/tokens/"+data["id"].(string), nil), 404, errs.NotFound)
	wantError(t, s.Do(t, "DELETE", "/api/tokens/x", nil), 404, errs.NotFound)
}

func TestTokensExpire(t *testing.T) {
	t.Parallel()
	s := start(t)
	data := s.Do(t, "POST", "/api/tokens", object{"name": "short", "expires_in": "1s"}).Data(t)
	token := "Bearer " + data["token"].(string)
	// A watch ends with the token that it was opened with.
	watch, err := catalogv1.NewServiceCatalogClient(servertest.Dial(t, s.GRPC, token)).WatchServices(servertest.Context(t), &catalogv1.WatchServicesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = watch.Recv()
	wantCode(t, err, codes.Unauthenticated, errs.Unauthenticated)
	if who := whoami(t, s, "Authorization", token); who != nil {
		t.Errorf("an expired token is %v", who)
	}
}

// TestTokenRoles: a token can be less than its owner, and never more.
func TestTokenRoles(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "a", "b")
	login := s.AddUser(t, "owner", servertest.Role("editor", "a"), servertest.Role("viewer"))
	for _, more := range []object{{"role": "editor"}, {"role": "admin", "project": "a"}, {"role": "editor", "project": "b"}, {"role": "admin"}} {
		a := s.Do(t, "POST", "/api/tokens", object{"name": "more", "roles": []object{{"role": "viewer"}, more}}, "Authorization", login)
		if paths := wantError(t, a, 422, errs.ValidationFailed); len(paths) != 1 || paths[0] != "roles[1]" {
			t.Errorf("%v: faults at %v", more, paths)
		}
	}
	_, less := s.AddToken(t, login, "less", servertest.Role("viewer", "b"), servertest.Role("editor", "a"))
	_, same := s.AddToken(t, login, "same")
	demote := func(roles ...object) {
		s.Do(t, "PUT", "/api/users/owner", object{"roles": append([]object{}, roles...)}).Good(t)
	}
	want := func(when, wantLess, wantSame string) {
		t.Helper()
		if got := rolesOf(whoami(t, s, "Authorization", less)); got != wantLess {
			t.Errorf("%s: the lesser token has %q, want %q", when, got, wantLess)
		}
		if got := rolesOf(whoami(t, s, "Authorization", same)); got != wantSame {
			t.Errorf("%s: the token without roles has %q, want %q", when, got, wantSame)
		}
	}
	want("at first", "viewer b, editor a", "editor a, viewer")
	demote(servertest.Role("viewer", "a"))
	want("after the owner was demoted", "", "viewer a")
	wantError(t, s.Do(t, "POST", "/api/services", sqlite("x", "project", "a"), "Authorization", less), 422, errs.ValidationFailed)
	demote(servertest.Role("admin"))
	want("after the owner became admin", "viewer b, editor a", "admin")
	demote()
	want("without any role", "", "")
	s.Do(t, "PUT", "/api/users/owner", object{"enabled": false}).Good(t)
	if whoami(t, s, "Authorization", less) != nil || whoami(t, s, "Authorization", same) != nil {
		t.Error("tokens of a disabled user are accepted")
	}
	s.Do(t, "PUT", "/api/users/owner", object{"enabled": true}).Good(t)
	s.Do(t, "DELETE", "/api/users/owner", nil).Good(t)
	s.AddUser(t, "owner", servertest.Role("admin"))
	if whoami(t, s, "Authorization", less) != nil || whoami(t, s, "Authorization", same) != nil {
		t.Error("a later user of the same name has inherited tokens")
	}
}

// TestTokensCannotBreed: with a token one gets no other one, and rids nobody of
// one.
func TestTokensCannotBreed(t *testing.T) {
	t.Parallel()
	s := start(t)
	login := s.AddUser(t, "owner", servertest.Role("editor"))
	other, _ := s.AddToken(t, login, "other")
	id, token := s.AddToken(t, login, "mine", servertest.Role("viewer"))
	for _, call := range [][3]string{
		{"POST", "/api/tokens", `{"name":"child"}`}, {"PUT", "/api/users/owner", `{"password":"another one"}`}, {"DELETE", "/api/tokens/" + other, ""},
	} {
		var body any
		if call[2] != "" {
			body = call[2]
		}
		wantError(t, s.Do(t, call[0], call[1], body, "Authorization", token), 403, errs.PermissionDenied)
	}
	signed := s.SignIn(t, login)
	wantProxyError(t, s.Do(t, "GET", "/v1/auth", nil, "Authorization", token), 403, errs.PermissionDenied)
	wantProxyError(t, s.Do(t, "GET", "/v1/auth", nil, "Authorization", signed), 403, errs.PermissionDenied)
	wantError(t, s.Do(t, "POST", "/api/tokens", `{"name":"child"}`, "Authorization", signed), 403, errs.PermissionDenied)
	wantError(t, s.Do(t, "PUT", "/api/users/owner", `{"password":"another one"}`, "Authorization", signed), 403, errs.PermissionDenied)
	s.Do(t, "DELETE", "/api/tokens/"+id, nil, "Authorization", token).Good(t)
	if whoami(t, s, "Authorization", token) != nil {
		t.Error("the token that revoked itself is accepted")
	}
	stranger := s.AddUser(t, "stranger", servertest.Role("editor"))
	wantError(t, s.Do(t, "DELETE", "/api/tokens/"+other, nil, "Authorization", stranger), 404, errs.NotFound)
	if list := s.Do(t, "GET", "/api/tokens", nil, "Authorization", stranger).List(t); len(list) != 0 {
		t.Errorf("a stranger sees %v", list)
	}
}

func TestTokenFaults(t *testing.T) {
	t.Parallel()
	s := start(t)
	for body, paths := range map[string]string{
		`{}`:                  "name",
		`{"name":" \u0007 "}`: "name",
		`{"name":"` + strings.Repeat("ä", 129) + `"}`:                                                        "name",
		`{"name":"","expires_in":"soon","roles":[{"role":"king"},{"role":"viewer","project":"nowhere"},{}]}`: "expires_in name roles[0].role roles[1].project roles[2].role",
		`{"name":"x","expires_in":"0s"}`:                                                                     "expires_in",
		`{"name":"x","expires_in":"-1h"}`:                                                                    "expires_in",
		`{"name":"x","expires_in":"3651d"}`:                                                                  "expires_in",
		`{"name":"x","expires_in":"1.5d"}`:                                                                   "expires_in",
		`{"name":1}`:                                                                                         "name",
		`{"name":"x","token":"bp_mine"}`:                                                                     "token",
	} {
		got := wantError(t, s.Do(t, "POST", "/api/tokens", body), 422, errs.ValidationFailed)
		if !slices.Equal(got, strings.Fields(paths)) {
			t.Errorf("%s: faults at %v, want %s", body, got, paths)
		}
	}
}

// claims reads a signed token without checking it.
func claims(t *testing.T, token string) (header, body object) {
	t.Helper()
	parts := strings.Split(strings.TrimPrefix(token, "Bearer "), ".")
	if len(parts) != 3 {
		t.Fatalf("%q is no signed token", token)
	}
	for i, to := range []*object{&header, &body} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, to); err != nil {
			t.Fatal(err)
		}
	}
	return header, body
}

// forge makes a token with a key of its own; no key: unsigned.
func forge(header, body object, key []byte) string {
	enc := func(v any) string {
		text, _ := json.Marshal(v) // of strings and numbers
		return base64.RawURLEncoding.EncodeToString(text)
	}
	text := enc(header) + "." + enc(body)
	if key == nil {
		return "Bearer " + text + "."
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return "Bearer " + text + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func TestSignedTokens(t *testing.T) {
	t.Parallel()
	s := start(t)
	login := s.AddUser(t, "person", servertest.Role("viewer"))
	for query, life := range map[string]float64{
		"": 28800, "?max-age=60": 60, "?max-age=86400": 86400, "?max-age=86401": 86400, "?max-age=2147483646": 86400,
		"?max-age=0": 28800, "?max-age=2147483647": 28800, "?max_age=60": 28800, "?max-age=x": 28800, "?max-age=-1": 28800, "?max-age=": 28800,
		"?max-age=99999999999999999999": 28800, "?max-age=6e1": 28800, "?max-age=1": 1, "?unknown=1&pretty=true": 28800, "?max-age=x&max-age=60": 60,
	} {
		a := s.Do(t, "GET", "/v1/auth"+query, nil, "Authorization", login)
		token, _ := a.JSON(t)["meta"].(object)["token"].(string)
		header, c := claims(t, token)
		if a.Status != 200 || header["alg"] != "HS256" || c["exp"].(float64)-c["iat"].(float64) != life {
			t.Errorf("%q: %d, header %v, claims %v", query, a.Status, header, c)
		}
	}
	token := s.SignIn(t, login)
	_, c := claims(t, token)
	if c["sub"] != "person" || c["iss"] != "backplane" || c["aud"] != "backplane" || c["account"] != "basic" {
		t.Errorf("the claims are %v", c)
	}
	if _, c := claims(t, s.SignIn(t, servertest.Basic("admin", servertest.Password))); c["account"] != "admin" {
		t.Errorf("the admin's account is %v", c["account"])
	}
	if who := whoami(t, s, "Authorization", token); who["username"] != "person" || who["token_id"] != "" || rolesOf(who) != "viewer" {
		t.Errorf("the caller is %v", who)
	}
	// Its roles are those of the user at the time of the call.
	s.Do(t, "PUT", "/api/users/person", object{"roles": []object{{"role": "editor"}}}).Good(t)
	if who := whoami(t, s, "Authorization", token); rolesOf(who) != "editor" {
		t.Errorf("after the promotion the roles are %q", rolesOf(who))
	}
	s.Do(t, "PUT", "/api/users/person", object{"password": "something else"}).Good(t)
	if whoami(t, s, "Authorization", token) != nil {
		t.Error("a signed token has survived a new password")
	}
	token = s.SignIn(t, servertest.Basic("person", "something else"))
	s.Do(t, "DELETE", "/api/users/person", nil).Good(t)
	s.AddUser(t, "person", servertest.Role("admin"))
	if whoami(t, s, "Authorization", token) != nil {
		t.Error("a signed token holds for a later user of the same name")
	}
	short := s.Do(t, "GET", "/v1/auth?max-age=1", nil).JSON(t)["meta"].(object)["token"].(string)
	servertest.Eventually(t, "the end of the signed token", func() bool {
		return s.Do(t, "GET", "/api/whoami", nil, "Authorization", "Bearer "+short).Status == 401
	})
}

func TestForgedTokens(t *testing.T) {
	t.Parallel()
	s := start(t)
	token := s.SignIn(t, servertest.Basic("admin", servertest.Password))
	header, body := claims(t, token)
	if whoami(t, s, "Authorization", token) == nil {
		t.Fatal("the true token is refused")
	}
	text := strings.TrimPrefix(token, "Bearer ")
	parts := strings.Split(text, ".")
	forged := map[string]string{
		"alg none":         forge(object{"alg": "none", "typ": "JWT"}, body, nil),
		"alg None, signed": "Bearer " + strings.TrimPrefix(forge(object{"alg": "None"}, body, nil), "Bearer ") + parts[2],
		"empty key":        forge(header, body, []byte{}),
		"other key":        forge(header, body, []byte(strings.Repeat("k", 32))),
		"no signature":     "Bearer " + parts[0] + "." + parts[1] + ".",
		"two parts":        "Bearer " + parts[0] + "." + parts[1],
		"another's":        "Bearer " + parts[0] + "." + strings.Split(strings.TrimPrefix(forge(header, object{"sub": "admin"}, nil), "Bearer "), ".")[1] + "." + parts[2],
		"RS256":            "Bearer " + strings.Split(strings.TrimPrefix(forge(object{"alg": "RS256"}, body, nil), "Bearer "), ".")[0] + "." + parts[1] + "." + parts[2],
		"nothing":          "Bearer ",
	}
	for i := range text { // any one character
		if i%7 != 0 || text[i] == '.' || i == len(text)-1 {
			continue // the last one has bits that mean nothing
		}
		other := byte('A')
		if text[i] == 'A' {
			other = 'B'
		}
		forged[fmt.Sprintf("character %d", i)] = "Bearer " + text[:i] + string(other) + text[i+1:]
	}
	for name, f := range forged {
		if whoami(t, s, "Authorization", f) != nil {
			t.Errorf("%s: accepted %s", name, f)
		}
	}
	// A token of another installation is signed by another key.
	elsewhere := start(t)
	if whoami(t, s, "Authorization", elsewhere.SignIn(t, servertest.Basic("admin", servertest.Password))) != nil {
		t.Error("a token of another installation is accepted")
	}
}

// tokensEndTogether: a reload of TLS ends the signed tokens of before, in every
// process, and no other login.
func tokensEndTogether(t *testing.T, a, b *servertest.Server) {
	t.Helper()
	login := a.AddUser(t, "signer", servertest.Role("viewer"))
	token, own := a.SignIn(t, login), a.SignIn(t, servertest.Basic("admin", servertest.Password))
	for _, s := range []*servertest.Server{a, b} {
		if whoami(t, s, "Authorization", token) == nil || whoami(t, s, "Authorization", own) == nil {
			t.Fatal("a signed token is refused")
		}
	}
	wantProxyError(t, a.Do(t, "POST", "/v1/maxscale/tls/reload", nil, "Authorization", token), 401, errs.PermissionDenied)
	if whoami(t, a, "Authorization", token) == nil {
		t.Error("who may not end tokens has done it")
	}
	for range 2 { // and again
		if got := a.Do(t, "POST", "/v1/maxscale/tls/reload", nil, "Authorization", own); got.Status != 204 {
			t.Fatalf("%d %s", got.Status, got.Body)
		}
		for _, old := range []string{token, own} {
			if whoami(t, a, "Authorization", old) != nil {
				t.Error("a signed token has survived")
			}
			servertest.Eventually(t, "the end of the token in the other process", func() bool {
				return b.Do(t, "GET", "/api/whoami", nil, "Authorization", old).Status == 401
			})
		}
		if whoami(t, b, "Authorization", login) == nil {
			t.Error("a password has ended too")
		}
		token, own = b.SignIn(t, login), b.SignIn(t, servertest.Basic("admin", servertest.Password))
		if whoami(t, a, "Authorization", token) == nil || whoami(t, b, "Authorization", own) == nil {
			t.Error("a token made afterwards is refused")
		}
	}
	if trail := string(a.Do(t, "GET", "/api/audit?limit=1000", nil).Body); strings.Count(trail, `"ReloadTLS"`) != 2 {
		t.Error("the end of all tokens is not recorded")
	}
}
