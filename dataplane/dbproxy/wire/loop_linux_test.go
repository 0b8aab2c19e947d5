package wire

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/backplane/backplane/internal/evloop"
)

// looped makes connections ones of an event loop.
func looped(t testing.TB) (*evloop.Group, func(net.Conn) net.Conn) {
	g, err := evloop.New(evloop.Options{Loops: 1})
	must(t, err)
	t.Cleanup(func() { g.Close() })
	return g, func(nc net.Conn) net.Conn {
		c, err := g.Adopt(nc)
		must(t, err)
		return c
	}
}

// TestLoopAllocatesNothing relays in a task, whose other ends are elsewhere.
func TestLoopAllocatesNothing(t *testing.T) {
	for _, c := range []struct{ rows, size int }{{1, 20}, {1000, 20}, {1, 100_000}} {
		g, on := looped(t)
		r := newRelayedOn(t, c.rows, c.size, on)
		done := make(chan error, 1)
		g.Go(func(task *evloop.Task) { done <- r.serve(task) })
		exchange := func() {
			r.client.Write(r.request) //nolint:errcheck // the reads tell
			if _, err := io.ReadFull(r.server, r.toServer); err != nil {
				t.Fatal(err)
			}
			r.server.Write(r.answer) //nolint:errcheck // the read tells
			if _, err := io.ReadFull(r.client, r.toUser); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 {
			exchange() // takes what it keeps
		}
		if got := testing.AllocsPerRun(200, exchange); got > 0 && !raced {
			t.Errorf("%d rows of %d bytes: %v allocations", c.rows, c.size, got)
		}
		r.client.Close()
		if err := <-done; !errors.Is(err, io.EOF) {
			t.Error(err)
		}
	}
}

// serve relays requests and answers until the client has gone.
func (r *relayed) serve(task *evloop.Task) error {
	if err := errors.Join(r.front.Bind(task), r.back.Bind(task)); err != nil {
		return err
	}
	for {
		r.front.SetSequence(0)
		r.back.SetSequence(0)
		head, _, err := r.front.Peek(MinHead)
		if err != nil {
			return err
		}
		r.reply.Start(Command(head[0]), CapProtocol41|CapDeprecateEOF)
		if _, err := r.front.RelayPacket(r.back); err != nil {
			return err
		}
		if err := r.back.Flush(); err != nil {
			return err
		}
		if err := r.back.RelayReply(r.front, &r.reply); err != nil {
			return err
		}
		if err := r.front.Flush(); err != nil {
			return err
		}
	}
}

// TestIdleLoopHoldsNothing is TestIdleHoldsNothing on an event loop.
func TestIdleLoopHoldsNothing(t *testing.T) {
	_, on := looped(t)
	a, b := tcpPair(t)
	c := NewConn(on(b), PeerClient)
	for range 3 {
		_, err := a.Write(frame(0, []byte("hello")))
		must(t, err)
		c.SetSequence(0)
		if p, err := c.ReadPacket(); err != nil || string(p) != "hello" {
			t.Fatal(string(p), err)
		}
		must(t, c.SetReadDeadline(time.Now().Add(time.Millisecond)))
		if _, err := c.ReadPacket(); !isAbout(err, c, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		if c.in != nil || c.out != nil {
			t.Fatal("buffers held after a wait")
		}
		must(t, c.SetReadDeadline(time.Time{}))
		if !c.Alive() {
			t.Fatal("an idle connection is not alive")
		}
	}
	a.Close()
	if _, err := c.ReadPacket(); !isAbout(err, c, io.EOF) {
		t.Errorf("peer gone: %v", err)
	}
	if c.Alive() {
		t.Error("a connection is alive whose peer has gone")
	}
}
