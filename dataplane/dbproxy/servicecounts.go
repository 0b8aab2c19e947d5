package dbproxy

import "time"

// ServiceStatistics are the numbers of a service.
type ServiceStatistics struct {
	Connections, TotalConnections, MaxConnections int64
	FailedLogins                                  int64
	// Operations are requests under way, Requests those that were answered.
	Operations, Requests int64
	// AverageLife and LongestLife are of the sessions that have ended.
	AverageLife, LongestLife time.Duration
	// AverageHistory and LongestHistory are how many commands that change a
	// session were remembered, of all sessions.
	AverageHistory float64
	LongestHistory int64
}

// Statistics are the numbers of the service.
func (s *Service) Statistics() ServiceStatistics {
	requests, _, _ := s.latency.read()
	st := ServiceStatistics{
		Connections: s.sessions.Load(), TotalConnections: s.total.Load(), MaxConnections: s.peak.Load(), FailedLogins: s.failedLogins.Load(),
		Operations: s.operations.Load(), Requests: int64(requests),
		LongestLife: time.Duration(s.longest.Load()), LongestHistory: s.longestHistory.Load(),
	}
	if n := s.ended.Load(); n > 0 {
		st.AverageLife = time.Duration(s.lifetimes.Load() / n)
	}
	if st.TotalConnections > 0 {
		st.AverageHistory = float64(s.histories.Load()) / float64(st.TotalConnections)
	}
	return st
}

// SetHistory tells how many commands that have changed the session are
// remembered. Routers call it that repeat them on connections made later.
func (s *Session) SetHistory(n int) {
	before := s.history.Load()
	if before == int64(n) || s.parent != nil {
		return
	}
	s.history.Store(int64(n)) // only the session's goroutine does
	s.service.histories.Add(int64(n) - before)
	raise(&s.service.longestHistory, int64(n))
}

// Started is when the service began.
func (s *Service) Started() time.Time { return s.started }
