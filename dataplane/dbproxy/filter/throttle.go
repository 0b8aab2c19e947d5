package filter

import (
	"context"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// Throttle is the module throttlefilter, which slows down sessions that send
// too many requests, and ends those that do not stop ("Throttle", MaxScale).
// It counts all requests alike, however long they are.
func Throttle() dbproxy.FilterModule {
	return dbproxy.FilterModule{
		Description: "Limits how many requests sessions may send",
		Specs: param.Specs{
			{Name: "max_qps", Type: param.TypeCount, Mandatory: true, Min: 1, Max: 1 << 40, Description: "Requests per second"},
			{Name: "throttling_duration", Type: param.TypeDuration, Mandatory: true, Unit: time.Millisecond, Description: "How long a session may be slowed down before it is ended"},
			{Name: "sampling_duration", Type: param.TypeDuration, Default: 250 * time.Millisecond, Unit: time.Millisecond, Description: "Time over which requests are counted"},
			{Name: "continuous_duration", Type: param.TypeDuration, Default: 2 * time.Second, Unit: time.Millisecond, Description: "After how long without slowing down a session starts anew"},
		},
		New: newThrottle,
	}
}

type throttleFilter struct {
	allowed                    int64 // requests within the sampling duration
	slot                       time.Duration
	maxThrottling, maxInterval time.Duration
	now                        func() time.Time
	wait                       func(context.Context, time.Duration) error
}

func newThrottle(o dbproxy.FilterOptions) (dbproxy.Filter, error) {
	sampling := o.Params.Duration("sampling_duration")
	if sampling <= 0 {
		return nil, param.Faults{{Name: "sampling_duration", Message: "must be longer than 0"}}
	}
	qps := o.Params.Int("max_qps")
	if qps <= 0 {
		return nil, param.Faults{{Name: "max_qps", Message: "must be more than 0"}}
	}
	return &throttleFilter{
		allowed: max(int64(float64(qps)*sampling.Seconds()), 1), slot: max(sampling/throttleSlots, 1),
		maxThrottling: o.Params.Duration("throttling_duration"), maxInterval: o.Params.Duration("continuous_duration"), now: time.Now, wait: wait,
	}, nil
}

// wait waits for a time, or until ctx ends, of which it returns the reason.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// Session implements dbproxy.Filter.
func (f *throttleFilter) Session(_ *dbproxy.Session, next dbproxy.Handler) (dbproxy.Handler, error) {
	return &throttleSession{filter: f, next: next, started: f.now()}, nil
}

// Diagnostics implements dbproxy.Filter.
func (f *throttleFilter) Diagnostics() map[string]any { return nil }

// Close implements dbproxy.Filter.
func (f *throttleFilter) Close() {}

// throttleSlots is into how many parts the sampling duration is divided, each
// of which has a count.
const throttleSlots = 100

type throttleSession struct {
	filter  *throttleFilter
	next    dbproxy.Handler
	started time.Time
	counts  [throttleSlots]int64
	sum     int64 // of counts
	current int64 // the number of the slot that it is, since started
	// The streak of being slowed down: when it began and when it last ended.
	throttled   bool
	first, last time.Time
}

// Handle implements dbproxy.Handler.
func (s *throttleSession) Handle(r *dbproxy.Request, to dbproxy.Answer) error {
	if r.Command.Answered() {
		if err := s.throttle(r.Session().Context(), r.Session().Outside); err != nil {
			return err
		}
	}
	return s.next.Handle(r, to)
}

// Close implements dbproxy.Handler.
func (s *throttleSession) Close() {}

// throttle waits until the next request may pass.
func (s *throttleSession) throttle(ctx context.Context, outside func(func())) error {
	f := s.filter
	for {
		now := f.now()
		s.advance(now)
		if s.sum < f.allowed {
			s.counts[s.current%throttleSlots]++
			s.sum++
			return nil
		}
		if !s.throttled || now.Sub(s.last) > f.maxInterval {
			s.throttled, s.first = true, now
		}
		if now.Sub(s.first) >= f.maxThrottling {
			return &wire.ServerError{Code: wire.ErrCodeUserLimit, State: wire.StateSyntaxOrAccess, Message: "Too many requests for too long"}
		}
		var err error
		if outside(func() { err = f.wait(ctx, s.delay(now)) }); err != nil {
			return err
		}
		s.last = f.now()
	}
}

// advance forgets the counts of slots that are over.
func (s *throttleSession) advance(now time.Time) {
	slot := int64(now.Sub(s.started) / s.filter.slot)
	if slot-s.current >= throttleSlots {
		s.counts, s.sum = [throttleSlots]int64{}, 0
		s.current = slot
	}
	for s.current < slot {
		s.current++
		at := s.current % throttleSlots
		s.sum -= s.counts[at]
		s.counts[at] = 0
	}
}

// delay is how long it takes until the oldest count is forgotten.
func (s *throttleSession) delay(now time.Time) time.Duration {
	oldest := s.current - throttleSlots + 1
	for oldest < s.current && (oldest < 0 || s.counts[oldest%throttleSlots] == 0) {
		oldest++
	}
	return s.started.Add(time.Duration(oldest+throttleSlots) * s.filter.slot).Sub(now)
}
