package gateway_test

import (
	"slices"
	"strings"
	"testing"
)

const (
	absentID = "11111111-2222-4333-8444-555555555555"
	notThere = "NotFound: Not found"
)

// refusal is a call that is refused.
type refusal struct{ method, request, want string }

// refused is what is refused, and in which words.
func refused() []refusal { return slices.Concat(refusedWrites(), refusedReads(), nothingThere()) }

func refusedWrites() []refusal {
	return []refusal{
		{"GetCaCertificate", `{"id":"x"}`, `InvalidArgument 1 invalid primary key: `},
		{"GetACL", `{"id":"g"}`, `InvalidArgument 1 invalid primary key: `},
		{"CreateService", `{"document":{}}`, `InvalidArgument 2 schema violation: schema violation (host: required field missing)`},
		{"CreateService", `{}`, `InvalidArgument 2 schema violation: schema violation (host: required field missing)`},
		{"CreateService", `{"document":{"host":"h","port":"80","nonsense":1}}`, `InvalidArgument 2 schema violation: 2 schema violations (nonsense: unknown field; port: expected an integer)`},
		{"CreateService", `{"document":[]}`, `InvalidArgument: Cannot parse JSON body`},
		{"CreateRoute", `{"document":{"paths":["/"],"service":{}}}`, `InvalidArgument 2 schema violation: schema violation (service.id: missing primary key)`},
		{"CreatePlugin", `{"document":{"name":"nonsense"}}`, `InvalidArgument 2 schema violation: schema violation (name: plugin 'nonsense' not enabled; add it to the 'plugins' configuration property)`},
		{"CreatePlugin", `{"document":{}}`, `InvalidArgument 2 schema violation: schema violation (name: required field missing)`},
		{"CreatePlugin", `{"document":{"name":"login","consumer":{"username":"ann"}}}`, `InvalidArgument 2 schema violation: schema violation (consumer: value must be null)`},
		{"CreatePlugin", `{"document":{"name":"limiter","config":{"minute":"x"}}}`, `InvalidArgument 2 schema violation: schema violation (config.minute: expected an integer)`},
		{"CreatePlugin", `{"route":"grpc","document":{"name":"limiter","protocols":["http"]}}`, `InvalidArgument 2 schema violation: schema violation (protocols: must match the associated route's protocols)`},
		{"CreatePlugin", `{"service":"s","document":{"name":"login","protocols":["grpc"]}}`, `InvalidArgument 2 schema violation: schema violation (protocols: must match the protocols of at least one route pointing to this Plugin's service)`},
		{"CreateService", `{"document":{"id":"$service","host":"h"}}`, `AlreadyExists 3 primary key violation: primary key violation on key '{id="$service"}'`},
		{"CreateRoute", `{"document":{"paths":["/"],"service":{"id":"$absent"}}}`, `InvalidArgument 4 foreign key violation: the foreign key '{id="$absent"}' does not reference an existing 'services' entity.`},
		{"DeleteService", `{"id":"s"}`, `FailedPrecondition 4 foreign key violation: an existing 'routes' entity references this 'services' entity`},
		{"CreateService", `{"document":{"name":"s","host":"h"}}`, `AlreadyExists 5 unique constraint violation: UNIQUE violation detected on '{name="s"}'`},
		{"UpdateRoute", `{"id":"grpc","document":{"name":"r"}}`, `AlreadyExists 5 unique constraint violation: UNIQUE violation detected on '{name="r"}'`},
		{"CreateConsumer", `{"document":{"username":"ann"}}`, `AlreadyExists 5 unique constraint violation: UNIQUE violation detected on '{username="ann"}'`},
		{"CreateConsumer", `{"document":{"custom_id":"a"}}`, `AlreadyExists 5 unique constraint violation: UNIQUE violation detected on '{custom_id="a"}'`},
		{"CreateTarget", `{"upstream":"u","document":{"target":"h:1"}}`, `AlreadyExists 5 unique constraint violation: UNIQUE violation detected on '{target="h:1",upstream={id=`},
		{"CreatePlugin", `{"service":"s","document":{"name":"limiter"}}`, `AlreadyExists 5 unique constraint violation: UNIQUE violation detected on '{consumer=null,name="limiter",route=null,service={id="$service"}}'`},
		{"CreateKeyAuth", `{"consumer":"ann","document":{"key":"Zebra9"}}`, `AlreadyExists 5 unique constraint violation: UNIQUE violation detected on '{key="***"}'`},
		{"CreateACL", `{"consumer":"ann","document":{"group":"g"}}`, `AlreadyExists 5 unique constraint violation: UNIQUE violation detected on '{consumer={id="$consumer"},group="g"}'`},
		{"UpdateService", `{"id":"$absent","document":{}}`, `NotFound 6 not found: could not find the entity with primary key '{id="$absent"}'`},
		{"UpdateService", `{"id":"none","document":{}}`, `NotFound 6 not found: could not find the entity with '{name="none"}'`},
		{"UpdateKeyAuth", `{"id":"Zebra8","document":{}}`, `NotFound 6 not found: could not find the entity with '{key="***"}'`},
	}
}

func refusedReads() []refusal {
	return []refusal{
		{"GetCertificate", `{"id":"$absent"}`, `NotFound 6 not found: could not find the entity with primary key '{id="$absent"}'`},
		{"ListServices", `{"offset":"x"}`, `InvalidArgument 7 invalid offset: 'x' is not a valid offset`},
		{"ListTargets", `{"upstream":"u","offset":"$absent"}`, `InvalidArgument 7 invalid offset: `},
		{"ListTags", `{"offset":"x"}`, `InvalidArgument 7 invalid offset: `},
		{"ListServices", `{"size":0}`, `InvalidArgument 9 invalid size: size must be an integer between 1 and 1000`},
		{"ListServices", `{"size":1001}`, `InvalidArgument 9 invalid size: size must be an integer between 1 and 1000`},
		{"GetService", `{"id":"not a name"}`, `InvalidArgument 10 invalid unique name: `},
		{"ListServices", `{"tags":""}`, `InvalidArgument 11 invalid options: invalid option (tags: cannot be null)`},
		{"ListServices", `{"tags":"a,b/c"}`, `InvalidArgument 11 invalid options: invalid option (tags: invalid filter syntax)`},
		{"ListServices", `{"tags":"a,b,c,d,e,f"}`, `InvalidArgument 11 invalid options: invalid option (tags: `},
		{"CreateRoute", `{"document":{"paths":["/"],"service":{"name":"none"}}}`, `InvalidArgument 13 foreign keys unresolved: foreign key unresolved (service.name: the foreign key cannot be resolved with '{name="none"}' for an existing 'services' entity)`},
		{"CreateKeyAuth", `{"document":{"consumer":{"username":"none"}}}`, `InvalidArgument 13 foreign keys unresolved: foreign key unresolved (consumer.username: `},
	}
}

// nothingThere is what names something that is not there, or not where it is
// looked for.
func nothingThere() []refusal {
	return []refusal{
		{"GetService", `{"id":"none"}`, notThere},
		{"GetService", `{"id":"$absent"}`, notThere},
		{"GetService", `{"id":""}`, notThere},
		{"ListRoutes", `{"service":"none"}`, notThere},
		{"CreateRoute", `{"service":"none","document":{"paths":["/"]}}`, notThere},
		{"GetRoute", `{"service":"s","id":"grpc"}`, notThere},
		{"UpdateRoute", `{"service":"s","id":"grpc","document":{}}`, notThere},
		{"DeleteRoute", `{"service":"s","id":"grpc"}`, notThere},
		{"DeleteRoute", `{"service":"s","id":"none"}`, notThere},
		{"GetService", `{"route":"grpc"}`, notThere},
		{"UpdateService", `{"route":"grpc","document":{"port":1}}`, notThere},
		{"DeleteService", `{"route":"grpc"}`, notThere},
		{"UpsertTarget", `{"upstream":"u","id":"h:2","document":{}}`, notThere},
		{"UpsertTarget", `{"upstream":"u","id":"$absent","document":{"target":"h:2"}}`, notThere},
		{"DeleteTarget", `{"upstream":"u","id":"h:2"}`, notThere},
		{"ListSnis", `{"certificate":"none"}`, "NotFound: SNI not found"},
		{"GetSchema", `{"entity":"x"}`, "NotFound: No entity named 'x'"},
		{"GetPluginSchema", `{"name":"x"}`, "NotFound: No plugin named 'x'"},
		{"ValidateEntity", `{"entity":"services","document":{"port":-1,"host":"h"}}`, `InvalidArgument 2 schema violation: schema violation (port: value should be between 0 and 65535)`},
		{"ValidateEntity", `{"entity":"x","document":{}}`, "NotFound: No entity named 'x'"},
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	service := made(t, w, "CreateService", `{"name":"s","host":"h"}`)
	route := made(t, w, "CreateRoute", `{"name":"r","paths":["/"],"service":{"name":"s"}}`)
	made(t, w, "CreateRoute", `{"name":"grpc","protocols":["grpc"],"hosts":["h"]}`)
	consumer := made(t, w, "CreateConsumer", `{"username":"ann","custom_id":"a"}`)
	made(t, w, "CreateUpstream", `{"name":"u"}`)
	must(t, w, "CreateTarget", `{"upstream":"u","document":{"target":"h:1"}}`)
	plugin := made(t, w, "CreatePlugin", `{"name":"limiter","instance_name":"one","service":{"id":"`+service+`"}}`)
	made(t, w, "CreateKeyAuth", `{"consumer":{"id":"`+consumer+`"},"key":"Zebra9"}`)
	made(t, w, "CreateACL", `{"consumer":{"id":"`+consumer+`"},"group":"g"}`)
	words := strings.NewReplacer("$service", service, "$route", route, "$consumer", consumer, "$plugin", plugin, "$absent", absentID)
	for _, tt := range refused() {
		before := w.plane.told
		got := said(call(t, w, tt.method, words.Replace(tt.request)))
		if !strings.HasPrefix(got, words.Replace(tt.want)) {
			t.Errorf("%s %s:\n got %s\nwant %s", tt.method, tt.request, got, tt.want)
		}
		if strings.Contains(got, "Zebra") {
			t.Errorf("%s tells a key: %s", tt.method, got)
		}
		if w.plane.told != before {
			t.Errorf("%s %s: the data plane was told of something", tt.method, tt.request)
		}
	}
}

// TestRefusalsHaveFields: what is wrong is told by field, and for each element
// of an array.
func TestRefusalsHaveFields(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "", t.TempDir())
	made(t, w, "CreateService", `{"name":"s","host":"h"}`)
	made(t, w, "CreateRoute", `{"name":"r","paths":["/"],"service":{"name":"s"}}`)
	for _, tt := range []struct{ method, request, want string }{
		{"CreateRoute", `{"document":{"protocols":["http","x"],"paths":["/"]}}`, `{"protocols":[null,"expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp"]}`},
		{"CreateRoute", `{"document":{}}`, `{"@entity":["must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"]}`},
		{"DeleteService", `{"id":"s"}`, `{"@referenced_by":"routes"}`},
		{"CreateService", `{"document":{"name":"s","host":"h"}}`, `{"name":"s"}`},
		{"CreateRoute", `{"document":{"paths":["/"],"service":{"id":"` + absentID + `"}}}`, `{"service":{"id":"` + absentID + `"}}`},
	} {
		a := call(t, w, tt.method, tt.request)
		if a.detail == nil {
			t.Errorf("%s %s: %s", tt.method, tt.request, said(a))
			continue
		}
		holds(t, tt.method+" "+tt.request, a.detail.GetFields().AsMap(), tt.want)
	}
}
