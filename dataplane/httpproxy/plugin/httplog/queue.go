package httplog

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// unlimitedWorkers is how many batches are under way at once where there is no
// limit.
const unlimitedWorkers = 16

// lastFlush bounds how long a gateway waits at its end until its logs are sent.
const lastFlush = 5 * time.Second

// queue keeps entries until they are sent in batches. The oldest ones are given
// up if there are too many.
type queue struct {
	log  *slog.Logger
	wake chan struct{}
	idle chan struct{} // closed once no instance uses it

	mu      sync.Mutex
	config  queueConfig
	sender  *sender
	entries [][]byte
	first   time.Time // when the oldest one of the next batch came
	bytes   int
	dropped int // since it was told
	// uses and workers are guarded by queues.mu.
	uses, workers int
	// deadline is when the last flush is over.
	deadline time.Time
}

// configure tells how entries are sent from now on.
func (q *queue) configure(c queueConfig, s *sender) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.config, q.sender = c, s
	q.signal() // what waits may not have to any more
}

// add takes an entry, which it keeps.
func (q *queue) add(entry []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	limit := 0
	if q.config.MaxBytes != nil {
		limit = max(*q.config.MaxBytes, 1)
	}
	if limit > 0 && len(entry) > limit {
		q.drop(1)
		return
	}
	for len(q.entries) > 0 && (len(q.entries) >= q.config.MaxEntries || limit > 0 && q.bytes+len(entry) > limit) {
		q.bytes -= len(q.entries[0])
		q.entries[0] = nil
		q.entries = q.entries[1:]
		q.drop(1)
	}
	if len(q.entries) == 0 {
		q.first = time.Now()
	}
	q.entries = append(q.entries, entry)
	q.bytes += len(entry)
	if n := len(q.entries); n == 1 || n >= q.config.MaxBatchSize {
		q.signal()
	}
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// drop counts entries that are given up, and tells of the first one of many.
func (q *queue) drop(n int) {
	if q.dropped == 0 {
		q.log.Error("entries of the log are given up, because there are too many")
	}
	q.dropped += n
}

// take takes a batch that is to be sent, if there is one, else it tells when
// there will be, or 0 if that depends on others.
func (q *queue) take(now time.Time, all bool) (batch [][]byte, by *sender, wait time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := len(q.entries)
	if n == 0 {
		if q.dropped > 0 {
			q.log.Warn("entries of the log were given up", "count", q.dropped)
			q.dropped = 0
		}
		return nil, nil, 0
	}
	if n < q.config.MaxBatchSize && !all {
		if wait = q.first.Add(seconds(q.config.MaxCoalescingDelay)).Sub(now); wait > 0 {
			return nil, nil, wait
		}
	}
	n = min(n, q.config.MaxBatchSize)
	batch = append([][]byte(nil), q.entries[:n]...)
	clear(q.entries[:n])
	q.entries = q.entries[n:]
	for _, e := range batch {
		q.bytes -= len(e)
	}
	if q.first = now; len(q.entries) == 0 {
		q.entries = nil
	} else {
		q.signal() // for another worker
	}
	return batch, q.sender, 0
}

// run sends batches until ctx has ended, or nobody uses the queue and it is
// empty.
func (q *queue) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		unused := false
		select {
		case <-q.idle:
			unused = true
		default:
		}
		batch, by, wait := q.take(time.Now(), unused || ctx.Err() != nil)
		if batch != nil {
			q.deliver(ctx, batch, by)
			continue
		}
		if unused || ctx.Err() != nil {
			q.last().client.CloseIdleConnections()
			return
		}
		if wait == 0 {
			wait = time.Hour
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
		case <-q.idle:
		case <-q.wake:
		case <-timer.C:
		}
	}
}

func (q *queue) last() *sender {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.sender
}

// deliver sends a batch, again if that fails. When the gateway ends there is one
// more try.
func (q *queue) deliver(ctx context.Context, batch [][]byte, by *sender) {
	q.mu.Lock()
	c := q.config
	q.mu.Unlock()
	began := time.Now()
	delay := seconds(c.InitialRetryDelay)
	for {
		within, cancel := ctx, context.CancelFunc(func() {})
		last := ctx.Err() != nil
		if last {
			within, cancel = q.lastContext(ctx)
		}
		err := by.send(within, batch)
		cancel()
		switch {
		case err == nil:
			return
		case !last && ctx.Err() != nil:
			continue // it was the end that has cut it short
		case last || time.Since(began)+delay > seconds(c.MaxRetryTime):
			q.log.Error("a part of the log could not be sent", "entries", len(batch), "error", err)
			return
		}
		q.log.Warn("a part of the log is sent again", "entries", len(batch), "error", err)
		pause := time.NewTimer(delay)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
		delay = min(2*delay, seconds(c.MaxRetryDelay))
	}
}

// lastContext ends lastFlush after it was first asked for.
func (q *queue) lastContext(ctx context.Context) (context.Context, context.CancelFunc) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.deadline.IsZero() {
		q.deadline = time.Now().Add(lastFlush)
	}
	return context.WithDeadline(context.WithoutCancel(ctx), q.deadline)
}
