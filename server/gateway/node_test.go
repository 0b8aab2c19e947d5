package gateway_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/balance"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// busy is a data plane that also tells of itself.
type busy struct {
	plane
	status balance.Status
	busy   sync.Mutex // of what follows
	set    []string
	cached map[string]object
}

func (b *busy) UpstreamStatus(uuid.UUID) (balance.Status, bool) { return b.status, true }

func (b *busy) SetTargetHealth(_ uuid.UUID, target string, addr netip.AddrPort, healthy bool) error {
	switch {
	case target == "off:1":
		return balance.ErrChecksOff
	case addr.IsValid() && addr.Port() != 1:
		return balance.ErrNoAddress
	}
	word := map[bool]string{true: "healthy", false: "unhealthy"}[healthy]
	b.busy.Lock()
	defer b.busy.Unlock()
	b.set = append(b.set, strings.Join([]string{target, addr.String(), word}, " "))
	return nil
}

func (b *busy) Statistics() httpproxy.Statistics {
	return httpproxy.Statistics{Accepted: 9, Active: 5, Reading: 1, Writing: 2, Requests: 7}
}

func (b *busy) PurgeCaches() {
	b.busy.Lock()
	defer b.busy.Unlock()
	clear(b.cached)
}

// was is what it was told of health, and how much it keeps.
func (b *busy) was() string {
	b.busy.Lock()
	defer b.busy.Unlock()
	return fmt.Sprint(b.set, len(b.cached))
}

func (b *busy) CacheEntry(_ uuid.UUID, key string) (map[string]any, bool) {
	b.busy.Lock()
	defer b.busy.Unlock()
	e, ok := b.cached[key]
	return e, ok
}

func (b *busy) DeleteCacheEntry(_ uuid.UUID, key string) bool {
	b.busy.Lock()
	defer b.busy.Unlock()
	_, ok := b.cached[key]
	delete(b.cached, key)
	return ok
}

// TestNode: what the gateway tells of itself.
func TestNode(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	if err := w.Start(t.Context(), &busy{}); err != nil {
		t.Fatal(err)
	}
	made(t, w, "CreatePlugin", `{"name":"login"}`)
	made(t, w, "CreateService", `{"name":"s","host":"h"}`)
	must(t, w, "CreatePlugin", `{"service":"s","document":{"name":"login"}}`)
	node := must(t, w, "GetNode", `{}`)
	holds(t, "node", node, `{"version":"3.10.0","tagline":"Welcome to kong","edition":"community"}`)
	holds(t, "configuration", node["configuration"].(object), `{"database":"postgres","router_flavor":"traditional_compatible","loaded_plugins":{"limiter":true,"login":true}}`)
	holds(t, "plugins", node["plugins"].(object), `{"enabled_in_cluster":["login"],"available_on_server":{"limiter":{"version":"1.2.3","priority":10},"login":{"version":"1.0.0","priority":20}}}`)
	if _, err := uuid.Parse(node["node_id"].(string)); err != nil || node["hostname"] == nil || node["pids"] == nil {
		t.Errorf("the node is %v", node)
	}
	status := must(t, w, "GetStatus", `{}`)
	holds(t, "status", status, `{"database":{"reachable":true},"server":{"connections_accepted":"9","connections_active":"5","connections_reading":"1","connections_writing":"2","connections_waiting":"2","total_requests":"7"}}`)
	holds(t, "plugins", must(t, w, "ListEnabledPlugins", `{}`), `{"enabled_plugins":["limiter","login"]}`)
	endpoints, _ := must(t, w, "ListEndpoints", `{}`)["data"].([]any)
	for _, want := range []string{"/", "/services/{services}", "/consumers/{consumers}/key-auth/{key-auth}", "/services/{services}/routes", "/tags/{tags}", "/schemas/{schemas}/validate"} {
		if !slices.Contains(endpoints, any(want)) {
			t.Errorf("%s is not among the endpoints %v", want, endpoints)
		}
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	if status := must(t, w, "GetStatus", `{}`); status["database"].(object)["reachable"] == true {
		t.Error("a store that is closed is reachable")
	}
}

// TestSchemas: what clients fill in by.
func TestSchemas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	for _, name := range []string{"services", "routes", "upstreams", "targets", "keyauth_credentials", "key-auths", "plugins"} {
		fields, _ := must(t, w, "GetSchema", `{"entity":"`+name+`"}`)["fields"].([]any)
		if len(fields) == 0 || len(fields[0].(object)) != 1 {
			t.Errorf("the fields of %s are %v", name, fields)
		}
	}
	s := must(t, w, "GetPluginSchema", `{"name":"limiter"}`)
	config := at(t, s, "config")
	holds(t, "config", config, `{"type":"record","required":true}`)
	holds(t, "a record in it", at(t, config, "redis"), `{"type":"record","required":true}`)
	holds(t, "protocols", at(t, s, "protocols"), `{"default":["grpc","grpcs","http","https"]}`)
	if eq, barred := at(t, must(t, w, "GetPluginSchema", `{"name":"login"}`), "consumer")["eq"]; !barred || eq != nil {
		t.Error("consumers are not barred")
	}
	holds(t, "config alone", at(t, must(t, w, "GetPluginConfigSchema", `{"name":"limiter"}`), "minute"), `{"type":"integer"}`)
	for _, request := range []string{
		`{"entity":"services","document":{"host":"h"}}`, `{"entity":"plugins","document":{"name":"limiter","config":{"minute":1}}}`,
		`{"entity":"routes","document":{"paths":["/"]}}`, `{"entity":"consumers","document":{"username":"x"}}`,
	} {
		holds(t, request, must(t, w, "ValidateEntity", request), `{"message":"schema validation successful"}`)
	}
	if len(w.plane.state(t)) > 0 {
		t.Error("what was checked is kept")
	}
}

// at is the description of a field.
func at(t *testing.T, record object, name string) object {
	t.Helper()
	fields, _ := record["fields"].([]any)
	for _, f := range fields {
		if d, ok := f.(object)[name].(object); ok {
			return d
		}
	}
	t.Fatalf("there is no %s in %v", name, record)
	return nil
}

// TestHealth: what the data plane says of upstreams, and what it is told.
func TestHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	up := made(t, w, "CreateUpstream", `{"name":"u"}`)
	one := must(t, w, "CreateTarget", `{"upstream":"u","document":{"target":"127.0.0.1:1","weight":7}}`)["id"].(string)
	two := must(t, w, "CreateTarget", `{"upstream":"u","document":{"target":"off:1"}}`)["id"].(string)
	if got := data(must(t, w, "GetUpstreamHealth", `{"upstream":"u"}`)); len(got) != 2 || got[0]["health"] != "HEALTHCHECKS_OFF" {
		t.Errorf("without a balancer: %v", got)
	}
	b := &busy{status: balance.Status{Health: balance.Unhealthy, Weight: balance.Weights{Total: 7, Unavailable: 7}, Targets: []balance.TargetStatus{
		{Target: &entity.Target{ID: uuid.MustParse(one), Target: "127.0.0.1:1", Weight: 7}, Health: balance.Unhealthy, Host: "127.0.0.1", Port: 1, Weight: balance.Weights{Total: 7, Unavailable: 7},
			Addresses: []balance.AddressStatus{{Addr: netip.MustParseAddrPort("127.0.0.1:1"), Weight: 7, Health: balance.Unhealthy}}},
		{Target: &entity.Target{ID: uuid.MustParse(two), Target: "off:1", Weight: 100}, Health: balance.DNSError, Host: "off", Port: 1, DNS: errors.New("no such host")},
	}}}
	if err := w.Start(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	byID := map[string]object{}
	for _, o := range data(must(t, w, "GetUpstreamHealth", `{"upstream":"`+up+`"}`)) {
		byID[o["id"].(string)] = o
	}
	holds(t, "unhealthy", byID[one], `{"target":"127.0.0.1:1","weight":7,"health":"UNHEALTHY"}`)
	holds(t, "addresses", byID[one]["data"].(object), `{"host":"127.0.0.1","port":1,"node_weight":7,"addresses":[{"ip":"127.0.0.1","port":1,"weight":7,"health":"UNHEALTHY"}]}`)
	holds(t, "without an address", byID[two], `{"health":"DNS_ERROR"}`)
	holds(t, "as a whole", must(t, w, "GetBalancerHealth", `{"upstream":"u"}`)["data"].(object), `{"id":"`+up+`","health":"UNHEALTHY","balancer_health":"UNHEALTHY"}`)
	for request, want := range map[string]string{
		`SetTargetHealthy {"upstream":"u","target":"127.0.0.1:1"}`:                           "OK",
		`SetTargetUnhealthy {"upstream":"u","target":"` + one + `","address":"127.0.0.1:1"}`: "OK",
		`SetTargetUnhealthy {"upstream":"u","target":"` + one + `","address":"127.0.0.1:2"}`: notThere,
		`SetTargetUnhealthy {"upstream":"u","target":"` + one + `","address":"x"}`:           notThere,
		`SetTargetUnhealthy {"upstream":"u","target":"127.0.0.1:3"}`:                         notThere,
		`SetTargetUnhealthy {"upstream":"none","target":"127.0.0.1:1"}`:                      notThere,
		`SetTargetHealthy {"upstream":"u","target":"off:1"}`:                                 "InvalidArgument: " + balance.ErrChecksOff.Error(),
		`GetUpstreamHealth {"upstream":"none"}`:                                              notThere,
		`GetBalancerHealth {"upstream":"none"}`:                                              notThere,
		`ListAllTargets {"upstream":"none"}`:                                                 notThere,
	} {
		method, body, _ := strings.Cut(request, " ")
		if got := said(call(t, w, method, body)); got != want {
			t.Errorf("%s: %s, want %s", request, got, want)
		}
	}
	slices.Sort(b.set)
	if got := strings.Join(b.set, ", "); got != "127.0.0.1:1 127.0.0.1:1 unhealthy, 127.0.0.1:1 invalid AddrPort healthy" {
		t.Errorf("the data plane was told %s", got)
	}
	all := must(t, w, "ListAllTargets", `{"upstream":"u","size":1}`)
	if want := "/upstreams/u/targets/all?offset=" + all["offset"].(string); all["next"] != want || len(data(all)) != 1 {
		t.Errorf("all targets are %v", all)
	}
}

// TestCaches: what plugins keep is shown and forgotten.
func TestCaches(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	for _, method := range []string{"GetCacheEntry", "DeleteCacheEntry"} {
		if got := said(call(t, w, method, `{"key":"a"}`)); got != notThere {
			t.Errorf("%s without a cache: %s", method, got)
		}
	}
	b := &busy{cached: map[string]object{"a": {"status": 200.0}, "b": {}, "c": {}}}
	if err := w.Start(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	holds(t, "entry", must(t, w, "GetCacheEntry", `{"key":"a","plugin":"`+absentID+`"}`), `{"status":200}`)
	must(t, w, "DeleteCacheEntry", `{"key":"a"}`)
	for _, request := range []string{`{"key":"a"}`, `{"key":"b","plugin":"x"}`} {
		for _, method := range []string{"GetCacheEntry", "DeleteCacheEntry"} {
			if got := said(call(t, w, method, request)); got != notThere {
				t.Errorf("%s %s: %s", method, request, got)
			}
		}
	}
	if must(t, w, "PurgeCaches", `{}`); len(b.cached) > 0 {
		t.Errorf("what is left is %v", b.cached)
	}
}
