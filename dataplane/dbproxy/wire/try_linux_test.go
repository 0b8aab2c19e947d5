package wire

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/backplane/backplane/internal/evloop"
)

// tried is what a task that only tries has found.
type tried struct {
	packet []byte // nil where it is to be read otherwise
	err    error
	done   bool // the whole answer was there at once
	flush  bool // and could be sent at once
}

// again tries until there was something to read.
func (c *Conn) again(try func() error) error {
	for {
		if err := try(); err != evloop.ErrAgain {
			return err
		}
		if !c.Expect() {
			c.loop.WaitRead() //nolint:errcheck // try tells
		}
	}
}

// try passes a request and its answer on like a step, and waits in between. What
// cannot be tried it does as it is done otherwise.
func (r *relayed) try(task *evloop.Task) (got tried, err error) {
	if err := errors.Join(r.front.Bind(task), r.back.Bind(task)); err != nil {
		return got, err
	}
	got.err = r.front.again(func() error {
		got.packet, err = r.front.TryPacket()
		return err
	})
	if got.err != nil {
		return got, nil
	}
	got.packet = bytes.Clone(got.packet)
	r.reply.Start(ComQuery, CapProtocol41|CapDeprecateEOF)
	if got.packet != nil {
		r.front.Hand(r.back)
		if !r.back.TryFlush() {
			return got, errors.New("a request cannot be sent")
		}
	} else {
		r.front.SetSequence(0)
		r.back.SetSequence(0)
		if _, err := r.front.RelayPacket(r.back); err != nil {
			return got, err
		}
		if err := r.back.Flush(); err != nil {
			return got, err
		}
	}
	got.err = r.back.again(func() error { return r.back.TryRelayReply(r.front, &r.reply) })
	if got.err != nil {
		return got, nil
	}
	if got.done = r.reply.Done(); !got.done {
		if err := r.back.RelayReply(r.front, &r.reply); err != nil {
			return got, err
		}
	}
	if got.flush = r.front.TryFlush(); !got.flush {
		return got, r.front.Flush()
	}
	return got, nil
}

// TestTry passes requests and answers that come as a whole, in pieces, and with
// others.
func TestTry(t *testing.T) {
	for name, c := range map[string]struct {
		rows, size int
		split      bool // the last byte of the request comes later
		more       bool // another request comes with it
		late       bool // the last byte of the answer comes later
		packet     bool
		done       bool
	}{
		"whole":                     {rows: 1, size: 20, packet: true, done: true},
		"many rows":                 {rows: 100, size: 20, packet: true, done: true},
		"a request in pieces":       {rows: 1, size: 20, split: true, done: true},
		"two requests at once":      {rows: 1, size: 20, more: true, done: true},
		"an answer in pieces":       {rows: 1, size: 20, late: true, packet: true},
		"an answer beyond a buffer": {rows: 1000, size: 100, packet: true},
		"a row beyond a buffer":     {rows: 1, size: 100_000, packet: true},
	} {
		t.Run(name, func(t *testing.T) {
			g, on := looped(t)
			r := newRelayedOn(t, c.rows, c.size, on)
			request := r.request
			switch {
			case c.split:
				request = request[:len(request)-1]
			case c.more:
				request = append(bytes.Clone(request), request...)
			}
			_, err := r.client.Write(request)
			must(t, err)
			type result struct {
				tried
				err error
			}
			done := make(chan result, 1)
			g.Go(func(task *evloop.Task) {
				got, err := r.try(task)
				done <- result{got, err}
			})
			if c.split {
				waitFor(t, r.front, uint64(len(request)))
				_, err = r.client.Write(r.request[len(request):])
				must(t, err)
			}
			_, err = io.ReadFull(r.server, r.toServer)
			must(t, err)
			answer := r.answer
			if c.late {
				answer = answer[:len(answer)-1]
			}
			_, err = r.server.Write(answer)
			must(t, err)
			if c.late {
				waitFor(t, r.back, uint64(len(answer)))
				_, err = r.server.Write(r.answer[len(answer):])
				must(t, err)
			}
			_, err = io.ReadFull(r.client, r.toUser)
			must(t, err)
			got := <-done
			must(t, got.err)
			if (got.packet != nil) != c.packet || c.packet && !bytes.Equal(got.packet, r.request[headerSize:]) {
				t.Errorf("the packet is %q", got.packet)
			}
			if got.done != c.done {
				t.Errorf("the whole answer at once: %t", got.done)
			}
			if !bytes.Equal(r.toServer, r.request) || !bytes.Equal(r.toUser, r.answer) {
				t.Error("other bytes have arrived")
			}
			if rows := r.reply.Rows(); rows != uint64(c.rows) {
				t.Errorf("%d rows", rows)
			}
		})
	}
}

// waitFor waits until a connection has read so many bytes.
func waitFor(t *testing.T, c *Conn, n uint64) {
	t.Helper()
	eventually(t, "the bytes have come", func() bool { return c.Stats().BytesIn >= n })
}

// TestTryFailures is what trying tells of peers that go away, or do not take
// what they are sent.
func TestTryFailures(t *testing.T) {
	run := func(t *testing.T, r *relayed, g *evloop.Group, f func()) {
		t.Helper()
		done := make(chan struct{})
		g.Go(func(task *evloop.Task) {
			defer close(done)
			if err := errors.Join(r.front.Bind(task), r.back.Bind(task)); err != nil {
				t.Error(err)
				return
			}
			f()
		})
		<-done
	}
	t.Run("a client that has gone", func(t *testing.T) {
		g, on := looped(t)
		r := newRelayedOn(t, 1, 20, on)
		r.client.Close()
		run(t, r, g, func() {
			r.front.loop.WaitRead() //nolint:errcheck // TryPacket tells
			if _, err := r.front.TryPacket(); !isAbout(err, r.front, io.EOF) {
				t.Error(err)
			}
		})
	})
	t.Run("a server that has gone", func(t *testing.T) {
		g, on := looped(t)
		r := newRelayedOn(t, 1, 20, on)
		r.server.Close()
		run(t, r, g, func() {
			r.reply.Start(ComQuery, CapProtocol41|CapDeprecateEOF)
			r.back.loop.WaitRead() //nolint:errcheck // TryRelayReply tells
			if err := r.back.TryRelayReply(r.front, &r.reply); !isAbout(err, r.back, io.EOF) {
				t.Error(err)
			}
		})
	})
	t.Run("a client that does not read", func(t *testing.T) {
		g, on := looped(t)
		r := newRelayedOn(t, 1, 20, on)
		ok := func(err error) {
			if err != nil {
				t.Error(err)
			}
		}
		run(t, r, g, func() {
			if !r.front.TryFlush() {
				t.Error("nothing cannot be sent")
			}
			sent := 0
			for {
				ok(r.front.write(make([]byte, bufferSize-1)))
				if sent += bufferSize - 1; !r.front.TryFlush() {
					break
				}
			}
			go io.Copy(io.Discard, r.client) //nolint:errcheck // it ends with the client
			ok(r.front.Flush())
			if got := r.front.Stats().BytesOut; got != uint64(sent) {
				t.Errorf("%d bytes of %d", got, sent)
			}
			r.front.Close()
			ok(r.back.Close())
			ok(r.back.write([]byte("x")))
			if r.back.TryFlush() || r.back.Flush() == nil {
				t.Error("sent on a closed connection")
			}
		})
	})
}

// FuzzTryPacket is that a packet which can be tried is the one that would have
// been read, that it is all there is, and that it goes on as it has come.
func FuzzTryPacket(f *testing.F) {
	f.Add(frame(0, []byte("\x03SELECT 1")))
	f.Add(frame(0, []byte("\x03SELECT 1"), []byte("\x0e")))
	f.Add(frame(0, []byte("\x03SELECT 1"))[:7])
	f.Add(frame(1, []byte("\x0e")))
	f.Add(frame(0, nil))
	f.Add(frame(0, make([]byte, MaxPeek)))
	f.Fuzz(func(t *testing.T, stream []byte) {
		if len(stream) == 0 || len(stream) > bufferSize {
			return
		}
		said := &script{said: bytes.Clone(stream)}
		read := NewConn(said, PeerClient)
		want, err := read.ReadPacket()
		alone := err == nil && len(want) > 0 && !read.Buffered() && len(said.said) == 0

		tried := &Conn{in: new(buffer), w: len(stream)}
		copy(tried.in[:], stream)
		got, err := tried.TryPacket()
		if err != nil || (got != nil) != alone || alone && !bytes.Equal(got, want) {
			t.Fatalf("%q (%v), alone: %t, read: %q", got, err, alone, want)
		}
		if got == nil {
			return
		}
		out := &script{}
		dst := NewConn(out, PeerServer)
		tried.Hand(dst)
		if err := dst.Flush(); err != nil || !bytes.Equal(out.written, stream) {
			t.Fatalf("%q (%v) went on", out.written, err)
		}
		if tried.Buffered() || tried.Sequence() != 1 || dst.Sequence() != 1 {
			t.Fatal("something is left, or the next packets are numbered otherwise")
		}
	})
}
