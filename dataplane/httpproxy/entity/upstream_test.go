package entity

import (
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

func TestUpstreams(t *testing.T) {
	conditional := func(field, rest string) string {
		return "2 schema violations (failed conditional validation given value of field '" + field + "'; " + rest + ")"
	}
	const inputs = "expected one of: none, consumer, ip, header, cookie, path, query_arg, uri_capture"
	checkRows(t, "upstreams", []row{
		{`{"name":null}`, one("name: required field missing")},
		{`{"name":"a b"}`, one("name: Invalid name; must be a valid hostname")},
		{`{"name":"1.2.3.4"}`, one("name: Invalid name; no ip addresses allowed")},
		{`{"name":"a:80"}`, one("name: Invalid name; no port allowed")},
		{`{"algorithm":"latency"}`, ""},
		{`{"algorithm":"x"}`, one("algorithm: expected one of: consistent-hashing, least-connections, round-robin, latency")},
		{`{"hash_on":"x"}`, one("hash_on: " + inputs)},
		{`{"hash_fallback":"x"}`, "2 schema violations (failed conditional validation given value of field 'hash_on'; hash_fallback: " + inputs + ")"},
		{`{"hash_on":"ip"}`, ""},
		{`{"hash_on":"header"}`, conditional("hash_on", "hash_on_header: required field missing")},
		{`{"hash_on":"header","hash_on_header":"x-y"}`, ""},
		{`{"hash_on":"header","hash_on_header":"x y"}`, one("hash_on_header: bad header name 'x y', allowed characters are A-Z, a-z, 0-9, '_', and '-'")},
		{`{"hash_on":"query_arg"}`, conditional("hash_on", "hash_on_query_arg: required field missing")},
		{`{"hash_on":"uri_capture"}`, conditional("hash_on", "hash_on_uri_capture: required field missing")},
		{`{"hash_on":"cookie"}`, conditional("hash_on", "hash_on_cookie: required field missing")},
		{`{"hash_on":"cookie","hash_on_cookie":"c"}`, ""},
		{`{"hash_on":"cookie","hash_on_cookie":"c;"}`, one("hash_on_cookie: bad cookie name 'c;', allowed characters are A-Z, a-z, 0-9, '_', and '-'")},
		{`{"hash_on":"cookie","hash_on_cookie":"c","hash_fallback":"ip"}`, conditional("hash_on", "hash_fallback: expected one of: none")},
		{`{"hash_fallback":"ip"}`, conditional("hash_on", "hash_fallback: expected one of: none")},
		{`{"hash_on":"ip","hash_fallback":"header"}`, conditional("hash_fallback", "hash_fallback_header: required field missing")},
		{`{"hash_on":"ip","hash_fallback":"query_arg"}`, conditional("hash_fallback", "hash_fallback_query_arg: required field missing")},
		{`{"hash_on":"ip","hash_fallback":"uri_capture"}`, conditional("hash_fallback", "hash_fallback_uri_capture: required field missing")},
		{`{"hash_on":"ip","hash_fallback":"cookie"}`, conditional("hash_fallback", "hash_on_cookie: required field missing")},
		{`{"hash_on":"ip","hash_fallback":"ip"}`, conditional("hash_on", "hash_fallback: expected one of: none, consumer, header, cookie, path, query_arg, uri_capture")},
		{`{"hash_on":"consumer","hash_fallback":"consumer"}`, conditional("hash_on", "hash_fallback: expected one of: none, ip, header, cookie, path, query_arg, uri_capture")},
		{`{"hash_on":"path","hash_fallback":"path"}`, conditional("hash_on", "hash_fallback: expected one of: none, consumer, ip, header, cookie, query_arg, uri_capture")},
		{`{"hash_on":"header","hash_fallback":"header","hash_on_header":"a","hash_fallback_header":"b"}`, ""},
		{`{"hash_on":"header","hash_fallback":"header","hash_on_header":"a","hash_fallback_header":"a"}`,
			one("values of these fields must be distinct: 'hash_on_header', 'hash_fallback_header'")},
		{`{"hash_on_query_arg":"a","hash_fallback_query_arg":"a"}`,
			one("values of these fields must be distinct: 'hash_on_query_arg', 'hash_fallback_query_arg'")},
		{`{"hash_on_uri_capture":"a","hash_fallback_uri_capture":"a"}`,
			one("values of these fields must be distinct: 'hash_on_uri_capture', 'hash_fallback_uri_capture'")},
		{`{"hash_on_cookie_path":"a"}`, one("hash_on_cookie_path: should start with: /")},
		{`{"slots":10}`, ""},
		{`{"slots":9}`, one("slots: value should be between 10 and 65536")},
		{`{"host_header":"a:80"}`, ""},
		{`{"host_header":"a b"}`, one("host_header: invalid hostname: a b")},
		{`{"client_certificate":{"id":"` + idA + `"}}`, ""},
		{`{"use_srv_name":1}`, one("use_srv_name: expected a boolean")},
	})
}

func TestHealthChecks(t *testing.T) {
	with := func(s string) string { return `{"healthchecks":` + s + `}` }
	const counters = "value should be between 0 and 255"
	checkRows(t, "upstreams", []row{
		{with(`{"active":{"timeout":0.5,"healthy":{"interval":1,"successes":255},"headers":{"a":["b"]},"https_sni":"a.b"}}`), ""},
		{with(`null`), one("healthchecks: required field missing")},
		{with(`{"threshold":101}`), one("healthchecks.threshold: value should be between 0 and 100")},
		{with(`{"active":{"type":"x"}}`), one("healthchecks.active.type: expected one of: tcp, http, https, grpc, grpcs")},
		{with(`{"active":{"timeout":65536}}`), one("healthchecks.active.timeout: value should be between 0 and 65535")},
		{with(`{"active":{"concurrency":0}}`), one("healthchecks.active.concurrency: value should be between 1 and 2147483648")},
		{with(`{"active":{"http_path":"x"}}`), one("healthchecks.active.http_path: should start with: /")},
		{with(`{"active":{"https_sni":"1.2.3.4"}}`), one("healthchecks.active.https_sni: must not be an IP")},
		{with(`{"active":{"healthy":{"successes":256}}}`), one("healthchecks.active.healthy.successes: " + counters)},
		{with(`{"active":{"unhealthy":{"http_failures":-1}}}`), one("healthchecks.active.unhealthy.http_failures: " + counters)},
		{with(`{"passive":{"unhealthy":{"timeouts":256,"tcp_failures":256}}}`),
			"2 schema violations (healthchecks.passive.unhealthy.tcp_failures: " + counters + "; healthchecks.passive.unhealthy.timeouts: " + counters + ")"},
		{with(`{"passive":{"healthy":{"http_statuses":[200,99]}}}`), one("healthchecks.passive.healthy.http_statuses.2: value should be between 100 and 999")},
		{with(`{"passive":{"healthy":{"interval":1}}}`), one("healthchecks.passive.healthy.interval: unknown field")},
	})
	c := Find("upstreams")
	was, wrong := c.New(decode(t, `{"name":"u","healthchecks":{"active":{"healthy":{"interval":5,"http_statuses":[200]}}}}`), now)
	if wrong != nil {
		t.Fatal(wrong)
	}
	is, wrong := c.Change(was, decode(t, `{"healthchecks":{"active":{"healthy":{"successes":2},"timeout":3}}}`), now)
	if wrong != nil {
		t.Fatal(wrong)
	}
	var u Upstream
	if err := schema.Into(is, &u); err != nil {
		t.Fatal(err)
	}
	if h := u.HealthChecks.Active.Healthy; h.Interval != 5 || h.Successes != 2 || len(h.HTTPStatuses) != 1 || u.HealthChecks.Active.Timeout != 3 {
		t.Errorf("merged: %+v", u.HealthChecks.Active)
	}
}

func TestImpliedAlgorithm(t *testing.T) {
	c := Find("upstreams")
	for _, test := range []struct{ was, sent, algorithm, hashOn string }{
		{``, `{}`, "round-robin", "none"},
		{``, `{"hash_on":"ip"}`, "consistent-hashing", "ip"},
		{``, `{"hash_on":"ip","algorithm":"round-robin"}`, "consistent-hashing", "ip"},
		{``, `{"hash_on":"none","algorithm":"consistent-hashing"}`, "round-robin", "none"},
		{``, `{"algorithm":"consistent-hashing"}`, "consistent-hashing", "none"},
		{``, `{"hash_on":"ip","algorithm":"latency"}`, "latency", "none"},
		{`{"hash_on":"ip"}`, `{"algorithm":"least-connections"}`, "least-connections", "none"},
		{`{"hash_on":"ip"}`, `{"hash_on":"none"}`, "round-robin", "none"},
		{`{"hash_on":"ip"}`, `{"slots":10}`, "consistent-hashing", "ip"},
	} {
		doc, wrong := map[string]any(nil), (*schema.Violations)(nil)
		if test.was == "" {
			doc, wrong = c.New(decode(t, fields(t, test.sent, `{"name":"u"}`)), now)
		} else {
			if doc, wrong = c.New(decode(t, fields(t, test.was, `{"name":"u"}`)), now); wrong == nil {
				doc, wrong = c.Change(doc, decode(t, test.sent), now)
			}
		}
		if wrong != nil || doc["algorithm"] != test.algorithm || doc["hash_on"] != test.hashOn {
			t.Errorf("%s %s: %v %v %v", test.was, test.sent, doc["algorithm"], doc["hash_on"], wrong)
		}
	}
}

func TestTargets(t *testing.T) {
	checkRows(t, "targets", []row{
		{`{"weight":0}`, ""},
		{`{"weight":65536}`, one("weight: value should be between 0 and 65535")},
		{`{"target":null}`, one("target: required field missing")},
		{`{"target":"123"}`, one("target: Invalid target ('123'); not a valid hostname or ip address")},
		{`{"target":"a:b"}`, one("target: Invalid target ('a:b'); not a valid hostname or ip address")},
		{`{"upstream":null}`, one("upstream: required field missing")},
		{`{"upstream":{"name":"a b"}}`, one("upstream.name: invalid value 'a b': the only accepted ascii characters are alphanumerics or ., -, _, and ~")},
	})
	for target, want := range map[string]string{
		"a.b":           "a.b:8000",
		"a.b:1":         "a.b:1",
		"1.2.3.4":       "1.2.3.4:8000",
		"::1":           "[0000:0000:0000:0000:0000:0000:0000:0001]:8000",
		"[2001:DB8::a]": "[2001:0db8:0000:0000:0000:0000:0000:000a]:8000",
		"[::1]:80":      "[0000:0000:0000:0000:0000:0000:0000:0001]:80",
		"not one":       "not one",
	} {
		if got := TargetAddress(target); got != want {
			t.Errorf("%s: %s, want %s", target, got, want)
		}
		if again := TargetAddress(want); again != want {
			t.Errorf("%s again: %s", want, again)
		}
	}
}
