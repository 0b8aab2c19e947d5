package builtin_test

import (
	"database/sql"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// startRaw starts a proxy, and logs a client in, of which it also returns the
// connection beneath.
func startRaw(t *testing.T) (*proxytest.Proxy, *client, net.Conn) {
	t.Helper()
	p, _ := start(t, proxytest.Options{})
	c := dial(t, p.Addr(t), 0)
	nc := c.conn.NetConn()
	if err := nc.SetDeadline(time.Now().Add(proxytest.Patience)); err != nil {
		t.Fatal(err)
	}
	return p, c, nc
}

// packet is a request on the wire.
func packet(cmd wire.Command, argument string) []byte {
	n := len(argument) + 1
	return append([]byte{byte(n), byte(n >> 8), byte(n >> 16), 0, byte(cmd)}, argument...)
}

// answer reads the answer to a command, and returns how many rows it has.
func answer(t *testing.T, c *client, cmd wire.Command) uint64 {
	t.Helper()
	c.reply.Start(cmd, c.caps)
	c.conn.SetSequence(1)
	if err := c.conn.RelayReply(nil, &c.reply); err != nil {
		t.Fatal(err)
	}
	if err := c.reply.Err(); err != nil {
		t.Fatal(err)
	}
	return c.reply.Rows()
}

// TestRequestsAsTheyCome sends requests in pieces and several at once, between
// others that come as a whole.
func TestRequestsAsTheyCome(t *testing.T) {
	t.Parallel()
	p, c, nc := startRaw(t)
	write := func(b ...byte) {
		t.Helper()
		if _, err := nc.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	query, two := packet(wire.ComQuery, "SELECT 1"), packet(wire.ComQuery, "SELECT 1 UNION SELECT 2")
	rows := func(want uint64) {
		t.Helper()
		if got := answer(t, c, wire.ComQuery); got != want {
			t.Fatalf("%d rows, want %d", got, want)
		}
	}
	srv := p.Backend(t, 0)
	before := srv.Statistics().Requests
	for range 20 {
		write(query...)
		rows(1)
		for i := range len(query) { // the connection sends each byte on its own
			write(query[i])
		}
		rows(1)
		write(append(append(append([]byte{}, query...), two...), query[:7]...)...)
		rows(1)
		rows(2)
		write(query[7:]...)
		rows(1)
		write(packet(wire.ComPing, "")...)
		answer(t, c, wire.ComPing)
		write(packet(wire.ComInitDB, "shop")...)
		answer(t, c, wire.ComInitDB)
		write(two...)
		rows(2)
		write(packet(wire.ComStmtClose, "\x07\x00\x00\x00")...) // has no answer
		write(packet(wire.ComQuery, "SELECT seq, REPEAT('x', 1000) FROM seq_1_to_500")...)
		rows(500)
	}
	if got := srv.Statistics().Requests - before; got != 20*10 {
		t.Errorf("%d requests counted", got)
	}
	service, _ := p.Service("service")
	proxytest.Eventually(t, "no request under way", func() bool {
		return srv.Operations() == 0 && service.Statistics().Operations == 0
	})
}

// TestRefusedRequestGoesOn is that a session lives on after an error, and ends
// for one in the protocol.
func TestRefusedRequestGoesOn(t *testing.T) {
	t.Parallel()
	_, c, nc := startRaw(t)
	for range 3 {
		if _, err := nc.Write(packet(wire.ComQuery, "SELEC 1")); err != nil {
			t.Fatal(err)
		}
		c.reply.Start(wire.ComQuery, c.caps)
		c.conn.SetSequence(1)
		if err := c.conn.RelayReply(nil, &c.reply); err != nil || !c.reply.Failed() {
			t.Fatalf("%v, failed %t", err, c.reply.Failed())
		}
	}
	if _, err := nc.Write([]byte{1, 0, 0, 7, byte(wire.ComPing)}); err != nil { // out of sequence
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, nc); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

// TestServerIsTakenOutOfUse ends sessions that are at work all the time, and
// ones that idle.
func TestServerIsTakenOutOfUse(t *testing.T) {
	t.Parallel()
	p, _ := start(t, proxytest.Options{})
	var sessions []*sql.DB
	for range 4 {
		db := p.Open(t, "app", "secret", "shop", nil)
		db.SetMaxOpenConns(1)
		execute(t, db, "DO 1")
		sessions = append(sessions, db)
	}
	ended := make(chan error, 2)
	for _, busy := range sessions[:2] {
		go func() {
			for {
				if _, err := busy.ExecContext(t.Context(), "DO 1"); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	service, _ := p.Service("service")
	if n := service.Sessions(); n != 4 {
		t.Fatalf("%d sessions", n)
	}
	p.Backend(t, 0).SetStatus(dbproxy.Maintenance, 0)
	for range 2 {
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Fatal("a session goes on")
		}
	}
	proxytest.Eventually(t, "no session", func() bool { return service.Sessions() == 0 })
}

// TestTransactionOutlivesClose is that a request without an answer does not make
// a session forget its transaction, during which it does not restart.
func TestTransactionOutlivesClose(t *testing.T) {
	for name, filters := range map[string][]proxytest.Filter{
		"as it is":         nil,
		"through a filter": {{Name: "hints", Module: "hintfilter"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, _ := start(t, proxytest.Options{Filters: filters})
			c := dial(t, p.Addr(t), 0)
			query := func(text string) uint64 {
				t.Helper()
				c.ask(t, command{cmd: wire.ComQuery, arg: []byte(text)})
				if err := c.reply.Err(); err != nil {
					t.Fatal(err)
				}
				return c.reply.Rows()
			}
			kept := func() uint64 { t.Helper(); return query("SELECT 1 FROM DUAL WHERE @kept = 1") }
			query("SET @kept = 1")
			query("BEGIN")
			srv := p.Backend(t, 0)
			before := srv.Statistics().Requests
			if _, err := c.conn.NetConn().Write(packet(wire.ComStmtClose, "\x07\x00\x00\x00")); err != nil {
				t.Fatal(err)
			}
			proxytest.Eventually(t, "the request was counted", func() bool { return srv.Statistics().Requests > before })
			for _, s := range p.Sessions() {
				s.Restart()
			}
			if kept() != 1 {
				t.Error("the session has restarted within a transaction")
			}
			query("COMMIT")
			proxytest.Eventually(t, "the session has restarted", func() bool { return kept() == 0 })
		})
	}
}

// TestLoggingIsSwitched switches the logging of requests on and off while there
// are many.
func TestLoggingIsSwitched(t *testing.T) {
	t.Parallel()
	p, _ := start(t, proxytest.Options{})
	db := p.Open(t, "app", "secret", "shop", nil)
	db.SetMaxOpenConns(2)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if _, err := db.ExecContext(t.Context(), "DO 1"); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	srv := p.Backend(t, 0)
	before := srv.Statistics().Requests
	for on := false; srv.Statistics().Requests < before+3000; on = !on {
		levels := dbproxy.Levels(0)
		if on {
			levels = dbproxy.LogInfo
		}
		for _, s := range p.Sessions() {
			s.SetLevels(levels)
		}
	}
	close(stop)
	all.Wait()
}
