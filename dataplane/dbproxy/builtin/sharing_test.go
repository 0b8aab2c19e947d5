package builtin_test

import (
	"database/sql"
	"fmt"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
)

// TestKillWithoutRoom kills sessions of a server that has no room for another
// connection.
func TestKillWithoutRoom(t *testing.T) {
	t.Parallel()
	p, _ := start(t, proxytest.Options{
		Router: "readwritesplit", Service: map[string]any{"idle_session_pool_time": "0ms", "multiplex_timeout": "60s"},
		ServerParams: map[string]any{"max_routing_connections": 2, "persistpoolmax": 2, "persistmaxtime": "1h"},
	})
	db := p.Open(t, "app", "secret", "shop", nil)
	session := func() (*sql.Conn, uint32) {
		t.Helper()
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		execute(t, conn, "DO 1")
		all := p.Sessions()
		return conn, all[len(all)-1].ID()
	}
	busy, busyID := session()
	ended := make(chan error, 1)
	go func() {
		_, err := busy.ExecContext(t.Context(), "SELECT SLEEP(100)")
		ended <- err
	}()
	proxytest.Eventually(t, "the query runs", func() bool { return p.Backend(t, 0).Operations() > 0 })
	killer, _ := session()
	execute(t, killer, "BEGIN") // it keeps the other connection
	execute(t, killer, fmt.Sprintf("KILL QUERY %d", busyID))
	<-ended
	execute(t, killer, "COMMIT")
	execute(t, busy, "DO 1")
	for range 5 {
		victim, id := session() // which takes the connection of an idle one
		execute(t, killer, fmt.Sprintf("KILL %d", id))
		if _, err := victim.ExecContext(t.Context(), "DO 1"); err == nil {
			t.Fatal("a killed session goes on")
		}
		execute(t, killer, "DO 1")
		execute(t, busy, "DO 1")
	}
}

// TestReadconnrouteWaits has a client of readconnroute wait for the session of
// another one to end.
func TestReadconnrouteWaits(t *testing.T) {
	t.Parallel()
	p, _ := start(t, proxytest.Options{
		Service:      map[string]any{"idle_session_pool_time": "0ms", "multiplex_timeout": "60s"},
		ServerParams: map[string]any{"max_routing_connections": 1},
	})
	first := p.Open(t, "app", "secret", "shop", nil)
	execute(t, first, "SET @a = 1")
	second := p.Open(t, "app", "secret", "shop", nil)
	entered := make(chan error, 1)
	go func() {
		var a sql.NullString
		err := second.QueryRowContext(t.Context(), "SELECT @a").Scan(&a)
		if err == nil && a.Valid {
			err = fmt.Errorf("it has the variable %s of another session", a.String)
		}
		entered <- err
	}()
	proxytest.Eventually(t, "the second session waits", func() bool { return len(p.Sessions()) == 2 })
	execute(t, first, "DO @a") // it keeps what it has
	if s := p.Backend(t, 0).Statistics(); s.Connections != 1 || s.TotalConnections != 1 {
		t.Errorf("%+v", s)
	}
	first.Close()
	if err := <-entered; err != nil {
		t.Fatal(err)
	}
}
