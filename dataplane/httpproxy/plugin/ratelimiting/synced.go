package ratelimiting

import (
	"context"
	"errors"
	"log/slog"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// leastRate bounds how often counters are synced, in seconds.
const leastRate = 0.02

// lastSync bounds the last time at the end.
const lastSync = 2 * time.Second

// synced counts in memory, and tells Redis from time to time.
type synced struct {
	counters *counters
	redis    *redisStore
	log      *slog.Logger
}

func newSynced(r *redisStore, log *slog.Logger) *synced {
	return &synced{newCounters(), r, log}
}

// waits implements waiting.
func (s *synced) waits(k *key, now time.Time, limits []limit) bool {
	sh := s.counters.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.entries[*k]
	return e == nil || e.begins(now, limits)
}

// take implements store. What Redis has counted in a window is asked for when
// the window begins here.
func (s *synced) take(ctx context.Context, k *key, now time.Time, limits []limit, used *usage) (bool, error) {
	sh := s.counters.shard(k)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.entries[*k]
	if e == nil || e.begins(now, limits) {
		sh.mu.Unlock()
		known, err := s.ask(ctx, k, now, limits)
		sh.mu.Lock()
		if err != nil {
			return false, err
		}
		e = sh.entry(k, now.Unix())
		e.begin(now, limits, known)
	}
	return e.take(now, limits, used), nil
}

// begins tells whether there is a window that nothing was counted in yet.
func (e *entry) begins(now time.Time, limits []limit) bool {
	for i := range limits {
		w := limits[i].window
		if e.windows[w].start != spanAt(w, now).start {
			return true
		}
	}
	return false
}

// begin fills in what Redis has counted.
func (e *entry) begin(now time.Time, limits []limit, known []int64) {
	for i := range limits {
		w := limits[i].window
		if start := spanAt(w, now).start; e.windows[w].start != start {
			e.windows[w] = count{start: start, used: known[i]}
		}
	}
}

// ask asks Redis for counts.
func (s *synced) ask(ctx context.Context, k *key, now time.Time, limits []limit) ([]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.redis.timeout)
	defer cancel()
	names := make([]string, len(limits))
	for i := range limits {
		names[i] = redisName(k, limits[i].window, spanAt(limits[i].window, now).start)
	}
	values, err := s.redis.client.MGet(ctx, names...).Result()
	if err != nil {
		return nil, err
	}
	known := make([]int64, len(limits))
	for i := range min(len(values), len(known)) {
		if text, ok := values[i].(string); ok {
			if known[i], err = strconv.ParseInt(text, 10, 64); err != nil {
				return nil, errors.New("a counter in redis is no number")
			}
		}
	}
	return known, nil
}

// change is what is new of a counter.
type change struct {
	key    key
	window int
	count
	result *redis.IntCmd
}

// run syncs until ctx ends, and once more then.
func (s *synced) run(ctx context.Context, pause time.Duration) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	swept := time.Now()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), min(lastSync, s.redis.timeout))
			defer cancel()
			s.sync(last)
			return
		case now := <-tick.C:
			within, cancel := context.WithTimeout(ctx, s.redis.timeout)
			s.sync(within)
			cancel()
			if now.Sub(swept) >= sweepPause {
				s.sweep(now)
				swept = now
			}
		}
	}
}

func (s *synced) sweep(now time.Time) {
	for i := range s.counters.shards {
		sh := &s.counters.shards[i]
		sh.mu.Lock()
		sh.sweep(now.Unix())
		sh.mu.Unlock()
	}
}

// sync tells Redis what was counted, and takes over what it knows.
func (s *synced) sync(ctx context.Context) {
	changes := s.changes()
	if len(changes) == 0 {
		return
	}
	now := time.Now()
	pipe := s.redis.client.Pipeline()
	for i := range changes {
		c := &changes[i]
		name := redisName(&c.key, c.window, c.start)
		c.result = pipe.IncrBy(ctx, name, c.unsynced)
		left := lifetime(spanAt(c.window, time.Unix(c.start, 0)), now)
		pipe.Expire(ctx, name, time.Duration(left)*time.Second)
	}
	_, err := pipe.Exec(ctx)
	if err != nil {
		s.log.Warn("counters cannot be synced", "plugin", "rate-limiting", "error", err)
	}
	for i := range changes {
		s.settle(&changes[i])
	}
}

// changes takes what Redis does not know yet.
func (s *synced) changes() []change {
	var changes []change
	for i := range s.counters.shards {
		sh := &s.counters.shards[i]
		sh.mu.Lock()
		for k, e := range sh.entries {
			for w := range e.windows {
				if c := &e.windows[w]; c.unsynced > 0 {
					changes = append(changes, change{key: k, window: w, count: *c})
					c.unsynced = 0
				}
			}
		}
		sh.mu.Unlock()
	}
	return changes
}

// settle takes over what Redis has answered; what it does not know is told
// again the next time.
func (s *synced) settle(c *change) {
	sh := s.counters.shard(&c.key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	e := sh.entries[c.key]
	if e == nil || e.windows[c.window].start != c.start {
		return
	}
	is := &e.windows[c.window]
	if total, err := c.result.Result(); err == nil {
		is.used = total + is.unsynced
	} else {
		is.unsynced += c.unsynced
	}
}
