package auth

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/backplane/backplane/internal/errs"
)

// limitsMax bounds the callers remembered.
const limitsMax = 10_000

// limits bounds what one caller may do, so that it cannot starve the others.
type limits struct {
	perSecond float64
	atOnce    int

	mu      sync.Mutex
	callers map[string]*allowance
}

type allowance struct {
	rate  *rate.Limiter // nil without a bound
	calls int
}

func newLimits(perSecond float64, atOnce int) *limits {
	return &limits{perSecond: perSecond, atOnce: atOnce, callers: map[string]*allowance{}}
}

// enter admits a call; leave is called at its end, with what enter returned.
func (l *limits) enter(caller string) (*allowance, error) {
	if l.perSecond == 0 && l.atOnce == 0 {
		return nil, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.callers[caller]
	if a == nil {
		l.makeRoom()
		a = &allowance{}
		if l.perSecond > 0 {
			a.rate = rate.NewLimiter(rate.Limit(l.perSecond), max(1, int(l.perSecond)))
		}
		l.callers[caller] = a
	}
	if l.atOnce > 0 && a.calls >= l.atOnce {
		return nil, &errs.Error{Reason: errs.TooManyCalls, Message: "Too many of your calls are under way", RetryAfter: time.Second}
	}
	if a.rate != nil {
		if r := a.rate.Reserve(); r.Delay() > 0 {
			wait := r.Delay()
			r.Cancel()
			return nil, &errs.Error{Reason: errs.TooManyCalls, Message: "You call too often", RetryAfter: wait}
		}
	}
	a.calls++
	return a, nil
}

func (l *limits) leave(a *allowance) {
	if a == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	a.calls--
}

// makeRoom forgets idle callers.
func (l *limits) makeRoom() {
	if len(l.callers) < limitsMax {
		return
	}
	for name, a := range l.callers {
		if a.calls == 0 {
			delete(l.callers, name)
		}
	}
}
