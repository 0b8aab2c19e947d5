package httpproxy

import "testing"

func TestUpstreamPath(t *testing.T) {
	for _, c := range []struct {
		handling, base, prefix string
		strip                  bool
		path, want             string
	}{
		{"v0", "/", "/route", true, "/route", "/"},
		{"v0", "/", "/route", true, "/route/", "/"},
		{"v0", "/", "/route", true, "/routereq", "/req"},
		{"v0", "/srv", "/rou", true, "/roureq", "/srv/req"},
		{"v0", "/srv", "/rou", false, "/roureq", "/srv/roureq"},
		{"v0", "/srv/", "/rou", true, "/rou", "/srv"},
		{"v0", "/srv/", "/rou", true, "/rou/", "/srv/"},
		{"v0", "/srv/", "/rou", false, "/roureq", "/srv/roureq"},
		{"v0", "/service", "/route/", true, "/route/", "/service/"},
		{"v0", "/service", "/route/", true, "/route/req", "/service/req"},
		{"v0", "/service", "", true, "/", "/service"},
		{"v0", "/service", "", false, "/", "/service"},
		{"v0", "/service", "", true, "/route/", "/service/route/"},
		{"v0", "/service", "", false, "/route/", "/service/route/"},
		{"v0", "", "/route", true, "/route/x", "/x"},
		{"v0", "/srv", "/", true, "/", "/srv/"},
		{"v0", "/srv", "/", true, "/a", "/srv/a"},
		// What is left must not climb, nor hide behind a dot.
		{"v0", "/srv", "/rou", true, "/rou..", "/srv"},
		{"v0", "/srv", "/rou", true, "/rou.", "/srv"},
		{"v0", "/srv", "/rou", true, "/rou../x", "/srv/x"},
		{"v0", "/srv", "/rou", true, "/rou./x", "/srv/x"},
		{"v0", "/srv", "/rou", true, "/rou..x", "/srv/..x"},
		{"v1", "/s", "/fv1", false, "/fv1/req", "/sfv1/req"},
		{"v1", "/s", "/fv1", false, "/fv1", "/sfv1"},
		{"v1", "/s", "/tv1", true, "/tv1/req", "/s/req"},
		{"v1", "/s", "/tv1", true, "/tv1", "/s"},
		{"v1", "/s", "/tv1/", true, "/tv1/req", "/sreq"},
		{"v1", "/s", "/tv1/", true, "/tv1/", "/s"},
		{"v1", "/", "/tv1", true, "/tv1/req", "/req"},
		{"v1", "/", "/tv1", true, "/tv1", "/"},
	} {
		got, stripped := upstreamPath(c.handling == "v1", c.base, c.prefix, c.path, c.strip)
		if got != c.want {
			t.Errorf("%s: %q behind %q at %q, strip %v: %q, want %q", c.handling, c.path, c.base, c.prefix, c.strip, got, c.want)
		}
		if want := c.prefix; stripped != want && c.strip || stripped != "" && !c.strip {
			t.Errorf("%s: %q behind %q: stripped %q", c.handling, c.path, c.base, stripped)
		}
	}
}

func TestErrorBody(t *testing.T) {
	for accept, want := range map[string][2]string{
		"":                                      {"application/json; charset=utf-8", `{"message":"m \"x\"","request_id":"i"}`},
		"*/*":                                   {"application/json; charset=utf-8", `{"message":"m \"x\"","request_id":"i"}`},
		"image/png":                             {"application/json; charset=utf-8", `{"message":"m \"x\"","request_id":"i"}`},
		"text/plain":                            {"text/plain; charset=utf-8", "m \"x\"\nrequest_id: i\n"},
		"text/html;q=0.2, text/plain;q=0.5":     {"text/plain; charset=utf-8", "m \"x\"\nrequest_id: i\n"},
		"application/json;q=0.1,text/plain;q=1": {"text/plain; charset=utf-8", "m \"x\"\nrequest_id: i\n"},
		"text/plain;q=nonsense":                 {"application/json; charset=utf-8", `{"message":"m \"x\"","request_id":"i"}`},
		"application/xml": {"application/xml; charset=utf-8", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n" +
			"  <message>m &#34;x&#34;</message>\n  <requestid>i</requestid>\n</error>\n"},
	} {
		contentType, body := errorBody(accept, `m "x"`, "i")
		if contentType != want[0] || string(body) != want[1] {
			t.Errorf("%q: %s\n%s", accept, contentType, body)
		}
	}
	if contentType, body := errorBody("text/html", "<b>", "i"); contentType != "text/html; charset=utf-8" ||
		string(body) != "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n  </head>\n"+
			"  <body>\n    <h1>Error</h1>\n    <p>&lt;b&gt;.</p>\n    <p>request_id: i</p>\n  </body>\n</html>\n" {
		t.Errorf("HTML: %s\n%s", contentType, body)
	}
}

func TestGRPCMessage(t *testing.T) {
	if got := grpcMessage("100% é\n"); got != "100%25 %C3%A9%0A" {
		t.Errorf("it is %q", got)
	}
}

func TestAuthority(t *testing.T) {
	for _, c := range []struct {
		host   string
		port   int
		scheme string
		want   string
	}{
		{"h", 80, "http", "h"}, {"h", 443, "https", "h"}, {"h", 443, "http", "h:443"}, {"h", 80, "https", "h:80"}, {"h", 8080, "http", "h:8080"},
		{"h", 443, "grpcs", "h"}, {"h", 80, "grpc", "h"}, {"::1", 80, "http", "[::1]"}, {"[::1]", 80, "http", "[::1]"}, {"[::1]", 81, "http", "[::1]:81"},
		{"::1", 81, "http", "[::1]:81"},
	} {
		if got := authorityOf(c.host, c.port, c.scheme); got != c.want {
			t.Errorf("%s, %d, %s: %q instead of %q", c.host, c.port, c.scheme, got, c.want)
		}
	}
}
