package evloop

import (
	"net"
	"time"
)

// deadlines are when reads and writes fail. Both have one timer, which is left
// alone when they are put off or taken back: most are, before they come.
type deadlines struct {
	read, write time.Time // zero for never
	timer       *time.Timer
	due         time.Time // when the timer calls; zero when it does not
}

// stop ends the timer for good.
func (d *deadlines) stop() {
	d.read, d.write, d.due = time.Time{}, time.Time{}, time.Time{}
	if d.timer != nil {
		d.timer.Stop()
	}
}

// next is the earlier deadline of those that there are.
func (d *deadlines) next() time.Time {
	if d.read.IsZero() || !d.write.IsZero() && d.write.Before(d.read) {
		return d.write
	}
	return d.read
}

// setDeadline sets one of the two.
func (c *Conn) setDeadline(deadline *time.Time, expired uint64, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.Load()&shut != 0 {
		return c.fail("set", net.ErrClosed)
	}
	*deadline = time.Time{}
	if t.IsZero() {
		c.lower(expired)
		return nil
	}
	left := time.Until(t)
	if left <= 0 {
		c.notify(expired)
		return nil
	}
	c.lower(expired)
	*deadline = t
	c.arm(t, left)
	return nil
}

// arm has the timer call at t, or earlier. c.mu is held.
func (c *Conn) arm(t time.Time, left time.Duration) {
	d := &c.deadlines
	switch {
	case !d.due.IsZero() && !t.Before(d.due):
		return
	case d.timer == nil:
		d.timer = time.AfterFunc(left, c.expire)
	default:
		d.timer.Reset(left)
	}
	d.due = t
}

// lower takes a bit back.
func (c *Conn) lower(bit uint64) {
	if c.state.Load()&bit != 0 {
		c.state.And(^bit)
	}
}

// expire is what the timer calls: a deadline may have come, or have been put
// off meanwhile.
func (c *Conn) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := &c.deadlines
	if d.due.IsZero() {
		return // the connection was closed
	}
	if left := time.Until(d.due); left > 0 {
		d.timer.Reset(left) // it was set anew while this call was on its way
		return
	}
	d.due = time.Time{}
	if !d.read.IsZero() && time.Until(d.read) <= 0 {
		d.read = time.Time{}
		c.notify(readExpired)
	}
	if !d.write.IsZero() && time.Until(d.write) <= 0 {
		d.write = time.Time{}
		c.notify(writeExpired)
	}
	if next := d.next(); !next.IsZero() {
		c.arm(next, time.Until(next))
	}
}
