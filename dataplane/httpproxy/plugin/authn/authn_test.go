package authn_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/authn"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/basicauth"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/keyauth"
)

var (
	alice    = gatewaytest.Consumer("alice", "")
	bob      = gatewaytest.Consumer("bob", "")
	guest    = gatewaytest.Consumer("guest", "g")
	modules  = []httpproxy.PluginModule{keyauth.Module(), basicauth.Module()}
	password = "Basic " + base64.StdEncoding.EncodeToString([]byte("bob:pw"))
)

func start(t *testing.T, keyConfig, basicConfig string) *gatewaytest.Gateway {
	return gatewaytest.Plugged(t, modules, alice, bob, guest,
		gatewaytest.Key(alice, "secret"), gatewaytest.Password(bob, "bob", "pw"),
		gatewaytest.Plugin("key-auth", keyConfig), gatewaytest.Plugin("basic-auth", basicConfig))
}

func TestPluginsWithAnAnonymousConsumerAreAlternatives(t *testing.T) {
	for _, byID := range []bool{false, true} {
		config := `{"anonymous":"guest"}`
		if byID {
			config = `{"anonymous":"` + guest.ID.String() + `"}`
		}
		g := start(t, config, config)
		for _, c := range []struct {
			name      string
			header    []string
			who       string
			anonymous bool
		}{
			{"the first", []string{"apikey", "secret"}, "alice", false},
			{"the second", []string{"Authorization", password}, "bob", false},
			{"both: the first counts", []string{"apikey", "secret", "Authorization", password}, "alice", false},
			{"the first is wrong", []string{"apikey", "no", "Authorization", password}, "bob", false},
			{"neither", nil, "guest", true},
			{"both wrong", []string{"apikey", "no", "Authorization", "Basic no", "X-Credential-Identifier", "x"}, "guest", true},
		} {
			t.Run(c.name, func(t *testing.T) {
				res := g.Get("/", append(c.header, "X-Anonymous-Consumer", "false")...)
				if res.StatusCode != 200 || res.Header.Get("WWW-Authenticate") != "" {
					t.Fatalf("%s %v", res.Status, res.Header)
				}
				h := http.Header(res.Asked(t).Header)
				if h.Get("X-Consumer-Username") != c.who || (h.Get("X-Anonymous-Consumer") == "true") != c.anonymous ||
					(h.Get("X-Credential-Identifier") == "") != c.anonymous {
					t.Errorf("the upstream sees %v", h)
				}
			})
		}
	}
}

func TestPluginsWithoutAnAnonymousConsumerMustAllPass(t *testing.T) {
	g := start(t, `{}`, `{}`)
	for _, c := range []struct {
		name   string
		header []string
		status int
	}{
		{"the first only", []string{"apikey", "secret"}, 401},
		{"the second only", []string{"Authorization", password}, 401},
		{"both", []string{"apikey", "secret", "Authorization", password}, 200},
	} {
		res := g.Get("/", c.header...)
		if res.StatusCode != c.status {
			t.Errorf("%s: %s", c.name, res.Status)
		}
		if c.status == 200 {
			if who := res.Asked(t).Header["X-Consumer-Username"]; len(who) != 1 || who[0] != "bob" {
				t.Errorf("the last one counts, but the upstream sees %v", who)
			}
		}
	}
}

func TestAnAnonymousConsumerThatIsNotThereIsAnError(t *testing.T) {
	g := start(t, `{"anonymous":"nobody"}`, `{}`)
	if res := g.Get("/"); res.StatusCode != 500 || res.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("%s %v", res.Status, res.Header)
	}
	if res := g.Get("/", "apikey", "secret", "Authorization", password); res.StatusCode != 200 {
		t.Errorf("who is known is not concerned: %s", res.Status)
	}
}

func TestConfigurationsFollowConsumersThatChange(t *testing.T) {
	g := start(t, `{"anonymous":"late"}`, `{"anonymous":"late"}`)
	if res := g.Get("/"); res.StatusCode != 500 {
		t.Fatal(res.Status)
	}
	g.Put(gatewaytest.Consumer("late", ""))
	if res := g.Get("/"); res.StatusCode != 200 {
		t.Fatal(res.Status)
	}
}

func FuzzShown(f *testing.F) {
	f.Add("Basic abc", "basic")
	f.Add(" Bearer\t a b ", "Bearer")
	f.Fuzz(func(t *testing.T, field, scheme string) {
		shown, ok := authn.Shown(field, scheme)
		if !ok {
			if shown != "" {
				t.Fatalf("%q shows %q for another scheme", field, shown)
			}
			return
		}
		if !strings.Contains(field, shown) || shown != strings.Trim(shown, " \t") {
			t.Fatalf("%q shows %q", field, shown)
		}
	})
}
