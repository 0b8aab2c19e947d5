package balance

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// counts picks n times.
func counts(t *testing.T, b *Balancer, n int) map[string]int {
	t.Helper()
	c := map[string]int{}
	for range n {
		c[pick(t, b)]++
	}
	return c
}

func TestWheelGivesEachItsShare(t *testing.T) {
	p := newPool(t, Options{})
	b := p.New(&entity.Upstream{}, []*entity.Target{
		targetOf("10.0.0.1:80", 300), targetOf("10.0.0.2:80", 100), targetOf("10.0.0.3:80", 50), targetOf("10.0.0.4:80", 0),
	})
	defer b.Close()
	if n := len(b.current.Load().wheel); n != 9 {
		t.Fatalf("the wheel has %d places", n)
	}
	for range 3 {
		want := map[string]int{"10.0.0.1:80": 6, "10.0.0.2:80": 2, "10.0.0.3:80": 1}
		if got := counts(t, b, 9); !maps.Equal(got, want) {
			t.Fatalf("%v instead of %v", got, want)
		}
	}
}

func TestWheelUnderConcurrency(t *testing.T) {
	p := newPool(t, Options{})
	b := p.New(&entity.Upstream{}, []*entity.Target{targetOf("10.0.0.1:80", 3), targetOf("10.0.0.2:80", 1)})
	defer b.Close()
	var mu sync.Mutex
	all := map[string]int{}
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			mine := map[string]int{}
			for range 500 {
				mine[pick(t, b)]++
			}
			mu.Lock()
			defer mu.Unlock()
			for a, n := range mine {
				all[a] += n
			}
		})
	}
	running.Wait()
	if want := map[string]int{"10.0.0.1:80": 3000, "10.0.0.2:80": 1000}; !maps.Equal(all, want) {
		t.Fatalf("%v instead of %v", all, want)
	}
}

func TestWheelOfWeightsWithoutDivisor(t *testing.T) {
	var members []member
	for i := range 20 {
		members = append(members, member{weight: 65521 - i})
	}
	wheel := newWheel(members)
	if len(wheel) > maxWheel+len(members) {
		t.Fatalf("%d places", len(wheel))
	}
	places := make([]int, len(members))
	for _, i := range wheel {
		places[i]++
	}
	if slices.Max(places)-slices.Min(places) > 10 {
		t.Fatalf("places %v", places)
	}
}

func TestLeastConnections(t *testing.T) {
	p := newPool(t, Options{})
	b := p.New(&entity.Upstream{Algorithm: "least-connections"}, []*entity.Target{
		targetOf("10.0.0.1:80", 200), targetOf("10.0.0.2:80", 100),
	})
	defer b.Close()
	var under []Peer
	c := map[string]int{}
	for range 30 {
		peer, err := b.Pick(t.Context(), &Input{})
		if err != nil {
			t.Fatal(err)
		}
		under = append(under, peer)
		c[peer.Address]++
	}
	if want := map[string]int{"10.0.0.1:80": 20, "10.0.0.2:80": 10}; !maps.Equal(c, want) {
		t.Fatalf("%v instead of %v", c, want)
	}
	// Those of the second end: it gets the next ones.
	for i := range under {
		if under[i].Address == "10.0.0.2:80" {
			under[i].Release()
		}
	}
	for range 8 {
		peer, err := b.Pick(t.Context(), &Input{})
		if err != nil || peer.Address != "10.0.0.2:80" {
			t.Fatalf("%v, %v", peer.Address, err)
		}
	}
}

func TestTriedAreSkipped(t *testing.T) {
	p := newPool(t, Options{})
	for _, algorithm := range []string{"least-connections", "latency", "consistent-hashing"} {
		b := p.New(&entity.Upstream{Algorithm: algorithm, Slots: 1000}, []*entity.Target{
			targetOf("10.0.0.1:80", 1000), targetOf("10.0.0.2:80", 10), targetOf("10.0.0.3:80", 10),
		})
		in := &Input{}
		for range 5 {
			c := map[string]int{}
			for range 3 {
				peer, err := b.Pick(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				peer.Release()
				c[peer.Address]++
			}
			if len(c) != 3 {
				t.Errorf("%s tries %v", algorithm, c)
			}
			// When all have failed there is still one to try.
			if _, err := b.Pick(t.Context(), in); err != nil {
				t.Errorf("%s: %v", algorithm, err)
			}
			in.Reset()
		}
		b.Close()
	}
}

func TestLatency(t *testing.T) {
	p := newPool(t, Options{})
	u := &entity.Upstream{Algorithm: "latency"}
	fast, slow := target100("10.0.0.1:80"), target100("10.0.0.2:80")
	b := p.New(u, []*entity.Target{fast, slow})
	defer b.Close()
	report := func(address string, took time.Duration) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, a := range b.addresses {
			if a.text == address {
				peer := Peer{balancer: b, address: a}
				peer.Report(Outcome{Status: 200, Took: took})
			}
		}
	}
	report("10.0.0.1:80", time.Millisecond)
	report("10.0.0.2:80", time.Second)
	if c := counts(t, b, 50); c["10.0.0.1:80"] != 50 {
		t.Fatalf("%v, though one is slow", c)
	}
	// A weight makes up for it.
	heavy := targetOf("10.0.0.2:80", 60000)
	light := targetOf("10.0.0.1:80", 1)
	b.Update(u, []*entity.Target{light, heavy})
	if c := counts(t, b, 50); c["10.0.0.2:80"] != 50 {
		t.Fatalf("%v, though the slow one is heavy", c)
	}
	// A new one has the average of the others, so it is neither best nor worst.
	b.Update(u, []*entity.Target{fast, slow, target100("10.0.0.3:80")})
	now := p.since()
	for _, m := range b.current.Load().members {
		if s, known := m.speed.now(now); m.text == "10.0.0.3:80" && (!known || s < 0.3 || s > 0.7) {
			t.Errorf("the new one begins with %v, %v", s, known)
		}
	}
}

func TestSpeedDecays(t *testing.T) {
	var s speed
	s.observe(time.Second, time.Second)
	s.observe(0, time.Second+decay)
	if v, _ := s.now(time.Second + decay); math.Abs(v-1/math.E) > 1e-9 {
		t.Errorf("after %v a second counts for %v", decay, v)
	}
	if v, _ := s.now(time.Second + 2*decay); math.Abs(v-1/math.E/math.E) > 1e-9 {
		t.Errorf("when nothing comes it is %v", v)
	}
}

// asked is a Request of values by "source name".
type asked map[string]string

func (a asked) HashValue(source, name string) string { return a[strings.TrimSpace(source+" "+name)] }

func pickFor(t *testing.T, b *Balancer, a asked) string {
	t.Helper()
	peer, err := b.Pick(t.Context(), &Input{Request: a})
	if err != nil {
		t.Fatal(err)
	}
	peer.Release()
	return peer.Address
}

func TestConsistentHashing(t *testing.T) {
	p := newPool(t, Options{})
	u := &entity.Upstream{Algorithm: "consistent-hashing", HashOn: "ip", Slots: 10000}
	var targets []*entity.Target
	for i := range 5 {
		targets = append(targets, target100(fmt.Sprintf("10.0.0.%d:80", i)))
	}
	b := p.New(u, targets)
	defer b.Close()
	const n = 10000
	was, share := map[int]string{}, map[string]int{}
	for i := range n {
		was[i] = pickFor(t, b, asked{"ip": fmt.Sprint("192.0.2.", i)})
		share[was[i]]++
	}
	for a, got := range share {
		if got < n/5*7/10 || got > n/5*13/10 {
			t.Errorf("%s has %d of %d", a, got, n)
		}
	}
	// Another balancer, with the targets in another order, picks the same.
	slices.Reverse(targets)
	other := p.New(u, targets)
	defer other.Close()
	for i := range n {
		if got := pickFor(t, other, asked{"ip": fmt.Sprint("192.0.2.", i)}); got != was[i] {
			t.Fatalf("%s here and %s there", was[i], got)
		}
	}
	// Without one target, what is not its own stays almost all where it is.
	gone := targets[0].Target
	other.Update(u, targets[1:])
	moved := 0
	for i := range n {
		switch got := pickFor(t, other, asked{"ip": fmt.Sprint("192.0.2.", i)}); {
		case got == gone:
			t.Fatal("a target that is gone was picked")
		case was[i] != gone && got != was[i]:
			moved++
		}
	}
	if moved > n/20 {
		t.Errorf("%d of %d have moved", moved, n)
	}
}

func TestRingOfMoreMembersThanItHasRoomFor(t *testing.T) {
	var members []member
	for i := range 50 {
		members = append(members, member{&address{text: fmt.Sprintf("10.0.0.%d:80", i)}, 100})
	}
	r := newRing(members, 10)
	if len(r.points) != minPoints {
		t.Fatalf("%d points", len(r.points))
	}
	has := map[uint32]int{}
	for _, m := range r.points {
		has[m]++
	}
	if len(has) != len(members) {
		t.Errorf("%d of %d members are on the ring", len(has), len(members))
	}
}

func TestHashSources(t *testing.T) {
	p := newPool(t, Options{})
	var targets []*entity.Target
	for i := range 8 {
		targets = append(targets, target100(fmt.Sprintf("10.0.0.%d:80", i)))
	}
	differs := func(u entity.Upstream, value func(i int) asked) bool {
		u.Algorithm, u.Slots = "consistent-hashing", 1000
		b := p.New(&u, targets)
		defer b.Close()
		seen := map[string]bool{}
		for i := range 50 {
			a := pickFor(t, b, value(i))
			if a != pickFor(t, b, value(i)) {
				t.Errorf("%+v: the same request goes elsewhere", u)
			}
			seen[a] = true
		}
		return len(seen) > 1
	}
	for _, c := range []struct {
		u    entity.Upstream
		key  string
		want bool
	}{
		{entity.Upstream{HashOn: "consumer"}, "consumer", true},
		{entity.Upstream{HashOn: "path"}, "path", true},
		{entity.Upstream{HashOn: "header", HashOnHeader: "X-A"}, "header X-A", true},
		{entity.Upstream{HashOn: "header", HashOnHeader: "X-A"}, "header X-B", false},
		{entity.Upstream{HashOn: "query_arg", HashOnQueryArg: "q"}, "query_arg q", true},
		{entity.Upstream{HashOn: "uri_capture", HashOnURICapture: "1"}, "uri_capture 1", true},
		{entity.Upstream{HashOn: "cookie", HashOnCookie: "c"}, "cookie c", true},
		{entity.Upstream{HashOn: "none"}, "ip", false},
		{entity.Upstream{HashOn: "consumer", HashFallback: "ip"}, "ip", true},
		{entity.Upstream{HashOn: "ip", HashFallback: "header", HashFallbackHeader: "X-B"}, "header X-B", true},
		{entity.Upstream{HashOn: "ip", HashFallback: "query_arg", HashFallbackQueryArg: "q"}, "query_arg q", true},
		{entity.Upstream{HashOn: "ip", HashFallback: "uri_capture", HashFallbackURICapture: "n"}, "uri_capture n", true},
		{entity.Upstream{HashOn: "header", HashOnHeader: "X-A", HashFallback: "none"}, "ip", false},
	} {
		if got := differs(c.u, func(i int) asked { return asked{c.key: fmt.Sprint(i)} }); got != c.want {
			t.Errorf("%+v by %q: %v", c.u, c.key, got)
		}
	}
}

func TestHashCookie(t *testing.T) {
	p := newPool(t, Options{})
	targets := []*entity.Target{target100("10.0.0.1:80"), target100("10.0.0.2:80"), target100("10.0.0.3:80")}
	for _, u := range []*entity.Upstream{
		{Algorithm: "consistent-hashing", HashOn: "cookie", HashOnCookie: "who", HashOnCookiePath: "/x"},
		{Algorithm: "consistent-hashing", HashOn: "consumer", HashFallback: "cookie", HashOnCookie: "who", HashOnCookiePath: "/x"},
	} {
		b := p.New(u, targets)
		in := &Input{Request: asked{}}
		first, err := b.Pick(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		if want := "who=" + in.Cookie + "; Path=/x; HttpOnly"; in.Cookie == "" || in.SetCookie != want {
			t.Fatalf("%q instead of %q", in.SetCookie, want)
		}
		cookie := in.Cookie
		if _, err := b.Pick(t.Context(), in); err != nil || in.Cookie != cookie {
			t.Errorf("another try has another cookie: %v", err)
		}
		again := &Input{Request: asked{"cookie who": cookie}}
		if peer, err := b.Pick(t.Context(), again); err != nil || peer.Address != first.Address || again.SetCookie != "" {
			t.Errorf("with the cookie it goes to %s instead of %s, %q, %v", peer.Address, first.Address, again.SetCookie, err)
		}
		in.Reset()
		if _, err := b.Pick(t.Context(), in); err != nil || in.Cookie == cookie {
			t.Errorf("another request has the same cookie: %v", err)
		}
		b.Close()
	}
}

func TestPickDoesNotAllocate(t *testing.T) {
	p := newPool(t, Options{})
	for _, algorithm := range []string{"round-robin", "least-connections", "latency", "consistent-hashing"} {
		b := p.New(&entity.Upstream{Algorithm: algorithm, HashOn: "ip", Slots: 1000}, []*entity.Target{
			target100("10.0.0.1:80"), target100("10.0.0.2:80"), target100("10.0.0.3:80"),
		})
		in := &Input{Request: asked{"ip": "192.0.2.1"}}
		n := testing.AllocsPerRun(100, func() {
			request := in.Request
			in.Reset()
			in.Request = request
			peer, err := b.Pick(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			peer.Report(Outcome{Status: 200, Took: time.Millisecond})
			peer.Release()
		})
		if n != 0 && algorithm != "consistent-hashing" || n > 1 { // asked makes a key
			t.Errorf("%s: %v allocations", algorithm, n)
		}
		b.Close()
	}
}

func BenchmarkPick(b *testing.B) {
	p := newPool(b, Options{})
	for _, algorithm := range []string{"round-robin", "least-connections", "latency", "consistent-hashing"} {
		b.Run(algorithm, func(b *testing.B) {
			var targets []*entity.Target
			for i := range 10 {
				targets = append(targets, target100(fmt.Sprintf("10.0.0.%d:80", i)))
			}
			balancer := p.New(&entity.Upstream{Algorithm: algorithm}, targets)
			defer balancer.Close()
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				in := &Input{}
				for pb.Next() {
					peer, err := balancer.Pick(b.Context(), in)
					if err != nil {
						b.Error(err)
						return
					}
					peer.Release()
					in.Reset()
				}
			})
		})
	}
}
