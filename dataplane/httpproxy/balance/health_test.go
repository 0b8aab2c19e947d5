package balance

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// passive is an upstream with all passive checks.
func passive() *entity.Upstream {
	return &entity.Upstream{HealthChecks: entity.HealthChecks{Passive: entity.PassiveCheck{
		Healthy:   entity.Healthy{Successes: 2, HTTPStatuses: []int{200, 302}},
		Unhealthy: entity.Unhealthy{TCPFailures: 2, Timeouts: 3, HTTPFailures: 2, HTTPStatuses: []int{429, 500}},
	}}}
}

// outcomes are how tests write what is reported.
var outcomes = map[string]Outcome{
	"ok": {Status: 200}, "moved": {Status: 302}, "bad": {Status: 500}, "other": {Status: 404}, "504": {Status: 504},
	"tcp": {}, "slow": {Timeout: true},
}

func TestPassiveHealth(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(*entity.HealthChecks)
		reports string
		healthy bool
	}{
		{"nothing", nil, "", true},
		{"one failure", nil, "tcp", true},
		{"failures", nil, "tcp tcp", false},
		{"refusals", nil, "bad bad", false},
		{"timeouts", nil, "slow slow", true},
		{"more timeouts", nil, "slow slow slow", false},
		{"504 is a timeout", nil, "504 slow 504", false},
		{"other statuses do not count", nil, "bad other other bad", false},
		{"kinds are counted apart", nil, "tcp bad slow slow", true},
		{"a success clears failures", nil, "tcp ok tcp", true},
		{"a success clears all failures", nil, "tcp bad slow slow ok tcp bad slow slow", true},
		{"one success", nil, "tcp tcp ok", false},
		{"successes", nil, "tcp tcp ok moved", true},
		{"a failure clears successes", nil, "tcp tcp ok tcp ok", false},
		{"a failure of another kind clears successes", nil, "tcp tcp ok slow ok", false},
		{"healthy again means from the start", nil, "tcp tcp ok ok tcp", true},
		{"and unhealthy again", nil, "tcp tcp ok ok tcp tcp", false},
		{"successes are off: failures stay", func(h *entity.HealthChecks) { h.Passive.Healthy.Successes = 0 }, "tcp ok tcp", false},
		{"successes are off: there is no way back", func(h *entity.HealthChecks) { h.Passive.Healthy.Successes = 0 }, "tcp tcp ok ok ok", false},
		{"failures are off: successes stay", func(h *entity.HealthChecks) { h.Passive.Unhealthy.TCPFailures = 0 }, "bad bad ok tcp ok", true},
		{"tcp is off", func(h *entity.HealthChecks) { h.Passive.Unhealthy.TCPFailures = 0 }, "tcp tcp tcp tcp", true},
		{"all are off", func(h *entity.HealthChecks) { h.Passive.Unhealthy = entity.Unhealthy{} }, "tcp tcp bad bad slow slow slow", true},
		{"the limit of a counter", func(h *entity.HealthChecks) { h.Passive.Unhealthy.TCPFailures = 255 }, strings.Repeat("tcp ", 255), false},
		{"below the limit of a counter", func(h *entity.HealthChecks) { h.Passive.Unhealthy.TCPFailures = 255 }, strings.Repeat("tcp ", 254), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPool(t, Options{})
			u := passive()
			if c.change != nil {
				c.change(&u.HealthChecks)
			}
			b := p.New(u, []*entity.Target{target100("10.0.0.1:80")})
			defer b.Close()
			peer, err := b.Pick(t.Context(), &Input{})
			if err != nil {
				t.Fatal(err)
			}
			for report := range strings.FieldsSeq(c.reports) {
				peer.Report(outcomes[report])
			}
			if !c.healthy {
				wantError(t, b, ErrPeer)
				return
			}
			pick(t, b)
		})
	}
}

func TestThreshold(t *testing.T) {
	for _, c := range []struct {
		threshold float64
		down      []string
		usable    bool
	}{
		{0, []string{"10.0.0.1:80"}, true},
		{0, []string{"10.0.0.1:80", "10.0.0.2:80"}, false},
		{24, []string{"10.0.0.2:80"}, true},
		{25, []string{"10.0.0.2:80"}, false}, // 25% are not more than 25%
		{74, []string{"10.0.0.1:80"}, true},
		{75, []string{"10.0.0.1:80"}, false},
	} {
		p := newPool(t, Options{})
		u := passive()
		u.HealthChecks.Threshold = c.threshold
		b := p.New(u, []*entity.Target{targetOf("10.0.0.1:80", 25), targetOf("10.0.0.2:80", 75)})
		for _, d := range c.down {
			if err := b.SetHealth(d, netip.AddrPort{}, false); err != nil {
				t.Fatal(err)
			}
		}
		_, err := b.Pick(t.Context(), &Input{})
		if (err == nil) != c.usable || err != nil && !errors.Is(err, ErrPeer) {
			t.Errorf("%+v: %v", c, err)
		}
		if want := map[bool]Health{true: Healthy, false: Unhealthy}[c.usable]; b.Status().Health != want {
			t.Errorf("%+v: %s", c, b.Status().Health)
		}
		b.Close()
	}
}

func TestUnhealthyAddressesAreNotPicked(t *testing.T) {
	for _, algorithm := range []string{"round-robin", "least-connections", "latency", "consistent-hashing"} {
		p := newPool(t, Options{})
		u := passive()
		u.Algorithm = algorithm
		var targets []*entity.Target
		for _, a := range []string{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"} {
			targets = append(targets, target100(a))
		}
		b := p.New(u, targets)
		for range 2 {
			peer, err := b.Pick(t.Context(), &Input{})
			if err != nil {
				t.Fatal(err)
			}
			down := peer.Address
			peer.Report(Outcome{})
			peer.Report(Outcome{})
			if c := counts(t, b, 50); c[down] != 0 {
				t.Errorf("%s picks %s still: %v", algorithm, down, c)
			}
		}
		// What is known survives an update, and so does what is set by hand.
		healthy := counts(t, b, 1)
		v := *u
		v.Tags = []string{"x"}
		b.Update(&v, targets)
		if c := counts(t, b, 50); !maps.EqualFunc(c, healthy, func(int, int) bool { return true }) {
			t.Errorf("%s picks %v instead of %v after an update", algorithm, c, healthy)
		}
		// Without checks all are as good.
		b.Update(&entity.Upstream{Algorithm: algorithm}, targets)
		if b.Status().Weight.Available != 300 {
			t.Errorf("%s without checks: %+v", algorithm, b.Status())
		}
		b.Update(u, targets)
		if b.Status().Weight.Available != 300 {
			t.Errorf("%s with checks anew: %+v", algorithm, b.Status())
		}
		b.Close()
	}
}

func TestCountersSurviveUpdates(t *testing.T) {
	p := newPool(t, Options{})
	targets := []*entity.Target{target100("10.0.0.1:80"), target100("10.0.0.2:80")}
	b := p.New(passive(), targets)
	defer b.Close()
	peer, err := b.Pick(t.Context(), &Input{})
	if err != nil {
		t.Fatal(err)
	}
	peer.Report(Outcome{})
	b.Update(passive(), []*entity.Target{targetOf(targets[0].Target, 7), targetOf(targets[1].Target, 9), target100("10.0.0.3:80")})
	peer.Report(Outcome{})
	for _, ts := range b.Status().Targets {
		if want := map[bool]Health{true: Unhealthy, false: Healthy}[ts.Target.Target == peer.Address]; ts.Health != want {
			t.Errorf("%s is %s", ts.Target.Target, ts.Health)
		}
	}
	// An address that was gone is another one.
	b.Update(passive(), targets[:0])
	wantError(t, b, ErrPeer)
	b.Update(passive(), targets)
	if b.Status().Weight.Available != 200 {
		t.Errorf("%+v", b.Status())
	}
	peer.Report(Outcome{})
	peer.Report(Outcome{}) // of the one that was: nobody minds
	if b.Status().Weight.Available != 200 {
		t.Errorf("%+v", b.Status())
	}
}

func TestNothingToPick(t *testing.T) {
	p := newPool(t, Options{})
	for _, targets := range [][]*entity.Target{nil, {targetOf("10.0.0.1:80", 0)}, {targetOf("10.0.0.1:80", 0), targetOf("nowhere:80", 0)}} {
		b := p.New(&entity.Upstream{}, targets)
		wantError(t, b, ErrPeer)
		b.Close()
	}
}

func TestStatus(t *testing.T) {
	n := &names{}
	n.set("a.test", "10.0.0.2", "10.0.0.1")
	p := newPool(t, Options{Resolver: n})
	targets := []*entity.Target{
		{ID: uuid.New(), CreatedAt: 1, Target: "a.test:81", Weight: 10},
		{ID: uuid.New(), CreatedAt: 2, Target: "nowhere.test:82", Weight: 20},
		{ID: uuid.New(), CreatedAt: 3, Target: "[2001:db8::1]:83", Weight: 0},
	}
	u := passive()
	b := p.New(u, []*entity.Target{targets[2], targets[0], targets[1]})
	defer b.Close()
	a1, a2, a3 := netip.MustParseAddrPort("10.0.0.1:81"), netip.MustParseAddrPort("10.0.0.2:81"), netip.MustParseAddrPort("[2001:db8::1]:83")
	eventually(t, "names are looked up", func() bool {
		s := b.Status()
		return s.Targets[0].DNS == nil && errors.Is(s.Targets[1].DNS, errUnknown)
	})
	if err := b.SetHealth("a.test:81", a2, false); err != nil {
		t.Fatal(err)
	}
	check := func(want Status) {
		t.Helper()
		got := b.Status()
		same := got.Checks == want.Checks && got.Health == want.Health && got.Weight == want.Weight
		for i, g := range got.Targets {
			w := want.Targets[i]
			same = same && g.Target == targets[i] && g.Health == w.Health && g.Host == w.Host && g.Port == w.Port &&
				g.Weight == w.Weight && slices.Equal(g.Addresses, w.Addresses) && (g.DNS != nil) == (w.Health == DNSError)
		}
		if !same {
			t.Errorf("%+v instead of %+v", got, want)
		}
	}
	check(Status{
		Checks: true, Health: Healthy, Weight: Weights{20, 10, 10},
		Targets: []TargetStatus{
			{Health: Healthy, Host: "a.test", Port: 81, Weight: Weights{20, 10, 10}, Addresses: []AddressStatus{{a1, 10, Healthy}, {a2, 10, Unhealthy}}},
			{Health: DNSError, Host: "nowhere.test", Port: 82},
			{Health: Healthy, Host: "2001:db8::1", Port: 83, Addresses: []AddressStatus{{a3, 0, Healthy}}},
		},
	})
	if err := b.SetHealth("a.test:81", netip.AddrPort{}, false); err != nil {
		t.Fatal(err)
	}
	if got := b.Status(); got.Health != Unhealthy || got.Targets[0].Health != Unhealthy || got.Weight != (Weights{20, 0, 20}) {
		t.Errorf("%+v", got)
	}
	if err := b.SetHealth("a.test:81", netip.AddrPort{}, true); err != nil || b.Status().Weight.Available != 20 {
		t.Errorf("%+v, %v", b.Status(), err)
	}
	for _, bad := range []struct {
		target string
		addr   netip.AddrPort
	}{{"b.test:81", netip.AddrPort{}}, {"nowhere.test:82", netip.AddrPort{}}, {"a.test:81", a3}} {
		if err := b.SetHealth(bad.target, bad.addr, true); !errors.Is(err, ErrNoAddress) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
	b.Update(&entity.Upstream{}, targets)
	if err := b.SetHealth("a.test:81", a1, true); !errors.Is(err, ErrChecksOff) {
		t.Errorf("%v", err)
	}
	check(Status{
		Health: ChecksOff, Weight: Weights{20, 20, 0},
		Targets: []TargetStatus{
			{Health: ChecksOff, Host: "a.test", Port: 81, Weight: Weights{20, 20, 0}, Addresses: []AddressStatus{{a1, 10, ChecksOff}, {a2, 10, ChecksOff}}},
			{Health: DNSError, Host: "nowhere.test", Port: 82},
			{Health: ChecksOff, Host: "2001:db8::1", Port: 83, Addresses: []AddressStatus{{a3, 0, ChecksOff}}},
		},
	})
}

// TestAllAtOnce is for the race detector, and for what must hold at the end.
func TestAllAtOnce(t *testing.T) {
	n := &names{}
	n.set("a.test", "10.0.0.1", "10.0.0.2")
	p := newPool(t, Options{Resolver: n, ResolveEvery: 1})
	targets := []*entity.Target{target100("a.test:80"), target100("10.0.0.3:80"), target100("10.0.0.4:80")}
	b := p.New(passive(), targets)
	defer b.Close()
	var running sync.WaitGroup
	for worker := range 4 {
		running.Go(func() {
			in := &Input{}
			for i := range 300 {
				peer, err := b.Pick(t.Context(), in)
				if err == nil {
					peer.Report(outcomes[[]string{"ok", "tcp", "bad", "slow"}[(i/3+worker)%4]])
					peer.Release()
				} else if !errors.Is(err, ErrPeer) {
					t.Error(err)
				}
				in.Reset()
			}
		})
	}
	running.Go(func() {
		for i := range 100 {
			u := passive()
			u.Algorithm = []string{"round-robin", "least-connections", "latency", "consistent-hashing"}[i%4]
			b.Update(u, targets[i%2:])
			n.set("a.test", "10.0.0.1", []string{"10.0.0.2", "10.0.0.5"}[i%2])
			b.Status()
		}
	})
	running.Wait()
	for _, tg := range targets[1:] {
		if err := b.SetHealth(tg.Target, netip.AddrPort{}, true); err != nil {
			t.Fatal(err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.addresses {
		if a.active.Load() != 0 {
			t.Errorf("%s has %d requests", a.text, a.active.Load())
		}
	}
	s := b.current.Load()
	for _, m := range s.members {
		if m.health.ok() != slices.ContainsFunc(s.available, func(o member) bool { return o.address == m.address }) {
			t.Errorf("%s is healthy: %v", m.text, m.health.ok())
		}
	}
}
