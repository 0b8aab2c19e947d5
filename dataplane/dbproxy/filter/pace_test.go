package filter

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// clock is a clock that goes on when it is told to, or when one waits.
type clock struct {
	at     time.Time
	waited time.Duration
}

func newClock() *clock { return &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)} }

func (c *clock) now() time.Time { return c.at }

func (c *clock) wait(_ context.Context, d time.Duration) error {
	c.at, c.waited = c.at.Add(d), c.waited+d
	return nil
}

// throttled is a session of a throttle with a clock.
func throttled(t *testing.T, given map[string]any) (*throttleSession, *clock) {
	t.Helper()
	f := made(t, Throttle(), given).(*throttleFilter)
	k := newClock()
	f.now, f.wait = k.now, k.wait
	return newChain(t, f, &fakeRouter{}).handler.(*throttleSession), k
}

func TestThrottleLetsBurstsPass(t *testing.T) {
	s, k := throttled(t, map[string]any{"max_qps": 400, "throttling_duration": "10s", "sampling_duration": "10s"})
	for range 4000 { // 2000 per second for two seconds
		if err := s.throttle(t.Context(), here); err != nil {
			t.Fatal(err)
		}
		k.at = k.at.Add(500 * time.Microsecond)
	}
	if k.waited != 0 {
		t.Errorf("waited %v", k.waited)
	}
	// The session goes on at full speed, is slowed down to the limit and ended
	// after ten seconds of that.
	begin, passed := k.at, 0
	var err error
	for err = s.throttle(t.Context(), here); err == nil; err = s.throttle(t.Context(), here) {
		passed++
		k.at = k.at.Add(500 * time.Microsecond)
	}
	if !errors.Is(err, &wire.ServerError{Code: wire.ErrCodeUserLimit}) {
		t.Error(err)
	}
	if took := k.at.Sub(begin); took < 10*time.Second || took > 11*time.Second {
		t.Errorf("ended after %v", took)
	}
	if passed < 3600 || passed > 4400 {
		t.Errorf("%d requests in ten seconds", passed)
	}
}

func TestThrottleStreakEnds(t *testing.T) {
	s, k := throttled(t, map[string]any{"max_qps": 100, "throttling_duration": "1s", "continuous_duration": "500ms"})
	for range 20 { // each burst is throttled for less than a second, then there is rest
		for range 80 {
			if err := s.throttle(t.Context(), here); err != nil {
				t.Fatal(err)
			}
		}
		k.at = k.at.Add(time.Second)
	}
	if k.waited == 0 {
		t.Error("nothing was throttled")
	}
}

func TestThrottleCounts(t *testing.T) {
	s, k := throttled(t, map[string]any{"max_qps": 1, "throttling_duration": 1000})
	for range 3 {
		if err := s.throttle(t.Context(), here); err != nil {
			t.Fatal(err)
		}
	}
	// One request within a quarter of a second is the least that can pass.
	if k.waited != 500*time.Millisecond {
		t.Errorf("waited %v", k.waited)
	}
	s.filter.wait = wait
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("the session has ended")
	cancel(reason)
	if err := s.throttle(ctx, here); !errors.Is(err, reason) {
		t.Error(err)
	}
	if err := wait(t.Context(), time.Nanosecond); err != nil {
		t.Error(err)
	}
	refuses(t, Throttle(), map[string]any{"throttling_duration": 1}, "max_qps")
	refuses(t, Throttle(), map[string]any{"max_qps": 0, "throttling_duration": 1}, "max_qps")
	refuses(t, Throttle(), map[string]any{"max_qps": 1}, "throttling_duration")
	refuses(t, Throttle(), map[string]any{"max_qps": 1, "throttling_duration": 1, "sampling_duration": 0}, "sampling_duration")
}

func TestThrottleWaitsForAnswersOnly(t *testing.T) {
	s, k := throttled(t, map[string]any{"max_qps": 1, "throttling_duration": "1h"})
	c := &chain{t: t, session: &dbproxy.Session{}, handler: s}
	for range 5 {
		c.must(wire.ComStmtClose, statement(1))
	}
	c.query("select 1")
	if k.waited != 0 {
		t.Errorf("waited %v", k.waited)
	}
	c.query("select 1")
	if k.waited == 0 {
		t.Error("nothing was throttled")
	}
}

// ccr is a filter with a clock and two sessions.
func ccr(t *testing.T, given map[string]any) (f *ccrFilter, k *clock, a, b *chain) {
	t.Helper()
	f, k = made(t, CCR(), given).(*ccrFilter), newClock()
	f.started, f.now = k.at, k.now
	return f, k, newChain(t, f, &fakeRouter{}), newChain(t, f, &fakeRouter{})
}

// hinted tells whether a statement goes to the master.
func hinted(c *chain, sql string, hints ...dbproxy.Hint) bool {
	c.query(sql, hints...)
	return reflect.DeepEqual(c.router.last().hints, []dbproxy.Hint{toMaster})
}

func TestCCRTime(t *testing.T) {
	f, k, a, b := ccr(t, nil)
	if hinted(a, "select 1") || hinted(a, "insert into t values (1)") {
		t.Error("hinted before a write")
	}
	k.at = k.at.Add(time.Minute - time.Second)
	if !hinted(a, "select 1") || hinted(b, "select 1") {
		t.Error("within the minute")
	}
	k.at = k.at.Add(time.Second)
	if hinted(a, "select 1") {
		t.Error("after the minute")
	}
	a.must(wire.ComStmtPrepare, []byte("insert into t values (1)"))
	if hinted(a, "select 1") {
		t.Error("after a prepared write")
	}
	if got := f.Diagnostics(); !reflect.DeepEqual(got, map[string]any{"data_modifications": int64(1), "hints_added_by_count": int64(0), "hints_added_by_time": int64(1)}) {
		t.Error(got)
	}
}

func TestCCRCount(t *testing.T) {
	_, _, a, _ := ccr(t, map[string]any{"time": 0, "count": 2})
	hinted(a, "update t set a = 1")
	if !hinted(a, "select 1") || !hinted(a, "select 2") || hinted(a, "select 3") {
		t.Error("not two statements")
	}
}

func TestCCRGlobal(t *testing.T) {
	_, _, a, b := ccr(t, map[string]any{"global": true})
	hinted(a, "delete from t")
	if !hinted(a, "select 1") || !hinted(b, "select 1") {
		t.Error("not all sessions")
	}
	refuses(t, CCR(), map[string]any{"global": true, "count": 1}, "global")
}

func TestCCRTriggers(t *testing.T) {
	told := func(value string) dbproxy.Hint {
		return dbproxy.Hint{Kind: dbproxy.HintParam, Name: "CCR", Value: value}
	}
	for _, tt := range []struct {
		given map[string]any
		sql   string
		hints []dbproxy.Hint
		want  bool
	}{
		{nil, "insert into t values (1)", nil, true},
		{nil, "select f()", nil, false}, // unknown function
		{nil, "select f()", []dbproxy.Hint{told("match")}, false},
		{nil, "insert into t values (1)", []dbproxy.Hint{told("ignore")}, false},
		{map[string]any{"match": "UPDATE"}, "insert into t values (1)", nil, false},
		{map[string]any{"match": "UPDATE"}, "insert into t values (1)", []dbproxy.Hint{told("match")}, true},
		{map[string]any{"match": "INSERT", "ignore": "values"}, "insert into t values (1)", nil, false},
		{map[string]any{"match": "INSERT"}, "insert into t values (1)", nil, true},
		{map[string]any{"match": "INSERT", "options": "case"}, "insert into t values (1)", nil, false},
	} {
		_, _, a, _ := ccr(t, tt.given)
		if hinted(a, tt.sql, tt.hints...) {
			t.Errorf("%s is hinted itself", tt.sql)
		}
		if got := a.router.last().hints; len(got) > 0 {
			t.Errorf("%v goes on", got)
		}
		if got := hinted(a, "select 1"); got != tt.want {
			t.Errorf("%v after %q with %v", got, tt.sql, tt.given)
		}
	}
}

func here(f func()) { f() }
