package entity

import (
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

func limiting() schema.Record {
	return schema.Record{
		Name: "limiting",
		Fields: []schema.Field{
			{Name: "second", Type: schema.Number, Above: schema.Above(0)},
			{Name: "minute", Type: schema.Number, Above: schema.Above(0)},
			schema.Nested("redis", schema.Field{Name: "host", Type: schema.String, Check: schema.HostName}, schema.Int("port", 0, 65535, 6379)),
		},
		Checks:  []schema.Check{schema.AtLeastOneOf("second", "minute")},
		Aliases: map[string][]string{"redis_host": {"redis", "host"}},
	}
}

func TestPluginsOf(t *testing.T) {
	c := PluginsOf(limiting(), nil, true)
	for _, r := range []row{
		{`{"name":"limiting","config":{"second":5,"redis_host":"r"}}`, ""},
		{`{"name":"limiting"}`, one("at least one of these fields must be non-empty: 'config.second', 'config.minute'")},
		{`{"name":"limiting","config":null}`, one("config: required field missing")},
		{`{"name":"limiting","config":{"second":0}}`, one("config.second: value must be greater than 0")},
		{`{"name":"limiting","config":{"second":1,"x":1}}`, one("config.x: unknown field")},
		{`{"name":"limiting","config":{"second":1},"consumer":{"id":"` + idA + `"}}`, one("consumer: value must be null")},
		{`{"name":"limiting","config":{"second":1},"protocols":["tcp"]}`, one("protocols.1: expected one of: grpc, grpcs, http, https")},
		{`{"name":"limiting","config":{"second":1},"protocols":null}`, one("protocols: required field missing")},
		{`{"name":"limiting","config":{"second":1},"enabled":null}`, one("enabled: required field missing")},
		{`{"name":"limiting","config":{"second":1},"instance_name":"a b"}`,
			one("instance_name: invalid value 'a b': the only accepted ascii characters are alphanumerics or ., -, _, and ~")},
		{`{"config":{"second":1}}`, one("name: required field missing")},
		{`{"name":"limiting","config":{"second":1},"ordering":null}`, one("ordering: unknown field")},
	} {
		doc, wrong := c.New(decode(t, r.with), now)
		if (wrong == nil) != (r.message == "") || wrong != nil && wrong.Error() != r.message {
			t.Errorf("%s:\ngot  %v\nwant %s", r.with, wrong, r.message)
			continue
		}
		if wrong == nil && encode(t, doc["config"]) != `{"minute":null,"redis":{"host":"r","port":6379},"second":5}` {
			t.Errorf("%s", encode(t, doc["config"]))
		}
	}
	doc, wrong := c.New(decode(t, `{"name":"limiting","config":{"second":5}}`), now)
	if wrong != nil {
		t.Fatal(wrong)
	}
	if doc, wrong = c.Change(doc, decode(t, `{"config":{"minute":7,"redis":{"host":"h"}}}`), now); wrong != nil {
		t.Fatal(wrong)
	}
	if got := encode(t, doc["config"]); got != `{"minute":7,"redis":{"host":"h","port":6379},"second":5}` {
		t.Errorf("changed: %s", got)
	}
	for name, want := range map[string]string{
		"consumer":  `{"eq":null,"reference":"consumers","type":"foreign"}`,
		"protocols": `{"default":["grpc","grpcs","http","https"],"elements":{"one_of":["grpc","grpcs","http","https"],"type":"string"},"required":true,"type":"set"}`,
		"config": `{"fields":[{"second":{"gt":0,"type":"number"}},` +
			`{"minute":{"gt":0,"type":"number"}},{"redis":{"fields":[{"host":{"type":"string"}},` +
			`{"port":{"between":[0,65535],"default":6379,"type":"integer"}}],"required":true,"type":"record"}}],"required":true,` +
			`"shorthand_fields":[{"redis_host":{"deprecation":{"replaced_with":[{"path":["redis","host"]}]},"type":"string"}}],"type":"record"}`,
	} {
		if got := encode(t, c.Record.Field(name).Describe()); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
		}
	}
	checks := encode(t, c.Record.Describe()["entity_checks"])
	if checks != `[{"at_least_one_of":["config.second","config.minute"]}]` {
		t.Errorf("the rules are %s", checks)
	}
	stream := PluginsOf(limiting(), []string{"http", "tcp"}, false)
	if doc, wrong := stream.New(decode(t, `{"name":"x","config":{"second":1},"consumer":{"username":"u"}}`), now); wrong != nil ||
		encode(t, doc["protocols"]) != `["http","tcp"]` {
		t.Errorf("%v %v", doc, wrong)
	}
	if got := NotEnabled("x").Error(); got != one("name: plugin 'x' not enabled; add it to the 'plugins' configuration property") {
		t.Error(got)
	}
}
