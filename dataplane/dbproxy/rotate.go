package dbproxy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Rotator is what a filter implements that writes files. After Rotate it writes
// to files of the same names that are opened anew, so that those before can be
// moved away.
type Rotator interface{ Rotate() error }

// Rotate makes all filters open their files anew, also those that are configured
// no longer and that sessions still have.
func (p *Proxy) Rotate() error {
	p.mu.Lock()
	live := slices.SortedFunc(maps.Keys(p.live), func(a, b *runningFilter) int { return cmp.Compare(a.config.Name, b.config.Name) })
	p.mu.Unlock()
	var faults []error
	for _, f := range live {
		if r, ok := f.filter.(Rotator); ok {
			if err := r.Rotate(); err != nil {
				faults = append(faults, fmt.Errorf("filter %s: %w", f.config.Name, err))
			}
		}
	}
	return errors.Join(faults...)
}

// list and unlist keep the filters that somebody uses.
func (p *Proxy) list(f *runningFilter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live[f] = struct{}{}
}

func (p *Proxy) unlist(f *runningFilter) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.live, f)
}
