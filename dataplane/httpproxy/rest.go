package httpproxy

import (
	"errors"
	"sync"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/h1"
)

// rest is the sending of the rest of a body while the response is waited for, or
// read: an upstream may answer before it has all of a request.
type rest struct {
	done chan struct{}

	mu       sync.Mutex
	response bool  // there is one, or there will be none
	err      error // of the sending
}

// sendRest sends the rest of a body from now on.
func (c *upstreamConn) sendRest(x *Exchange) {
	c.client.SetReadTimeout(0) // the upstream need not say anything until all is sent
	r, log, id, read := &rest{done: make(chan struct{})}, x.log, x.ID, x.service.read
	c.rest = r
	go func() {
		defer close(r.done)
		var err error = &tryError{err: errPanic, sent: true}
		defer func() {
			// What was not sent is missing, but nobody else is to suffer.
			if what := recover(); what != nil {
				logPanic(log, id, what)
			}
			r.sent(c, read, err)
		}()
		err = c.client.WriteRest()
	}()
}

// sent is told that all is sent, or why not. From now on the response may take
// no longer than others do, if it can come at all.
func (r *rest) sent(c *upstreamConn, read time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
	switch {
	case r.response:
	case err != nil && (isTimeout(err) || errors.As(err, new(*h1.SourceError)) || !errors.As(err, new(*h1.ConnError))):
		c.abandon() // there is nothing to wait for
	case read > 0:
		_ = c.nc.SetReadDeadline(time.Now().Add(read)) // what fails here fails again in reading
	}
}

// answered is told that the head of the response was read, or could not be. It
// returns why the rest could not be sent, if that is so.
func (r *rest) answered(c *upstreamConn, read time.Duration, ok bool) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.response = true
	if ok {
		_ = c.nc.SetReadDeadline(time.Time{}) // what fails here fails again in reading
		c.client.SetReadTimeout(read)
	}
	return r.err
}

// ended tells whether nothing is being sent any more; nil has ended.
func (r *rest) ended() bool {
	if r == nil {
		return true
	}
	// The upstream may have seen the last of it before this process knows.
	grace := time.NewTimer(restGrace)
	defer grace.Stop()
	select {
	case <-r.done:
		return true
	case <-grace.C:
		return false
	}
}

// restGrace is how long it takes at most until it is known that what an upstream
// has answered was sent to its end.
const restGrace = 200 * time.Millisecond

// stopRest ends what sendRest has begun.
func (c *upstreamConn) stopRest(x *Exchange) {
	if c.rest == nil {
		return
	}
	if !c.rest.ended() {
		c.close()
		x.down.interrupt()
		<-c.rest.done
	}
	c.rest = nil
}
