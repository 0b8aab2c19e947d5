package wire

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// Whatever a server answers, Reply ends with the last packet and not before,
// however little of the packets it is shown.
func TestReplyEndsAtTheEnd(t *testing.T) {
	for seed := range uint64(6_000) {
		checkAnswer(t, seed)
	}
}

func FuzzReplyAnswer(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(checkAnswer)
}

func checkAnswer(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 4))
	a := newAnswer(rng, 2_000)
	var r Reply
	r.Start(a.cmd, a.caps)
	for i, p := range a.packets {
		if r.Done() {
			t.Fatalf("seed %d: %s, %#x: ended after %d of %d packets", seed, a.cmd, a.caps, i, len(a.packets))
		}
		head := p[:min(len(p), MinHead+rng.IntN(100))]
		if kind, err := r.Feed(head[:len(head):len(head)], len(p)); err != nil || kind == KindNone {
			t.Fatalf("seed %d: %s, %#x: packet %d of %d: kind %d, %v: %x", seed, a.cmd, a.caps, i, len(a.packets), kind, err, head)
		}
		if r.AwaitsClient() != a.client[i] {
			t.Fatalf("seed %d: %s: packet %d: client's turn: %v", seed, a.cmd, i, r.AwaitsClient())
		}
		if r.AwaitsClient() {
			if _, err := r.Feed(p, len(p)); !errors.Is(err, ErrUnexpected) {
				t.Fatalf("seed %d: fed out of turn: %v", seed, err)
			}
			r.ClientSent()
		}
	}
	if !r.Done() {
		t.Fatalf("seed %d: %s, %#x: not ended after %d packets", seed, a.cmd, a.caps, len(a.packets))
	}
	if _, err := r.Feed([]byte{0}, 1); !errors.Is(err, ErrUnexpected) {
		t.Fatalf("seed %d: fed after the end: %v", seed, err)
	}
	if r.Rows() != a.rows || r.ResultSets() != a.results || r.Failed() != a.failed {
		t.Fatalf("seed %d: %d rows of %d, %d results of %d, failed %v, want %v", seed, r.Rows(), a.rows, r.ResultSets(), a.results, r.Failed(), a.failed)
	}
}

// The same through connections, in pieces of any length: what is relayed is
// what was sent, and the packet after the answer stays.
func TestRelayReply(t *testing.T) {
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 5))
		a := newAnswer(rng, 40_000)
		discard := seed%5 == 4
		src := NewConn(&script{said: frame(1, append(slices.Clone(a.packets), []byte("next"))...), rng: rng}, PeerServer)
		src.SetSequence(1)
		out := &script{}
		client := NewConn(out, PeerClient)
		client.SetSequence(200)
		dst := client
		if discard {
			dst = nil
		}
		var r Reply
		for r.Start(a.cmd, a.caps); !r.Done(); r.ClientSent() {
			if err := src.RelayReply(dst, &r); err != nil {
				t.Fatalf("seed %d: %s: %v", seed, a.cmd, err)
			}
		}
		must(t, client.Flush())
		if !discard && !bytes.Equal(out.written, frame(200, a.packets...)) {
			t.Fatalf("seed %d: %s: relayed otherwise than sent", seed, a.cmd)
		}
		if p, err := src.ReadPacket(); err != nil || string(p) != "next" {
			t.Fatalf("seed %d: %s: after the answer %.20q, %v", seed, a.cmd, p, err)
		}
		if s := client.Stats(); !discard && s.PacketsOut != uint64(len(a.packets)) {
			t.Fatalf("seed %d: %d packets of %d counted", seed, s.PacketsOut, len(a.packets))
		}
	}
}

// feed starts a reply and gives it packets, of which the last kind is
// returned.
func feed(t *testing.T, r *Reply, cmd Command, caps Capability, packets ...string) (kind Kind) {
	t.Helper()
	r.Start(cmd, caps)
	for i, p := range packets {
		var err error
		if kind, err = r.Feed([]byte(p), len(p)); err != nil {
			t.Fatalf("packet %d: %v", i, err)
		}
	}
	return kind
}

const aColumn = "\x03def\x00\x00\x00\x01a\x00\x0c\x3f\x00\x01\x00\x00\x00\x08\x81\x00\x00\x00\x00"

func TestReplyTells(t *testing.T) {
	var r Reply
	if k := feed(t, &r, ComQuery, 0, "\x00\xfc\x2c\x01\x07\x03\x00\x02\x00"); k != KindOK || !r.Done() || r.AffectedRows() != 300 ||
		r.LastInsertID() != 7 || r.Warnings() != 2 || r.Status() != StatusAutocommit|StatusInTransaction || r.Err() != nil {
		t.Errorf("OK: %+v", r)
	}
	k := feed(t, &r, ComQuery, 0, "\x01", aColumn, "\xfe\x00\x00\x02\x00", "\x011", "\xfb", "\xff\xbd\x04#40001Deadlock")
	var e *ServerError
	if k != KindError || !r.Done() || !r.Failed() || !errors.As(r.Err(), &e) || *e != (ServerError{1213, "40001", "Deadlock"}) || r.Rows() != 2 ||
		r.ErrorCode() != ErrCodeDeadlock || string(r.ErrorMessage()) != "Deadlock" || r.Columns() != 1 {
		t.Errorf("error among rows: %+v", r)
	}
	k = feed(t, &r, ComStmtExecute, 0, "\x01", aColumn, "\xfe\x00\x00\x42\x00")
	if k != KindEOF || !r.Done() || !r.Status().Has(StatusCursorExists) || r.Failed() {
		t.Errorf("cursor: %+v", r)
	}
	// The same flag in the answer to a text query means nothing.
	if feed(t, &r, ComQuery, 0, "\x01", aColumn, "\xfe\x00\x00\x42\x00"); r.Done() {
		t.Errorf("no cursor: %+v", r)
	}
	k = feed(t, &r, ComStmtPrepare, CapDeprecateEOF, "\x00\x09\x00\x00\x00\x01\x00\x02\x00\x00\x03\x00", aColumn, aColumn, aColumn)
	if k != KindColumn || !r.Done() || r.Prepared() != (Prepared{9, 1, 2, 3}) || r.Warnings() != 3 {
		t.Errorf("prepared: %+v", r)
	}
	// A first value of 16 MiB and more begins like an EOF packet.
	r.Start(ComQuery, CapDeprecateEOF)
	for _, p := range []string{"\x01", aColumn} {
		if _, err := r.Feed([]byte(p), len(p)); err != nil {
			t.Fatal(err)
		}
	}
	if k, err := r.Feed(append([]byte("\xfe\x00\x00\x00\x01\x00\x00\x00\x00"), pattern(MinHead)...), MaxPayload); k != KindRow || err != nil || r.Done() {
		t.Errorf("row of 16 MiB: %d, %v", k, err)
	}
	if k, err := r.Feed([]byte("\xfe\x00\x00\x02\x00\x00\x00"), 7); k != KindOK || err != nil || !r.Done() {
		t.Errorf("end of rows: %d, %v", k, err)
	}
}

func TestReplySessionState(t *testing.T) {
	var r Reply
	ok := func(status Status, name string) string {
		o := OK{Status: status, State: SessionState(nil).AppendChange(Change{StateSchema, nil, []byte(name)})}
		return string(o.Append(nil, CapSessionTrack, false))
	}
	feed(t, &r, ComQuery, CapSessionTrack, ok(StatusMoreResults, "first"), ok(0, "second"))
	state, lost := r.SessionState()
	if want := "\x01\x06\x05first\x01\x07\x06second"; string(state) != want || lost {
		t.Errorf("%q, lost %v", state, lost)
	}
	if feed(t, &r, ComPing, CapSessionTrack, "\x00\x00\x00\x02\x00\x00\x00"); len(r.session) != 0 {
		t.Error("kept for the next answer")
	}

	// More than fits the buffer is read whole; more than is kept is said to be
	// lost. Both are relayed.
	for _, n := range []int{maxSessionState - 100, maxSessionState} {
		big := []byte(ok(0, string(pattern(n))))
		src := NewConn(&script{said: frame(1, big)}, PeerServer)
		src.SetSequence(1)
		out := &script{}
		dst := NewConn(out, PeerClient)
		r.Start(ComQuery, CapSessionTrack)
		must(t, src.RelayReply(dst, &r))
		must(t, dst.Flush())
		state, lost := r.SessionState()
		if !r.Done() || lost != (n == maxSessionState) || !lost && len(state) < n || !bytes.Equal(out.written, frame(0, big)) {
			t.Errorf("%d bytes: %d kept, lost %v", n, len(state), lost)
		}
	}
	// Above the limit for packets that are read whole.
	big := []byte(ok(0, string(pattern(50_000))))
	src := NewConn(&script{said: frame(1, big)}, PeerServer)
	src.SetSequence(1)
	src.SetLimit(40_000)
	r.Start(ComQuery, CapSessionTrack)
	must(t, src.RelayReply(nil, &r))
	if _, lost := r.SessionState(); !r.Done() || !lost {
		t.Error("changes that were not seen are not said to be lost")
	}
}

// What no server sends there ends the relay, and is laid to the server.
func TestReplyRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		cmd     Command
		caps    Capability
		packets []string
		want    error
	}{
		{"a file not offered", ComQuery, 0, []string{"\xfb/etc/passwd"}, ErrUnexpected},
		{"a file for a prepared statement", ComStmtExecute, CapLocalFiles, []string{"\xfb/etc/passwd"}, ErrUnexpected},
		{"no columns", ComQuery, 0, []string{"\xfc\x00\x00"}, ErrMalformed},
		{"columns and more", ComQuery, 0, []string{"\x01x"}, ErrMalformed},
		{"endless columns", ComQuery, 0, []string{"\xfd\xff\xff\xff"}, ErrMalformed},
		{"an empty packet", ComQuery, 0, []string{""}, ErrMalformed},
		{"rows in place of columns", ComQuery, 0, []string{"\x02", aColumn, "\x011"}, ErrMalformed},
		{"rows in place of the end of columns", ComQuery, 0, []string{"\x01", aColumn, "\x011"}, ErrMalformed},
		{"an early end of columns", ComQuery, 0, []string{"\x02", aColumn, "\xfe\x00\x00\x02\x00"}, ErrMalformed},
		{"rows for a ping", ComPing, 0, []string{"\x01"}, ErrMalformed},
		{"rows after a file", ComQuery, CapLocalFiles, []string{"\xfbx", "\x01"}, ErrMalformed},
		{"a short OK", ComPing, 0, []string{"\x00\x00"}, ErrMalformed},
		{"a short EOF", ComSetOption, 0, []string{"\xfe"}, ErrMalformed},
		{"a short error", ComPing, 0, []string{"\xff\x01"}, ErrMalformed},
		{"an OK with broken changes", ComPing, CapSessionTrack, []string{"\x00\x00\x00\x00\x40\x00\x00\x00\x09x"}, ErrMalformed},
		{"a short statement", ComStmtPrepare, 0, []string{"\x00\x01\x00"}, ErrMalformed},
		{"anything after the end", ComPing, 0, []string{"\x00\x00\x00\x02\x00\x00\x00", "\x00"}, ErrUnexpected},
	} {
		var r Reply
		r.Start(c.cmd, c.caps)
		var err error
		for i, p := range c.packets {
			if err != nil {
				t.Errorf("%s: packet %d: %v", c.name, i-1, err)
			}
			_, err = r.Feed([]byte(p), len(p))
			r.ClientSent()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	// A packet numbered wrongly among others.
	stream := append(frame(1, []byte("\x01")), frame(3, []byte(aColumn))...)
	src := NewConn(&script{said: stream}, PeerServer)
	src.SetSequence(1)
	var r Reply
	r.Start(ComQuery, 0)
	if err := src.RelayReply(nil, &r); !isAbout(err, src, ErrSequence) {
		t.Error(err)
	}
	src = NewConn(&script{said: frame(1, []byte("\x00\x00\x00\x02\x00\x00\x00"), []byte("\x05"))}, PeerServer)
	src.SetSequence(1)
	r.Start(ComPing, 0)
	must(t, src.RelayReply(nil, &r))
	r.Start(ComPing, 0)
	if err := src.RelayReply(nil, &r); !isAbout(err, src, ErrMalformed) {
		t.Error(err)
	}
}

// Errors come out of turn also while an answer is relayed.
func TestRelayReplyFarewell(t *testing.T) {
	src := NewConn(&script{said: frame(0, []byte("\xff\x1d\x04#08S01Server shutdown in progress"))}, PeerServer)
	src.SetSequence(1)
	out := &script{}
	dst := NewConn(out, PeerClient)
	dst.SetSequence(1)
	var r Reply
	r.Start(ComQuery, 0)
	must(t, src.RelayReply(dst, &r))
	must(t, dst.Flush())
	if r.ErrorCode() != ErrCodeServerShutdown || out.written[3] != 1 {
		t.Errorf("%v, written %q", r.Err(), out.written)
	}
}

func FuzzReply(f *testing.F) {
	for seed := range uint64(50) {
		a := newAnswer(rand.New(rand.NewPCG(seed, 6)), 100)
		f.Add(byte(a.cmd), uint64(a.caps), frame(0, a.packets...))
	}
	f.Fuzz(func(t *testing.T, cmd byte, caps uint64, stream []byte) {
		var r Reply
		r.Start(Command(cmd), Capability(caps))
		for c := NewCursor(stream); c.Len() > 0 && !r.Done(); {
			size := int(c.Uint16()) | int(c.Uint16()&0xff)<<16
			p := c.Take(min(size, c.Len()))
			kind, err := r.Feed(p, max(size, len(p)))
			if (err == nil) == (kind == KindNone) {
				t.Fatalf("kind %d, %v", kind, err)
			}
			if err != nil {
				return
			}
			if r.AwaitsClient() {
				r.ClientSent()
			}
		}
		if r.Done() {
			if _, err := r.Feed(nil, 0); !errors.Is(err, ErrUnexpected) {
				t.Fatal("goes on after the end")
			}
		}
		changes, _ := r.SessionState()
		list := changes.Changes()
		for more := true; more; {
			_, more, _ = list.Next()
		}
	})
}
