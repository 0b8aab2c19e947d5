package ratelimiting

import (
	"strconv"
	"testing"
	"time"
)

var noon = time.Date(2028, 2, 29, 12, 34, 56, 789e6, time.UTC)

func TestWindowsAreThoseOfTheCalendar(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.DateTime, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for window, want := range [windowCount][2]string{
		{"2028-02-29 12:34:56", "2028-02-29 12:34:57"},
		{"2028-02-29 12:34:00", "2028-02-29 12:35:00"},
		{"2028-02-29 12:00:00", "2028-02-29 13:00:00"},
		{"2028-02-29 00:00:00", "2028-03-01 00:00:00"},
		{"2028-02-01 00:00:00", "2028-03-01 00:00:00"},
		{"2028-01-01 00:00:00", "2029-01-01 00:00:00"},
	} {
		// Whatever zone the gateway is in.
		got := spanAt(window, noon.In(time.FixedZone("far", 9*3600)))
		if got != (span{at(want[0]).Unix(), at(want[1]).Unix()}) {
			t.Errorf("%s: from %v to %v", windowNames[window], time.Unix(got.start, 0).UTC(), time.Unix(got.end, 0).UTC())
		}
	}
	if got := spanAt(month, at("2028-12-31 23:59:59")); got.end != at("2029-01-01 00:00:00").Unix() {
		t.Errorf("December ends %v", time.Unix(got.end, 0).UTC())
	}
}

func TestANewWindowBeginsWithNothing(t *testing.T) {
	c, k, used := newCounters(), &key{text: "x"}, new(usage)
	limits := []limit{{second, 1, ""}, {minute, 2, ""}}
	for i, step := range []struct {
		after time.Duration
		full  bool
		used  usage
	}{
		{0, false, usage{0, 0}},
		{0, true, usage{1, 1}},
		{time.Second, false, usage{0, 1}},
		{2 * time.Second, true, usage{0, 2}}, // the minute is full
		{time.Minute, false, usage{0, 0}},
	} {
		full, err := c.take(t.Context(), k, noon.Add(step.after), limits, used)
		if err != nil || full != step.full || *used != step.used {
			t.Errorf("step %d: %v %v %v", i, full, *used, err)
		}
	}
}

func TestCountersOfTheMomentAreKeptAndOthersGo(t *testing.T) {
	c, used := newCounters(), new(usage)
	limits := []limit{{minute, 1, ""}}
	for i := range 2 * shardCount * maxPerShard / 16 {
		_, _ = c.take(t.Context(), &key{text: strconv.Itoa(i)}, noon, limits, used)
	}
	size := func() (n int) {
		for i := range c.shards {
			n += len(c.shards[i].entries)
		}
		return n
	}
	if n := size(); n != 2*shardCount*maxPerShard/16 {
		t.Errorf("%d are left before they are over", n)
	}
	for i := range c.shards {
		c.shards[i].sweep(noon.Add(time.Minute).Unix())
	}
	if n := size(); n != 0 {
		t.Errorf("%d are left when they are over", n)
	}
	s := &c.shards[0]
	for i := range maxPerShard + 10 {
		s.entry(&key{text: strconv.Itoa(i)}, noon.Unix()).end = noon.Unix() + 60
	}
	if n := len(s.entries); n > maxPerShard {
		t.Errorf("clients can make it keep %d", n)
	}
}

func TestNothingIsAllocatedForAKnownClient(t *testing.T) {
	c, k, used := newCounters(), &key{text: "x"}, new(usage)
	limits := []limit{{minute, 1 << 40, ""}, {year, 1 << 40, ""}}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { _, _ = c.take(ctx, k, noon, limits, used) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestRoomIsMadeInAFewSteps: what a new client costs does not depend on how many
// others there are.
func TestRoomIsMadeInAFewSteps(t *testing.T) {
	s := &newCounters().shards[0]
	for i := range maxPerShard {
		s.entry(&key{text: strconv.Itoa(i)}, noon.Unix()).end = noon.Unix()
	}
	s.entry(&key{text: "new"}, noon.Unix())
	if n := len(s.entries); n < maxPerShard-maxLooked || n > maxPerShard {
		t.Errorf("%d entries are left", n)
	}
}

// TestOnlyNewWindowsWait: other requests are not held up by those that wait for
// Redis, which are few where counts are synced.
func TestOnlyNewWindowsWait(t *testing.T) {
	s, k := newSynced(nil, nil), &key{text: "x"}
	limits := []limit{{minute, 5, ""}}
	if !s.waits(k, noon, limits) {
		t.Error("it does not wait for what Redis knows")
	}
	sh := s.counters.shard(k)
	sh.entry(k, noon.Unix()).begin(noon, limits, []int64{0})
	if s.waits(k, noon, limits) {
		t.Error("it waits in a window that has begun")
	}
	if !s.waits(k, noon.Add(time.Minute), limits) {
		t.Error("it does not wait in the next window")
	}
	var of waiting = new(redisStore)
	if !of.waits(k, noon, limits) {
		t.Error("it does not wait where each request is counted in Redis")
	}
}
