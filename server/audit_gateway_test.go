package server_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// gatewayChange is a change of the HTTP gateway with its records: "action kind
// name" of each.
type gatewayChange struct {
	method, request string
	records         []string
}

// gatewayScript makes changes with every RPC that makes some.
func gatewayScript(t *testing.T, upstream int) []gatewayChange {
	leaf, ca := testbed.NewCA(t).Issue(t, "a.test"), testbed.NewCA(t)
	pair := fmt.Sprintf(`"cert":%q,"key":%q`, leaf.CertPEM, leaf.KeyPEM)
	const id = `11111111-2222-4333-8444-555555555555`
	one := func(record string) []string { return []string{record} }
	return []gatewayChange{
		{"GatewayService/CreateService", `{"document":{"name":"s","host":"h"}}`, one("CreateService gateway_service s")},
		{"GatewayService/UpsertService", `{"id":"s","document":{"host":"g"}}`, one("UpsertService gateway_service s")},
		{"GatewayService/UpdateService", `{"id":"s","document":{"port":1}}`, one("UpdateService gateway_service s")},
		{"GatewayService/CreateRoute", `{"service":"s","document":{"name":"r","paths":["/"]}}`, one("CreateRoute gateway_route r")},
		{"GatewayService/UpsertRoute", `{"id":"r","document":{"paths":["/"]}}`, one("UpsertRoute gateway_route r")},
		{"GatewayService/UpdateRoute", `{"id":"r","document":{"service":{"name":"s"}}}`, one("UpdateRoute gateway_route r")},
		{"GatewayService/DeleteService", `{"route":"r"}`, []string{"DeleteService gateway_route r", "DeleteService gateway_service s"}},
		{"GatewayService/UpsertService", `{"route":"r","document":{"name":"s","host":"h"}}`, []string{"UpsertService gateway_route r", "UpsertService gateway_service s"}},
		{"GatewayService/CreateUpstream", `{"document":{"name":"u"}}`, one("CreateUpstream gateway_upstream u")},
		{"GatewayService/UpsertUpstream", `{"id":"u","document":{}}`, one("UpsertUpstream gateway_upstream u")},
		{"GatewayService/UpdateUpstream", `{"id":"u","document":{"slots":11}}`, one("UpdateUpstream gateway_upstream u")},
		{"GatewayService/CreateTarget", `{"upstream":"u","document":{"target":"h:1"}}`, one("CreateTarget gateway_target h:1")},
		{"GatewayService/UpsertTarget", `{"upstream":"u","id":"h:1","document":{"weight":1}}`, one("UpsertTarget gateway_target h:1")},
		{"GatewayService/UpdateTarget", `{"upstream":"u","id":"h:1","document":{"weight":2}}`, one("UpdateTarget gateway_target h:1")},
		{"GatewayService/DeleteTarget", `{"upstream":"u","id":"h:1"}`, one("DeleteTarget gateway_target h:1")},
		{"GatewayService/DeleteUpstream", `{"id":"u"}`, one("DeleteUpstream gateway_upstream u")},
		{"GatewayService/CreateCertificate", `{"document":{"id":"` + id + `","snis":["a.test"],` + pair + `}}`, []string{"CreateCertificate gateway_certificate " + id, "CreateCertificate gateway_sni a.test"}},
		{"GatewayService/UpsertCertificate", `{"id":"` + id + `","document":{"snis":["a.test"],` + pair + `}}`, one("UpsertCertificate gateway_certificate " + id)},
		{"GatewayService/UpdateCertificate", `{"id":"` + id + `","document":{"snis":[]}}`, []string{"UpdateCertificate gateway_certificate " + id, "UpdateCertificate gateway_sni a.test"}},
		{"GatewayService/CreateSni", `{"certificate":"` + id + `","document":{"name":"b.test"}}`, one("CreateSni gateway_sni b.test")},
		{"GatewayService/UpsertSni", `{"certificate":"` + id + `","id":"b.test","document":{}}`, one("UpsertSni gateway_sni b.test")},
		{"GatewayService/UpdateSni", `{"id":"b.test","document":{"tags":["x"]}}`, one("UpdateSni gateway_sni b.test")},
		{"GatewayService/DeleteSni", `{"id":"b.test"}`, one("DeleteSni gateway_sni b.test")},
		{"GatewayService/DeleteCertificate", `{"id":"` + id + `"}`, one("DeleteCertificate gateway_certificate " + id)},
		{"GatewayService/CreateCaCertificate", fmt.Sprintf(`{"document":{"id":%q,"cert":%q}}`, id, ca.PEM), one("CreateCaCertificate gateway_ca_certificate " + id)},
		{"GatewayService/UpsertCaCertificate", fmt.Sprintf(`{"id":%q,"document":{"cert":%q}}`, id, ca.PEM), one("UpsertCaCertificate gateway_ca_certificate " + id)},
		{"GatewayService/UpdateCaCertificate", `{"id":"` + id + `","document":{"tags":["x"]}}`, one("UpdateCaCertificate gateway_ca_certificate " + id)},
		{"GatewayService/DeleteCaCertificate", `{"id":"` + id + `"}`, one("DeleteCaCertificate gateway_ca_certificate " + id)},
		{"GatewayService/DeleteCaCertificate", `{"id":"` + id + `"}`, nil}, // is not there any more
		{"GatewayService/CreatePlugin", `{"service":"s","document":{"name":"cors","instance_name":"p"}}`, one("CreatePlugin gateway_plugin cors")},
		{"GatewayService/UpsertPlugin", `{"service":"s","id":"p","document":{"name":"cors"}}`, one("UpsertPlugin gateway_plugin cors")},
		{"GatewayService/UpdatePlugin", `{"id":"p","document":{"config":{"max_age":5}}}`, one("UpdatePlugin gateway_plugin cors")},
		{"GatewayService/DeleteRoute", `{"id":"r"}`, one("DeleteRoute gateway_route r")},
		{"GatewayService/DeletePlugin", `{"id":"p"}`, one("DeletePlugin gateway_plugin cors")},
		{"ConsumerService/CreateConsumer", `{"document":{"username":"ann"}}`, one("CreateConsumer gateway_consumer ann")},
		{"ConsumerService/UpsertConsumer", `{"id":"ann","document":{}}`, one("UpsertConsumer gateway_consumer ann")},
		{"ConsumerService/UpdateConsumer", `{"id":"ann","document":{"tags":["x"]}}`, one("UpdateConsumer gateway_consumer ann")},
		{"ConsumerService/CreateKeyAuth", `{"consumer":"ann","document":{"id":"` + id + `","key":"Zebra9 key"}}`, one("CreateKeyAuth gateway_key_auth " + id)},
		{"ConsumerService/UpsertKeyAuth", `{"consumer":"ann","id":"` + id + `","document":{"key":"Zebra9 other"}}`, one("UpsertKeyAuth gateway_key_auth " + id)},
		{"ConsumerService/UpdateKeyAuth", `{"id":"` + id + `","document":{"ttl":5}}`, one("UpdateKeyAuth gateway_key_auth " + id)},
		{"ConsumerService/DeleteKeyAuth", `{"id":"Zebra9 other"}`, one("DeleteKeyAuth gateway_key_auth " + id)},
		{"ConsumerService/CreateBasicAuth", `{"consumer":"ann","document":{"username":"b","password":"Zebra9"}}`, one("CreateBasicAuth gateway_basic_auth b")},
		{"ConsumerService/UpsertBasicAuth", `{"consumer":"ann","id":"b","document":{"password":"Zebra9"}}`, one("UpsertBasicAuth gateway_basic_auth b")},
		{"ConsumerService/UpdateBasicAuth", `{"id":"b","document":{"tags":["x"]}}`, one("UpdateBasicAuth gateway_basic_auth b")},
		{"ConsumerService/DeleteBasicAuth", `{"id":"b"}`, one("DeleteBasicAuth gateway_basic_auth b")},
		{"ConsumerService/CreateJwt", `{"consumer":"ann","document":{"key":"j","secret":"Zebra9"}}`, one("CreateJwt gateway_jwt j")},
		{"ConsumerService/UpsertJwt", `{"consumer":"ann","id":"j","document":{"secret":"Zebra9"}}`, one("UpsertJwt gateway_jwt j")},
		{"ConsumerService/UpdateJwt", `{"id":"j","document":{"tags":["x"]}}`, one("UpdateJwt gateway_jwt j")},
		{"ConsumerService/DeleteJwt", `{"id":"j"}`, one("DeleteJwt gateway_jwt j")},
		{"ConsumerService/CreateACL", `{"consumer":"ann","document":{"group":"g"}}`, one("CreateACL gateway_acl g")},
		{"ConsumerService/UpsertACL", `{"consumer":"ann","id":"g","document":{}}`, one("UpsertACL gateway_acl g")},
		{"ConsumerService/UpdateACL", `{"consumer":"ann","id":"g","document":{"tags":["x"]}}`, one("UpdateACL gateway_acl g")},
		{"ConsumerService/DeleteACL", `{"consumer":"ann","id":"g"}`, one("DeleteACL gateway_acl g")},
		{"ConsumerService/CreateACL", `{"consumer":"ann","document":{"group":"g"}}`, one("CreateACL gateway_acl g")},
		{"ConsumerService/DeleteConsumer", `{"id":"ann"}`, []string{"DeleteConsumer gateway_acl g", "DeleteConsumer gateway_consumer ann"}},
		{"GatewayService/RegisterService", fmt.Sprintf(`{"domain":"http://127.0.0.1","name_service":"auto","port":%d}`, upstream), one("RegisterService registered_service auto")},
		{"GatewayService/RefreshServices", `{}`, one("RefreshServices gateway_generation ")},
		{"GatewayService/RefreshServices", `{}`, nil}, // as everything is so
		{"GatewayService/UpdateRegistration", `{"id_service":1,"document_path":"/other.json"}`, one("UpdateRegistration registered_service auto")},
		{"GatewayService/UnregisterService", `{"id_service":1}`, one("UnregisterService registered_service auto")},
		{"GatewayService/RefreshServices", `{}`, []string{"RefreshServices gateway_generation ", "RefreshServices registered_service auto"}},
		{"DeclarationService/ApplyDeclaration", declaration(true), nil},
		{"DeclarationService/ApplyDeclaration", declaration(false), []string{
			"ApplyDeclaration gateway_basic_auth b", "ApplyDeclaration gateway_consumer ann", "ApplyDeclaration gateway_service s",
		}},
	}
}

// declaration is a request to apply a document, in which there is a consumer
// only: the service that there is goes.
func declaration(dryRun bool) string {
	doc := `{"_format_version":"3.0","consumers":[{"username":"ann","basicauth_credentials":[{"username":"b","password":"Zebra9"}]}]}`
	return fmt.Sprintf(`{"dry_run":%t,"part":%q}`, dryRun, base64.StdEncoding.EncodeToString([]byte(doc)))
}

// TestGatewayChangesAreRecorded: each change of each object, with who and what,
// and without a secret; reads not at all.
func TestGatewayChangesAreRecorded(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Adjust: func(c *config.Config) { c.RegistryRefresh = 0 }}) // nobody but who calls
	tried := map[string]bool{
		// What they do to the health of targets and to caches is no change of an
		// object; what is checked is not kept.
		"SetTargetHealthy": true, "SetTargetUnhealthy": true, "PurgeCaches": true, "DeleteCacheEntry": true, "ValidateEntity": true,
		"DumpDeclaration": true, // reads
	}
	for _, c := range gatewayScript(t, describedService(t)) {
		before := lastRecord(t, s)
		if got := newRPC(t, "/backplane.gateway.v1."+c.method, c.request).overGRPC(t, s.Conn); got != "200" {
			t.Fatalf("%s %s: %s", c.method, c.request, got)
		}
		var got []string
		for _, r := range records(t, s, before) {
			got = append(got, fmt.Sprint(r["action"], " ", r["resource_kind"], " ", r["resource_name"]))
			if r["actor"] != "admin" || r["project"] != "" {
				t.Errorf("%s: %v", c.method, r)
			}
			tried[fmt.Sprint(r["action"])] = true
		}
		slices.Sort(got)
		if !slices.Equal(got, c.records) {
			t.Errorf("%s %s: records %q, want %q", c.method, c.request, got, c.records)
		}
	}
	if trail := string(s.Do(t, "GET", "/api/audit?limit=1000", nil).Body); strings.Contains(trail, "Zebra9") || !strings.Contains(trail, `"config.max_age"`) {
		t.Errorf("the audit trail is %s", trail)
	}
	if strings.Contains(s.Log.String(), "Zebra9") {
		t.Error("the log shows a secret")
	}
	for method := range accessTable {
		_, name, _ := strings.Cut(strings.TrimPrefix(method, "/backplane.gateway.v1."), "/")
		reads := strings.HasPrefix(name, "Get") || strings.HasPrefix(name, "List")
		if strings.HasPrefix(method, "/backplane.gateway.v1.") && !reads && !tried[name] {
			t.Errorf("%s is not tried", name)
		}
	}
}
