package rwsplit

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
	"github.com/backplane/backplane/testbed"
)

func TestPreparedStatements(t *testing.T) {
	p := start(t, nil)
	c := connect(t, p)
	read, err := c.PrepareContext(t.Context(), "SELECT @@server_id, ?, ? FROM t LIMIT 1")
	if err != nil {
		t.Fatal(err)
	}
	insert, err := c.PrepareContext(t.Context(), "INSERT INTO t (a) VALUES (?)")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for i := range 20 {
		var server, a, b string
		if err := read.QueryRowContext(t.Context(), i, "x").Scan(&server, &a, &b); err != nil || a != fmt.Sprint(i) || b != "x" {
			t.Fatal(a, b, err)
		}
		seen[server]++
		if _, err := insert.ExecContext(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	if seen["1"] != 0 || len(seen) != 2 {
		t.Fatal(seen)
	}
	c.exec("BEGIN")
	var server, a, b string
	if err := read.QueryRowContext(t.Context(), 1, 2).Scan(&server, &a, &b); err != nil || server != "1" {
		t.Fatal(server, err)
	}
	c.exec("COMMIT")
	// On a new connection they are there again.
	killed(t, servers(t).Servers[1])
	for i := range 6 {
		if err := read.QueryRowContext(t.Context(), i, "x").Scan(&server, &a, &b); err != nil {
			t.Fatal(err)
		}
		seen[server]++
	}
	killed(t, servers(t).Servers[0])
	if _, err := insert.ExecContext(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
	if err := read.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := insert.ExecContext(t.Context(), 5); err != nil {
		t.Fatal(err)
	}
}

// A prepared statement that changes the session does so everywhere, also on
// connections made later.
func TestPreparedSessionCommand(t *testing.T) {
	c := connect(t, start(t, nil))
	if _, err := c.ExecContext(t.Context(), "SET @a = ?", 17); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		c.expect("17", "SELECT @a")
	}
	killed(t, servers(t).Servers[1])
	killed(t, servers(t).Servers[2])
	for range 4 {
		c.expect("17", "SELECT @a")
	}
}

// binary is a client that speaks the protocol itself.
type binaryClient struct {
	*wire.Conn
	t     testing.TB
	caps  wire.Capability
	reply wire.Reply
}

func dialBinary(t testing.TB, addr string) *binaryClient {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	c := &binaryClient{Conn: wire.NewConn(nc, wire.PeerServer), t: t}
	result, err := wire.Login(context.Background(), c.Conn, wire.LoginOptions{
		User: testbed.ClusterApp, Database: testbed.ClusterDatabase, Credentials: wire.Password(testbed.ClusterAppPassword),
		Capabilities: wire.CapTransactions | wire.CapMultiResults | wire.CapPSMultiResults | wire.CapLongFlag,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.caps = result.Capabilities
	return c
}

// do sends a command and returns the rows of the answer.
func (c *binaryClient) do(cmd wire.Command, arg ...byte) (rows [][]byte) {
	c.t.Helper()
	c.reply.Start(cmd, c.caps)
	if err := c.WriteCommand(cmd, arg...); err != nil {
		c.t.Fatal(err)
	}
	if err := c.Flush(); err != nil {
		c.t.Fatal(err)
	}
	for !c.reply.Done() {
		p, err := c.ReadPacket()
		if err != nil {
			c.t.Fatal(err)
		}
		kind, err := c.reply.Feed(p, len(p))
		if err != nil {
			c.t.Fatal(err)
		}
		if kind == wire.KindRow {
			rows = append(rows, append([]byte(nil), p...))
		}
	}
	return rows
}

func (c *binaryClient) prepare(sql string) wire.Prepared {
	c.t.Helper()
	c.do(wire.ComStmtPrepare, []byte(sql)...)
	if err := c.reply.Err(); err != nil {
		c.t.Fatal(err)
	}
	return c.reply.Prepared()
}

// executing is the argument of COM_STMT_EXECUTE for one parameter, an int64
// of which the type is told or not.
func executing(id uint32, flags byte, types bool, value int64) []byte {
	b := wire.Execute{ID: id, Flags: flags, Iterations: 1}.Append(nil)[1:]
	b = append(b, 0)
	if types {
		b = append(b, 1, byte(wire.TypeLonglong), 0)
	} else {
		b = append(b, 0)
	}
	return binary.LittleEndian.AppendUint64(b, uint64(value))
}

// Clients tell the types of parameters once, but each server must know them.
func TestParameterTypesAreToldOnce(t *testing.T) {
	p := start(t, nil)
	c := dialBinary(t, p.Addr(t))
	st := c.prepare("SELECT @@server_id + 0, ?")
	seen := map[byte]int{}
	for i := range 10 {
		rows := c.do(wire.ComStmtExecute, executing(st.ID, 0, i == 0, int64(i+1))...)
		if err := c.reply.Err(); err != nil || len(rows) != 1 {
			t.Fatal(err, rows)
		}
		row := rows[0]
		seen[row[2]]++
		if got := binary.LittleEndian.Uint64(row[len(row)-8:]); got != uint64(i+1) {
			t.Fatalf("%d: %x", i, row)
		}
	}
	if len(seen) != 2 {
		t.Fatal(seen)
	}
	// The same in a transaction, which is on a server that was told nothing yet.
	c.do(wire.ComQuery, []byte("BEGIN")...)
	rows := c.do(wire.ComStmtExecute, executing(st.ID, 0, false, 77)...)
	if len(rows) != 1 || rows[0][2] != 1 || rows[0][len(rows[0])-8] != 77 {
		t.Fatal(rows, c.reply.Err())
	}
}

func TestLastPreparedAndReset(t *testing.T) {
	c := dialBinary(t, start(t, nil).Addr(t))
	c.prepare("SELECT 1, ?")
	st := c.prepare("SELECT @@server_id + 0, ?")
	rows := c.do(wire.ComStmtExecute, executing(wire.LastPrepared, 0, true, 5)...)
	if len(rows) != 1 || rows[0][len(rows[0])-8] != 5 {
		t.Fatal(rows, c.reply.Err())
	}
	c.do(wire.ComStmtReset, binary.LittleEndian.AppendUint32(nil, st.ID)...)
	if err := c.reply.Err(); err != nil {
		t.Fatal(err)
	}
	c.do(wire.ComStmtPrepare, []byte("SELECT nonsense FROM")...)
	if !c.reply.Failed() {
		t.Fatal("nonsense was prepared")
	}
	c.do(wire.ComStmtExecute, executing(wire.LastPrepared, 0, true, 5)...)
	if c.reply.ErrorCode() != wire.ErrCodeUnknownStmt {
		t.Fatal(c.reply.Err())
	}
	c.do(wire.ComStmtExecute, executing(st.ID, 0, false, 6)...)
	if err := c.reply.Err(); err != nil {
		t.Fatal(err)
	}
	c.do(wire.ComStmtClose, binary.LittleEndian.AppendUint32(nil, st.ID)...)
	c.do(wire.ComStmtExecute, executing(st.ID, 0, true, 6)...)
	if c.reply.ErrorCode() != wire.ErrCodeUnknownStmt {
		t.Fatal(c.reply.Err())
	}
}

// Rows of a cursor are fetched where it was opened.
func TestFetch(t *testing.T) {
	c := dialBinary(t, start(t, nil).Addr(t))
	st := c.prepare("SELECT @@server_id + 0, seq + ? FROM seq_1_to_10")
	c.do(wire.ComStmtExecute, executing(st.ID, wire.CursorReadOnly, true, 0)...)
	if err := c.reply.Err(); err != nil || !c.reply.Status().Has(wire.StatusCursorExists) {
		t.Fatal(err, c.reply.Status())
	}
	total := 0
	for range 20 {
		rows := c.do(wire.ComStmtFetch, wire.Fetch{ID: st.ID, Rows: 3}.Append(nil)[1:]...)
		if err := c.reply.Err(); err != nil {
			t.Fatal(err)
		}
		total += len(rows)
		c.do(wire.ComQuery, []byte("SELECT 1")...) // elsewhere
		if c.reply.Failed() {
			t.Fatal(c.reply.Err())
		}
		if len(rows) == 0 || total == 10 {
			break
		}
	}
	if total != 10 {
		t.Fatal(total)
	}
}

func TestLongData(t *testing.T) {
	c := dialBinary(t, start(t, nil).Addr(t))
	st := c.prepare("SELECT @@server_id + 0, LENGTH(?)")
	data := append(binary.LittleEndian.AppendUint32(nil, st.ID), 0, 0)
	for range 3 {
		c.do(wire.ComStmtSendLongData, append(data, make([]byte, 1000)...)...)
	}
	b := wire.Execute{ID: st.ID, Iterations: 1}.Append(nil)[1:]
	b = append(b, 0, 1, byte(wire.TypeBlob), 0)
	rows := c.do(wire.ComStmtExecute, b...)
	if len(rows) != 1 || binary.LittleEndian.Uint32(rows[0][len(rows[0])-4:]) != 3000 {
		t.Fatal(rows, c.reply.Err())
	}
}

func TestReusePreparedStatements(t *testing.T) {
	c := connect(t, start(t, map[string]any{"reuse_prepared_statements": true}))
	count := func() string {
		return servers(t).Servers[0].Query(t, "SELECT VARIABLE_VALUE FROM information_schema.global_status WHERE VARIABLE_NAME = 'COM_STMT_PREPARE'")
	}
	if _, err := c.try("SELECT a + ? FROM t LIMIT 1", 1); err != nil {
		t.Fatal(err)
	}
	first := count()
	for i := range 10 {
		if _, err := c.try("SELECT a + ? FROM t LIMIT 1", i); err != nil {
			t.Fatal(err)
		}
	}
	if now := count(); now != first {
		t.Fatalf("prepared %s times, and then %s", first, now)
	}
}
