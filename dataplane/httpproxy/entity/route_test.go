package entity

import (
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

func TestRoutes(t *testing.T) {
	const oneOf = "expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp"
	checkRows(t, "routes", []row{
		{`{"name":"a/b"}`, one("name: invalid value 'a/b': the only accepted ascii characters are alphanumerics or ., -, _, and ~")},
		{`{"protocols":["https"]}`, ""},
		{`{"protocols":["http","http"]}`, ""},
		{`{"protocols":[]}`, one("protocols: length must be at least 1")},
		{`{"protocols":null}`, one("protocols: required field missing")},
		{`{"protocols":"http"}`, one("protocols: expected a set")},
		{`{"protocols":["ftp","http"]}`, one("protocols.1: " + oneOf)},
		{`{"protocols":["http","tcp"]}`, one("protocols: these sets are mutually exclusive: ('http', 'https'), ('tcp', 'tls', 'udp')")},
		{`{"protocols":["http","grpc"]}`, one("protocols: these sets are mutually exclusive: ('http', 'https'), ('grpc', 'grpcs')")},
		{`{"methods":["GET","PROPFIND"]}`, ""},
		{`{"methods":["GET","get"]}`, one("methods.2: invalid value: get")},
		{`{"hosts":["a.b","A.b:8000","*.a.b","a.*","a.*:80","1.2.3.4:80","[::1]:80"]}`, ""},
		{`{"hosts":["*a.b"]}`, one("hosts.1: invalid wildcard: must be placed at leftmost or rightmost label")},
		{`{"hosts":["a.*.b"]}`, one("hosts.1: invalid wildcard: must be placed at leftmost or rightmost label")},
		{`{"hosts":["*.a.*"]}`, one("hosts.1: invalid wildcard: must have at most one wildcard")},
		{`{"hosts":["a","a:70000"]}`, one("hosts.2: invalid port number")},
		{`{"hosts":["a b"]}`, one("hosts.1: invalid hostname: a b")},
		{`{"hosts":[""]}`, one("hosts.1: length must be at least 1")},
		{`{"paths":["/","/a/","/a%2Fb","/é","~/a(?<x>\\d+)$"]}`, ""},
		{`{"paths":["a"]}`, one("paths.1: should start with: / (fixed path) or ~/ (regex path)")},
		{`{"paths":["~a"]}`, one("paths.1: should start with: / (fixed path) or ~/ (regex path)")},
		{`{"paths":["/a//b"]}`, one("paths.1: must not have empty segments")},
		{`{"paths":["~/a//b"]}`, one("paths.1: must not have empty segments")},
		{`{"paths":["/a/../b"]}`, one("paths.1: non-normalized path, consider use '/b' instead")},
		{`{"paths":["/%61%2f"]}`, one("paths.1: non-normalized path, consider use '/a%2F' instead")},
		{`{"paths":["/%2"]}`, one("paths.1: invalid url-encoded value: '%2'")},
		{`{"paths":["~/(a"]}`, one("paths.1: invalid regex: '/(a' (error parsing regexp: missing closing ): `/(a`)")},
		{`{"headers":{"x-v":["1","2"],"y":["~*a.c"]}}`, ""},
		{`{"headers":{"Host":["a"]}}`, one("headers: cannot contain 'host' header, which must be specified in the 'hosts' attribute")},
		{`{"headers":{"a b":["a"]}}`, one("headers: bad header name 'a b', allowed characters are A-Z, a-z, 0-9, '_', and '-'")},
		{`{"headers":{"a":"b"}}`, one("headers: expected an array")},
		{`{"headers":["a"]}`, one("headers: expected a map")},
		{`{"snis":["a.b","*.c","d.*"]}`, ""},
		{`{"snis":["1.2.3.4"]}`, one("snis.1: must not be an IP")},
		{`{"snis":["a:80"]}`, one("snis.1: must not have a port")},
		{`{"https_redirect_status_code":308}`, ""},
		{`{"https_redirect_status_code":303}`, one("https_redirect_status_code: expected one of: 426, 301, 302, 307, 308")},
		{`{"https_redirect_status_code":null}`, one("https_redirect_status_code: required field missing")},
		{`{"regex_priority":-1}`, ""},
		{`{"regex_priority":null}`, ""},
		{`{"strip_path":null}`, one("strip_path: required field missing")},
		{`{"path_handling":"v1"}`, ""},
		{`{"path_handling":"v2"}`, one("path_handling: expected one of: v0, v1")},
		{`{"preserve_host":null,"request_buffering":null,"response_buffering":null}`,
			"3 schema violations (preserve_host: required field missing; request_buffering: required field missing; response_buffering: required field missing)"},
		{`{"service":{"id":"` + idA + `"}}`, ""},
		{`{"service":{}}`, one("service.id: missing primary key")},
		{`{"service":"a"}`, one("service.id: missing primary key")},
		{`{"service":{"name":"a/b"}}`, one("service.name: invalid value 'a/b': the only accepted ascii characters are alphanumerics or ., -, _, and ~")},
	})
}

func TestRoutesByProtocol(t *testing.T) {
	const stream = "'tcp', 'tls', 'tls_passthrough' or 'udp'"
	const needTLS = "'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'"
	checkRows(t, "routes", []row{
		{`{"paths":null}`, one("must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'")},
		{`{"paths":[]}`, one("must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'")},
		{`{"paths":null,"snis":["a"]}`, ""},
		{`{"paths":null,"protocols":["http"]}`, one("must set one of 'methods', 'hosts', 'headers', 'paths' when 'protocols' is 'http'")},
		{`{"paths":null,"protocols":["http"],"snis":["a"]}`, "3 schema violations (" + needTLS +
			"; must set one of 'methods', 'hosts', 'headers', 'paths' when 'protocols' is 'http'; snis: length must be 0)"},
		{`{"protocols":["http"],"snis":["a"]}`, "2 schema violations (" + needTLS + "; snis: length must be 0)"},
		{`{"sources":[{"ip":"1.2.3.0/24"}]}`, one("sources: cannot set 'sources' when 'protocols' is 'http' or 'https'")},
		{`{"destinations":[{"port":1}]}`, one("destinations: cannot set 'destinations' when 'protocols' is 'http' or 'https'")},

		{`{"protocols":["grpc"]}`, ""},
		{`{"protocols":["grpc"],"strip_path":true}`, one("strip_path: cannot set 'strip_path' when 'protocols' is 'grpc' or 'grpcs'")},
		{`{"protocols":["grpcs"],"methods":["GET"]}`, one("methods: cannot set 'methods' when 'protocols' is 'grpc' or 'grpcs'")},
		{`{"protocols":["grpcs"],"paths":null,"snis":["a"]}`, ""},
		{`{"protocols":["grpc"],"paths":null}`, one("must set one of 'hosts', 'headers', 'paths' when 'protocols' is 'grpc'")},
		{`{"protocols":["grpcs"],"paths":null}`, one("must set one of 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'grpcs'")},

		{`{"protocols":["tcp"],"paths":null,"sources":[{"ip":"1.2.3.4","port":5},{"port":6}]}`, ""},
		{`{"protocols":["tls"],"paths":null,"snis":["a"]}`, ""},
		{`{"protocols":["tcp"],"paths":null}`, one("must set one of 'sources', 'destinations', 'snis' when 'protocols' is 'tcp', 'tls' or 'udp'")},
		{`{"protocols":["udp"],"sources":[{"port":1}]}`, one("paths: cannot set 'paths' when 'protocols' is " + stream)},
		{`{"protocols":["tcp"],"paths":null,"sources":[{}]}`,
			one("sources.1.@entity: at least one of these fields must be non-empty: 'ip', 'port'")},
		{`{"protocols":["tcp"],"paths":null,"sources":[{"ip":"x"}]}`, one("sources.1.ip: invalid ip or cidr range: 'x'")},
		{`{"protocols":["tls_passthrough"],"paths":null,"snis":["a"]}`, ""},
		{`{"protocols":["tls_passthrough"],"paths":null}`, one("must set snis when 'protocols' is 'tls_passthrough'")},
	})
}

// A message about the route as a whole stands in an array of its own.
func TestRouteWithoutMatchers(t *testing.T) {
	_, wrong := Find("routes").New(map[string]any{}, now)
	const want = `{"@entity":["must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'https'"]}`
	if wrong == nil || encode(t, wrong.Fields) != want {
		t.Errorf("got  %v\nwant %s", wrong, want)
	}
}

func TestRouteOfGRPCKeepsItsPath(t *testing.T) {
	c := Find("routes")
	doc, wrong := c.New(decode(t, `{"protocols":["grpc","grpcs"],"paths":["/"],"service":{"id":"4E3AD2E4-0bc4-4638-8e34-c84a417ba39b","name":"n"}}`), now)
	if wrong != nil {
		t.Fatal(wrong)
	}
	if doc["strip_path"] != false || encode(t, doc["service"]) != `{"id":"`+idA+`"}` {
		t.Errorf("%s", encode(t, doc))
	}
	if _, wrong := c.Change(doc, decode(t, `{"protocols":["http"]}`), now); wrong != nil {
		t.Error(wrong)
	}
	var r Route
	if err := schema.Into(doc, &r); err != nil || r.Service == nil || r.Service.ID.String() != idA {
		t.Errorf("%+v %v", r, err)
	}
}
