package entity

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

const (
	idA = "4e3ad2e4-0bc4-4638-8e34-c84a417ba39b"
	idB = "51e77dc2-8f3e-4afa-9d0e-0e3bbbcfd515"
)

var now = time.Unix(1422386534, 250e6)

func decode(t *testing.T, s string) map[string]any {
	t.Helper()
	doc, err := schema.DecodeObject([]byte(s))
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

// fields are members of an object in JSON with those of another one.
func fields(t *testing.T, base, with string) string {
	t.Helper()
	doc := decode(t, base)
	for k, v := range decode(t, with) {
		doc[k] = v
	}
	return encode(t, doc)
}

// valid are documents of each collection with nothing but what they need.
var valid = map[string]string{
	"services":        `{"host":"example.com"}`,
	"routes":          `{"paths":["/"]}`,
	"certificates":    `{"cert":` + quote(certs.rsa.cert) + `,"key":` + quote(certs.rsa.key) + `}`,
	"snis":            `{"name":"a.b","certificate":{"id":"` + idA + `"}}`,
	"ca_certificates": `{"cert":` + quote(certs.ca.cert) + `}`,
	"upstreams":       `{"name":"up"}`,
	"targets":         `{"target":"a.b","upstream":{"id":"` + idA + `"}}`,
	"consumers":       `{"username":"u"}`,
	"plugins":         `{"name":"p","config":{"a":1}}`,
	"key-auths":       `{"consumer":{"id":"` + idA + `"}}`,
	"basic-auths":     `{"consumer":{"id":"` + idA + `"},"username":"u","password":"p"}`,
	"jwts":            `{"consumer":{"id":"` + idA + `"}}`,
	"acls":            `{"consumer":{"id":"` + idA + `"},"group":"g"}`,
}

func quote(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(data)
}

// defaults are what the documents above become, without what is random.
var defaults = map[string]string{
	"services": `{"ca_certificates":null,"client_certificate":null,"connect_timeout":60000,"created_at":1422386534,"enabled":true,` +
		`"host":"example.com","name":null,"path":null,"port":80,"protocol":"http","read_timeout":60000,"retries":5,"tags":null,` +
		`"tls_verify":null,"tls_verify_depth":null,"updated_at":1422386534,"write_timeout":60000}`,
	"routes": `{"created_at":1422386534,"destinations":null,"headers":null,"hosts":null,"https_redirect_status_code":426,` +
		`"methods":null,"name":null,"path_handling":"v0","paths":["/"],"preserve_host":false,"protocols":["http","https"],` +
		`"regex_priority":0,"request_buffering":true,"response_buffering":true,"service":null,"snis":null,"sources":null,` +
		`"strip_path":true,"tags":null,"updated_at":1422386534}`,
	"certificates": `{"cert":` + quote(certs.rsa.cert) + `,"cert_alt":null,"created_at":1422386534,"key":` + quote(certs.rsa.key) +
		`,"key_alt":null,"tags":null,"updated_at":1422386534}`,
	"snis": `{"certificate":{"id":"` + idA + `"},"created_at":1422386534,"name":"a.b","tags":null,"updated_at":1422386534}`,
	"ca_certificates": `{"cert":` + quote(certs.ca.cert) + `,"cert_digest":"` + certs.ca.digest +
		`","created_at":1422386534,"tags":null,"updated_at":1422386534}`,
	"upstreams": `{"algorithm":"round-robin","client_certificate":null,"created_at":1422386534,"hash_fallback":"none",` +
		`"hash_fallback_header":null,"hash_fallback_query_arg":null,"hash_fallback_uri_capture":null,"hash_on":"none",` +
		`"hash_on_cookie":null,"hash_on_cookie_path":"/","hash_on_header":null,"hash_on_query_arg":null,"hash_on_uri_capture":null,` +
		`"healthchecks":{"active":{"concurrency":10,"headers":null,"healthy":{"http_statuses":[200,302],"interval":0,"successes":0},` +
		`"http_path":"/","https_sni":null,"https_verify_certificate":true,"timeout":1,"type":"http",` +
		`"unhealthy":{"http_failures":0,"http_statuses":[429,404,500,501,502,503,504,505],"interval":0,"tcp_failures":0,"timeouts":0}},` +
		`"passive":{"healthy":{"http_statuses":[200,201,202,203,204,205,206,207,208,226,300,301,302,303,304,305,306,307,308],"successes":0},` +
		`"type":"http","unhealthy":{"http_failures":0,"http_statuses":[429,500,503],"tcp_failures":0,"timeouts":0}},"threshold":0},` +
		`"host_header":null,"name":"up","slots":10000,"tags":null,"updated_at":1422386534,"use_srv_name":false}`,
	"targets": `{"created_at":1422386534.25,"tags":null,"target":"a.b:8000","updated_at":1422386534.25,"upstream":{"id":"` + idA +
		`"},"weight":100}`,
	"consumers": `{"created_at":1422386534,"custom_id":null,"tags":null,"updated_at":1422386534,"username":"u"}`,
	"plugins": `{"config":{"a":1},"consumer":null,"created_at":1422386534,"enabled":true,"instance_name":null,"name":"p",` +
		`"protocols":["grpc","grpcs","http","https"],"route":null,"service":null,"tags":null,"updated_at":1422386534}`,
	"key-auths": `{"consumer":{"id":"` + idA + `"},"created_at":1422386534,"tags":null,"ttl":null}`,
	"basic-auths": `{"consumer":{"id":"` + idA + `"},"created_at":1422386534,"password":"` + HashPassword("p", idA) +
		`","tags":null,"username":"u"}`,
	"jwts": `{"algorithm":"HS256","consumer":{"id":"` + idA + `"},"created_at":1422386534,"rsa_public_key":null,"tags":null}`,
	"acls": `{"consumer":{"id":"` + idA + `"},"created_at":1422386534,"group":"g","tags":null}`,
}

// structs are what documents are in the gateway.
var structs = map[string]func() any{
	"services":        func() any { return new(Service) },
	"routes":          func() any { return new(Route) },
	"certificates":    func() any { return new(Certificate) },
	"snis":            func() any { return new(SNI) },
	"ca_certificates": func() any { return new(CACertificate) },
	"upstreams":       func() any { return new(Upstream) },
	"targets":         func() any { return new(Target) },
	"consumers":       func() any { return new(Consumer) },
	"plugins":         func() any { return new(Plugin) },
	"key-auths":       func() any { return new(Credential) },
	"basic-auths":     func() any { return new(Credential) },
	"jwts":            func() any { return new(Credential) },
	"acls":            func() any { return new(Credential) },
}

func TestDefaults(t *testing.T) {
	for _, c := range Collections() {
		doc, wrong := c.New(decode(t, valid[c.Name]), now)
		if wrong != nil {
			t.Errorf("%s: %v", c.Name, wrong)
			continue
		}
		dst := structs[c.Name]()
		if err := schema.Into(doc, dst); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		again := c.Record.Complete(doc)
		if wrong := c.Record.Validate(again); wrong != nil || !schema.Equal(again, doc) {
			t.Errorf("%s: completed again it is %s: %v", c.Name, encode(t, again), wrong)
		}
		made := append([]string{"id"}, c.random...)
		for _, name := range made {
			if s, _ := doc[name].(string); len(s) < 32 {
				t.Errorf("%s: %s is %v", c.Name, name, doc[name])
			}
			delete(doc, name)
		}
		if got := encode(t, doc); got != defaults[c.Name] {
			t.Errorf("%s:\ngot  %s\nwant %s", c.Name, got, defaults[c.Name])
		}
	}
}

// good and bad are members added to a valid document.
type row struct{ with, message string }

func checkRows(t *testing.T, collection string, rows []row) {
	t.Helper()
	c := Find(collection)
	for _, r := range rows {
		doc, wrong := c.New(decode(t, fields(t, valid[collection], r.with)), now)
		switch {
		case r.message == "" && wrong != nil:
			t.Errorf("%s %s: %v", collection, r.with, wrong)
		case r.message != "" && (wrong == nil || wrong.Error() != r.message):
			t.Errorf("%s %s:\ngot  %v\nwant %s", collection, r.with, wrong, r.message)
		case wrong == nil:
			if err := schema.Into(doc, structs[collection]()); err != nil {
				t.Errorf("%s %s: %v", collection, r.with, err)
			}
		}
	}
}

// one is the message of one violation.
func one(text string) string { return "schema violation (" + text + ")" }

func TestCommonFields(t *testing.T) {
	for _, c := range Collections() {
		rows := []row{
			{`{"id":"` + idB + `"}`, ""},
			{`{"id":"x"}`, one("id: expected a valid UUID")},
			{`{"id":null,"created_at":null,"tags":null}`, ""},
			{`{"created_at":1}`, ""},
			{`{"created_at":"1"}`, one("created_at: expected an integer")},
			{`{"tags":["a b","é","a b"]}`, ""},
			{`{"tags":[]}`, ""},
			{`{"tags":["a,b"]}`, one("tags.1: invalid tag 'a,b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences")},
			{`{"tags":["a","a/b"]}`, one("tags.2: invalid tag 'a/b': expected printable ascii (except `,` and `/`) or valid utf-8 sequences")},
			{`{"tags":[""]}`, one("tags.1: length must be at least 1")},
			{`{"tags":"a"}`, one("tags: expected a set")},
			{`{"unheard":1}`, one("unheard: unknown field")},
		}
		if c.Fractional {
			rows[4].message = one("created_at: expected a number")
		}
		checkRows(t, c.Name, rows)
	}
}

func TestCollectionsAgree(t *testing.T) {
	for _, c := range Collections() {
		for _, f := range c.Foreign {
			field := c.Record.Field(f.Field)
			if field == nil || field.Reference != f.Collection || Find(f.Collection) == nil {
				t.Errorf("%s: the foreign key %s", c.Name, f.Field)
			}
		}
		for _, f := range c.Record.Fields {
			isKey := slices.ContainsFunc(c.Foreign, func(k ForeignKey) bool { return k.Field == f.Name })
			if (f.Type == schema.Foreign) != isKey {
				t.Errorf("%s: %s is not among the foreign keys", c.Name, f.Name)
			}
			unique := slices.ContainsFunc(c.Unique, func(u Unique) bool { return slices.Equal(u.Fields, []string{f.Name}) })
			if f.Unique != unique {
				t.Errorf("%s: %s is unique: %v, but %v among the constraints", c.Name, f.Name, f.Unique, unique)
			}
		}
		if c.Key != "" && c.Record.Field(c.Key) == nil {
			t.Errorf("%s: has no field %s", c.Name, c.Key)
		}
		if !c.HasTags() || c.HasUpdatedAt() != (c.Nested == "") {
			t.Errorf("%s: tags %v, updated_at %v", c.Name, c.HasTags(), c.HasUpdatedAt())
		}
		if first, second := encode(t, c.Record.Describe()), encode(t, c.Record.Describe()); first != second {
			t.Errorf("%s: described differently each time", c.Name)
		}
	}
	if Find("nothing") != nil {
		t.Error("found nothing")
	}
}

// Clients fill in defaults from the description, and compare with what they
// are answered: both must be the same.
func TestDescriptionsHaveTheDefaults(t *testing.T) {
	var fill func(fields []any) map[string]any
	fill = func(fields []any) map[string]any {
		doc := map[string]any{}
		for _, f := range fields {
			for name, about := range f.(map[string]any) {
				about := about.(map[string]any)
				switch {
				case about["default"] != nil:
					doc[name] = about["default"]
				case about["fields"] != nil && about["required"] == true:
					doc[name] = fill(about["fields"].([]any))
				case about["required"] != true && about["auto"] != true:
					doc[name] = nil
				}
			}
		}
		return doc
	}
	for _, c := range Collections() {
		described, err := schema.DecodeObject([]byte(encode(t, c.Record.Describe())))
		if err != nil {
			t.Fatal(err)
		}
		want := fill(described["fields"].([]any))
		if got := c.Record.Complete(nil); encode(t, got) != encode(t, want) {
			t.Errorf("%s:\ngot  %s\nwant %s", c.Name, encode(t, got), encode(t, want))
		}
	}
}

func TestChange(t *testing.T) {
	c := Find("services")
	was, wrong := c.New(decode(t, `{"name":"n","host":"a","retries":9,"tags":["x"],"updated_at":1,"created_at":1}`), now)
	if wrong != nil {
		t.Fatal(wrong)
	}
	later := now.Add(time.Hour)
	is, wrong := c.Change(was, decode(t, `{"name":null,"tags":[],"url":"https://b/c"}`), later)
	if wrong != nil {
		t.Fatal(wrong)
	}
	for name, want := range map[string]any{
		"id": was["id"], "created_at": int64(1), "updated_at": later.Unix(), "name": nil, "retries": int64(9),
		"host": "b", "port": int64(443), "path": "/c", "tags": []any{},
	} {
		if !schema.Equal(is[name], want) {
			t.Errorf("%s is %v, want %v", name, is[name], want)
		}
	}
	for _, r := range []row{
		{`{"host":null}`, one("host: required field missing")},
		{`{"retries":null}`, ""},
		{`{"protocol":"grpc"}`, ""},
		{`{"protocol":"grpc","path":"/"}`, "2 schema violations (failed conditional validation given value of field 'protocol'; path: value must be null)"},
	} {
		if _, wrong := c.Change(was, decode(t, r.with), later); (wrong == nil) != (r.message == "") || wrong != nil && wrong.Error() != r.message {
			t.Errorf("%s: %v", r.with, wrong)
		}
	}
}

func TestRandomKey(t *testing.T) {
	a, b := RandomKey(), RandomKey()
	if len(a) != 32 || a == b || strings.Trim(a, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
		t.Errorf("%s, %s", a, b)
	}
}
