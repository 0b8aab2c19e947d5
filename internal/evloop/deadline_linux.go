package evloop

import (
	"net"
	"time"
)

// deadline is when reads or writes fail.
type deadline struct {
	until time.Time // zero for never
	timer *time.Timer
}

func (d *deadline) stop() {
	d.until = time.Time{}
	if d.timer != nil {
		d.timer.Stop()
	}
}

func (c *Conn) setDeadline(d *deadline, expired uint64, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Load()&shut != 0 {
		return c.fail("set", net.ErrClosed)
	}
	if t.IsZero() {
		d.stop()
		c.lower(expired)
		return nil
	}
	left := time.Until(t)
	if left <= 0 {
		d.stop()
		c.notify(expired)
		return nil
	}
	c.lower(expired)
	d.until = t
	if d.timer == nil {
		d.timer = time.AfterFunc(left, func() { c.expire(d, expired) })
	} else {
		d.timer.Reset(left)
	}
	return nil
}

// lower takes a bit back.
func (c *Conn) lower(bit uint64) {
	if c.state.Load()&bit != 0 {
		c.state.And(^bit)
	}
}

// expire is called when a deadline may have come. It may have been moved
// meanwhile.
func (c *Conn) expire(d *deadline, expired uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !d.until.IsZero() && time.Until(d.until) <= 0 {
		c.notify(expired)
	}
}
