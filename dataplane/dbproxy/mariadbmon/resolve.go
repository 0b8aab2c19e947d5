package mariadbmon

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"time"
)

const (
	resolveFor  = 5 * time.Minute // how long an answer is believed
	resolveWait = time.Second     // how long it is waited for
)

// resolver finds out whether hosts that are written differently are the same.
type resolver struct {
	known map[string]resolved
}

type resolved struct {
	addresses []string
	until     time.Time
}

// resolve writes the masters of replication connections as the servers are
// written, where the names stand for the same address.
func (r *resolver) resolve(ctx context.Context, servers []*watched) {
	var all []*observed
	for _, w := range servers {
		all = append(all, &w.obs)
	}
	for _, o := range all {
		for i := range o.links {
			l := &o.links[i]
			if l.MasterHost == "" || find(all, l, true) != none {
				continue
			}
			r.match(ctx, l, all)
		}
	}
}

func (r *resolver) match(ctx context.Context, l *link, all []*observed) {
	for _, o := range all {
		if o.port != l.MasterPort {
			continue
		}
		for _, host := range o.hosts {
			if overlap(r.lookup(ctx, host), r.lookup(ctx, l.MasterHost)) {
				l.MasterHost = host
				return
			}
		}
	}
}

func overlap(a, b []string) bool {
	for _, x := range a {
		for _, y := range b {
			if x == y {
				return true
			}
		}
	}
	return false
}

func (r *resolver) lookup(ctx context.Context, host string) []string {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []string{ip.Unmap().String()}
	}
	host = strings.ToLower(host)
	if known, ok := r.known[host]; ok && time.Now().Before(known.until) {
		return known.addresses
	}
	ctx, cancel := context.WithTimeout(ctx, resolveWait)
	defer cancel()
	addresses, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		addresses = nil // an answer may come the next time
	}
	if r.known == nil {
		r.known = map[string]resolved{}
	}
	r.known[host] = resolved{addresses, time.Now().Add(resolveFor)}
	return addresses
}
