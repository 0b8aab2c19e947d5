package acl

import (
	"net/http"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/keyauth"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// grouping is a plugin that takes the groups of requests from a field.
func grouping() httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: "grouping", Priority: 1000, Config: schema.Record{},
		New: func(httpproxy.PluginOptions) (httpproxy.Plugin, error) { return grouper{}, nil },
	}
}

type grouper struct{}

func (grouper) Access(x *httpproxy.Exchange) error {
	for g := range x.Request.Header.Values("Group") {
		x.Groups = append(x.Groups, g)
	}
	return nil
}

func start(t *testing.T, config string) *gatewaytest.Gateway {
	alice, bob, guest := gatewaytest.Consumer("alice", ""), gatewaytest.Consumer("bob", ""), gatewaytest.Consumer("guest", "")
	return gatewaytest.Plugged(t, []httpproxy.PluginModule{Module(), grouping(), keyauth.Module()},
		alice, bob, guest, gatewaytest.Key(alice, "alice"), gatewaytest.Key(bob, "bob"),
		gatewaytest.Group(alice, "staff"), gatewaytest.Group(alice, "admins"), gatewaytest.Group(guest, "guests"),
		gatewaytest.Plugin("grouping", `{}`), gatewaytest.Plugin("acl", config))
}

func TestConsumersPassByTheirGroups(t *testing.T) {
	for _, c := range []struct {
		name, config, anonymous string
		header                  []string
		status                  int
		groups, authenticated   string // that the upstream sees
	}{
		{"in an allowed group", `{"allow":["x","staff"]}`, "", []string{"apikey", "alice"}, 200, "admins, staff", ""},
		{"in no allowed group", `{"allow":["x"]}`, "", []string{"apikey", "alice"}, 403, "", ""},
		{"in no group, some are allowed", `{"allow":["x"]}`, "", []string{"apikey", "bob"}, 403, "", ""},
		{"in a denied group", `{"deny":["admins"]}`, "", []string{"apikey", "alice"}, 403, "", ""},
		{"in no denied group", `{"deny":["x"]}`, "", []string{"apikey", "alice"}, 200, "admins, staff", ""},
		{"in no group, some are denied", `{"deny":["x"]}`, "", []string{"apikey", "bob"}, 200, "", ""},
		{"groups are hidden", `{"allow":["staff"],"hide_groups_header":true}`, "", []string{"apikey", "alice"}, 200, "", ""},
		{"anonymous", `{"allow":["guests"]}`, "guest", nil, 200, "guests", ""},
		{"anonymous with groups of its own", `{"allow":["vip"]}`, "guest", []string{"Group", "vip"}, 200, "", "vip"},
		{"groups of a consumer come first", `{"allow":["vip"]}`, "", []string{"apikey", "alice", "Group", "vip"}, 403, "", ""},
		{"unless others always do", `{"allow":["vip"],"always_use_authenticated_groups":true}`, "",
			[]string{"apikey", "alice", "Group", "vip"}, 200, "", "vip"},
		{"and there are some", `{"allow":["staff"],"always_use_authenticated_groups":true}`, "",
			[]string{"apikey", "alice"}, 200, "admins, staff", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start(t, c.config)
			auth := `{}`
			if c.anonymous != "" {
				auth = `{"anonymous":"` + c.anonymous + `"}`
			}
			g.Put(gatewaytest.Plugin("key-auth", auth))
			res := g.Get("/", append(c.header, "X-Consumer-Groups", "x, staff", "X-Authenticated-Groups", "x")...)
			if res.StatusCode != c.status {
				t.Fatalf("%s %s", res.Status, res.Text)
			}
			if c.status != 200 {
				if res.JSON(t)["message"] != "You cannot consume this service" {
					t.Errorf("the answer is %s", res.Text)
				}
				return
			}
			h := http.Header(res.Asked(t).Header)
			if h.Get("X-Consumer-Groups") != c.groups || h.Get("X-Authenticated-Groups") != c.authenticated {
				t.Errorf("the upstream sees %v", h)
			}
		})
	}
}

func TestWithoutAConsumerNobodyPasses(t *testing.T) {
	for _, config := range []string{`{"allow":["staff"]}`, `{"deny":["staff"]}`} {
		res := start(t, config).Get("/", "X-Consumer-Groups", "staff")
		if res.StatusCode != 401 || res.JSON(t)["message"] != "Unauthorized" {
			t.Errorf("%s: %s %s", config, res.Status, res.Text)
		}
	}
}

func TestGroupsFoundByAPluginCountWithoutAConsumer(t *testing.T) {
	g := start(t, `{"allow":["vip"]}`)
	for group, status := range map[string]int{"vip": 200, "other": 403} {
		if res := g.Get("/", "Group", group); res.StatusCode != status {
			t.Errorf("%s: %s", group, res.Status)
		}
	}
}

func TestExactlyOneListIsNeeded(t *testing.T) {
	m := Module()
	const want = "schema violation (exactly one of these fields must be non-empty: 'allow', 'deny')"
	for _, config := range []string{`{}`, `{"allow":["a"],"deny":["b"]}`, `{"allow":[]}`} {
		if got := gatewaytest.Violations(t, &m.Config, config); got != want {
			t.Errorf("%s: %s", config, got)
		}
	}
}
