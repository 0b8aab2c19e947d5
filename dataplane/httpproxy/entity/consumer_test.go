package entity

import (
	"testing"
)

func TestConsumers(t *testing.T) {
	const none = "at least one of these fields must be non-empty: 'custom_id', 'username'"
	checkRows(t, "consumers", []row{
		{`{"username":null,"custom_id":"1"}`, ""},
		{`{"username":null}`, one(none)},
		{`{"username":""}`, "2 schema violations (" + none + "; username: length must be at least 1)"},
		{`{"username":7}`, one("username: expected a string")},
	})
}

func TestCredentials(t *testing.T) {
	for _, name := range []string{"key-auths", "basic-auths", "jwts", "acls"} {
		checkRows(t, name, []row{
			{`{"consumer":null}`, one("consumer: required field missing")},
			{`{"consumer":{"id":"x"}}`, one("consumer.id: expected a valid UUID")},
			{`{"updated_at":1}`, one("updated_at: unknown field")},
		})
	}
	checkRows(t, "key-auths", []row{
		{`{"key":"k","ttl":10}`, ""},
		{`{"key":""}`, one("key: length must be at least 1")},
		{`{"ttl":-1}`, one("ttl: value should be between 0 and 100000000")},
	})
	checkRows(t, "basic-auths", []row{
		{`{"username":null}`, one("username: required field missing")},
		{`{"password":null}`, one("password: required field missing")},
		{`{"password":""}`, one("password: length must be at least 1")},
	})
	checkRows(t, "acls", []row{
		{`{"group":null}`, one("group: required field missing")},
	})
	rows := []row{
		{`{"key":"k","secret":"s","algorithm":"HS512"}`, ""},
		{`{"algorithm":"ES256"}`, ""},
		{`{"algorithm":"none"}`, one("algorithm: expected one of: HS256, HS384, HS512, RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512, EdDSA")},
		{`{"algorithm":"RS256","rsa_public_key":` + quote(certs.rsa.public) + `}`, ""},
		{`{"algorithm":"RS256","rsa_public_key":"x"}`, one("rsa_public_key: invalid key")},
		{`{"algorithm":"RS256","rsa_public_key":` + quote(certs.rsa.key) + `}`, one("rsa_public_key: invalid key")},
	}
	for _, algorithm := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"} {
		rows = append(rows, row{`{"algorithm":"` + algorithm + `"}`,
			"2 schema violations (failed conditional validation given value of field 'algorithm'; rsa_public_key: required field missing)"})
	}
	checkRows(t, "jwts", rows)
}

func TestPasswords(t *testing.T) {
	c := Find("basic-auths")
	was, wrong := c.New(decode(t, valid["basic-auths"]), now)
	if wrong != nil {
		t.Fatal(wrong)
	}
	// The SHA-1 of "p4e3ad2e4-0bc4-4638-8e34-c84a417ba39b".
	if was["password"] != HashPassword("p", idA) || len(was["password"].(string)) != 40 {
		t.Errorf("the password is %v", was["password"])
	}
	for _, r := range []struct{ sent, password, wrong string }{
		{`{"username":"v"}`, HashPassword("p", idA), ""},
		{`{"consumer":{"id":"` + idA + `"}}`, HashPassword("p", idA), ""},
		{`{"password":"q"}`, HashPassword("q", idA), ""},
		{`{"password":"q","consumer":{"id":"` + idB + `"}}`, HashPassword("q", idB), ""},
		{`{"consumer":{"id":"` + idB + `"}}`, "", one("all or none of these fields must be set: 'password', 'consumer.id'")},
	} {
		is, wrong := c.Change(was, decode(t, r.sent), now)
		if (wrong == nil) != (r.wrong == "") || wrong != nil && wrong.Error() != r.wrong || wrong == nil && is["password"] != r.password {
			t.Errorf("%s: %v %v", r.sent, is["password"], wrong)
		}
	}
	if got := HashPassword("abc", ""); got != "a9993e364706816aba3e25717850c26c9cd0d89d" {
		t.Errorf("SHA-1 of abc: %s", got)
	}
}
