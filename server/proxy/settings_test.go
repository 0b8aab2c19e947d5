package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
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

// breaker passes connections on to a server, and can break them.
type breaker struct {
	port int
	cuts atomic.Int64 // connections that are cut at the first statement

	mu   sync.Mutex
	open []net.Conn
}

// startBreaker starts a breaker in front of a port, which ends with t.
func startBreaker(t *testing.T, to int) *breaker {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &breaker{port: l.Addr().(*net.TCPAddr).Port}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", testbed.Addr(to))
			if err != nil {
				t.Error(err)
				client.Close()
				return
			}
			b.mu.Lock()
			b.open = append(b.open, client, server)
			b.mu.Unlock()
			running.Go(func() { b.pass(client, server, b.cuts.Add(-1) >= 0) })
			running.Go(func() {
				io.Copy(client, server) //nolint:errcheck // it ends when either is closed
				client.Close()
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		b.breakAll()
		running.Wait()
	})
	return b
}

// pass passes on what the client sends: all of it, or its login alone.
func (b *breaker) pass(client, server net.Conn, cut bool) {
	defer server.Close()
	if !cut {
		io.Copy(server, client) //nolint:errcheck // it ends when either is closed
		return
	}
	defer client.Close()
	login := make([]byte, 64<<10)
	n, err := client.Read(login)
	if err == nil {
		_, err = server.Write(login[:n])
	}
	if err == nil {
		client.Read(login) //nolint:errcheck // the connection ends in either case
	}
}

// breakAll breaks all connections, and the next ones at their first statement.
func (b *breaker) breakAll(next ...int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range next {
		b.cuts.Store(n)
	}
	for _, c := range b.open {
		c.Close()
	}
	b.open = nil
}

// TestOwnStatementsAreRetried: a connection that breaks is made again for the
// statements of monitors and those that read accounts, as often as it is set.
func TestOwnStatementsAreRetried(t *testing.T) {
	t.Parallel()
	db := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	b := startBreaker(t, db.Port)
	s := servertest.Start(t, servertest.Options{})
	retries := func(n int) {
		t.Helper()
		must(t, s, "PATCH", "/maxscale", fmt.Sprintf(`{"data":{"attributes":{"parameters":{"query_retries":%d,"query_retry_timeout":"60s"}}}}`, n))
	}
	must(t, s, "POST", "/servers", serverBody("server1", b.port))
	behind(t, s, "svc", db, `{"servers":`+members("servers", "server1")+`}`)
	must(t, s, "POST", "/services/svc/reload", nil)
	reload := func(want int) {
		t.Helper()
		if a := s.Do(t, "POST", "/v1/services/svc/reload", nil); a.Status != want {
			t.Errorf("a reload of accounts: %d %s, want %d", a.Status, a.Body, want)
		}
	}
	retries(0)
	b.breakAll(1)
	reload(http.StatusServiceUnavailable)
	retries(2)
	b.breakAll(2)
	reload(done)
	b.breakAll(3)
	reload(http.StatusServiceUnavailable)

	// A monitor that looks only when it is told to.
	must(t, s, "POST", "/monitors", fmt.Sprintf(`{"data":{"id":"watch","attributes":{"module":"mariadbmon","parameters":{"user":%q,"password":%q,"monitor_interval":"1h"}},`+
		`"relationships":{"servers":%s}}}`, db.User, db.Password, members("servers", "server1")))
	looks := func(want string) {
		t.Helper()
		must(t, s, "GET", "/maxscale/debug/monitor_wait", nil)
		wantAt(t, read(t, s, "/servers/server1"), want, "data", "attributes", "state")
	}
	looks("Master, Running")
	b.breakAll(1) // that which there is, and the next one
	looks("Master, Running")
	retries(0)
	b.breakAll(0)
	looks("Master, Running") // an idle connection may break at any time
	b.breakAll(1)
	looks("Down")
	looks("Master, Running")
}

// TestUsersRefreshTime: how soon accounts are read again holds from when it is
// set.
func TestUsersRefreshTime(t *testing.T) {
	t.Parallel()
	db := testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	s := servertest.Start(t, servertest.Options{})
	must(t, s, "PATCH", "/maxscale", settings(`{"users_refresh_time":"-1s"}`))
	must(t, s, "POST", "/servers", serverBody("server1", db.Port))
	port := behind(t, s, "svc", db, `{"servers":`+members("servers", "server1")+`}`)
	must(t, s, "POST", "/services/svc/reload", nil)
	db.CreateUser(t, "late", "word")
	if _, err := dial(t, port, "late", "word", ""); err == nil {
		t.Error("an account that was not read is known")
	}
	must(t, s, "PATCH", "/maxscale", settings(`{"users_refresh_time":"0s"}`))
	if _, err := dial(t, port, "late", "word", ""); err != nil {
		t.Errorf("accounts are not read again: %v", err)
	}
}
