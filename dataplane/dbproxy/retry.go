package dbproxy

import (
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// firstRetry is how long after a failure a listener is tried again; each
// further try waits as much longer ("max_retry_interval", MaxScale
// Configuration Guide).
const firstRetry = 10 * time.Second

// retry tries to open the listener until it is open or closed for good.
func (l *Listener) retry(params param.Set) {
	if !params.Bool("retry_on_failure") {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trying || l.closed {
		return
	}
	l.trying = true
	longest := max(params.Duration("max_retry_interval"), firstRetry)
	l.proxy.running.Go(func() {
		defer func() {
			l.mu.Lock()
			l.trying = false
			l.mu.Unlock()
		}()
		for pause := firstRetry; ; pause = min(pause+firstRetry, longest) {
			select {
			case <-l.proxy.ctx.Done():
				return
			case <-l.ended:
				return
			case <-time.After(pause):
			}
			if err := l.open(l.proxy.ctx); err == nil {
				return
			}
		}
	})
}

// retrying tells whether the listener is being tried again.
func (l *Listener) retrying() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.trying
}
