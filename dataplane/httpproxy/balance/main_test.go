package balance

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names is a Resolver whose answers are changed by tests.
type names struct {
	mu    sync.Mutex
	hosts map[string][]string
	srv   map[string][]*net.SRV
	hold  chan struct{} // look-ups wait for it to be closed; nil does not hold
	asked int
}

var errUnknown = &net.DNSError{Err: "no such host", IsNotFound: true}

func (n *names) LookupNetIP(ctx context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	hold := n.hold
	n.asked++
	n.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.hosts[host]) == 0 {
		return nil, errUnknown
	}
	var all []netip.Addr
	for _, ip := range n.hosts[host] {
		all = append(all, netip.MustParseAddr(ip))
	}
	return all, nil
}

func (n *names) LookupSRV(_ context.Context, _, _, name string) (string, []*net.SRV, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.srv[name]) == 0 {
		return "", nil, errUnknown
	}
	return name, n.srv[name], nil
}

func (n *names) set(host string, ips ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.hosts == nil {
		n.hosts = map[string][]string{}
	}
	n.hosts[host] = ips
}

func newPool(t testing.TB, o Options) *Pool {
	if o.Resolver == nil {
		o.Resolver = &names{}
	}
	p := NewPool(o)
	t.Cleanup(p.Close)
	return p
}

func target100(of string) *entity.Target { return targetOf(of, 100) }

func targetOf(of string, weight int) *entity.Target {
	return &entity.Target{ID: uuid.NewSHA1(uuid.Nil, []byte(of)), Target: of, Weight: weight}
}

// pick picks for a request of its own, and gives back the address.
func pick(t testing.TB, b *Balancer) string {
	t.Helper()
	p, err := b.Pick(t.Context(), &Input{})
	if err != nil {
		t.Fatal(err)
	}
	p.Release()
	return p.Address
}

func wantError(t testing.TB, b *Balancer, want error) {
	t.Helper()
	if p, err := b.Pick(t.Context(), &Input{}); !errors.Is(err, want) {
		t.Fatalf("%v, %v instead of %v", p.Address, err, want)
	}
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	end := time.NewTimer(20 * time.Second)
	defer end.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-end.C:
			t.Fatal("never: ", what)
		}
	}
}
