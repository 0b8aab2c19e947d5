package httpproxy

import "sync/atomic"

// counts are numbers of a Proxy.
type counts struct {
	accepted, requests atomic.Int64
	active, busy       atomic.Int64 // connections, and requests under way
	writing            atomic.Int64 // requests whose responses are being sent
}

// Statistics are numbers of a Proxy since its start.
type Statistics struct {
	// Accepted connections, those that were served, and requests.
	Accepted, Handled, Requests int64
	// Active connections, requests under way, and those of which the response
	// is being sent.
	Active, Reading, Writing int64
}

// Statistics counts connections and requests.
func (p *Proxy) Statistics() Statistics {
	c := &p.counts
	s := Statistics{
		Accepted: c.accepted.Load(), Requests: c.requests.Load(), Active: c.active.Load(), Writing: c.writing.Load(),
	}
	s.Handled = s.Accepted
	s.Reading = max(c.busy.Load()-s.Writing, 0)
	return s
}
