package wire

import (
	"io"
	"net"
	"testing"
	"time"
)

// relayed is a client and a server, with a relay between them that passes a
// query and its answer on.
type relayed struct {
	client, server   net.Conn // their ends
	front, back      *Conn    // the relay's ends
	request, answer  []byte
	toServer, toUser []byte // room for what arrives
	reply            Reply
}

func newRelayed(t testing.TB, rows, size int) *relayed {
	return newRelayedOn(t, rows, size, func(nc net.Conn) net.Conn { return nc })
}

// newRelayedOn is newRelayed whose relay has what on makes of its connections.
func newRelayedOn(t testing.TB, rows, size int, on func(net.Conn) net.Conn) *relayed {
	const caps = CapProtocol41 | CapDeprecateEOF
	column := Column{Name: []byte("a")}
	packets := [][]byte{ColumnCount{1, true}.Append(nil, caps), column.Append(nil, caps)}
	for range rows {
		packets = append(packets, AppendString(nil, pattern(size)))
	}
	packets = append(packets, (&OK{}).Append(nil, caps, true))
	r := &relayed{request: frame(0, []byte("\x03SELECT a FROM t WHERE id = 12345")), answer: frame(1, packets...)}
	r.toServer, r.toUser = make([]byte, len(r.request)), make([]byte, len(r.answer))
	var front, back net.Conn
	r.client, front = tcpPair(t)
	back, r.server = tcpPair(t)
	for _, c := range []net.Conn{r.client, r.server, front, back} {
		c.SetDeadline(time.Time{})
	}
	r.front, r.back = NewConn(on(front), PeerClient), NewConn(on(back), PeerServer)
	return r
}

func (r *relayed) exchange(t testing.TB) {
	r.client.Write(r.request)
	r.front.SetSequence(0)
	r.back.SetSequence(0)
	head, _, err := r.front.Peek(MinHead)
	if err != nil {
		t.Fatal(err)
	}
	cmd := Command(head[0])
	if _, err := r.front.RelayPacket(r.back); err != nil {
		t.Fatal(err)
	}
	if err := r.back.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r.server, r.toServer); err != nil {
		t.Fatal(err)
	}
	r.server.Write(r.answer)
	r.reply.Start(cmd, CapProtocol41|CapDeprecateEOF)
	if err := r.back.RelayReply(r.front, &r.reply); err != nil {
		t.Fatal(err)
	}
	if err := r.front.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r.client, r.toUser); err != nil {
		t.Fatal(err)
	}
}

// TestRelayAllocatesNothing holds for a query with its whole answer.
func TestRelayAllocatesNothing(t *testing.T) {
	for _, c := range []struct{ rows, size int }{{1, 20}, {1000, 20}, {2, 40_000}, {1, 100_000}} {
		r := newRelayed(t, c.rows, c.size)
		r.exchange(t) // takes what it keeps
		got := testing.AllocsPerRun(200, func() { r.exchange(t) })
		if got > 0 && !raced {
			t.Errorf("%d rows of %d bytes: %v allocations", c.rows, c.size, got)
		}
		if r.reply.Rows() != uint64(c.rows) {
			t.Errorf("%d rows of %d", r.reply.Rows(), c.rows)
		}
	}
}

// BenchmarkRelay passes on a query and an answer of one short row: one packet
// there and four back, over the loopback interface.
func BenchmarkRelay(b *testing.B) { benchmarkRelay(b, 1, 120) }

// BenchmarkRelayRows passes on an answer of a thousand rows.
func BenchmarkRelayRows(b *testing.B) { benchmarkRelay(b, 1000, 100) }

func benchmarkRelay(b *testing.B, rows, size int) {
	r := newRelayed(b, rows, size)
	b.SetBytes(int64(len(r.answer)))
	b.ReportAllocs()
	for b.Loop() {
		r.exchange(b)
	}
}

// BenchmarkReply follows an answer of a thousand rows, without a network.
func BenchmarkReply(b *testing.B) {
	r := newRelayed(b, 1000, 100)
	b.SetBytes(int64(len(r.answer)))
	b.ReportAllocs()
	src := NewConn(&script{}, PeerServer)
	said := src.nc.(*script)
	for b.Loop() {
		said.said = r.answer
		src.SetSequence(1)
		r.reply.Start(ComQuery, CapProtocol41|CapDeprecateEOF)
		if err := src.RelayReply(nil, &r.reply); err != nil {
			b.Fatal(err)
		}
	}
}
