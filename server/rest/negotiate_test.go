package rest

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"google.golang.org/protobuf/proto"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
)

// TestDatabaseFormats: which answers clients can ask for.
func TestDatabaseFormats(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	f.says(&dbaasv1.Team{Id: 1, Name: "a"}, "", nil)
	const (
		plainText = `{"id":1,"name":"a"}`
		indent4   = "{\n    \"id\": 1,\n    \"name\": \"a\"\n}"
		indent8   = "{\n        \"id\": 1,\n        \"name\": \"a\"\n}"
	)
	for _, c := range []struct{ accept, path, want string }{
		{"", "/", plainText},
		{"*/*", "/", plainText},
		{"application/*;q=0.1", "/", plainText},
		{"Application/JSON", "/", plainText},
		{"text/xml, application/json;q=0.9", "/", plainText},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "/", plainText},
		{"text/html", "/", plainText},
		{"application/json; indent=4", "/", indent4},
		{"application/json;q=0.5;indent=99", "/", indent8},
		{"application/json; indent=x", "/", plainText},
		{"application/json; indent=-1", "/", plainText},
		{"text/xml", "/", ""},
		{"text/xml,", "/", ""},
		{"text/event-stream", "/", ""},
		{"application/vnd.api+json", "/", ""},
		{"application/json;q=0", "/", ""},
		{"application/json;q=x", "/", ""},
		{"text/xml", "/?format=json", plainText},
		{"application/json; indent=4", "/?format=json", indent4},
		{"", "/?format=api", plainText},
		{"", "/?format=xml", ""},
		{"text/xml", "/.json", plainText},
		{"text/xml", "/.json?format=xml", plainText},
		{"", "/.api/", plainText},
	} {
		a := ask(t, s, "GET", "/api/team/1"+c.path, "", "Accept", c.accept)
		if c.want != "" {
			wantAnswer(t, c.accept+" "+c.path, a, 200, c.want)
			if got := a.header.Get("Content-Type"); got != "application/json" {
				t.Errorf("%s %s is %q", c.accept, c.path, got)
			}
			continue
		}
		wantAnswer(t, c.accept+" "+c.path, a, 406, failure("/api/team/1"+c.path, `"detail":"Could not satisfy the request's Accept header"`))
	}
	if a := ask(t, s, "GET", "/api/team/1/.xml", ""); a.status != 404 {
		t.Errorf("an unknown suffix is answered %d", a.status)
	}
	ask(t, s, "GET", "/api/team/1/.json?a=b", "")
	if _, _, told := f.last(); told != "http://localhost:8000/api/team/1/?a=b" {
		t.Errorf("with a suffix the RPC is told of %s", told)
	}
	if a := ask(t, s, "HEAD", "/api/team/1/", "", "Accept", "application/json; indent=4"); a.status != 200 || a.body != "" || a.header.Get("Content-Type") != "application/json" {
		t.Errorf("HEAD is answered %+v", a)
	}
}

// TestDatabaseQueries: what RPCs get of queries.
func TestDatabaseQueries(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	for _, c := range []struct {
		path string
		want string
		as   proto.Message
	}{
		{"/api/database/?page=2&page_size=x&ordering=name,-id", `page: "2" page_size: "x" ordering: "name,-id"`, &dbaasv1.ListDatabasesRequest{}},
		{"/api/database?name__contains=a%20b&project=&pageSize=3&format=json", `filter { key: "name__contains" value: "a b" } filter { key: "project" value: "" } filter { key: "pageSize" value: "3" }`, &dbaasv1.ListDatabasesRequest{}},
		{"/api/database/?name=a&name=b&=x&a[b]=c&filter=d&filter[e]=f&id=5", `filter { key: "name" value: "b" } filter { key: "filter" value: "d" } filter { key: "id" value: "5" }`, &dbaasv1.ListDatabasesRequest{}},
		{"/api/database/?a.b=c&name=%zz&x=%ff", "filter { key: \"a.b\" value: \"c\" } filter { key: \"x\" value: \"\uFFFD\" }", &dbaasv1.ListDatabasesRequest{}},
		{"/api/snapshot/?database=7", `database: 7`, &dbaasv1.ListSnapshotsRequest{}},
		{"/api/snapshot/?database=seven", `filter { key: "database" value: "seven" }`, &dbaasv1.ListSnapshotsRequest{}},
		{"/api/database/3/snapshot/?page=last&database=4", `database: 3 page: "last" filter { key: "database" value: "4" }`, &dbaasv1.ListSnapshotsRequest{}},
		{"/api/difference/?service=x&service=y&unknown=1", `service: "y"`, &dbaasv1.ListDifferencesRequest{}},
		{"/api/plan/3/?id=4&unknown=1", `id: 3`, &dbaasv1.GetPlanRequest{}},
	} {
		f.says(nil, "", nil)
		a := ask(t, s, "GET", c.path, "")
		_, got, told := f.last()
		if want := parse(t, c.as, c.want); a.status != 200 || !proto.Equal(got, want) {
			t.Errorf("%s: %d, the RPC gets %v, want %v", c.path, a.status, got, want)
		}
		u, err := url.Parse(told)
		sent, _ := url.Parse(s.URL + c.path)
		if err != nil || u.RawQuery != sent.RawQuery {
			t.Errorf("%s: the RPC is told of %q, %v", c.path, told, err)
		}
	}
}

// TestAddress: what links begin with is a host, or our own address.
func TestAddress(t *testing.T) {
	t.Parallel()
	const own = "192.0.2.1:8080"
	for _, c := range []struct{ host, want string }{
		{"localhost:8000", "localhost:8000"}, {"db_1.Example.org", "db_1.Example.org"}, {"192.0.2.7", "192.0.2.7"}, {"[2001:db8::1]", "[2001:db8::1]"}, {"[::1]:80", "[::1]:80"},
		{"", own}, {":80", own}, {"a b", own}, {"a/b", own}, {"a@b", own}, {"a?b", own}, {`a"b`, own}, {"a:b", own}, {"a:0", own}, {"a:65536", own}, {"a:+1", own},
		{"::1", own}, {"[::1", own}, {"[x]", own}, {"[fe80::1%eth0]", own}, {"[127.0.0.1]", own}, {"тест", own}, {"a\r\nb", own}, {"a:80:80", own}, {"<script>", own},
	} {
		r := httptest.NewRequest(http.MethodGet, "/api/", nil)
		r = r.WithContext(withLocal(t, own))
		r.Host = c.host
		if got := (&facade{}).address(r); got != "http://"+c.want {
			t.Errorf("the host %q makes %q, want %q", c.host, got, c.want)
		}
		r.TLS = &tls.ConnectionState{}
		if got := (&facade{}).address(r); got != "https://"+c.want {
			t.Errorf("over TLS the host %q makes %q", c.host, got)
		}
	}
	for _, c := range []struct{ proto, host, want string }{
		{"https", "outside.example:8443", "https://outside.example:8443"},
		{"HTTPS, http", "first.example, second.example", "https://first.example"},
		{"gopher", "a b", "http://inside.example"},
		{"", "", "http://inside.example"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/api/", nil)
		r.Host = "inside.example"
		r.Header.Set("X-Forwarded-Proto", c.proto)
		r.Header.Set("X-Forwarded-Host", c.host)
		if got := (&facade{Options: Options{TrustForwarded: true}}).address(r); got != c.want {
			t.Errorf("forwarded for %q %q: %q, want %q", c.proto, c.host, got, c.want)
		}
		if got := (&facade{}).address(r); got != "http://inside.example" {
			t.Errorf("%q %q is believed from anyone: %q", c.proto, c.host, got)
		}
	}
}

// TestURLOf: what a client sent stays a URL.
func TestURLOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, rawPath, query, want string }{
		{"/api/database", "", "", "http://h/api/database/"},
		{"/api/database/", "", "a=b&c", "http://h/api/database/?a=b&c"},
		{"/api/a b/тест", "", "", "http://h/api/a%20b/%D1%82%D0%B5%D1%81%D1%82/"},
		{"/api/a/b", "/api/a%2Fb", "", "http://h/api/a%2Fb/"},
		{"/api", "", "x=#<\">\xff\x7f %41", "http://h/api/?x=%23%3C%22%3E%FF%7F%20%41"},
	} {
		u := &url.URL{Path: c.path, RawPath: c.rawPath, RawQuery: c.query}
		got := urlOf("http://h", u)
		if got != c.want {
			t.Errorf("%+v is %q, want %q", u, got, c.want)
		}
		if _, err := url.Parse(got); err != nil {
			t.Errorf("%q is no URL: %v", got, err)
		}
	}
}

func withLocal(t *testing.T, address string) (ctx localContext) {
	t.Helper()
	at, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return localContext{t.Context(), at}
}
