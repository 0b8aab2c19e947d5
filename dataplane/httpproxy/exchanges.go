package httpproxy

import (
	"sync"
	"time"
)

// exchanges are all Exchanges of a Proxy: those in use, and those that will be
// used again.
type exchanges struct {
	mu   sync.Mutex
	all  []*Exchange
	free []*Exchange
}

// maxFree bounds the Exchanges that are kept for later.
const maxFree = 4096

// take gives an Exchange, which is to be given back.
func (e *exchanges) take(p *Proxy) *Exchange {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.free); n > 0 {
		x := e.free[n-1]
		e.free = e.free[:n-1]
		return x
	}
	x := &Exchange{proxy: p, index: len(e.all)}
	e.all = append(e.all, x)
	return x
}

func (e *exchanges) give(x *Exchange) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.free) < maxFree {
		e.free = append(e.free, x)
		return
	}
	last := len(e.all) - 1
	e.all[x.index] = e.all[last]
	e.all[x.index].index = x.index
	e.all[last] = nil
	e.all = e.all[:last]
}

// oldest is the oldest generation that is in use, and 0 if none is.
func (e *exchanges) oldest() (generation uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.all {
		if g := x.generation.Load(); g != 0 && (generation == 0 || g < generation) {
			generation = g
		}
	}
	return generation
}

// enter gives the current snapshot, of which nothing is closed before leave.
func (x *Exchange) enter() *snapshot {
	for {
		s := x.proxy.current.Load()
		x.generation.Store(s.generation)
		// Otherwise it may have been replaced, and its plugins closed, before
		// it was seen to be in use.
		if x.proxy.current.Load() == s {
			return s
		}
	}
}

func (x *Exchange) leave() { x.generation.Store(0) }

// retirement closes instances of plugins once no request uses them.
type retirement struct {
	mu      sync.Mutex
	waiting []retiredInstance // by generation
	wake    chan struct{}
}

type retiredInstance struct {
	*instance
	since uint64 // the first generation that is without it
}

// retirePause is how long a look lasts at whether instances are in use.
const retirePause = 50 * time.Millisecond

// retire closes instances once all requests that began before a generation have
// ended.
func (p *Proxy) retire(since uint64, instances []*instance) {
	if len(instances) == 0 {
		return
	}
	p.retired.mu.Lock()
	for _, i := range instances {
		p.retired.waiting = append(p.retired.waiting, retiredInstance{i, since})
	}
	p.retired.mu.Unlock()
	select {
	case p.retired.wake <- struct{}{}:
	default:
	}
}

// closeRetired runs until the Proxy ends.
func (p *Proxy) closeRetired() {
	pause := time.NewTimer(retirePause)
	defer pause.Stop()
	for {
		var again <-chan time.Time
		if p.closeUnused() {
			pause.Reset(retirePause)
			again = pause.C
		}
		select {
		case <-p.ctx.Done():
			return
		case <-p.retired.wake:
		case <-again:
		}
	}
}

// closeUnused closes the instances that are not in use, and tells whether there
// are others.
func (p *Proxy) closeUnused() bool {
	p.retired.mu.Lock()
	defer p.retired.mu.Unlock()
	if len(p.retired.waiting) == 0 {
		return false
	}
	oldest := p.exchanges.oldest()
	for len(p.retired.waiting) > 0 {
		first := p.retired.waiting[0]
		if oldest != 0 && oldest < first.since {
			return true
		}
		p.retired.waiting = p.retired.waiting[1:]
		p.closeInstance(first.instance)
	}
	p.retired.waiting = nil
	return false
}

func (p *Proxy) closeInstance(i *instance) {
	i.close(func(err error) {
		p.log.Warn("a plugin could not be closed", "plugin", i.name, "plugin_id", i.entity.ID.String(), "error", err)
	})
}
