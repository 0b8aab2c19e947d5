package schema

import (
	"encoding/json"
	"testing"
)

// example has a field of each type.
func example() Record {
	return Record{
		Name: "example",
		Fields: []Field{
			ID(), Time("created_at"),
			{Name: "name", Type: String, Check: Name},
			{Name: "host", Type: String, Required: true, Check: HostName},
			Int("port", 0, 65535, 80),
			{Name: "share", Type: Number, Above: Above(0)},
			Bool("on", true),
			Strings("paths", RoutePath),
			{Name: "methods", Type: Set, Elements: &Field{Type: String, Check: Method}},
			{Name: "headers", Type: Map, Keys: &Field{Type: String, Check: HeaderName},
				Values: &Field{Type: Array, Elements: &Field{Type: String}}},
			{Name: "parent", Type: Foreign, Reference: "services", Alternatives: []Field{{Name: "name", Type: String, Check: Name}}},
			{Name: "config", Type: RecordT, Required: true, Aliases: map[string][]string{"redis_host": {"redis", "host"}},
				Fields: []Field{
					Choice("policy", "local", "local", "redis"),
					Nested("redis", Field{Name: "host", Type: String, Check: HostName}, Int("port", 0, 65535, 6379)),
				},
				Checks: []Check{RequiredIf("policy", "redis", "redis.host")}},
			{Name: "sources", Type: Set, Elements: &Field{Type: RecordT, Fields: []Field{
				{Name: "ip", Type: String, Check: IPOrCIDR}, Int("port", 0, 65535, nil)},
				Checks: []Check{AtLeastOneOf("ip", "port")}}},
			{Name: "any", Type: JSON},
			Tags(),
		},
		Checks: []Check{MutuallyExclusive("paths", "methods")},
	}
}

func decode(t *testing.T, s string) map[string]any {
	t.Helper()
	doc, err := DecodeObject([]byte(s))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return doc
}

func encode(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestComplete(t *testing.T) {
	r := example()
	doc := decode(t, `{"host":"a.b","config":{"redis_host":"r"},"tags":["x","y","x"],"sources":[{"ip":"::1"}]}`)
	want := `{"any":null,"config":{"policy":"local","redis":{"host":"r","port":6379}},"headers":null,"host":"a.b",` +
		`"methods":null,"name":null,"on":true,"parent":null,"paths":null,"port":80,"share":null,` +
		`"sources":[{"ip":"::1","port":null}],"tags":["x","y"]}`
	full := r.Complete(doc)
	if got := encode(t, full); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if v := r.Validate(full); v != nil {
		t.Error(v)
	}
	if got := encode(t, doc); got != `{"config":{"redis_host":"r"},"host":"a.b","sources":[{"ip":"::1"}],"tags":["x","y","x"]}` {
		t.Errorf("the document was changed: %s", got)
	}
}

func TestValidate(t *testing.T) {
	r := example()
	for _, c := range []struct{ doc, message, fields string }{
		{`{}`, `schema violation (host: required field missing)`, `{"host":"required field missing"}`},
		{`{"host":"a:1","port":70000}`, `2 schema violations (host: must not have a port; port: value should be between 0 and 65535)`, ``},
		{`{"host":"a","port":"80"}`, `schema violation (port: expected an integer)`, ``},
		{`{"host":"a","port":8.5}`, `schema violation (port: expected an integer)`, ``},
		{`{"host":"a","nope":null}`, `schema violation (nope: unknown field)`, ``},
		{`{"host":"a","methods":["GET","get","PUT"]}`, `schema violation (methods.2: invalid value: get)`, `{"methods":[null,"invalid value: get"]}`},
		{`{"host":"a","parent":{}}`, `schema violation (parent.id: missing primary key)`, `{"parent":{"id":"missing primary key"}}`},
		{`{"host":"a","parent":{"id":"x"}}`, `schema violation (parent.id: expected a valid UUID)`, ``},
		{`{"host":"a","parent":{"name":"a/b"}}`, `schema violation (parent.name: invalid value 'a/b': the only accepted ascii characters are alphanumerics or ., -, _, and ~)`, ``},
		{`{"host":"","on":null,"name":7}`, `3 schema violations (host: length must be at least 1; name: expected a string; on: required field missing)`, ``},
		{`{"host":"a","methods":["A"],"paths":["/"],"share":0}`,
			`2 schema violations (only one or none of these fields must be set: 'paths', 'methods'; share: value must be greater than 0)`,
			`{"@entity":["only one or none of these fields must be set: 'paths', 'methods'"],"share":"value must be greater than 0"}`},
		{`{"host":"a","config":{"policy":"redis"}}`,
			`2 schema violations (config.@entity: failed conditional validation given value of field 'policy'; config.redis.host: required field missing)`,
			`{"config":{"@entity":["failed conditional validation given value of field 'policy'"],"redis":{"host":"required field missing"}}}`},
		{`{"host":"a","config":{"policy":"x"}}`, `schema violation (config.policy: expected one of: local, redis)`, ``},
		{`{"host":"a","config":null}`, `schema violation (config: required field missing)`, ``},
		{`{"host":"a","config":[]}`, `schema violation (config: expected a record)`, ``},
		{`{"host":"a","headers":[]}`, `schema violation (headers: expected a map)`, ``},
		{`{"host":"a","headers":{"x":["1",2]}}`, `schema violation (headers.2: expected a string)`, ``},
		{`{"host":"a","tags":{"x":1}}`, `schema violation (tags: expected a set)`, ``},
		{`{"host":"a","tags":[null]}`, `schema violation (tags.1: required field missing)`, ``},
		{`{"host":"a","sources":[{"port":1},{}]}`, `schema violation (sources.2.@entity: at least one of these fields must be non-empty: 'ip', 'port')`, ``},
	} {
		v := r.Validate(r.Complete(decode(t, c.doc)))
		if v == nil {
			t.Errorf("%s: is valid", c.doc)
			continue
		}
		if v.Error() != c.message {
			t.Errorf("%s:\ngot  %s\nwant %s", c.doc, v, c.message)
		}
		if got := encode(t, v.Fields); c.fields != "" && got != c.fields {
			t.Errorf("%s:\ngot  %s\nwant %s", c.doc, got, c.fields)
		}
	}
}

func TestMerge(t *testing.T) {
	r := example()
	doc := r.Complete(decode(t, `{"host":"a","name":"n","headers":{"a":["1"],"b":["2"]},"config":{"redis":{"host":"r","port":1}}}`))
	was := encode(t, doc)
	got := r.Merge(doc, decode(t, `{"name":null,"headers":{"c":["3"]},"config":{"redis":{"port":2}}}`))
	want := r.Complete(decode(t, `{"host":"a","headers":{"c":["3"]},"config":{"redis":{"host":"r","port":2}}}`))
	if !Equal(got, want) {
		t.Errorf("got  %s\nwant %s", encode(t, got), encode(t, want))
	}
	got = r.Merge(doc, decode(t, `{"config":{"redis_host":"s"}}`))
	if h := Get(got, "config.redis.host"); h != "s" || Get(got, "config.redis.port") != int64(1) {
		t.Errorf("through an alias: %s", encode(t, got))
	}
	if encode(t, doc) != was {
		t.Error("the document was changed")
	}
}

func TestAliases(t *testing.T) {
	r := example()
	config := r.Field("config")
	config.Aliases["redis_secret"] = []string{"redis", "secret"}
	config.Fields[1].Fields = append(config.Fields[1].Fields, Field{Name: "secret", Type: String, Hidden: true})
	for _, c := range []struct{ config, want string }{
		{`{"redis_host":"a"}`, `"a"`},
		{`{"redis_host":"a","redis":null}`, `"a"`},
		{`{"redis_host":"a","redis":{"host":null}}`, `"a"`},
		{`{"redis_host":"a","redis":{"host":"a"}}`, `"a"`},
		{`{"redis_host":null,"redis":{"host":"b"}}`, `"b"`},
		{`{"redis_host":null}`, `null`},
		{`{"redis_host":"a","redis":{"host":"b"}}`,
			"schema violation (config.redis_host: both deprecated and new field are used but their values mismatch: redis_host = a vs redis.host = b)"},
		{`{"redis_secret":"a","redis":{"secret":"b"}}`,
			"schema violation (config.redis_secret: both deprecated and new field are used but their values mismatch: redis_secret vs redis.secret)"},
		{`{"redis_host":"a","redis":7}`, "2 schema violations (config.redis: expected a record; config.redis_host: unknown field)"},
	} {
		full := r.Complete(decode(t, `{"host":"h","config":`+c.config+`}`))
		if v := r.Validate(full); v != nil {
			if v.Error() != c.want {
				t.Errorf("%s: %v", c.config, v)
			}
			continue
		}
		if got := encode(t, Get(full, "config.redis.host")); got != c.want {
			t.Errorf("%s: %s", c.config, got)
		}
		shown := r.Show(full)
		if encode(t, Get(shown, "config.redis_host")) != c.want || Get(full, "config.redis_host") != nil {
			t.Errorf("%s: shown as %s", c.config, encode(t, shown))
		}
		if again := r.Complete(shown); !Equal(again, full) {
			t.Errorf("%s: taken back %s", c.config, encode(t, again))
		}
	}
}

func TestFromForm(t *testing.T) {
	r := example()
	for _, c := range []struct{ form, want string }{
		{``, `{}`},
		{`host=a&port=80&on=false&name=`, `{"host":"a","name":null,"on":false,"port":80}`},
		{`port=x&on=yes&share=0.5`, `{"on":"yes","port":"x","share":0.5}`},
		{`paths=/a`, `{"paths":["/a"]}`},
		{`paths=`, `{"paths":null}`},
		{`paths=/a&paths=/b`, `{"paths":["/a","/b"]}`},
		{`paths[]=/a&paths%5B%5D=/b`, `{"paths":["/a","/b"]}`},
		{`paths[2]=/b&paths[1]=/a`, `{"paths":["/a","/b"]}`},
		{`paths[3]=/b&paths[1]=/a`, `{"paths":{"1":"/a","3":"/b"}}`},
		{`headers.x-v=1&headers.y[]=2&headers[z]=3&headers.a.b=4`, `{"headers":{"a.b":["4"],"x-v":["1"],"y":["2"],"z":["3"]}}`},
		{`parent.id=x`, `{"parent":{"id":"x"}}`},
		{`parent[name]=7`, `{"parent":{"name":"7"}}`},
		{`config.redis.port=5&config.redis_host=9`, `{"config":{"redis":{"port":5},"redis_host":"9"}}`},
		{`sources[1].ip=a&sources[1].port=4&sources[2][port]=5`, `{"sources":[{"ip":"a","port":4},{"port":5}]}`},
		{`what=1&else.x=2&more[]=3`, `{"else":{"x":"2"},"more":["3"],"what":"1"}`},
		{`name=a&name=b`, `{"name":["a","b"]}`},
		{`host=a%20b+c`, `{"host":"a b c"}`},
	} {
		pairs, err := ParseForm(c.form)
		if err != nil {
			t.Errorf("%s: %v", c.form, err)
			continue
		}
		doc, err := r.FromForm(pairs)
		if err != nil {
			t.Errorf("%s: %v", c.form, err)
			continue
		}
		if got := encode(t, doc); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.form, got, c.want)
		}
	}
	for form, want := range map[string]string{
		`config=1&config.x=2`: `schema violation (config: is given in several ways that contradict each other)`,
		`a.b=2&a=1`:           `schema violation (a: is given in several ways that contradict each other)`,
		`a[]=2&a.b=1`:         `schema violation (a: is given in several ways that contradict each other)`,
		`a[x=2`:               `schema violation (a: has no closing bracket)`,
		`a[x]y=2`:             `schema violation (a: has text after a bracket)`,
	} {
		pairs, err := ParseForm(form)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.FromForm(pairs); err == nil || err.Error() != want {
			t.Errorf("%s: %v", form, err)
		}
	}
}
