package dbproxy

import (
	"sync/atomic"
	"time"
)

// distribution counts durations in ranges of powers of ten, as the server's
// plugin QUERY_RESPONSE_TIME does. It takes no lock.
type distribution struct {
	ranges [len(rangeBounds)]struct{ count, total atomic.Int64 }
}

// rangeBounds are the durations that end ranges. What takes longer than the last
// one is in the last range.
var rangeBounds = [...]time.Duration{
	time.Microsecond, 10 * time.Microsecond, 100 * time.Microsecond, time.Millisecond, 10 * time.Millisecond, 100 * time.Millisecond,
	time.Second, 10 * time.Second, 100 * time.Second, 1000 * time.Second, 10_000 * time.Second, 100_000 * time.Second,
}

func (d *distribution) observe(took time.Duration) {
	i := 0
	for i < len(rangeBounds)-1 && took > rangeBounds[i] {
		i++
	}
	d.ranges[i].count.Add(1)
	d.ranges[i].total.Add(int64(took))
}

// TimeRange is how many requests took up to a time, and more than that of the
// range before.
type TimeRange struct {
	UpTo  time.Duration
	Count int64
	Total time.Duration // of all of them together
}

func (d *distribution) read() []TimeRange {
	list := make([]TimeRange, len(rangeBounds))
	for i := range list {
		r := &d.ranges[i]
		list[i] = TimeRange{UpTo: rangeBounds[i], Count: r.count.Load(), Total: time.Duration(r.total.Load())}
	}
	return list
}
