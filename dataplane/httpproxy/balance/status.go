package balance

import (
	"errors"
	"net/netip"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// Health is how a target, an address or an upstream is.
type Health string

// What there is of health.
const (
	Healthy   Health = "HEALTHY"
	Unhealthy Health = "UNHEALTHY"
	ChecksOff Health = "HEALTHCHECKS_OFF"
	DNSError  Health = "DNS_ERROR" // of a target: its name has no address
)

// Status is how an upstream is.
type Status struct {
	// Checks tells whether health is looked after.
	Checks bool
	// Health is Healthy if the weight available is more than the threshold.
	Health  Health
	Weight  Weights
	Targets []TargetStatus // the oldest first
}

// Weights are sums of weights.
type Weights struct{ Total, Available, Unavailable int }

// TargetStatus is how a target is.
type TargetStatus struct {
	Target *entity.Target
	// Health is Healthy if one of its addresses is.
	Health    Health
	Host      string
	Port      int
	Weight    Weights
	Addresses []AddressStatus
	// DNS is why the name could not be looked up, nil if it could.
	DNS error
}

// AddressStatus is how an address is.
type AddressStatus struct {
	Addr   netip.AddrPort
	Weight int
	Health Health
}

// Status tells how the upstream and its targets are.
func (b *Balancer) Status() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.current.Load()
	all := Status{Checks: s.checks, Health: Unhealthy, Weight: weights(s.total, s.left)}
	switch {
	case !s.checks:
		all.Health = ChecksOff
	case s.err == nil:
		all.Health = Healthy
	}
	for _, t := range b.targets {
		all.Targets = append(all.Targets, b.targetStatus(t, s.checks))
	}
	return all
}

func weights(total, available int) Weights { return Weights{total, available, total - available} }

func (b *Balancer) targetStatus(t target, checks bool) TargetStatus {
	ts := TargetStatus{Target: t.Target, Health: Unhealthy, Host: t.host, Port: int(t.port)}
	found, err := b.resolved(t)
	total, available := 0, 0
	for _, f := range found {
		a := AddressStatus{Addr: f.addr, Weight: t.Weight, Health: Unhealthy}
		total += t.Weight
		known := b.addresses[addressKey{t.host, f}]
		switch {
		case !checks:
			a.Health = ChecksOff
			available += t.Weight
		case known == nil || known.health.ok():
			a.Health, ts.Health = Healthy, Healthy
			available += t.Weight
		}
		ts.Addresses = append(ts.Addresses, a)
	}
	ts.Weight = weights(total, available)
	switch {
	case len(found) == 0:
		ts.Health, ts.DNS = DNSError, err
	case !checks:
		ts.Health = ChecksOff
	}
	return ts
}

// Errors of setting health.
var (
	ErrChecksOff = errors.New("the upstream has no health checks")
	ErrNoAddress = errors.New("the upstream has no such address")
)

// SetHealth makes the addresses of a target healthy or unhealthy until they are
// found to be otherwise. The target is given as host:port; addr is one of its
// addresses, or not valid for all.
func (b *Balancer) SetHealth(of string, addr netip.AddrPort, healthy bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !checksHealth(b.upstream) {
		return ErrChecksOff
	}
	changed, known := false, false
	for _, t := range b.targets {
		if t.Target.Target != of {
			continue
		}
		found, _ := b.resolved(t)
		for _, f := range found {
			if a := b.addresses[addressKey{t.host, f}]; a != nil && (!addr.IsValid() || f.addr == addr) {
				known = true
				changed = a.health.set(healthy) || changed
			}
		}
	}
	if !known {
		return ErrNoAddress
	}
	if changed && !b.closed {
		b.rebuild()
	}
	return nil
}
