package dbproxy

import "time"

// ServiceStatistics are the numbers of a service.
type ServiceStatistics struct {
	Connections, TotalConnections, MaxConnections int64
	FailedLogins                                  int64
	// AverageLife and LongestLife are of the sessions that have ended.
	AverageLife, LongestLife time.Duration
}

// Statistics are the numbers of the service.
func (s *Service) Statistics() ServiceStatistics {
	st := ServiceStatistics{
		Connections: s.sessions.Load(), TotalConnections: s.total.Load(), MaxConnections: s.peak.Load(), FailedLogins: s.failedLogins.Load(),
		LongestLife: time.Duration(s.longest.Load()),
	}
	if n := s.ended.Load(); n > 0 {
		st.AverageLife = time.Duration(s.lifetimes.Load() / n)
	}
	return st
}

// Started is when the service began.
func (s *Service) Started() time.Time { return s.started }
