package proxy

import (
	"context"
	"fmt"
	"sync"
	"time"

	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
)

// sqlConn is a connection that is held for who has its token.
type sqlConn struct {
	conns   *sqlConns
	id      string
	login   sqlLogin
	made    time.Time
	expiry  *time.Timer
	release func()

	// killing is held while a query is cancelled, so that it is not the one after
	// it that is hit.
	killing sync.Mutex

	mu      sync.Mutex
	at      sqlEndpoint
	link    *sqlLink  // nil when it is lost
	closed  bool      // for good
	busy    bool      // link is used by somebody
	running *sqlQuery // nil when there is none
	last    *sqlQuery // whose results are kept; nil when they are discarded
	text    string    // what was run last
	count   int
	used    time.Time
}

// sqlQuery is what is run.
type sqlQuery struct {
	id, sql string
	began   time.Time

	done    chan struct{} // closed when the following are set
	took    time.Duration
	results []*proxyv1.QueryResult
}

// touch notes that the connection is used.
func (c *sqlConn) touch() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used = time.Now()
}

// expire closes the connection when it has not been used for long enough.
func (c *sqlConn) expire() {
	c.mu.Lock()
	left := time.Until(c.used.Add(c.conns.idle))
	if c.busy {
		left = c.conns.idle
	}
	if left > 0 {
		c.expiry.Reset(left)
	}
	c.mu.Unlock()
	if left <= 0 {
		c.conns.remove(c)
	}
}

// seize takes the link, for one use at a time. An unused one that the server has
// closed is found out here.
func (c *sqlConn) seize(alive bool) (*sqlLink, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy {
		return nil, errs.New(errs.Unavailable, "The connection is busy; wait until the query has ended, or cancel it")
	}
	if c.link != nil && !c.link.conn.Alive() {
		c.link.conn.Close()
		c.link = nil
	}
	if c.closed || alive && c.link == nil {
		return nil, errs.New(errs.Unavailable, "The connection is lost; reconnect")
	}
	c.busy = true
	return c.link, nil
}

// start runs statements in the background.
func (c *sqlConn) start(sql string, maxRows uint32) (*sqlQuery, error) {
	link, err := c.seize(true)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.count++
	q := &sqlQuery{id: fmt.Sprintf("%s.%d", c.id, c.count), sql: sql, began: time.Now(), done: make(chan struct{})}
	c.running, c.last, c.text = q, q, sql
	c.mu.Unlock()
	if !c.conns.spawn(func() { c.run(link, q, maxRows) }) {
		c.finish(q, nil, errs.New(errs.Unavailable, "The server is shutting down"))
	}
	return q, nil
}

// run runs a query to its end, or to that of the time that it has.
func (c *sqlConn) run(link *sqlLink, q *sqlQuery, maxRows uint32) {
	timeout := time.AfterFunc(queryTimeout, func() { c.conns.spawn(func() { c.stop(q) }) })
	results, err := link.run(q.sql, maxRows)
	timeout.Stop()
	c.killing.Lock()
	defer c.killing.Unlock()
	c.finish(q, results, err)
}

// finish notes what has come of a query.
func (c *sqlConn) finish(q *sqlQuery, results *sqlResults, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q.took = time.Since(q.began)
	if err != nil {
		if c.link != nil {
			c.link.conn.Close()
			c.link = nil
		}
		q.results = []*proxyv1.QueryResult{sqlError(err)}
	} else {
		q.results = results.all
	}
	if c.closed && c.link != nil {
		c.link.conn.Close()
		c.link = nil
	}
	c.running, c.busy, c.used = nil, false, time.Now()
	close(q.done)
}

// stop cancels a query. One that does not end then loses its connection.
func (c *sqlConn) stop(q *sqlQuery) {
	if err := c.kill(c.conns.ctx, q); err == nil {
		timer := time.NewTimer(cancelTimeout)
		defer timer.Stop()
		select {
		case <-q.done:
			return
		case <-timer.C:
		case <-c.conns.ctx.Done():
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == q && c.link != nil {
		c.link.conn.Close()
	}
}

// kill asks the server to cancel a query, if it still runs.
func (c *sqlConn) kill(ctx context.Context, q *sqlQuery) error {
	c.killing.Lock()
	defer c.killing.Unlock()
	c.mu.Lock()
	link, at, there := c.link, c.at, c.running == q && q != nil
	c.mu.Unlock()
	if !there || link == nil {
		return nil
	}
	return link.kill(ctx, at, c.login)
}

// cancel cancels what runs, if anything does.
func (c *sqlConn) cancel(ctx context.Context) error {
	c.mu.Lock()
	q := c.running
	c.mu.Unlock()
	if err := c.kill(ctx, q); err != nil {
		return connectFailure(c.login.target, err)
	}
	return nil
}

// reconnect takes another link in place of the present one.
func (c *sqlConn) reconnect(ctx context.Context, at sqlEndpoint) error {
	old, err := c.seize(false)
	if err != nil {
		return err
	}
	link, err := c.conns.dial(ctx, at, c.login)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy, c.used = false, time.Now()
	if err != nil {
		return err
	}
	if c.closed {
		link.conn.Close()
		return errs.New(errs.Unavailable, "The connection was deleted in between")
	}
	if old != nil {
		old.conn.Close()
	}
	c.link, c.at = link, at
	return nil
}

// discard forgets the results of the last query, and cancels it when it runs.
func (c *sqlConn) discard(id string) error {
	q, err := c.query(id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	running := c.running == q
	if c.last == q {
		c.last = nil
	}
	c.mu.Unlock()
	if running {
		c.conns.spawn(func() { c.stop(q) })
	}
	return nil
}

// query is the last query, if it has that id and is not discarded.
func (c *sqlConn) query(id string) (*sqlQuery, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil || c.last.id != id {
		return nil, errs.New(errs.BadRequest, "%s is not the last query of the connection, or its results have been discarded", id)
	}
	return c.last, nil
}

// close closes the connection for good. What runs is cancelled on the server,
// as far as the process has time for that.
func (c *sqlConn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	link, q := c.link, c.running
	switch {
	case link == nil:
	case q == nil:
		c.link = nil
		link.conn.Close()
	case !c.conns.spawn(func() { c.stop(q) }):
		link.conn.Close()
	}
}
