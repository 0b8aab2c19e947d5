package balance

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

const soon = 5 * time.Millisecond

func addressesOf(b *Balancer) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for k := range b.addresses {
		all = append(all, k.addr.String())
	}
	slices.Sort(all)
	return all
}

func TestNamesAreLookedUpAgain(t *testing.T) {
	n := &names{}
	n.set("a.test", "10.0.0.1", "10.0.0.2", "2001:db8::1", "::ffff:10.0.0.2")
	p := newPool(t, Options{Resolver: n, ResolveEvery: soon})
	b := p.New(&entity.Upstream{}, []*entity.Target{targetOf("a.test:80", 10), targetOf("10.0.0.9:90", 20)})
	defer b.Close()
	has := func(want ...string) {
		t.Helper()
		eventually(t, "the addresses are those", func() bool { return slices.Equal(addressesOf(b), want) })
	}
	has("10.0.0.1:80", "10.0.0.2:80", "10.0.0.9:90")
	// Each address has the target's weight.
	if got, want := counts(t, b, 4), map[string]int{"10.0.0.1:80": 1, "10.0.0.2:80": 1, "10.0.0.9:90": 2}; !maps.Equal(got, want) {
		t.Errorf("%v instead of %v", got, want)
	}
	n.set("a.test", "10.0.0.3", "10.0.0.2")
	has("10.0.0.2:80", "10.0.0.3:80", "10.0.0.9:90")
	n.set("a.test") // what cannot be looked up any more is where it was
	eventually(t, "the failure is told", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.names["a.test"].err != nil
	})
	has("10.0.0.2:80", "10.0.0.3:80", "10.0.0.9:90")
	n.set("a.test", "2001:db8::1")
	has("10.0.0.9:90", "[2001:db8::1]:80")
}

func TestPickWaitsForNames(t *testing.T) {
	n := &names{hold: make(chan struct{})}
	n.set("a.test", "10.0.0.1")
	p := newPool(t, Options{Resolver: n})
	b := p.New(&entity.Upstream{}, []*entity.Target{target100("a.test:80")})
	defer b.Close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Pick(ended, &Input{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	// As long as another target is known nobody waits.
	b.Update(&entity.Upstream{}, []*entity.Target{target100("a.test:80"), target100("10.0.0.2:80")})
	if got := pick(t, b); got != "10.0.0.2:80" {
		t.Fatal(got)
	}
	b.Update(&entity.Upstream{}, []*entity.Target{target100("a.test:80")})
	picked := make(chan string)
	go func() { picked <- pick(t, b) }()
	close(n.hold)
	if got := <-picked; got != "10.0.0.1:80" {
		t.Fatal(got)
	}
}

func TestNobodyWaitsForABalancerThatIsClosed(t *testing.T) {
	n := &names{hold: make(chan struct{})}
	p := newPool(t, Options{Resolver: n})
	b := p.New(&entity.Upstream{}, []*entity.Target{target100("a.test:80")})
	failed := make(chan error)
	go func() {
		_, err := b.Pick(t.Context(), &Input{})
		failed <- err
	}()
	b.Close()
	if err := <-failed; !errors.Is(err, ErrName) {
		t.Fatal(err)
	}
	b.Close()
	b.Update(&entity.Upstream{}, nil)
}

func TestNamesThatAreNone(t *testing.T) {
	n := &names{}
	p := newPool(t, Options{Resolver: n, ResolveEvery: soon})
	b := p.New(&entity.Upstream{}, []*entity.Target{target100("a.test:80")})
	defer b.Close()
	wantError(t, b, ErrName)
	b.Update(&entity.Upstream{}, []*entity.Target{target100("a.test:80"), targetOf("10.0.0.1:80", 0)})
	wantError(t, b, ErrName)
	n.set("a.test", "10.0.0.1")
	eventually(t, "the name is known at last", func() bool {
		_, err := b.Pick(t.Context(), &Input{})
		return err == nil
	})
	b.Update(&entity.Upstream{}, []*entity.Target{target100("b.test:80")})
	wantError(t, b, ErrName)
	b.Update(&entity.Upstream{}, nil)
	wantError(t, b, ErrPeer)
}

func TestSRV(t *testing.T) {
	n := &names{srv: map[string][]*net.SRV{"_http._tcp.a.test": {
		{Target: "one.test.", Port: 81, Priority: 1}, {Target: "two.test.", Port: 82, Priority: 1}, {Target: "three.test.", Port: 83, Priority: 2},
	}}}
	n.set("one.test", "10.0.0.1")
	n.set("two.test", "10.0.0.2")
	n.set("three.test", "10.0.0.3")
	n.set("plain.test", "10.0.0.4")
	p := newPool(t, Options{Resolver: n})
	targets := []*entity.Target{target100("_http._tcp.a.test:80")}
	b := p.New(&entity.Upstream{}, targets)
	defer b.Close()
	hosts := func() map[string]string {
		all := map[string]string{}
		for range 4 {
			peer, err := b.Pick(t.Context(), &Input{})
			if err != nil {
				t.Fatal(err)
			}
			all[peer.Address] = peer.Host
		}
		return all
	}
	if got, want := hosts(), map[string]string{"10.0.0.1:81": "_http._tcp.a.test", "10.0.0.2:82": "_http._tcp.a.test"}; !maps.Equal(got, want) {
		t.Errorf("%v instead of %v", got, want)
	}
	b.Update(&entity.Upstream{UseSRVName: true}, targets)
	if got, want := hosts(), map[string]string{"10.0.0.1:81": "one.test", "10.0.0.2:82": "two.test"}; !maps.Equal(got, want) {
		t.Errorf("%v instead of %v", got, want)
	}
	// Names without SRV records are looked up as others are.
	b.Update(&entity.Upstream{UseSRVName: true}, []*entity.Target{target100("plain.test:80")})
	if got, want := hosts(), map[string]string{"10.0.0.4:80": "plain.test"}; !maps.Equal(got, want) {
		t.Errorf("%v instead of %v", got, want)
	}
	b.Update(&entity.Upstream{}, []*entity.Target{target100("_grpc._tcp.a.test:80")})
	wantError(t, b, ErrName)
}

func TestPickHost(t *testing.T) {
	n := &names{}
	n.set("a.test", "10.0.0.1", "10.0.0.2")
	p := newPool(t, Options{Resolver: n, ResolveEvery: soon})
	got := map[string]int{}
	for range 10 {
		peer, err := p.PickHost(t.Context(), "a.test", 80)
		if err != nil || peer.Host != "a.test" {
			t.Fatalf("%+v, %v", peer, err)
		}
		peer.Report(Outcome{})
		peer.Release()
		got[peer.Address]++
	}
	if want := map[string]int{"10.0.0.1:80": 5, "10.0.0.2:80": 5}; !maps.Equal(got, want) {
		t.Errorf("%v instead of %v", got, want)
	}
	for host, want := range map[string]string{"127.0.0.1": "127.0.0.1:8000", "::1": "[::1]:8000"} {
		if peer, err := p.PickHost(t.Context(), host, 8000); err != nil || peer.Address != want {
			t.Errorf("%s is %s, %v", host, peer.Address, err)
		}
	}
	if _, err := p.PickHost(t.Context(), "nowhere.test", 80); !errors.Is(err, ErrName) {
		t.Error(err)
	}
	n.set("nowhere.test", "10.0.0.7")
	n.set("a.test", "10.0.0.3")
	eventually(t, "names are looked up again", func() bool {
		a, err := p.PickHost(t.Context(), "a.test", 80)
		if err != nil {
			t.Fatal(err)
		}
		b, err := p.PickHost(t.Context(), "nowhere.test", 80)
		return err == nil && a.Address == "10.0.0.3:80" && b.Address == "10.0.0.7:80"
	})
	n.set("a.test") // it stays where it was
	before := n.count()
	eventually(t, "it is looked up in vain", func() bool { return n.count() > before+2 })
	if peer, err := p.PickHost(t.Context(), "a.test", 80); err != nil || peer.Address != "10.0.0.3:80" {
		t.Errorf("%+v, %v", peer, err)
	}
	if n := testing.AllocsPerRun(100, func() { p.PickHost(t.Context(), "a.test", 80) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func (n *names) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}
