package balance

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// decay is the time after which a measurement counts for 1/e.
const decay = 10 * time.Second

// speed is how long an address takes to answer: an average that goes with time.
type speed struct {
	mu      sync.Mutex    // of who changes it
	average atomic.Uint64 // seconds, as the bits of a float64
	at      atomic.Int64  // when it was changed, since the Pool began; 0 is never
}

func (s *speed) observe(took, now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	average := took.Seconds()
	if at := s.at.Load(); at != 0 {
		w := weightAfter(now - time.Duration(at))
		average = math.Float64frombits(s.average.Load())*w + average*(1-w)
	}
	s.average.Store(math.Float64bits(average))
	s.at.Store(max(int64(now), 1))
}

// begin gives a new address the average of the others, so that it does not get
// all requests until it is known.
func (s *speed) begin(others map[addressKey]*address, now time.Duration) {
	sum, n := 0.0, 0
	for _, a := range others {
		if v, ok := a.speed.now(now); ok {
			sum += v
			n++
		}
	}
	if n > 0 {
		s.average.Store(math.Float64bits(sum / float64(n)))
		s.at.Store(max(int64(now), 1))
	}
}

// now is the average by now, which is lower the longer nothing was observed.
func (s *speed) now(now time.Duration) (seconds float64, known bool) {
	at := s.at.Load()
	if at == 0 {
		return 0, false
	}
	return math.Float64frombits(s.average.Load()) * weightAfter(now-time.Duration(at)), true
}

// score is the average for the weight.
func (m *member) score(now time.Duration) float64 {
	average, _ := m.speed.now(now)
	return average / float64(m.weight)
}

func weightAfter(d time.Duration) float64 { return math.Exp(-max(d, 0).Seconds() / decay.Seconds()) }
