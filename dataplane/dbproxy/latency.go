package dbproxy

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// latency is a histogram of durations in powers of two of microseconds. It
// takes no lock.
type latency struct {
	buckets [26]atomic.Uint64 // below 2^i µs; the last one takes all that is longer
	sum     atomic.Int64      // ns
}

func (l *latency) observe(d time.Duration) {
	i := bits.Len64(uint64(max(d, 0)) / uint64(time.Microsecond))
	l.buckets[min(i, len(l.buckets)-1)].Add(1)
	l.sum.Add(int64(d))
}

// read returns the count of all, their sum in seconds, and how many were below
// each bound, in seconds.
func (l *latency) read() (count uint64, sum float64, below map[float64]uint64) {
	below = make(map[float64]uint64, len(l.buckets))
	for i := range l.buckets {
		count += l.buckets[i].Load()
		if i < len(l.buckets)-1 {
			below[float64(uint64(1)<<i)/1e6] = count
		}
	}
	return count, time.Duration(l.sum.Load()).Seconds(), below
}
