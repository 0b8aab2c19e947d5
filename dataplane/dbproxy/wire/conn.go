package wire

import (
	"crypto/tls"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/backplane/backplane/internal/evloop"
)

const (
	// MaxPayload is what one packet on the wire holds at most. A packet of
	// exactly this length goes on in the next one.
	MaxPayload = 1<<24 - 1

	headerSize = 4
	bufferSize = 16 << 10
	bulkSize   = 64 << 10 // for packets that do not fit a buffer

	// MaxPeek is what Peek shows at most.
	MaxPeek = bufferSize - headerSize

	// DefaultLimit bounds the packets that are read whole. Relayed ones are
	// not bounded.
	DefaultLimit = 16 << 20
)

// Peer tells who is at the other end of a connection.
type Peer uint8

// The peers.
const (
	PeerClient Peer = iota
	PeerServer      // may send an error out of sequence, as a server does that ends a connection
)

type (
	buffer [bufferSize]byte
	bulk   [bulkSize]byte
)

var (
	buffers = sync.Pool{New: func() any { return new(buffer) }}
	bulks   = sync.Pool{New: func() any { return new(bulk) }}
)

// Conn frames packets on a connection. It is used by one goroutine at a time,
// but for Close, the deadlines and Stats. While it waits for the peer it holds
// no buffer (where the operating system lets it know), so that idle
// connections cost little.
type Conn struct {
	base  net.Conn                 // as given to NewConn
	nc    net.Conn                 // the same, or the TLS connection on it
	under atomic.Pointer[tls.Conn] // that one, for who closes from elsewhere
	peer  Peer
	seq   byte // of the next packet, in either direction
	limit int

	loop *evloop.Conn    // base, where that is on an event loop and not under TLS
	raw  syscall.RawConn // nil where buffers cannot be left away while waiting
	poll func(fd uintptr) bool
	n    int // what poll has read
	err  error

	probe  func(fd uintptr) bool // of Alive
	silent bool                  // what probe has found

	first [1]byte
	in    *buffer // nil when nothing is buffered
	r, w  int     // what is buffered is in[r:w]
	big   []byte  // the last packet read, when it did not fit the buffer
	wake  *Conn

	out     *buffer
	outFrom int // what is to be sent is out[outFrom:outLen]
	outLen  int
	written error // the first failure to write; nothing is written after it
	torn    bool  // a packet was written in part

	writeTimeout time.Duration
	writeUntil   time.Time

	packetsIn, packetsOut uint64
	stats                 counters
}

type counters struct{ bytesIn, bytesOut, packetsIn, packetsOut atomic.Uint64 }

// Stats are counts of a connection. Those of packets lag behind until the
// connection next reads or writes.
type Stats struct{ BytesIn, BytesOut, PacketsIn, PacketsOut uint64 }

// NewConn takes over a connection.
func NewConn(nc net.Conn, peer Peer) *Conn {
	c := &Conn{base: nc, nc: nc, peer: peer, limit: DefaultLimit}
	if c.loop, _ = nc.(*evloop.Conn); c.loop == nil {
		c.pollable()
	}
	return c
}

// SetLimit bounds the packets that ReadPacket returns.
func (c *Conn) SetLimit(n int) { c.limit = n }

// NetConn is the connection beneath, the TLS one if there is one.
func (c *Conn) NetConn() net.Conn { return c.nc }

// TLS is the state of the TLS connection; ok tells whether it is one.
func (c *Conn) TLS() (state tls.ConnectionState, ok bool) {
	if tc, ok := c.nc.(*tls.Conn); ok {
		return tc.ConnectionState(), true
	}
	return tls.ConnectionState{}, false
}

// Private tells whether nobody can listen in: under TLS and on local sockets.
func (c *Conn) Private() bool {
	if _, ok := c.nc.(*tls.Conn); ok {
		return true
	}
	address := c.base.RemoteAddr()
	return address != nil && address.Network() == "unix"
}

// Bind makes a connection on an event loop one of a task, or nobody's. It must
// not be in use. Other connections stay as they are.
func (c *Conn) Bind(t *evloop.Task) error {
	if ec, ok := c.base.(*evloop.Conn); ok {
		return ec.Bind(t)
	}
	return nil
}

// Close closes the connection. What is not flushed is lost.
func (c *Conn) Close() error {
	if tc := c.under.Load(); tc != nil {
		if ec, ok := c.base.(*evloop.Conn); ok {
			ec.Hurry() // the farewell must not wait where others have to
		}
		return tc.Close()
	}
	return c.base.Close()
}

// SetDeadline is that of net.Conn, as the following are.
func (c *Conn) SetDeadline(t time.Time) error { return c.base.SetDeadline(t) }

// SetReadDeadline bounds the reads to come and one that is under way.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.base.SetReadDeadline(t) }

// SetWriteDeadline bounds the writes to come and one that is under way.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.base.SetWriteDeadline(t) }

// SetWriteTimeout bounds each write that the peer does not take, to between d
// and 1.25 d, so that the deadline need not be set for every one of them. Zero
// switches it off.
func (c *Conn) SetWriteTimeout(d time.Duration) error {
	c.writeTimeout, c.writeUntil = d, time.Time{}
	return c.base.SetWriteDeadline(time.Time{})
}

// Now is about the present time. On an event loop it is when the loop has last
// looked for something to read.
func (c *Conn) Now() time.Time {
	if c.loop != nil {
		return c.loop.Now()
	}
	return time.Now()
}

// Stats returns the counts so far.
func (c *Conn) Stats() Stats {
	return Stats{
		BytesIn: c.stats.bytesIn.Load(), BytesOut: c.stats.bytesOut.Load(),
		PacketsIn: c.stats.packetsIn.Load(), PacketsOut: c.stats.packetsOut.Load(),
	}
}

// Torn tells whether a packet was begun to be written whose rest will never
// come: nothing more can be said to the peer then.
func (c *Conn) Torn() bool { return c.torn || c.written != nil }

// Sequence is the number that the next packet has.
func (c *Conn) Sequence() byte { return c.seq }

// SetSequence sets the number that the next packet has in either direction: 0
// before each command, 1 before the answer to one of several commands that
// were sent at once.
func (c *Conn) SetSequence(n byte) { c.seq = n }

// FlushOnWait makes c flush dst whenever it has to wait for its peer, so that
// what is relayed is sent in as few pieces as possible, yet never held back.
// nil ends it.
func (c *Conn) FlushOnWait(dst *Conn) { c.wake = dst }

func (c *Conn) fail(op string, err error) error {
	if already, ok := err.(*ConnError); ok {
		return already
	}
	return &ConnError{Conn: c, Op: op, Err: err}
}
