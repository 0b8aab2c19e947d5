package httpproxy

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// errLeft is that nobody waits for a response any more.
var errLeft = errors.New("the client has left")

// halfClosed is how long a client is waited with that has said its last word: it
// may have left, or may wait for the response all the same, which only sending
// something would tell.
const halfClosed = time.Second

// departure notices, on an event loop, when a client of HTTP/1 leaves while its
// request is under way. Then what it waits for ends.
type departure struct {
	cancel context.CancelFunc // of the connection's context
	// awaits is set until there is something to say to the client.
	awaits atomic.Bool
	last   atomic.Bool // it has said its last word
	left   atomic.Bool
	// using is the connection to the upstream, which belongs to who takes it
	// out: whoever used it, or who ends that.
	using atomic.Pointer[upstreamConn]

	mu    sync.Mutex
	timer *time.Timer
}

// hangup is told by the event loop that the client has said its last word.
func (d *departure) hangup(gone bool) {
	if gone {
		d.leave()
	} else if !d.last.Swap(true) && d.awaits.Load() {
		d.doubt()
	}
}

// doubt waits whether the response is there soon.
func (d *departure) doubt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Reset(halfClosed)
		return
	}
	d.timer = time.AfterFunc(halfClosed, func() {
		if d.awaits.Load() {
			d.leave()
		}
	})
}

// leave ends what the client has waited for.
func (d *departure) leave() {
	d.left.Store(true)
	d.cancel()
	if c := d.using.Swap(nil); c != nil {
		c.abandon()
	}
}

// begin is told that a request begins.
func (d *departure) begin() {
	d.awaits.Store(true)
	if d.last.Load() {
		d.doubt()
	}
}

// end is told that there is a response.
func (d *departure) end() {
	d.awaits.Store(false)
	if !d.last.Load() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
}

// gone tells whether nobody waits any more; nil knows nobody.
func (d *departure) gone() bool { return d != nil && d.left.Load() }

// hold notes which connection is used for the request.
func (d *departure) hold(c *upstreamConn) {
	if d == nil {
		return
	}
	d.using.Store(c)
	if d.left.Load() && d.using.CompareAndSwap(c, nil) {
		c.abandon()
	}
}

// let ends what hold has begun, and tells whether the connection was abandoned.
func (d *departure) let(c *upstreamConn) bool {
	return d != nil && !d.using.CompareAndSwap(c, nil)
}
