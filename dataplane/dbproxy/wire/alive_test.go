package wire

import (
	"testing"
	"time"
)

func TestAlive(t *testing.T) {
	a, b := tcpPair(t)
	c := NewConn(a, PeerServer)
	for range 2 {
		if !c.Alive() {
			t.Fatal("an idle connection is dead")
		}
	}
	// What the peer says is not lost by looking.
	if _, err := b.Write([]byte{1, 0, 0, 0, 7}); err != nil {
		t.Fatal(err)
	}
	gone(t, c)
	if p, err := c.ReadPacket(); err != nil || len(p) != 1 || p[0] != 7 {
		t.Fatal(p, err)
	}
	if !c.Alive() {
		t.Fatal("dead after the packet was read")
	}
	b.Close()
	gone(t, c)
}

// gone waits until a connection is not alive.
func gone(t *testing.T, c *Conn) {
	t.Helper()
	eventually(t, "the connection has gone", func() bool { return !c.Alive() })
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not so after a minute: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestAliveAllocatesNothing(t *testing.T) {
	a, _ := tcpPair(t)
	c := NewConn(a, PeerServer)
	if n := testing.AllocsPerRun(100, func() { c.Alive() }); n > 0 {
		t.Fatal(n)
	}
}

func BenchmarkAlive(b *testing.B) {
	nc, _ := tcpPair(b)
	c := NewConn(nc, PeerServer)
	for b.Loop() {
		c.Alive()
	}
}
