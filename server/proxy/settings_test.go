package proxy_test

import (
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// TestLocalAddress: all connections to servers come from the address that is
// set: accounts that are good for no other one are enough.
func TestLocalAddress(t *testing.T) {
	t.Parallel()
	db := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	db.Exec(t, "GRANT ALL ON *.* TO svc@'127.0.0.5' IDENTIFIED BY 'word'", "GRANT ALL ON *.* TO app@'%' IDENTIFIED BY 'word'")
	s := servertest.Start(t, servertest.Options{})
	set := func(address string) string {
		return `{"data":{"attributes":{"parameters":{"local_address":` + address + `}}}}`
	}
	must(t, s, "PATCH", "/maxscale", set(`"127.0.0.5"`))
	must(t, s, "POST", "/servers", serverBody("server1", db.Port))
	must(t, s, "POST", "/monitors", `{"data":{"id":"watch","attributes":{"module":"mariadbmon","parameters":{"user":"svc","password":"word","monitor_interval":"100ms"}},`+
		`"relationships":{"servers":`+members("servers", "server1")+`}}}`)
	port := testbed.FreePort(t)
	must(t, s, "POST", "/services", `{"data":{"id":"svc","attributes":{"router":"readconnroute","parameters":{"user":"svc","password":"word"}},"relationships":{"servers":`+members("servers", "server1")+`}}}`)
	must(t, s, "POST", "/services/svc/listeners", listenerBody("in", port))
	if who, err := ask(t.Context(), client(t, port, "app", "word", "mysql"), "SELECT USER()"); err != nil || who != "app@127.0.0.5" {
		t.Errorf("a client is %s, %v", who, err)
	}
	must(t, s, "GET", "/maxscale/debug/monitor_wait", nil)
	wantAt(t, read(t, s, "/servers/server1"), "Master, Running", "data", "attributes", "state")
	sql := object{"target": "server1", "user": "svc", "password": "word"}
	if a := s.Do(t, "POST", "/v1/sql", sql); a.Status != created {
		t.Errorf("a connection over the API: %d %s", a.Status, a.Body)
	}

	// From elsewhere the login is refused, by a monitor that connects anew.
	must(t, s, "PATCH", "/maxscale", set(`null`))
	must(t, s, "GET", "/maxscale/debug/monitor_wait", nil)
	wantAt(t, read(t, s, "/servers/server1"), "Auth Error, Down", "data", "attributes", "state")
}
