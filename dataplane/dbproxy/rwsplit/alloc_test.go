package rwsplit

import (
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// Neither plain reads and writes nor executions of prepared statements leave
// garbage behind.
func TestPlainRequestsAllocateNothing(t *testing.T) {
	most := 0.0
	if raced {
		most = 8
	}
	c := dialBinary(t, start(t, nil).Addr(t))
	st := c.prepare("SELECT a FROM t WHERE id = ?")
	change := c.prepare("UPDATE t SET a = a WHERE id = ?")
	for _, r := range []struct {
		what string
		cmd  wire.Command
		arg  []byte
	}{
		{"read", wire.ComQuery, []byte("SELECT a FROM t WHERE id = 1")},
		{"write", wire.ComQuery, []byte("UPDATE t SET a = a WHERE id = 1")},
		{"prepared read", wire.ComStmtExecute, executing(st.ID, 0, true, 1)},
		{"prepared write", wire.ComStmtExecute, executing(change.ID, 0, true, 1)},
	} {
		request := func() { c.count(r.cmd, r.arg) }
		for range 100 {
			request()
		}
		if n := testing.AllocsPerRun(300, request); n > most {
			t.Errorf("a %s allocates %v times", r.what, n)
		}
	}
}

// count runs a command without keeping anything of the answer.
func (c *binaryClient) count(cmd wire.Command, arg []byte) {
	c.reply.Start(cmd, c.caps)
	if err := c.WriteCommand(cmd, arg...); err != nil {
		c.t.Fatal(err)
	}
	if err := c.Flush(); err != nil {
		c.t.Fatal(err)
	}
	if err := c.RelayReply(nil, &c.reply); err != nil {
		c.t.Fatal(err)
	}
	if c.reply.Failed() {
		c.t.Fatal(c.reply.Err())
	}
}
