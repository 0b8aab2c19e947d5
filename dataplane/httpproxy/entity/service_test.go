package entity

import (
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

func TestServices(t *testing.T) {
	const conditional = "failed conditional validation given value of field 'protocol'"
	protocols := "expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp"
	checkRows(t, "services", []row{
		{`{"name":"a.B-c_d~é1"}`, ""},
		{`{"name":""}`, one("name: length must be at least 1")},
		{`{"name":"a b"}`, one("name: invalid value 'a b': the only accepted ascii characters are alphanumerics or ., -, _, and ~")},
		{`{"name":1}`, one("name: expected a string")},
		{`{"retries":0}`, ""},
		{`{"retries":32767.0}`, ""},
		{`{"retries":32768}`, one("retries: value should be between 0 and 32767")},
		{`{"retries":"5"}`, one("retries: expected an integer")},
		{`{"retries":null}`, ""},
		{`{"protocol":"tls_passthrough"}`, ""},
		{`{"protocol":"ftp"}`, one("protocol: " + protocols)},
		{`{"protocol":null}`, one("protocol: required field missing")},
		{`{"host":"127.0.0.1"}`, ""},
		{`{"host":"::1"}`, ""},
		{`{"host":"a_b.c-d."}`, ""},
		{`{"host":null}`, one("host: required field missing")},
		{`{"host":"a:80"}`, one("host: must not have a port")},
		{`{"host":"a:x"}`, one("host: must not have a port")},
		{`{"host":"[::1]:80"}`, one("host: must not have a port")},
		{`{"host":"a b"}`, one("host: invalid value: a b")},
		{`{"host":"-a"}`, one("host: invalid value: -a")},
		{`{"host":"1.2.3"}`, one("host: invalid value: 1.2.3")},
		{`{"port":0}`, ""},
		{`{"port":65536}`, one("port: value should be between 0 and 65535")},
		{`{"port":null}`, one("port: required field missing")},
		{`{"port":"80"}`, one("port: expected an integer")},
		{`{"path":"/a/%20b:@!$&'()*+,;="}`, ""},
		{`{"path":null}`, ""},
		{`{"path":"a"}`, one("path: should start with: /")},
		{`{"path":"/a//b"}`, one("path: must not have empty segments")},
		{`{"path":"/a?b"}`, one("path: invalid path: '/a?b' (characters outside of the reserved list of RFC 3986 found)")},
		{`{"path":"/%zz/"}`, one("path: invalid url-encoded value: '%zz'")},
		{`{"path":"/%2"}`, one("path: invalid url-encoded value: '%2'")},
		{`{"connect_timeout":1}`, ""},
		{`{"connect_timeout":0}`, one("connect_timeout: value should be between 1 and 2147483646")},
		{`{"write_timeout":2147483647}`, one("write_timeout: value should be between 1 and 2147483646")},
		{`{"read_timeout":1.5}`, one("read_timeout: expected an integer")},
		{`{"protocol":"https","client_certificate":{"id":"` + idA + `"},"tls_verify":true,"tls_verify_depth":64,"ca_certificates":["` + idA + `"]}`, ""},
		{`{"protocol":"tls","tls_verify":false}`, ""},
		{`{"protocol":"https","tls_verify_depth":65}`, one("tls_verify_depth: value should be between 0 and 64")},
		{`{"protocol":"https","ca_certificates":["x"]}`, one("ca_certificates.1: expected a valid UUID")},
		{`{"protocol":"https","client_certificate":{"id":"x"}}`, one("client_certificate.id: expected a valid UUID")},
		{`{"client_certificate":{"id":"` + idA + `"}}`, ""},
		{`{"protocol":"grpc","client_certificate":{"id":"` + idA + `"}}`, "2 schema violations (" + conditional + "; client_certificate: value must be null)"},
		{`{"tls_verify":false}`, "2 schema violations (" + conditional + "; tls_verify: value must be null)"},
		{`{"tls_verify_depth":1}`, "2 schema violations (" + conditional + "; tls_verify_depth: value must be null)"},
		{`{"ca_certificates":[]}`, "2 schema violations (" + conditional + "; ca_certificates: value must be null)"},
		{`{"protocol":"tcp","path":"/"}`, "2 schema violations (" + conditional + "; path: value must be null)"},
		{`{"protocol":"grpcs","path":"/","tls_verify":true}`, "4 schema violations (" + conditional + "; " + conditional +
			"; path: value must be null; tls_verify: value must be null)"},
		{`{"enabled":false}`, ""},
		{`{"enabled":null}`, one("enabled: required field missing")},
		{`{"enabled":"true"}`, one("enabled: expected a boolean")},
	})
}

func TestURL(t *testing.T) {
	for _, c := range []struct{ url, want string }{
		{`"http://a.b"`, `{"host":"a.b","path":null,"port":80,"protocol":"http"}`},
		{`"https://a.b/c/d?e=f#g"`, `{"host":"a.b","path":"/c/d","port":443,"protocol":"https"}`},
		{`"HTTPS://u:p@a.b:80/"`, `{"host":"a.b","path":"/","port":80,"protocol":"https"}`},
		{`"http://a:443"`, `{"host":"a","path":null,"port":443,"protocol":"http"}`},
		{`"//a:443"`, `{"host":"a","path":null,"port":443,"protocol":"http"}`},
		{`"http://[::1]:8080/x"`, `{"host":"::1","path":"/x","port":8080,"protocol":"http"}`},
		{`"grpc://a"`, `{"host":"a","path":null,"port":80,"protocol":"grpc"}`},
		{`"http://a?b"`, `{"host":"a","path":null,"port":80,"protocol":"http"}`},
		{`""`, `{"host":null,"path":null,"port":80,"protocol":"http"}`},
		{`"nothing like it"`, `{"host":null,"path":"nothing like it","port":80,"protocol":"http"}`},
		{`"http://a:bc"`, `{"host":"a","path":null,"port":"bc","protocol":"http"}`},
		{`7`, `{"host":null,"path":"7","port":80,"protocol":"http"}`},
		{`null`, `{"host":null}`},
	} {
		doc := decode(t, `{"url":`+c.url+`}`)
		expandURL(doc)
		if got := encode(t, doc); got != c.want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.url, got, c.want)
		}
	}
	doc := decode(t, `{"url":"https://a/b","host":"x","port":1,"protocol":"tcp","path":"/y"}`)
	expandURL(doc)
	if got := encode(t, doc); got != `{"host":"a","path":"/b","port":443,"protocol":"https"}` {
		t.Errorf("beside other fields: %s", got)
	}
	checkRows(t, "services", []row{
		{`{"url":"https://a/b"}`, ""},
		{`{"url":"http://a:70000"}`, one("port: value should be between 0 and 65535")},
		{`{"url":""}`, one("host: required field missing")},
		{`{"url":"nothing"}`, "2 schema violations (host: required field missing; path: should start with: /)"},
		{`{"url":"ftp://a"}`, one("protocol: expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp")},
	})
	pairs, err := schema.ParseForm("name=n&url=http://a/b&port=5")
	if err != nil {
		t.Fatal(err)
	}
	form, err := Find("services").Record.FromForm(pairs)
	if err != nil {
		t.Fatal(err)
	}
	if got := encode(t, form); got != `{"name":"n","port":5,"url":"http://a/b"}` {
		t.Errorf("the form: %s", got)
	}
}
