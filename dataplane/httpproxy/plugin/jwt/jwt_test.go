package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

var alice = gatewaytest.Consumer("alice", "")

func start(t *testing.T, config string, more ...any) *gatewaytest.Gateway {
	return gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()}, append(more,
		alice, gatewaytest.Secret(alice, "al", "sesame"), gatewaytest.Secret(alice, "coded", "c2VzYW1l"),
		gatewaytest.Secret(gatewaytest.Consumer("gone", ""), "orphan", "sesame"),
		gatewaytest.Plugin("jwt", config))...)
}

// sign makes a token; the header's fields are names and values in turn.
func sign(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims, header ...string) string {
	t.Helper()
	token := jwt.NewWithClaims(method, claims)
	for i := 0; i < len(header); i += 2 {
		token.Header[header[i]] = header[i+1]
	}
	s, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// hs256 is a token of alice's with more claims.
func hs256(t *testing.T, claims jwt.MapClaims) string {
	t.Helper()
	if claims == nil {
		claims = jwt.MapClaims{}
	}
	if _, ok := claims["iss"]; !ok {
		claims["iss"] = "al"
	}
	return sign(t, jwt.SigningMethodHS256, []byte("sesame"), claims)
}

func raw(parts ...string) string {
	for i := range parts {
		parts[i] = base64.RawURLEncoding.EncodeToString([]byte(parts[i]))
	}
	return strings.Join(parts, ".")
}

func TestATokenTellsWhoTheRequestIsFrom(t *testing.T) {
	g := start(t, `{}`)
	h := http.Header(g.Get("/", "Authorization", "Bearer "+hs256(t, nil), "X-Consumer-Username", "mallory").Asked(t).Header)
	if len(h["X-Consumer-Username"]) != 1 || h.Get("X-Consumer-Username") != "alice" || h.Get("X-Credential-Identifier") != "al" {
		t.Errorf("the upstream sees %v", h)
	}
}

func TestTokensAreLookedForWhereTheConfigurationSays(t *testing.T) {
	good, other := hs256(t, nil), hs256(t, jwt.MapClaims{"x": 1})
	for _, c := range []struct {
		name, config, path string
		header             []string
		status             int
		message            string
	}{
		{"in the header", `{}`, "/", []string{"Authorization", "bearer  " + good}, 200, ""},
		{"of another scheme", `{}`, "/", []string{"Authorization", "Basic " + good}, 401, "Unauthorized"},
		{"in the query", `{}`, "/?jwt=" + good, nil, 200, ""},
		{"nowhere", `{}`, "/?jwt=", nil, 401, "Unauthorized"},
		{"in another argument", `{"uri_param_names":["a","b"]}`, "/?b=" + good, nil, 200, ""},
		{"in no argument", `{"uri_param_names":[]}`, "/?jwt=" + good, nil, 401, "Unauthorized"},
		{"in another field", `{"header_names":["x-token"]}`, "/", []string{"X-Token", "Bearer " + good}, 200, ""},
		{"in no field", `{"header_names":null}`, "/", []string{"Authorization", "Bearer " + good}, 401, "Unauthorized"},
		{"in a cookie", `{"cookie_names":["token"]}`, "/", []string{"Cookie", "a=b; token=" + good}, 200, ""},
		{"in a second cookie field", `{"cookie_names":["token"]}`, "/", []string{"Cookie", "a=b", "Cookie", "token=" + good}, 200, ""},
		{"in no cookie", `{}`, "/", []string{"Cookie", "jwt=" + good}, 401, "Unauthorized"},
		{"the same one twice", `{}`, "/?jwt=" + good, []string{"Authorization", "Bearer " + good}, 200, ""},
		{"two", `{}`, "/?jwt=" + good, []string{"Authorization", "Bearer " + other}, 401, "Multiple tokens provided"},
		{"two in the query", `{}`, "/?jwt=" + good + "&jwt=" + other, nil, 401, "Multiple tokens provided"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, c.config)
			check(t, g.Get(c.path, c.header...), c.status, c.message)
		})
	}
}

// check checks a status and, if it is not 200, the message.
func check(t *testing.T, res *gatewaytest.Response, status int, message string) {
	t.Helper()
	if res.StatusCode != status {
		t.Fatalf("%s %s", res.Status, res.Text)
	}
	if status == 200 {
		return
	}
	if want := `{"message":"` + message + `"}`; strings.ReplaceAll(res.Text, `\u003e`, ">") != want {
		t.Errorf("the answer is %s, want %s", res.Text, want)
	}
	want := `Bearer error="invalid_token"`
	if message == "Unauthorized" {
		want = "Bearer"
	}
	if got := res.Header.Get("WWW-Authenticate"); got != want {
		t.Errorf("the challenge is %s, want %s", got, want)
	}
	if got := res.Header.Get("Content-Type"); got != "application/json; charset=utf-8" {
		t.Errorf("the answer is %s", got)
	}
}

func TestTokensThatAreNotRightAreRefused(t *testing.T) {
	good := hs256(t, nil)
	for _, c := range []struct{ name, config, token, message string }{
		{"no dots", `{}`, "abc", "Bad token; invalid JSON"},
		{"one dot", `{}`, "a.c", "Bad token; invalid JSON"},
		{"no base64", `{}`, "!.!.!", "Bad token; invalid JSON"},
		{"no JSON", `{}`, raw("x", "{}", "s"), "Bad token; invalid JSON"},
		{"no object", `{}`, raw(`[]`, "{}", "s"), "Bad token; invalid JSON"},
		{"a null header", `{}`, raw(`null`, "{}", "s"), "Bad token; invalid JSON"},
		{"another type", `{}`, raw(`{"typ":"JWE","alg":"HS256"}`, "{}", "s"), "Bad token; invalid typ"},
		{"no algorithm", `{}`, raw(`{"typ":"JWT"}`, "{}", "s"), "Bad token; invalid alg"},
		{"the algorithm none", `{}`, raw(`{"alg":"none"}`, `{"iss":"al"}`, ""), "Bad token; invalid alg"},
		{"no claims", `{}`, raw(`{"alg":"HS256"}`, "null", "s"), "Bad token; invalid claims"},
		{"no signature", `{}`, raw(`{"alg":"HS256"}`, `{"iss":"al"}`, ""), "Bad token; invalid signature"},
		{"no key", `{}`, raw(`{"alg":"HS256"}`, "{}", "s"), "No mandatory 'iss' in claims"},
		{"a key of another name", `{"key_claim_name":"kid"}`, good, "No mandatory 'kid' in claims"},
		{"a key that is a number", `{}`, raw(`{"alg":"HS256"}`, `{"iss":1}`, "s"), "Invalid 'iss' in claims"},
		{"an empty key", `{}`, raw(`{"alg":"HS256"}`, `{"iss":""}`, "s"), "Invalid 'iss' in claims"},
		{"an unknown key", `{}`, hs256(t, jwt.MapClaims{"iss": "x"}), "No credentials found for given 'iss'"},
		{"another algorithm", `{}`, sign(t, jwt.SigningMethodHS512, []byte("sesame"), jwt.MapClaims{"iss": "al"}), "Invalid algorithm"},
		{"another secret", `{}`, sign(t, jwt.SigningMethodHS256, []byte("x"), jwt.MapClaims{"iss": "al"}), "Invalid signature"},
		{"a secret that is no base64", `{"secret_is_base64":true}`, good, "Invalid signature"},
		{"a consumer that is gone", `{}`, hs256(t, jwt.MapClaims{"iss": "orphan"}), "Could not find consumer for 'iss=orphan'"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, c.config)
			check(t, g.Get("/", "Authorization", "Bearer "+c.token), 401, c.message)
		})
	}
}

func TestKeysAndSecretsAreFoundAsConfigured(t *testing.T) {
	for _, c := range []struct{ name, config, token string }{
		{"in another claim", `{"key_claim_name":"kid"}`, hs256(t, jwt.MapClaims{"kid": "al", "iss": "x"})},
		{"in the header", `{"key_claim_name":"kid"}`,
			sign(t, jwt.SigningMethodHS256, []byte("sesame"), jwt.MapClaims{"iss": "x"}, "kid", "al")},
		{"a secret in base64", `{"secret_is_base64":true}`, hs256(t, jwt.MapClaims{"iss": "coded"})},
	} {
		g := start(t, c.config)
		if res := g.Get("/?jwt=" + c.token); res.StatusCode != 200 {
			t.Errorf("%s: %s %s", c.name, res.Status, res.Text)
		}
	}
}

func TestClaimsAreVerifiedAsConfigured(t *testing.T) {
	now := time.Now().Unix()
	exp := `{"claims_to_verify":["exp"]}`
	both := `{"claims_to_verify":["exp","nbf"]}`
	bounded := `{"claims_to_verify":["exp"],"maximum_expiration":100}`
	for _, c := range []struct {
		name, config string
		claims       jwt.MapClaims
		body         string
	}{
		{"nothing is verified", `{}`, jwt.MapClaims{"exp": 1, "nbf": now + 1000}, ""},
		{"good for long enough", exp, jwt.MapClaims{"exp": now + 1000}, ""},
		{"ended", exp, jwt.MapClaims{"exp": now - 1}, `{"exp":"token expired"}`},
		{"without an end", exp, nil, `{"exp":"must be a number"}`},
		{"an end that is text", exp, jwt.MapClaims{"exp": "1"}, `{"exp":"must be a number"}`},
		{"begun", both, jwt.MapClaims{"exp": now + 1000, "nbf": now - 1}, ""},
		{"not begun", both, jwt.MapClaims{"exp": now + 1000, "nbf": now + 500}, `{"nbf":"token not valid yet"}`},
		{"both wrong", both, jwt.MapClaims{"exp": 5}, `{"exp":"token expired","nbf":"must be a number"}`},
		{"not for too long", bounded, jwt.MapClaims{"exp": now + 90}, ""},
		{"for too long", bounded, jwt.MapClaims{"exp": now + 1000}, `{"exp":"exceeds maximum allowed expiration"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, c.config)
			res := g.Get("/?jwt=" + hs256(t, c.claims))
			if c.body == "" {
				check(t, res, 200, "")
			} else if res.StatusCode != 401 || res.Text != c.body ||
				res.Header.Get("WWW-Authenticate") != `Bearer error="invalid_token"` {
				t.Errorf("%s %s %v", res.Status, res.Text, res.Header)
			}
		})
	}
}

func TestPreflightsAndAnonymousConsumers(t *testing.T) {
	for config, status := range map[string]int{
		`{}`: 401, `{"run_on_preflight":false}`: 200, `{"anonymous":"alice"}`: 200, `{"anonymous":"nobody"}`: 500,
	} {
		if res := start(t, config).Do(http.MethodOptions, "/", ""); res.StatusCode != status {
			t.Errorf("%s: %s", config, res.Status)
		}
	}
	g := start(t, `{"realm":"shop"}`)
	if got := g.Get("/").Header.Get("WWW-Authenticate"); got != `Bearer realm="shop"` {
		t.Errorf("the challenge is %s", got)
	}
	if got := g.Get("/?jwt=x").Header.Get("WWW-Authenticate"); got != `Bearer realm="shop" error="invalid_token"` {
		t.Errorf("the challenge is %s", got)
	}
}

func TestClientsOfGRPCAreToldInTheirWay(t *testing.T) {
	g := start(t, `{}`)
	res := g.Do(http.MethodPost, g.SecureURL+"/a.B/C", "x", "Content-Type", "application/grpc")
	if res.StatusCode != 200 || res.Header.Get("Grpc-Status") != "16" || res.Header.Get("Grpc-Message") != "Unauthorized" ||
		res.Header.Get("WWW-Authenticate") != "Bearer" || res.Text != "" {
		t.Errorf("%s %v %s", res.Status, res.Header, res.Text)
	}
	if res := g.Get(g.SecureURL+"/", "Authorization", "Bearer "+hs256(t, nil)); res.StatusCode != 200 || res.ProtoMajor != 2 {
		t.Errorf("%s %s", res.Status, res.Proto)
	}
}

func TestEveryAlgorithmIsVerified(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	curve := func(c elliptic.Curve) crypto.Signer {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]any{
		"HS256": []byte("sesame"), "HS384": []byte("sesame"), "HS512": []byte("sesame"),
		"RS256": rsaKey, "RS384": rsaKey, "RS512": rsaKey, "PS256": rsaKey, "PS384": rsaKey, "PS512": rsaKey,
		"ES256": curve(elliptic.P256()), "ES384": curve(elliptic.P384()), "ES512": curve(elliptic.P521()), "EdDSA": ed,
	}
	var credentials []any
	for name, key := range keys {
		c := gatewaytest.Secret(alice, name, "sesame")
		c.Algorithm = name
		if signer, ok := key.(crypto.Signer); ok {
			c.RSAPublicKey = publicPEM(t, signer.Public())
		}
		credentials = append(credentials, c)
	}
	// A public key is no secret that tokens can be signed with.
	confused := gatewaytest.Secret(alice, "confused", "")
	confused.RSAPublicKey = publicPEM(t, rsaKey.Public())
	confused.Algorithm = "RS256"
	credentials = append(credentials, confused, wrongKey("curve", "ES256", publicPEM(t, keys["ES384"].(crypto.Signer).Public())),
		wrongKey("kind", "RS256", publicPEM(t, ed.Public())), wrongKey("none", "RS256", ""))
	g := start(t, `{}`, credentials...)
	for name, key := range keys {
		token := sign(t, jwt.GetSigningMethod(name), key, jwt.MapClaims{"iss": name})
		if res := g.Get("/?jwt=" + token); res.StatusCode != 200 {
			t.Errorf("%s: %s %s", name, res.Status, res.Text)
		}
		dot := strings.LastIndexByte(token, '.')
		forged := token[:dot+1] + base64.RawURLEncoding.EncodeToString(make([]byte, 64))
		check(t, g.Get("/?jwt="+forged), 401, "Invalid signature")
	}
	check(t, g.Get("/?jwt="+sign(t, jwt.SigningMethodHS256, []byte(confused.RSAPublicKey), jwt.MapClaims{"iss": "confused"})),
		401, "Invalid algorithm")
	check(t, g.Get("/?jwt="+sign(t, jwt.SigningMethodES256, keys["ES256"], jwt.MapClaims{"iss": "curve"})), 401, "Invalid key/secret")
	for _, name := range []string{"kind", "none"} {
		check(t, g.Get("/?jwt="+sign(t, jwt.SigningMethodRS256, rsaKey, jwt.MapClaims{"iss": name})), 401, "Invalid key/secret")
	}
}

func wrongKey(name, algorithm, public string) *entity.Credential {
	c := gatewaytest.Secret(alice, name, "x")
	c.Algorithm, c.RSAPublicKey = algorithm, public
	return c
}

func publicPEM(t *testing.T, key crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func TestACredentialThatHasChangedIsVerifiedAnew(t *testing.T) {
	c := gatewaytest.Secret(alice, "changing", "one")
	g := start(t, `{}`, c)
	one := sign(t, jwt.SigningMethodHS256, []byte("one"), jwt.MapClaims{"iss": "changing"})
	two := sign(t, jwt.SigningMethodHS256, []byte("two"), jwt.MapClaims{"iss": "changing"})
	check(t, g.Get("/?jwt="+one), 200, "")
	check(t, g.Get("/?jwt="+two), 401, "Invalid signature")
	changed := *c
	changed.Kind, changed.Secret = entity.JWT, "two"
	g.Put(&changed)
	check(t, g.Get("/?jwt="+one), 401, "Invalid signature")
	check(t, g.Get("/?jwt="+two), 200, "")
}

func TestABoundedExpirationNeedsTheClaim(t *testing.T) {
	m := Module()
	for config, want := range map[string]string{
		`{"maximum_expiration":5}`: "2 schema violations (failed conditional validation given value of field 'maximum_expiration'; " +
			"claims_to_verify: expected to contain: exp)",
		`{"maximum_expiration":-1,"claims_to_verify":["exp"]}`: "schema violation (maximum_expiration: value should be between 0 and 31536000)",
		`{"claims_to_verify":["iat"]}`:                         "schema violation (claims_to_verify.1: expected one of: exp, nbf)",
	} {
		if got := gatewaytest.Violations(t, &m.Config, config); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", config, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhbCJ9.c2ln")
	f.Add(raw(`{"alg":"ES256"}`, `{"exp":1e308}`, "x"))
	f.Fuzz(func(t *testing.T, text string) {
		token, err := parse(text)
		if err != nil {
			return
		}
		if token.claims == nil || token.algorithm == "" || len(token.signature) == 0 {
			t.Fatalf("%q is read as %+v", text, token)
		}
		v := newVerifier(&entity.Credential{Algorithm: "HS256", Secret: "unguessable"}, false)
		if token.algorithm == "HS256" && v.verify(token) == nil {
			t.Fatalf("%q is verified", text)
		}
	})
}

func FuzzCookie(f *testing.F) {
	f.Add("a=b; c=d", "c")
	f.Fuzz(func(t *testing.T, field, name string) {
		var h httpproxy.Header
		h.Add("Cookie", field)
		if v := cookie(&h, name); v != "" && !strings.Contains(field, name+"="+v) {
			t.Fatalf("%q has no cookie %q", field, v)
		}
	})
}
