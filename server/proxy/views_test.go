package proxy_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// TestViews: what clients ask to see of the collections, and nothing else of
// them.
func TestViews(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	ports := make([]int, 3)
	for i := range ports {
		ports[i] = testbed.FreePort(t)
		must(t, s, "POST", "/servers", serverBody(fmt.Sprint("server", i+1), ports[i]))
	}
	must(t, s, "PUT", "/servers/server2/set?state=master", nil)
	must(t, s, "PUT", "/servers/server3/clear?state=running", nil)
	must(t, s, "POST", "/services", serviceBody("one", `{"servers":`+members("servers", "server1", "server3")+`}`))
	must(t, s, "POST", "/services", serviceBody("two", `{}`))
	must(t, s, "POST", "/services/one/listeners", listenerBody("door", testbed.FreePort(t)))
	for query, want := range map[string]string{
		`servers?filter=/id="server1"`:                                           "server1",
		fmt.Sprintf(`servers?filter=attributes/parameters/port=%d`, ports[1]):    "server2",
		fmt.Sprintf(`servers?filter=/attributes/parameters/port="%d"`, ports[1]): "",
		`servers?filter=/attributes/parameters/socket=null`:                      "server1 server2 server3",
		`servers?filter[attributes.state]=eq("Down")`:                            "server3",
		`servers?filter[$.attributes.state]=not(eq("Down"),eq("Running"))`:       "server2",
		`servers?filter[attributes.parameters.port]=and(gt(0),lt(65536))`:        "server1 server2 server3",
		`servers?filter[relationships.services.data[*].id]=eq("one")`:            "server1 server3",
		`services?filter[attributes.listeners[0].id]=eq("door")`:                 "one",
		`services?filter[attributes.parameters['user']]=ne("maxuser")`:           "",
		`maxscale/threads?filter[id]=eq(0)`:                                      "0",
		`maxscale/threads?filter[id]=lt(0)`:                                      "",
		`maxscale/modules?filter[attributes.module_type]=eq("Router")`:           "readconnroute readwritesplit",
		`servers?page[size]=2`:                                                   "server1 server2",
		`servers?page[size]=2&page[number]=1`:                                    "server3",
		`servers?page[size]=1&filter[attributes.state]=ne("Running")`:            "server2",
		`users?filter[attributes.account]=eq("admin")`:                           "admin",
		`services/one/listeners?filter=/id="door"`:                               "door",
		`services/one/relationships/servers?filter=/id="server3"`:                "server3",
	} {
		path, raw, _ := strings.Cut(query, "?")
		if got := strings.Join(ids(read(t, s, "/"+path+"?"+encoded(raw))), " "); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	doc := read(t, s, "/servers?fields[servers]=parameters/port,/services,state,nothing/at/all")
	for i, r := range doc["data"].([]any) {
		row := r.(object)
		only(t, "a server", row, "id", "type", "links", "attributes", "relationships")
		only(t, "its attributes", row["attributes"].(object), "parameters", "state")
		only(t, "its parameters", at(row, "attributes", "parameters").(object), "port")
		wantAt(t, row, float64(ports[i]), "attributes", "parameters", "port")
		if _, has := row["relationships"]; has != (i != 1) {
			t.Errorf("%v has the relationships %v", row["id"], row["relationships"])
		}
	}
	only(t, "a service", read(t, s, "/services/one?fields[services]=nothing")["data"].(object), "id", "type", "links")
	pages(t, s)
}

// encoded is a query as clients encode it, without touching its & and =.
func encoded(raw string) string {
	parts := strings.Split(raw, "&")
	for i, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		parts[i] = url.QueryEscape(name) + "=" + url.QueryEscape(value)
	}
	return strings.Join(parts, "&")
}

// pages follows the links of a collection to its end and back.
func pages(t *testing.T, s *servertest.Server) {
	t.Helper()
	doc := read(t, s, "/servers?page[size]=1")
	if at(doc, "links", "prev") != nil {
		t.Errorf("the first page has one before it: %v", doc["links"])
	}
	var seen []string
	for range 4 {
		seen = append(seen, ids(doc)...)
		wantAt(t, doc, s.URL+"/v1/servers/", "links", "self")
		next, ok := at(doc, "links", "next").(string)
		if !ok {
			break
		}
		if strings.ContainsAny(next, "[]") {
			t.Errorf("a link has brackets: %s", next)
		}
		doc = read(t, s, strings.TrimPrefix(pathOf(t, s, next), "/v1"))
	}
	if !slices.Equal(seen, []string{"server1", "server2", "server3"}) {
		t.Errorf("the pages have %v", seen)
	}
	last := read(t, s, strings.TrimPrefix(pathOf(t, s, at(doc, "links", "last").(string)), "/v1"))
	wantAt(t, last, []any{"server3"}[0], "data", 0, "id")
	before := read(t, s, strings.TrimPrefix(pathOf(t, s, at(doc, "links", "prev").(string)), "/v1"))
	wantAt(t, before, "server2", "data", 0, "id")
	whole := read(t, s, "/servers?page[size]=100")
	if links := whole["links"].(object); links["first"] != links["last"] || links["next"] != nil || links["prev"] != nil {
		t.Errorf("the links of a single page are %v", links)
	}
}

// TestAccounts: who may read, who may change, and with what login.
func TestAccounts(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{})
	must(t, s, "POST", "/users/inet", `{"data":{"id":"reader","type":"inet","attributes":{"password":"only reads","account":"basic"}}}`)
	basic := servertest.Basic("reader", "only reads")
	for _, c := range []struct {
		login, verb, path string
		status            int
	}{
		{basic, "GET", "/v1/services", 200}, {basic, "HEAD", "/servers", 200}, {basic, "OPTIONS", "/v1/services", 200},
		{basic, "POST", "/v1/services", 401}, {basic, "PUT", "/v1/services/x/stop", 401}, {basic, "PATCH", "/v1/maxscale", 401}, {basic, "DELETE", "/v1/servers/x", 401},
		{basic, "POST", "/v1/maxscale/logs/flush", 401}, {basic, "POST", "/v1/maxscale/modules/a/b", 401},
		{servertest.Basic("", ""), "GET", "/v1/services", 401}, {servertest.Basic("", servertest.Password), "GET", "/v1/services", 401},
		{servertest.Basic("reader", "wrong"), "GET", "/v1/services", 401}, {"", "GET", "/v1/services", 401}, {"", "GET", "/v1/nothing", 401}, {"Bearer x.y.z", "GET", "/servers", 401},
		{"", "GET", "/v1/", 200}, {basic, "GET", "/v1/", 200}, {servertest.Basic("reader", "wrong"), "GET", "/v1/", 401},
	} {
		a := s.Do(t, c.verb, c.path, nil, "Authorization", c.login)
		if a.Status != c.status || (c.status == 401) != strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s %s as %q: %d %v\n%s", c.verb, c.path, c.login, a.Status, a.Header, a.Body)
		}
	}
	token := s.Do(t, "GET", "/auth?max-age=60", nil, "Authorization", basic)
	bearer := fmt.Sprint("Bearer ", at(token.JSON(t), "meta", "token"))
	cookie := s.Do(t, "GET", "/v1/auth?persist=yes", nil, "Authorization", basic).Header.Get("Set-Cookie")
	for _, login := range [][]string{{"Authorization", bearer}, {"Authorization", "", "Cookie", cookie}} {
		if a := s.Do(t, "GET", "/v1/servers", nil, login...); a.Status != 200 {
			t.Errorf("with %v one reads %d", login, a.Status)
		}
		if a := s.Do(t, "POST", "/v1/servers", serverBody("x", 1), login...); a.Status != 401 {
			t.Errorf("with %v one changes %d", login, a.Status)
		}
	}
}
