package dbproxy

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/tally"
)

// latency is a histogram of durations in powers of two of microseconds. It
// takes no lock.
type latency struct {
	places [tally.Places]struct {
		buckets [latencyBuckets]atomic.Uint64 // below 2^i µs; the last one takes all that is longer
		sum     atomic.Int64                  // ns
		_       [40]byte                      // up to a multiple of a cache line
	}
}

const latencyBuckets = 26

// observe adds a duration, in one of the places.
func (l *latency) observe(place int, d time.Duration) {
	p := &l.places[uint(place)%tally.Places]
	i := bits.Len64(uint64(max(d, 0)) / uint64(time.Microsecond))
	p.buckets[min(i, len(p.buckets)-1)].Add(1)
	p.sum.Add(int64(d))
}

// read returns the count of all, their sum in seconds, and how many were below
// each bound, in seconds.
func (l *latency) read() (count uint64, sum float64, below map[float64]uint64) {
	below = make(map[float64]uint64, latencyBuckets)
	for i := range latencyBuckets {
		for p := range l.places {
			count += l.places[p].buckets[i].Load()
		}
		if i < latencyBuckets-1 {
			below[float64(uint64(1)<<i)/1e6] = count
		}
	}
	var total time.Duration
	for p := range l.places {
		total += time.Duration(l.places[p].sum.Load())
	}
	return count, total.Seconds(), below
}
