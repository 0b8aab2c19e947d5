package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"
)

func TestReadPacket(t *testing.T) {
	sizes := []int{0, 1, 3, MaxPeek - 1, MaxPeek, MaxPeek + 1, bufferSize, bulkSize, bulkSize + 1, 300_000, 0, 5}
	var payloads [][]byte
	for _, n := range sizes {
		payloads = append(payloads, pattern(n))
	}
	for seed := range uint64(5) {
		c := NewConn(&script{said: frame(7, payloads...), rng: rand.New(rand.NewPCG(seed, 1))}, PeerClient)
		c.SetSequence(7)
		for i, want := range payloads {
			if i%3 == 1 {
				head, size, err := c.Peek(10)
				if err != nil || size != len(want) || !bytes.Equal(head, want[:min(10, len(want))]) {
					t.Fatalf("seed %d: peek of packet %d: %d bytes, size %d, %v", seed, i, len(head), size, err)
				}
			}
			got, err := c.ReadPacket()
			if err != nil || !bytes.Equal(got, want) {
				t.Fatalf("seed %d: packet %d of %d bytes: got %d, %v", seed, i, len(want), len(got), err)
			}
		}
		if _, err := c.ReadPacket(); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: %v", err)
		}
		if s := c.Stats(); s.PacketsIn != uint64(len(sizes)) || s.BytesIn != uint64(len(frame(7, payloads...))) {
			t.Errorf("stats %+v", s)
		}
	}
}

// Packets that end at the very limit of what one packet on the wire holds, and
// others of several.
func TestContinuedPackets(t *testing.T) {
	for _, n := range []int{MaxPayload - 1, MaxPayload, MaxPayload + 1, 2*MaxPayload + 70_000} {
		payload := pattern(n)
		src := NewConn(&script{said: frame(254, payload, []byte("next"))}, PeerClient)
		src.SetSequence(254)
		src.SetLimit(n)
		out := &script{}
		dst := NewConn(out, PeerServer)
		got, err := src.ReadPacket()
		if err != nil || !bytes.Equal(got, payload) {
			t.Fatalf("%d bytes: read %d, %v", n, len(got), err)
		}
		must(t, dst.WritePacket(got))
		must(t, dst.Flush())
		if !bytes.Equal(out.written, frame(0, payload)) {
			t.Errorf("%d bytes: written wrongly", n)
		}

		src = NewConn(&script{said: frame(0, payload, []byte("next"))}, PeerClient)
		out.written = nil
		dst.SetSequence(200)
		if got, err := src.RelayPacket(dst); err != nil || got != int64(n) {
			t.Fatalf("%d bytes: relayed %d, %v", n, got, err)
		}
		must(t, dst.Flush())
		if !bytes.Equal(out.written, frame(200, payload)) {
			t.Errorf("%d bytes: relayed wrongly", n)
		}
		if next, err := src.ReadPacket(); err != nil || string(next) != "next" {
			t.Errorf("%d bytes: then %q, %v", n, next, err)
		}
	}
}

func TestSequence(t *testing.T) {
	bad := frame(4, []byte("x"))
	for _, peer := range []Peer{PeerClient, PeerServer} {
		c := NewConn(&script{said: bad}, peer)
		if _, err := c.ReadPacket(); !isAbout(err, c, ErrSequence) {
			t.Errorf("peer %d: %v", peer, err)
		}
	}
	// A server that ends a connection does not wait for its turn.
	farewell := frame(0, []byte("\xff\x1d\x04#08S01Server shutdown in progress"))
	c := NewConn(&script{said: farewell}, PeerServer)
	c.SetSequence(1)
	if p, err := c.ReadPacket(); err != nil || p[0] != headError {
		t.Errorf("error out of turn: %v", err)
	}
	c = NewConn(&script{said: farewell}, PeerClient)
	c.SetSequence(1)
	if _, err := c.ReadPacket(); !isAbout(err, c, ErrSequence) {
		t.Errorf("error out of turn by a client: %v", err)
	}
}

func TestLimit(t *testing.T) {
	big := pattern(5000)
	c := NewConn(&script{said: frame(0, big, []byte("next"))}, PeerClient)
	c.SetLimit(4999)
	if _, err := c.ReadPacket(); !isAbout(err, c, ErrTooLarge) {
		t.Fatalf("above the limit: %v", err)
	}
	// It is still there, to be relayed.
	out := &script{}
	dst := NewConn(out, PeerServer)
	if n, err := c.RelayPacket(dst); n != 5000 || err != nil {
		t.Fatal(n, err)
	}
	if p, err := c.ReadPacket(); string(p) != "next" || err != nil {
		t.Errorf("then %q, %v", p, err)
	}

	// A header alone makes nobody allocate what it promises.
	huge := &script{said: []byte("\xfe\xff\xff\x00abc")}
	c = NewConn(huge, PeerClient)
	if _, err := c.ReadPacket(); !isAbout(err, c, io.ErrUnexpectedEOF) {
		t.Errorf("cut packet: %v", err)
	}
	if n := testing.AllocsPerRun(1, func() {
		huge.said = []byte("\xff\xff\xff\x00abc")
		c := NewConn(huge, PeerClient)
		c.ReadPacket()
	}); n > 20 {
		t.Errorf("%v allocations for a packet that never came", n)
	}
	c = NewConn(&script{said: frame(0, pattern(MaxPayload+10))}, PeerClient)
	c.SetLimit(MaxPayload + 9)
	if _, err := c.ReadPacket(); !isAbout(err, c, ErrTooLarge) {
		t.Errorf("above a limit of several packets: %v", err)
	}
}

func TestTruncated(t *testing.T) {
	whole := frame(0, []byte("hello"))
	for n := range whole {
		c := NewConn(&script{said: whole[:n]}, PeerClient)
		_, err := c.ReadPacket()
		if want := io.ErrUnexpectedEOF; n > 0 && !isAbout(err, c, want) || n == 0 && !isAbout(err, c, io.EOF) {
			t.Errorf("%d bytes: %v", n, err)
		}
		c = NewConn(&script{said: whole[:n]}, PeerClient)
		if _, err := c.RelayPacket(nil); err == nil {
			t.Errorf("%d bytes: discarded", n)
		}
	}
}

// On a socket, a connection that waits holds no buffer.
func TestIdleHoldsNothing(t *testing.T) {
	a, b := tcpPair(t)
	c := NewConn(b, PeerClient)
	for range 3 {
		if _, err := a.Write(frame(0, []byte("hello"))); err != nil {
			t.Fatal(err)
		}
		c.SetSequence(0)
		if p, err := c.ReadPacket(); err != nil || string(p) != "hello" {
			t.Fatal(string(p), err)
		}
		must(t, c.WritePacket([]byte("answer")))
		must(t, c.Flush())
		must(t, c.SetReadDeadline(time.Now().Add(time.Millisecond)))
		if _, err := c.ReadPacket(); !isAbout(err, c, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		if c.in != nil || c.out != nil {
			t.Fatal("buffers held after a wait")
		}
		must(t, c.raw.Control(func(fd uintptr) {
			if c.tryRead(fd) || c.in != nil {
				t.Error("buffer held while there is nothing to read")
			}
		}))
		must(t, c.SetReadDeadline(time.Time{}))
	}
	a.(*net.TCPConn).CloseWrite()
	if _, err := c.ReadPacket(); !isAbout(err, c, io.EOF) {
		t.Errorf("peer gone: %v", err)
	}
}

// What is relayed reaches the peer before the next is waited for, without
// flushes of the caller.
func TestFlushOnWait(t *testing.T) {
	for _, plain := range []bool{false, true} {
		backend, in := tcpPair(t)
		out, client := tcpPair(t)
		src, dst := NewConn(in, PeerServer), NewConn(out, PeerClient)
		if plain {
			src.raw = nil // as under TLS
		}
		src.FlushOnWait(dst)
		done := make(chan error, 1)
		go func() {
			for {
				if _, err := src.RelayPacket(dst); err != nil {
					done <- err
					return
				}
			}
		}()
		got := make([]byte, 9)
		for i := range byte(3) {
			packet := frame(i, []byte("hello"))
			backend.Write(packet)
			if _, err := io.ReadFull(client, got); err != nil || !bytes.Equal(got, packet) {
				t.Fatalf("packet %d: %q, %v", i, got, err)
			}
		}
		// The side that fails is known.
		client.Close()
		var err error
		for i := byte(3); err == nil; i++ {
			backend.Write(frame(i, []byte("hello")))
			select {
			case err = <-done:
			case <-time.After(10 * time.Millisecond):
			}
		}
		var failed *ConnError
		if !errors.As(err, &failed) || failed.Conn != dst || failed.Op != "write" {
			t.Errorf("plain %v: %v", plain, err)
		}
		if dst.Flush() == nil || dst.WritePacket([]byte("x")) == nil {
			t.Errorf("plain %v: writes after a failure", plain)
		}
	}
}

func TestWriteTimeout(t *testing.T) {
	a, b := tcpPair(t)
	a.SetDeadline(time.Time{})
	c := NewConn(b, PeerClient)
	must(t, c.SetWriteTimeout(20*time.Millisecond))
	var err error
	for chunk := pattern(1 << 20); err == nil; {
		err = c.WritePacket(chunk) // nobody reads
	}
	if !isAbout(err, c, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func TestWriteCommandAndRaw(t *testing.T) {
	out := &script{}
	c := NewConn(out, PeerServer)
	c.SetSequence(9)
	must(t, c.WriteRaw([]byte("PROXY UNKNOWN\r\n")))
	must(t, c.WriteCommand(ComQuery, []byte("SELECT 1")...))
	must(t, c.WriteCommand(ComPing))
	if len(out.written) != 0 {
		t.Error("sent before it was flushed")
	}
	must(t, c.Flush())
	if want := "PROXY UNKNOWN\r\n\x09\x00\x00\x00\x03SELECT 1\x01\x00\x00\x00\x0e"; string(out.written) != want {
		t.Errorf("wrote %q", out.written)
	}
	c = NewConn(&script{said: []byte("PROXY UNKNOWN\r\n\x01\x00\x00\x00\x0e")}, PeerClient)
	if p, err := c.PeekRaw(6); err != nil || string(p) != "PROXY " {
		t.Fatal(string(p), err)
	}
	c.DiscardRaw(15)
	if p, err := c.ReadPacket(); err != nil || string(p) != "\x0e" {
		t.Errorf("then %q, %v", p, err)
	}
}

// Packets of all sizes, in pieces of all sizes, reach the other side unchanged
// and numbered as it has them.
func TestRelayPacket(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 2))
		var payloads [][]byte
		for range 20 {
			payloads = append(payloads, pattern(rng.IntN([]int{4, 300, 20_000, 200_000}[rng.IntN(4)])))
		}
		src := NewConn(&script{said: frame(0, payloads...), rng: rng}, PeerClient)
		out := &script{}
		dst := NewConn(out, PeerServer)
		dst.SetSequence(100)
		for i, p := range payloads {
			if n, err := src.RelayPacket(dst); err != nil || n != int64(len(p)) {
				t.Fatalf("seed %d: packet %d: %d, %v", seed, i, n, err)
			}
		}
		must(t, dst.Flush())
		if !bytes.Equal(out.written, frame(100, payloads...)) {
			t.Errorf("seed %d: relayed wrongly", seed)
		}
		if s := dst.Stats(); s.PacketsOut != 20 || s.BytesOut != uint64(len(out.written)) {
			t.Errorf("seed %d: stats %+v", seed, s)
		}
	}
}

// Connections that are not polled, those under TLS, are read in pieces no
// smaller than others.
func TestPlainReads(t *testing.T) {
	said := &script{said: frame(0, pattern(MaxPeek+20_000), pattern(10), pattern(30_000))}
	src, dst := NewConn(said, PeerClient), NewConn(&script{}, PeerServer)
	for range 2 {
		if _, err := src.RelayPacket(dst); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := src.ReadPacket(); err != nil {
		t.Fatal(err)
	}
	if said.reads > 12 {
		t.Errorf("%d reads of %d bytes", said.reads, src.Stats().BytesIn)
	}
}

func TestRelayFile(t *testing.T) {
	file := [][]byte{pattern(100), pattern(MaxPayload), pattern(5)} // the second ends with an empty packet of its own
	src := NewConn(&script{said: frame(2, append(file, nil, []byte("next"))...)}, PeerClient)
	src.SetSequence(2)
	out := &script{}
	dst := NewConn(out, PeerServer)
	dst.SetSequence(2)
	if n, err := src.RelayFile(dst); err != nil || n != 105+MaxPayload {
		t.Fatal(n, err)
	}
	must(t, dst.Flush())
	if !bytes.Equal(out.written, frame(2, append(file, nil)...)) {
		t.Error("relayed wrongly")
	}
	if p, err := src.ReadPacket(); err != nil || string(p) != "next" {
		t.Error(string(p), err)
	}
}

// The beginning of a packet may be changed on the way.
func TestPeekToRewrite(t *testing.T) {
	payload := append(Execute{ID: 5, Iterations: 1}.Append(nil), pattern(50_000)...)
	src := NewConn(&script{said: frame(0, payload)}, PeerClient)
	out := &script{}
	dst := NewConn(out, PeerServer)
	head, size, err := src.Peek(16)
	if err != nil || size != len(payload) || len(head) != 16 {
		t.Fatal(len(head), size, err)
	}
	must(t, SetStatementID(head, 77))
	if _, err := src.RelayPacket(dst); err != nil {
		t.Fatal(err)
	}
	must(t, dst.Flush())
	e, err := ParseExecute(out.written[headerSize:])
	if err != nil || e != (Execute{ID: 77, Iterations: 1}) || !bytes.Equal(out.written[headerSize+10:], payload[10:]) {
		t.Errorf("%+v, %v", e, err)
	}
}

func FuzzConn(f *testing.F) {
	f.Add(frame(0, []byte("hello"), nil, []byte("x")), uint64(1))
	f.Add([]byte("\xff\xff\xff\x00"), uint64(2))
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		rng := rand.New(rand.NewPCG(seed, 3))
		reader := NewConn(&script{said: bytes.Clone(stream), rng: rng}, PeerClient)
		relayed := NewConn(&script{said: bytes.Clone(stream), rng: rng}, PeerClient)
		out := &script{}
		dst := NewConn(out, PeerServer)
		var want []byte
		for seq := byte(0); ; seq++ {
			p, err := reader.ReadPacket()
			n, rerr := relayed.RelayPacket(dst)
			if fmt.Sprint(err) != fmt.Sprint(rerr) {
				t.Fatalf("read: %v, relayed: %v", err, rerr)
			}
			if err != nil {
				break
			}
			if int(n) != len(p) {
				t.Fatalf("read %d, relayed %d", len(p), n)
			}
			want = append(want, frame(seq, p)...)
		}
		if dst.Flush(); !bytes.HasPrefix(out.written, want) {
			t.Error("relayed otherwise than read")
		}
	})
}
