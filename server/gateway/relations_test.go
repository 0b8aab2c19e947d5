package gateway_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/ent/gatewayobject"
	"github.com/backplane/backplane/server/store"
	"github.com/backplane/backplane/testbed"
)

// pair is a certificate with its key.
func pair(t *testing.T) (cert, key string) {
	t.Helper()
	leaf := testbed.NewCA(t).Issue(t, "example.test")
	return leaf.CertPEM, leaf.KeyPEM
}

func ca(t *testing.T) string {
	t.Helper()
	return testbed.NewCA(t).PEM
}

// nestedForms: entities below what they belong to.
func nestedForms(t *testing.T, w *world) {
	a, b := made(t, w, "CreateService", `{"name":"nest-a","host":"h"}`), made(t, w, "CreateService", `{"name":"nest-b","host":"h"}`)
	o := must(t, w, "CreateRoute", `{"service":"nest-a","document":{"name":"nested","paths":["/"],"service":{"id":"`+b+`"}}}`)
	holds(t, "made below", o, `{"service":{"id":"`+a+`"}}`)
	if got := data(must(t, w, "ListRoutes", `{"service":"nest-a","tags":"overlooked"}`)); len(got) != 1 {
		t.Errorf("the list below has %v", got)
	}
	if got := data(must(t, w, "ListRoutes", `{"service":"nest-b"}`)); len(got) != 0 {
		t.Errorf("the list below another has %v", got)
	}
	holds(t, "attached", must(t, w, "UpsertRoute", `{"service":"nest-b","id":"nested","document":{"paths":["/b"]}}`), `{"service":{"id":"`+b+`"},"id":"`+o["id"].(string)+`"}`)
	holds(t, "moved", must(t, w, "UpdateRoute", `{"service":"nest-b","id":"nested","document":{"service":{"name":"nest-a"}}}`), `{"service":{"id":"`+a+`"}}`)
	must(t, w, "DeleteRoute", `{"service":"nest-a","id":"nested"}`)

	must(t, w, "CreatePlugin", `{"service":"nest-a","document":{"name":"limiter","instance_name":"nested"}}`)
	must(t, w, "CreatePlugin", `{"service":"nest-b","document":{"name":"limiter"}}`)
	if got := data(must(t, w, "ListPlugins", `{"service":"`+a+`"}`)); len(got) != 1 || got[0]["instance_name"] != "nested" {
		t.Errorf("the plugins below are %v", got)
	}
	must(t, w, "GetPlugin", `{"service":"nest-a","id":"nested"}`)
	must(t, w, "CreateConsumer", `{"document":{"username":"nest-one"}}`)
	must(t, w, "CreateConsumer", `{"document":{"username":"nest-two"}}`)
	for _, consumer := range []string{"nest-one", "nest-two"} {
		must(t, w, "CreateACL", `{"consumer":"`+consumer+`","document":{"group":"same"}}`)
	}
	one, two := must(t, w, "GetACL", `{"consumer":"nest-one","id":"same"}`), must(t, w, "GetACL", `{"consumer":"nest-two","id":"same"}`)
	if one["id"] == two["id"] {
		t.Error("the group of one consumer is that of another")
	}
	must(t, w, "CreateJwt", `{"consumer":"nest-one","document":{"key":"nested"}}`)
	if got := said(call(t, w, "GetJwt", `{"consumer":"nest-two","id":"nested"}`)); got != notThere {
		t.Errorf("the key of another: %s", got)
	}
	if got := data(must(t, w, "ListConsumers", `{"custom_id":"none"}`)); len(got) != 0 {
		t.Errorf("no consumer has this custom id: %v", got)
	}
}

// parents: what an entity refers to, by way of the entity.
func parents(t *testing.T, w *world) {
	route := made(t, w, "CreateRoute", `{"name":"lone","paths":["/"]}`)
	o := must(t, w, "UpsertService", `{"route":"lone","document":{"name":"linked","host":"h"}}`)
	service := o["id"].(string)
	holds(t, "linked", must(t, w, "GetRoute", `{"id":"`+route+`"}`), `{"service":{"id":"`+service+`"}}`)
	if r := w.plane.of(httpproxy.Routes, route).(*entity.Route); r.Service == nil || r.Service.ID.String() != service {
		t.Errorf("the data plane has %+v", r)
	}
	holds(t, "by the route", must(t, w, "GetService", `{"route":"lone"}`), `{"name":"linked"}`)
	holds(t, "replaced by the route", must(t, w, "UpsertService", `{"route":"lone","document":{"host":"g"}}`), `{"id":"`+service+`","host":"g","name":null}`)
	holds(t, "changed by the route", must(t, w, "UpdateService", `{"route":"lone","document":{"name":"linked"}}`), `{"id":"`+service+`","host":"g","name":"linked"}`)
	must(t, w, "CreatePlugin", `{"service":"linked","document":{"name":"limiter","instance_name":"of-linked"}}`)
	holds(t, "by the plugin", must(t, w, "GetService", `{"plugin":"of-linked"}`), `{"name":"linked"}`)
	must(t, w, "CreateConsumer", `{"document":{"username":"owner"}}`)
	must(t, w, "CreateJwt", `{"consumer":"owner","document":{"key":"owned"}}`)
	holds(t, "by the credential", must(t, w, "GetConsumer", `{"jwt":"owned"}`), `{"username":"owner"}`)
	holds(t, "changed by the credential", must(t, w, "UpdateConsumer", `{"jwt":"owned","document":{"custom_id":"x1"}}`), `{"custom_id":"x1"}`)

	must(t, w, "CreateRoute", `{"service":"linked","document":{"name":"other-of-linked","paths":["/o"]}}`)
	if got := said(call(t, w, "DeleteService", `{"route":"lone"}`)); !strings.HasPrefix(got, "FailedPrecondition 4 ") {
		t.Errorf("a service that another route has: %s", got)
	}
	holds(t, "after the refusal", must(t, w, "GetRoute", `{"id":"lone"}`), `{"service":{"id":"`+service+`"}}`)
	must(t, w, "DeleteRoute", `{"id":"other-of-linked"}`)
	must(t, w, "DeleteService", `{"route":"lone"}`)
	holds(t, "unlinked", must(t, w, "GetRoute", `{"id":"lone"}`), `{"service":null}`)
	for _, gone := range []string{`GetService {"id":"linked"}`, `GetPlugin {"id":"of-linked"}`} {
		method, request, _ := strings.Cut(gone, " ")
		if got := said(call(t, w, method, request)); got != notThere {
			t.Errorf("%s: %s", gone, got)
		}
	}
	if w.plane.of(httpproxy.Services, service) != nil {
		t.Error("the data plane still has the service")
	}
}

// cascades: what cannot be without what is deleted goes with it.
func cascades(t *testing.T, w *world) {
	before := len(w.plane.state(t))
	must(t, w, "CreateService", `{"document":{"name":"casc","host":"h"}}`)
	must(t, w, "CreateRoute", `{"service":"casc","document":{"name":"casc","paths":["/"]}}`)
	must(t, w, "CreateConsumer", `{"document":{"username":"casc","tags":["casc"]}}`)
	for _, c := range []string{
		`CreatePlugin {"service":"casc","document":{"name":"limiter"}}`, `CreatePlugin {"route":"casc","document":{"name":"limiter"}}`,
		`CreatePlugin {"consumer":"casc","document":{"name":"limiter","route":{"name":"casc"}}}`,
		`CreateKeyAuth {"consumer":"casc","document":{}}`, `CreateBasicAuth {"consumer":"casc","document":{"username":"casc","password":"p"}}`,
		`CreateJwt {"consumer":"casc","document":{}}`, `CreateACL {"consumer":"casc","document":{"group":"g","tags":["casc"]}}`,
		`CreateUpstream {"document":{"name":"casc"}}`, `CreateTarget {"upstream":"casc","document":{"target":"h"}}`, `CreateTarget {"upstream":"casc","document":{"target":"h:2"}}`,
	} {
		method, request, _ := strings.Cut(c, " ")
		must(t, w, method, request)
	}
	if now := len(w.plane.state(t)); now != before+13 {
		t.Fatalf("the data plane has %d objects more", now-before)
	}
	for _, step := range []struct {
		call string
		left int
	}{
		{`DeleteConsumer {"id":"casc"}`, 7}, {`DeleteUpstream {"id":"casc"}`, 4}, {`DeleteRoute {"id":"casc"}`, 2}, {`DeleteService {"id":"casc"}`, 0},
	} {
		method, request, _ := strings.Cut(step.call, " ")
		must(t, w, method, request)
		if now := len(w.plane.state(t)); now != before+step.left {
			t.Errorf("after %s there are %d objects, want %d", step.call, now-before, step.left)
		}
	}
	if got := data(must(t, w, "ListTags", `{"tag":"casc"}`)); len(got) != 0 {
		t.Errorf("tags of what is deleted: %v", got)
	}
}

// certificates: with the names that they are shown under.
func certificates(t *testing.T, w *world) {
	cert, key := pair(t)
	document := func(more string) string { return fmt.Sprintf(`{"cert":%q,"key":%q%s}`, cert, key, more) }
	o := must(t, w, "CreateCertificate", `{"document":`+document(`,"snis":["b.test","a.test","b.test"]`)+`}`)
	id := o["id"].(string)
	holds(t, "made", o, `{"snis":["a.test","b.test"]}`)
	holds(t, "by a name", must(t, w, "GetCertificate", `{"id":"a.test"}`), `{"id":"`+id+`","snis":["a.test","b.test"]}`)
	holds(t, "changed", must(t, w, "UpdateCertificate", `{"id":"a.test","document":{"tags":["x"]}}`), `{"snis":["a.test","b.test"],"tags":["x"]}`)
	holds(t, "other names", must(t, w, "UpdateCertificate", `{"id":"a.test","document":{"snis":["c.test","b.test"]}}`), `{"snis":["b.test","c.test"]}`)
	if got := data(must(t, w, "ListSnis", `{"certificate":"c.test"}`)); len(got) != 2 {
		t.Errorf("the names are %v", got)
	}
	other := must(t, w, "CreateCertificate", `{"document":`+document("")+`}`)
	holds(t, "without names", other, `{"snis":null}`) // as messages have an empty list here
	if got := said(call(t, w, "UpdateCertificate", `{"id":"`+other["id"].(string)+`","document":{"snis":["b.test"]}}`)); !strings.HasSuffix(got, "(snis: b.test already associated with existing certificate '"+id+"')") {
		t.Errorf("a name of another: %s", got)
	}
	if got := said(call(t, w, "CreateSni", `{"certificate":"b.test","document":{"name":"c.test"}}`)); !strings.HasPrefix(got, "AlreadyExists 5 ") {
		t.Errorf("a name twice: %s", got)
	}
	holds(t, "made by a name", must(t, w, "UpsertCertificate", `{"id":"new.test","document":`+document("")+`}`), `{"snis":["new.test"]}`)
	must(t, w, "CreateService", `{"certificate":"b.test","document":{"name":"with-tls","host":"h","protocol":"https"}}`)
	if got := said(call(t, w, "DeleteCertificate", `{"id":"`+id+`"}`)); !strings.HasPrefix(got, "FailedPrecondition 4 ") {
		t.Errorf("a certificate in use: %s", got)
	}
	holds(t, "by the service", must(t, w, "GetCertificate", `{"service":"with-tls"}`), `{"id":"`+id+`"}`)
	if got := data(must(t, w, "ListServices", `{"certificate":"b.test"}`)); len(got) != 1 {
		t.Errorf("its services are %v", got)
	}
	holds(t, "without names again", must(t, w, "UpsertCertificate", `{"id":"`+id+`","document":`+document("")+`}`), `{"snis":null}`)
	must(t, w, "DeleteService", `{"certificate":"`+id+`","id":"with-tls"}`)
	must(t, w, "UpdateCertificate", `{"id":"`+id+`","document":{"snis":["b.test"]}}`)
	must(t, w, "DeleteCertificate", `{"id":"b.test"}`)
	if got := said(call(t, w, "GetSni", `{"id":"b.test"}`)); got != notThere {
		t.Errorf("a name of a certificate that has gone: %s", got)
	}
	names := []any{}
	for _, c := range data(must(t, w, "ListCertificates", `{}`)) {
		list, _ := c["snis"].([]any)
		names = append(names, list...)
	}
	if !slices.Contains(names, any("new.test")) {
		t.Errorf("the list has the names %v", names)
	}
}

// authorities: one that a service trusts cannot be deleted.
func authorities(t *testing.T, w *world) {
	id := made(t, w, "CreateCaCertificate", fmt.Sprintf(`{"cert":%q}`, ca(t)))
	made(t, w, "CreateService", `{"name":"trusting","host":"h","protocol":"https","ca_certificates":["`+id+`"]}`)
	if got := said(call(t, w, "DeleteCaCertificate", `{"id":"`+id+`"}`)); !strings.HasPrefix(got, "FailedPrecondition 19 ") {
		t.Errorf("an authority in use: %s", got)
	}
	const refusedWith = `InvalidArgument 4 foreign key violation: the foreign key '{id="` + absentID + `"}' does not reference an existing 'ca_certificates' entity.`
	unknown := `"protocol":"https","ca_certificates":["` + id + `","` + absentID + `"]`
	for _, tt := range []refusal{
		{method: "CreateService", request: `{"document":{"host":"h",` + unknown + `}}`},
		{method: "UpsertService", request: `{"id":"trusting","document":{"host":"h",` + unknown + `}}`},
		{method: "UpdateService", request: `{"id":"trusting","document":{` + unknown + `}}`},
	} {
		a := call(t, w, tt.method, tt.request)
		if got := said(a); got != refusedWith {
			t.Errorf("%s: %s", tt.method, got)
		} else {
			holds(t, tt.method, a.detail.GetFields().AsMap(), `{"ca_certificates":[null,{"id":"`+absentID+`"}]}`)
		}
	}
	// One that is named since before that was asked for holds nothing else up.
	if err := w.store.Change(t.Context(), func(tx *store.Tx) error {
		_, err := tx.GatewayObject.Delete().Where(gatewayobject.Kind("ca_certificates")).Exec(t.Context())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	must(t, w, "UpdateService", `{"id":"trusting","document":{"port":8443}}`)
	made(t, w, "CreateCaCertificate", fmt.Sprintf(`{"id":%q,"cert":%q}`, id, ca(t)))
	must(t, w, "UpdateService", `{"id":"trusting","document":{"ca_certificates":null}}`)
	must(t, w, "DeleteCaCertificate", `{"id":"`+id+`"}`)
}
