package httpproxy

import "sync/atomic"

// counts are numbers of a Proxy.
type counts struct {
	accepted, handled, requests atomic.Int64
	active, reading, writing    atomic.Int64
}

func (p *Proxy) logAccess(x *Exchange, err error) {}
