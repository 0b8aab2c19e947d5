package config

import (
	"errors"
	"fmt"
	"math"
	"net/netip"

	"github.com/spf13/pflag"
)

// Bounds of --max-header-bytes: less breaks browsers, more is no limit.
const (
	minHeaderBytes = 4 << 10
	maxHeaderBytes = 16 << 20
)

// defaultDeny are the networks that a service must not be in unless one says
// so: connectors.DefaultDeny, which this package must not import.
func defaultDeny() []string {
	return []string{"169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128", "100.100.100.200/32"}
}

func (c *Config) registerLimits(f *pflag.FlagSet) {
	f.StringSliceVar(&c.denyTargets, "deny-targets", defaultDeny(), "networks and addresses that services must not be in, after names are resolved; "+none+": any will do")
	f.Float64Var(&c.MaxCallsPerSecond, "max-calls-per-second", 0, "calls that each caller may make in a second; 0: no limit")
	f.IntVar(&c.MaxCallsAtOnce, "max-calls-at-once", 1000, "calls that each caller may have under way; 0: no limit")
	f.IntVar(&c.MaxHeaderBytes, "max-header-bytes", 64<<10, "size of the headers of a request at most")
}

// settleLimits checks the limits and parses the networks.
func (c *Config) settleLimits() error {
	var faults []error
	if !(c.MaxCallsPerSecond >= 0) || math.IsInf(c.MaxCallsPerSecond, 0) { // NaN is not >= 0 either
		faults = append(faults, fmt.Errorf("--max-calls-per-second %v must be a number from 0", c.MaxCallsPerSecond))
	}
	if c.MaxCallsAtOnce < 0 {
		faults = append(faults, fmt.Errorf("--max-calls-at-once %d must not be negative", c.MaxCallsAtOnce))
	}
	if c.MaxHeaderBytes < minHeaderBytes || c.MaxHeaderBytes > maxHeaderBytes {
		faults = append(faults, fmt.Errorf("--max-header-bytes %d must be from %d to %d", c.MaxHeaderBytes, minHeaderBytes, maxHeaderBytes))
	}
	deny, err := networks(c.denyTargets)
	c.DenyTargets = deny
	return errors.Join(append(faults, err)...)
}

// networks parses a list of networks and addresses.
func networks(texts []string) ([]netip.Prefix, error) {
	if len(texts) == 1 && texts[0] == none {
		return nil, nil
	}
	if len(texts) == 0 {
		// An unset variable in somebody's script must not take a guard away.
		return nil, fmt.Errorf("--deny-targets must not be empty; write %s to deny nothing", none)
	}
	var out []netip.Prefix
	var faults []error
	for _, text := range texts {
		p, ok := network(text)
		switch {
		case text == none:
			faults = append(faults, fmt.Errorf("--deny-targets: %s must stand alone", none))
		case !ok:
			faults = append(faults, fmt.Errorf("--deny-targets: %q must be a network such as 10.0.0.0/8, or an address", text))
		default:
			out = append(out, p)
		}
	}
	return out, errors.Join(faults...)
}

// network parses a network or a single address. IPv4 in its IPv6 form becomes
// plain IPv4, which is what targets are compared as.
func network(text string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return p, false
		}
		p = netip.PrefixFrom(addr, addr.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return p, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}
