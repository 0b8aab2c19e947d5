package builtin_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/builtin"
	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
	"github.com/backplane/backplane/testbed"
)

const statements = 2000

// TestAnswersAreThoseOfTheServer sends the same statements to a server directly
// and to one like it through the proxy, and compares the packets of all answers
// byte by byte: rows, types, errors, warnings and status flags.
func TestAnswersAreThoseOfTheServer(t *testing.T) {
	for _, router := range []string{"readconnroute", "readwritesplit"} {
		for name, caps := range map[string]wire.Capability{
			"with EOF packets": 0, "without EOF packets": wire.CapDeprecateEOF, "with session tracking": wire.CapDeprecateEOF | wire.CapSessionTrack,
			"with MariaDB's extensions": wire.CapDeprecateEOF | wire.CapExtendedMetadata | wire.CapCacheMetadata | wire.CapBulkOperations | wire.CapProgress,
		} {
			t.Run(router+" "+name, func(t *testing.T) {
				t.Parallel()
				compare(t, router, caps)
			})
		}
	}
}

func compare(t *testing.T, router string, caps wire.Capability) {
	var servers [2]*testbed.MariaDB
	for i := range servers {
		servers[i] = testbed.StartMariaDB(t, testbed.MariaDBOptions{})
		servers[i].CreateUser(t, "app", "secret")
		servers[i].CreateDatabase(t, "shop", "app")
		servers[i].Exec(t, "GRANT CREATE ROUTINE, EXECUTE ON shop.* TO app")
	}
	p := proxytest.Start(t, proxytest.Options{Modules: builtin.Modules(), Servers: servers[1:], Router: router})
	direct, proxied := dial(t, testbed.Addr(servers[0].Port), caps), dial(t, p.Addr(t), caps)
	g := newGenerator(1)
	for i := range statements {
		for _, command := range g.next() {
			want, got := direct.ask(t, command), proxied.ask(t, command)
			if !equal(want, got) {
				t.Fatalf("statement %d: %s\n%.300q\ndirectly\n%s\nthrough the proxy\n%s", i, command.cmd, command.arg, dump(want), dump(got))
			}
			g.prepared(direct.reply.Prepared())
			if id := proxied.reply.Prepared().ID; command.cmd == wire.ComStmtPrepare && !direct.reply.Failed() {
				proxied.ids[direct.reply.Prepared().ID] = id
			}
			if command.cmd == wire.ComStmtPrepare && direct.reply.Failed() {
				break // there is nothing to execute
			}
		}
	}
}

// client speaks the protocol and keeps the packets of an answer.
type client struct {
	conn  *wire.Conn
	caps  wire.Capability
	reply wire.Reply
	ids   map[uint32]uint32 // statements of this client by those of the direct one
}

func dial(t *testing.T, addr string, caps wire.Capability) *client {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), proxytest.Patience)
	defer cancel()
	c := &client{conn: wire.NewConn(nc, wire.PeerServer), ids: map[uint32]uint32{}}
	r, err := wire.Login(ctx, c.conn, wire.LoginOptions{
		User: "app", Database: "shop", Credentials: wire.Password("secret"),
		Capabilities: caps | wire.CapMultiStatements | wire.CapMultiResults | wire.CapPSMultiResults, Required: caps,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.caps = r.Capabilities
	return c
}

// ask sends a command and returns the packets of the answer.
func (c *client) ask(t *testing.T, command command) (packets [][]byte) {
	t.Helper()
	if err := c.conn.SetDeadline(time.Now().Add(proxytest.Patience)); err != nil {
		t.Fatal(err)
	}
	payload := append([]byte{byte(command.cmd)}, command.arg...)
	switch command.cmd {
	case wire.ComStmtExecute, wire.ComStmtClose, wire.ComStmtReset, wire.ComStmtSendLongData, wire.ComStmtFetch:
		id, err := wire.StatementID(payload)
		if err != nil {
			t.Fatal(err)
		}
		if own, ok := c.ids[id]; ok {
			if err := wire.SetStatementID(payload, own); err != nil {
				t.Fatal(err)
			}
		}
	}
	c.conn.SetSequence(0)
	if err := c.conn.WritePacket(payload); err != nil {
		t.Fatal(err)
	}
	if err := c.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	for c.reply.Start(command.cmd, c.caps); !c.reply.Done(); {
		p, err := c.conn.ReadPacket()
		if err != nil {
			t.Fatalf("%s %.300q: %v", command.cmd, command.arg, err)
		}
		kind, err := c.reply.Feed(p, len(p))
		if err != nil {
			t.Fatalf("%s %.300q: %v", command.cmd, command.arg, err)
		}
		p = bytes.Clone(p)
		if kind == wire.KindOK {
			p = c.sorted(t, p)
		}
		if command.cmd == wire.ComStmtPrepare && len(packets) == 0 && !c.reply.Failed() {
			copy(p[1:5], []byte{0, 0, 0, 0}) // the number of the statement is the server's, or the proxy's
		}
		packets = append(packets, p)
	}
	return packets
}

// sorted is an OK packet with the changes of the session in order: servers list
// them in the order of a hash table of their own.
func (c *client) sorted(t *testing.T, p []byte) []byte {
	t.Helper()
	ok, err := wire.ParseOK(p, c.caps)
	if err != nil {
		t.Fatal(err)
	}
	if len(ok.State) == 0 {
		return p
	}
	var all []wire.Change
	for list := ok.State.Changes(); ; {
		change, more, err := list.Next()
		if err != nil {
			t.Fatal(err)
		}
		if !more {
			break
		}
		all = append(all, change)
	}
	slices.SortStableFunc(all, func(a, b wire.Change) int { return bytes.Compare(a.Name, b.Name) })
	var state wire.SessionState
	for _, change := range all {
		state = state.AppendChange(change)
	}
	ok.State = state
	return ok.Append(nil, c.caps, p[0] == 0xfe)
}

func equal(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

func dump(packets [][]byte) string {
	var b bytes.Buffer
	for i, p := range packets {
		fmt.Fprintf(&b, "packet %d\n%s", i, hex.Dump(p[:min(len(p), 400)]))
	}
	return b.String()
}
