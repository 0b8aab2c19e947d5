package account

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// ErrEnded is returned to who waits for a load when Run has ended.
var ErrEnded = errors.New("accounts are no longer loaded")

// defaultLoadTime bounds one load.
const defaultLoadTime = 30 * time.Second

// RefreshOptions say when accounts are loaded anew.
type RefreshOptions struct {
	Load LoadFunc
	// Interval is users_refresh_interval; 0 never loads by the clock.
	Interval time.Duration
	// AfterFailure is users_refresh_time: how long after the start of a load a
	// failed login leads to another. 0 is at once, negative never.
	AfterFailure time.Duration
	Timeout      time.Duration // of one load; 30 s when zero
	Logger       *slog.Logger  // the default one when nil
}

// Refresher keeps the current Table. Run has to run for it to change.
type Refresher struct {
	o       RefreshOptions
	current atomic.Pointer[Table]
	updated atomic.Int64 // when it was loaded, in ns since 1970
	wake    chan struct{}
	times   chan struct{} // the times are others now
	ended   chan struct{}
	end     sync.Once

	mu      sync.Mutex
	waiting *flight   // the load that has not started yet
	running *flight   // the one under way
	started time.Time // of the last load
}

// SetTimes changes Interval and AfterFailure.
func (r *Refresher) SetTimes(interval, afterFailure time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.o.Interval == interval && r.o.AfterFailure == afterFailure {
		return
	}
	r.o.Interval, r.o.AfterFailure = interval, afterFailure
	select {
	case r.times <- struct{}{}:
	default:
	}
}

// ticker is one of Interval; its channel is nil where nothing is loaded by the
// clock.
func (r *Refresher) ticker() (<-chan time.Time, func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.o.Interval <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(r.o.Interval)
	return t.C, t.Stop
}

// flight is a load that several may wait for.
type flight struct {
	done chan struct{}
	err  error // once done is closed
}

// NewRefresher makes a Refresher with an empty Table.
func NewRefresher(o RefreshOptions) *Refresher {
	if o.Timeout <= 0 {
		o.Timeout = defaultLoadTime
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	r := &Refresher{o: o, wake: make(chan struct{}, 1), times: make(chan struct{}, 1), ended: make(chan struct{})}
	r.current.Store(Empty())
	return r
}

// Table is the current one. It takes no lock.
func (r *Refresher) Table() *Table { return r.current.Load() }

// Updated is when it was loaded, zero for never.
func (r *Refresher) Updated() time.Time {
	if ns := r.updated.Load(); ns != 0 {
		return time.Unix(0, ns)
	}
	return time.Time{}
}

// Run loads at once, by the clock and when it is asked to, until ctx ends. It
// may be called once.
func (r *Refresher) Run(ctx context.Context) {
	defer r.end.Do(func() { close(r.ended) })
	tick, stop := r.ticker()
	defer func() { stop() }()
	for ctx.Err() == nil {
		r.load(ctx)
		for due := false; !due; {
			select {
			case <-ctx.Done():
				return
			case <-tick:
				due = true
			case <-r.wake:
				due = true
			case <-r.times:
				stop()
				tick, stop = r.ticker()
			}
		}
	}
}

// load makes one load and tells who waits for it. A load that fails leaves the
// Table as it is.
func (r *Refresher) load(ctx context.Context) {
	f := r.begin()
	bounded, cancel := context.WithTimeout(ctx, r.o.Timeout)
	table, err := r.o.Load(bounded)
	cancel()
	switch {
	case err == nil:
		r.current.Store(table)
		r.updated.Store(time.Now().UnixNano())
		if unread := table.Unread(); len(unread) > 0 {
			r.o.Logger.Warn("some grants cannot be read, so that backends decide on databases; give the service user SELECT on them",
				"tables", unread)
		}
	case ctx.Err() == nil:
		r.o.Logger.Error("accounts could not be loaded; those known so far stay in use", "error", err)
	}
	r.mu.Lock()
	r.running = nil
	r.mu.Unlock()
	f.err = err
	close(f.done)
}

func (r *Refresher) begin() *flight {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.waiting
	if f == nil {
		f = newFlight()
	}
	r.waiting, r.running, r.started = nil, f, time.Now()
	select {
	case <-r.wake: // asked for what starts now
	default:
	}
	return f
}

func newFlight() *flight { return &flight{done: make(chan struct{})} }

// Reload loads anew and waits for it. It waits for a load that starts after
// the call, since one under way may have read before what the caller changed.
func (r *Refresher) Reload(ctx context.Context) error {
	r.mu.Lock()
	f := r.request()
	r.mu.Unlock()
	return r.await(ctx, f)
}

// request joins the load that comes next. r.mu must be held.
func (r *Refresher) request() *flight {
	if r.waiting == nil {
		r.waiting = newFlight()
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
	return r.waiting
}

// AfterFailure is to be called when a login failed. It loads anew if the time
// has come, or waits for a load under way, and tells whether the login is
// worth another try: whether a newer Table than seen is there.
func (r *Refresher) AfterFailure(ctx context.Context, seen *Table) bool {
	r.mu.Lock()
	f := r.running
	switch {
	case r.o.AfterFailure < 0:
		f = nil
	case f != nil:
	case r.waiting != nil:
		f = r.waiting
	case r.Table() == seen && time.Since(r.started) >= r.o.AfterFailure:
		f = r.request()
	}
	never := r.o.AfterFailure < 0
	r.mu.Unlock()
	if f != nil && r.await(ctx, f) != nil {
		return false
	}
	return !never && r.Table() != seen
}

func (r *Refresher) await(ctx context.Context, f *flight) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	case <-r.ended:
		return ErrEnded
	}
}
