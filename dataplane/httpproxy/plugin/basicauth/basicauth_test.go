package basicauth

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

func basic(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }

func start(t *testing.T, config string) *gatewaytest.Gateway {
	alice := gatewaytest.Consumer("alice", "")
	return gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()},
		alice, gatewaytest.Password(alice, "al", "pass:word"), gatewaytest.Password(alice, "empty", ""),
		gatewaytest.Password(gatewaytest.Consumer("gone", ""), "orphan", "x"),
		gatewaytest.Plugin("basic-auth", config))
}

func TestANameAndAPasswordTellWhoTheRequestIsFrom(t *testing.T) {
	g := start(t, `{}`)
	for _, c := range []struct {
		name   string
		header []string
		status int
	}{
		{"right", []string{"Authorization", basic("al:pass:word")}, 200},
		{"the scheme in another case", []string{"Authorization", "bASIC  " + basic("al:pass:word")[6:]}, 200},
		{"for a proxy", []string{"Proxy-Authorization", basic("al:pass:word")}, 200},
		{"the proxy's is nobody's, the other one right", []string{
			"Proxy-Authorization", basic("x:y"), "Authorization", basic("al:pass:word")}, 200},
		{"the proxy's has a wrong password", []string{
			"Proxy-Authorization", basic("al:y"), "Authorization", basic("al:pass:word")}, 401},
		{"an empty password", []string{"Authorization", basic("empty:")}, 200},
		{"nothing", nil, 401},
		{"a wrong password", []string{"Authorization", basic("al:pass")}, 401},
		{"an unknown name", []string{"Authorization", basic("bob:pass:word")}, 401},
		{"no name", []string{"Authorization", basic(":pass:word")}, 401},
		{"no colon", []string{"Authorization", basic("al")}, 401},
		{"a consumer that is gone", []string{"Authorization", basic("orphan:x")}, 401},
		{"no base64", []string{"Authorization", "Basic !!!"}, 401},
		{"another scheme", []string{"Authorization", "Bearer " + basic("al:pass:word")[6:]}, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := g.Get("/", c.header...)
			if res.StatusCode != c.status {
				t.Fatalf("%s %s", res.Status, res.Text)
			}
			if c.status == 200 {
				h := http.Header(res.Asked(t).Header)
				if h.Get("X-Consumer-Username") != "alice" || h.Get("X-Credential-Identifier") == "" {
					t.Errorf("the upstream sees %v", h)
				}
				return
			}
			if res.JSON(t)["message"] != "Unauthorized" || res.Header.Get("WWW-Authenticate") != `Basic realm="service"` {
				t.Errorf("%s %v", res.Text, res.Header)
			}
		})
	}
}

func TestCredentialsAreHiddenWhereTheConfigurationSays(t *testing.T) {
	for config, hidden := range map[string]bool{`{}`: false, `{"hide_credentials":true}`: true} {
		g := start(t, config)
		for _, field := range []string{"Authorization", "Proxy-Authorization"} {
			h := g.Get("/", field, basic("al:pass:word")).Asked(t).Header
			if (h[field] == nil) != hidden {
				t.Errorf("%s: the upstream sees %v", config, h)
			}
			if h["X-Credential-Identifier"][0] != "al" {
				t.Errorf("%s: the upstream sees %v", config, h)
			}
		}
	}
}

func TestTheRealmIsInTheChallenge(t *testing.T) {
	g := start(t, `{"realm":"shop"}`)
	if got := g.Get("/").Header.Get("WWW-Authenticate"); got != `Basic realm="shop"` {
		t.Errorf("the challenge is %s", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("Basic YTpi")
	f.Add(" basic  Og==")
	f.Fuzz(func(t *testing.T, field string) {
		username, password, ok := parse(field)
		if !ok {
			if username != "" && password != "" {
				t.Fatal("something was found that is not there")
			}
			return
		}
		if username == "" || strings.Contains(username, ":") {
			t.Fatalf("the name is %q", username)
		}
		if u, p, ok := parse(basic(username + ":" + password)); !ok || u != username || p != password {
			t.Fatalf("%q, %q is read as %q, %q", username, password, u, p)
		}
	})
}
