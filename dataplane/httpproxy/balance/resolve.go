package balance

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// errPending is that a name was not looked up yet.
var errPending = errors.New("the name was not looked up yet")

// name is what is known of a name. A name that cannot be looked up any more
// keeps its addresses.
type name struct {
	known   bool
	records []record
	err     error
}

// record is an address of a name.
type record struct {
	ip   netip.Addr
	port uint16 // 0 is the target's
	name string // of the host that an SRV record names; "" for none
}

// found is an address of a target.
type found struct {
	addr netip.AddrPort
	name string // the host by its name: the target's, or the one an SRV record names
}

// resolved are the addresses of a target. b.mu is held.
func (b *Balancer) resolved(t target) ([]found, error) {
	if ip, err := netip.ParseAddr(t.host); err == nil {
		return []found{{netip.AddrPortFrom(ip.Unmap(), t.port), t.host}}, nil
	}
	n := b.names[t.host]
	if n == nil || !n.known {
		return nil, errPending
	}
	var all []found
	for _, r := range n.records {
		f := found{netip.AddrPortFrom(r.ip, cmp.Or(r.port, t.port)), t.host}
		if b.upstream.UseSRVName && r.name != "" {
			f.name = r.name
		}
		all = append(all, f)
	}
	return all, n.err
}

// updateNames keeps the names of the targets and has new ones looked up. b.mu
// is held.
func (b *Balancer) updateNames(afresh bool) {
	names, unknown := map[string]*name{}, false
	for _, t := range b.targets {
		if _, err := netip.ParseAddr(t.host); err == nil {
			continue
		}
		n := b.names[t.host]
		if n == nil {
			n = &name{}
		} else if afresh {
			n = &name{known: n.known, records: n.records, err: n.err}
		}
		names[t.host] = n
		unknown = unknown || !n.known
	}
	b.names = names
	switch {
	case len(names) == 0:
		if b.resolving != nil {
			b.resolving()
			b.resolving = nil
		}
	case b.resolving == nil:
		ctx, cancel := context.WithCancel(b.pool.ctx)
		b.resolving, b.wake = cancel, make(chan struct{}, 1)
		wake := b.wake
		wake <- struct{}{}
		b.pool.running.Go(func() { b.resolve(ctx, wake) })
	case unknown || afresh:
		select {
		case b.wake <- struct{}{}:
		default:
		}
	}
}

// resolve looks names up until the context ends: new ones at once, the others
// from time to time.
func (b *Balancer) resolve(ctx context.Context, wake <-chan struct{}) {
	var looking sync.WaitGroup
	defer looking.Wait()
	looking.Go(func() {
		every(ctx, b.pool.options.ResolveEvery, func(ctx context.Context) { b.lookUp(ctx, false) })
	})
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
			b.lookUp(ctx, true)
		}
	}
}

// lookUp looks up all names, or those that were never.
func (b *Balancer) lookUp(ctx context.Context, unknown bool) {
	b.mu.Lock()
	names := make(map[string]*name, len(b.names))
	for host, n := range b.names {
		if !unknown || !n.known {
			names[host] = n
		}
	}
	useSRV := b.upstream.UseSRVName
	b.mu.Unlock()
	var looking sync.WaitGroup
	room := make(chan struct{}, resolveAtOnce)
	for host, n := range names {
		room <- struct{}{}
		looking.Go(func() {
			records, err := b.pool.lookUp(ctx, host, useSRV)
			if ctx.Err() == nil {
				b.learn(host, n, records, err)
			}
			<-room
		})
	}
	looking.Wait()
}

// learn takes the result of a look-up.
func (b *Balancer) learn(host string, n *name, records []record, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.names[host] != n {
		return
	}
	is := name{known: true, records: records, err: err}
	if err != nil {
		is.records = n.records
	}
	changed := !n.known || !slices.Equal(n.records, is.records) || (n.err == nil) != (is.err == nil)
	*n = is
	if changed {
		b.rebuild()
	}
}

// lookUp gives the addresses of a name, sorted: those of IPv4 if there are any.
// Names of services have SRV records, as may others.
func (p *Pool) lookUp(ctx context.Context, host string, srv bool) ([]record, error) {
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	if strings.HasPrefix(host, "_") || srv {
		_, services, err := p.options.Resolver.LookupSRV(ctx, "", "", host)
		var all []record
		for _, s := range services {
			if s.Priority != services[0].Priority {
				continue // those that are for when no other is left
			}
			name := strings.TrimSuffix(s.Target, ".")
			ips, ipErr := p.addresses(ctx, name)
			if ipErr != nil {
				err = ipErr
			}
			for _, ip := range ips {
				all = append(all, record{ip, s.Port, name})
			}
		}
		if len(all) > 0 {
			slices.SortFunc(all, compareRecords)
			return slices.Compact(all), nil
		}
		if strings.HasPrefix(host, "_") {
			return nil, cmp.Or(err, error(ErrName))
		}
	}
	ips, err := p.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	var all []record
	for _, ip := range ips {
		all = append(all, record{ip: ip})
	}
	return all, nil
}

func compareRecords(a, b record) int {
	return cmp.Or(a.ip.Compare(b.ip), cmp.Compare(a.port, b.port), cmp.Compare(a.name, b.name))
}

func (p *Pool) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip.Unmap()}, nil
	}
	all, err := p.options.Resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	v4 := false
	for i := range all {
		all[i] = all[i].Unmap()
		v4 = v4 || all[i].Is4()
	}
	if v4 {
		all = slices.DeleteFunc(all, func(ip netip.Addr) bool { return !ip.Is4() })
	}
	if len(all) == 0 {
		return nil, ErrName
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all), nil
}
