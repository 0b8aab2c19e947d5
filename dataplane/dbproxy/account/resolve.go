package account

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// DNS is what of *net.Resolver is needed.
type DNS interface {
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// HostName returns the name of a client's host, "" if it has none that counts:
// the first name its address leads to, which must lead back to the address, as
// servers demand of it too. It takes no longer than timeout.
func HostName(ctx context.Context, dns DNS, client netip.Addr, timeout time.Duration) string {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client = client.Unmap().WithZone("")
	names, err := dns.LookupAddr(ctx, client.String())
	if err != nil || len(names) == 0 {
		return ""
	}
	name := strings.ToLower(strings.TrimSuffix(names[0], "."))
	back, err := dns.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return ""
	}
	if !slices.ContainsFunc(back, func(a netip.Addr) bool { return a.Unmap() == client }) {
		return ""
	}
	return name
}
