package registry

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Allow are the hosts and networks that services may be at. The zero value
// allows all addresses but those that belong to one link alone, where machines
// have services that are for themselves.
type Allow struct {
	networks []netip.Prefix
	hosts    []string // in lower case; *.x stands for every name below x
}

// ParseAllow reads networks such as 10.0.0.0/8, addresses, and names of hosts
// such as users.internal or *.internal. None of them is the zero value.
func ParseAllow(items []string) (a Allow, err error) {
	for _, item := range items {
		item = strings.ToLower(strings.TrimSpace(item))
		if network, err := netip.ParsePrefix(item); err == nil {
			a.networks = append(a.networks, network.Masked())
			continue
		}
		host := strings.TrimSuffix(strings.TrimPrefix(item, "["), "]")
		if ip, err := netip.ParseAddr(host); err == nil && ip.Zone() == "" {
			ip = ip.Unmap()
			a.networks = append(a.networks, netip.PrefixFrom(ip, ip.BitLen()))
			continue
		}
		if !isHostName(strings.TrimPrefix(item, "*.")) {
			return Allow{}, fmt.Errorf("%q is neither a network, nor an address, nor a host", item)
		}
		a.hosts = append(a.hosts, item)
	}
	return a, nil
}

func (a Allow) all() bool { return len(a.networks)+len(a.hosts) == 0 }

// names tells whether a host may be used whatever its address is.
func (a Allow) names(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(a.hosts, func(h string) bool {
		below, wild := strings.CutPrefix(h, "*")
		return host == h || wild && len(host) > len(below) && strings.HasSuffix(host, below)
	})
}

// permits tells whether an address may be used that a host has.
func (a Allow) permits(host string, ip netip.Addr) bool {
	if slices.ContainsFunc(a.networks, func(n netip.Prefix) bool { return n.Contains(ip) }) {
		return true
	}
	return !ofOneLink(ip) && (a.all() || a.names(host))
}

// ofOneLink tells of addresses that mean something else on every link, and of
// those of no machine in particular.
func ofOneLink(ip netip.Addr) bool {
	return ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip == netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

var (
	errOwn        = errors.New("is an address of this program itself")
	errNotAllowed = errors.New("is not among the hosts and networks that services may be at (--registry-allow)")
)

// rules say where services may be.
type rules struct {
	allow Allow
	// deny are networks that services must not be in, unless they are allowed as
	// closely.
	deny []netip.Prefix
	own  func() []netip.AddrPort // where this program listens itself
}

// dial checks an address that is about to be connected to for a host. What is
// wrong is told without the address: it may be nobody's to know what a name
// stands for.
func (r rules) dial(host string, to netip.AddrPort) error {
	ip := to.Addr().Unmap().WithZone("")
	to = netip.AddrPortFrom(ip, to.Port())
	if r.isOwn(to) {
		return fmt.Errorf("%s %w", net.JoinHostPort(host, strconv.Itoa(int(to.Port()))), errOwn)
	}
	if !r.allow.permits(host, ip) || r.denied(ip) {
		return fmt.Errorf("%s %w", host, errNotAllowed)
	}
	return nil
}

// denied tells whether an address is in a network that services must not be in,
// and in none that is allowed and as small.
func (r rules) denied(ip netip.Addr) bool {
	return slices.ContainsFunc(r.deny, func(deny netip.Prefix) bool {
		return deny.Contains(ip) && !slices.ContainsFunc(r.allow.networks, func(n netip.Prefix) bool { return n.Bits() >= deny.Bits() && n.Contains(ip) })
	})
}

// register checks what can be known of a service before its name is resolved.
func (r rules) register(host string, port uint16) error {
	if ip, err := netip.ParseAddr(host); err == nil {
		return r.dial(host, netip.AddrPortFrom(ip, port))
	}
	if host == "localhost" {
		for _, ip := range []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()} {
			if to := netip.AddrPortFrom(ip, port); r.isOwn(to) {
				return r.dial(host, to)
			}
		}
	}
	if !r.allow.all() && len(r.allow.networks) == 0 && !r.allow.names(host) {
		return fmt.Errorf("%s %w", host, errNotAllowed)
	}
	return nil
}

// isOwn tells whether a connection to an address would come to this program.
func (r rules) isOwn(to netip.AddrPort) bool {
	if r.own == nil {
		return false
	}
	return slices.ContainsFunc(r.own(), func(own netip.AddrPort) bool {
		if own.Port() != to.Port() {
			return false
		}
		ip := own.Addr().Unmap().WithZone("")
		switch {
		case ip == to.Addr():
			return true
		case to.Addr().IsUnspecified():
			return true // which is whatever listens on this machine
		case ip.IsUnspecified():
			return isLocal(to.Addr())
		}
		return false
	})
}

// isLocal tells whether an address is one of this machine.
func isLocal(ip netip.Addr) bool {
	if ip.IsLoopback() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return true // better refused than a loop
	}
	return slices.ContainsFunc(addrs, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr().Unmap().WithZone("") == ip
	})
}
