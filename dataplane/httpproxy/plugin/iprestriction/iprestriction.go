// Package iprestriction is the plugin ip-restriction: clients pass by their
// addresses.
package iprestriction

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"slices"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// Module is the plugin.
func Module() httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: "ip-restriction", Version: "1.0.0", Priority: 990,
		Protocols: []string{"http", "https", "tcp", "tls", "grpc", "grpcs"},
		Config: schema.Record{
			Fields: []schema.Field{
				schema.Strings("allow", schema.IPOrCIDR),
				schema.Strings("deny", schema.IPOrCIDR),
				{Name: "status", Type: schema.Number, Between: schema.Between(100, 599)},
				{Name: "message", Type: schema.String},
			},
			Checks: []schema.Check{schema.AtLeastOneOf("allow", "deny")},
		},
		New: newPlugin,
	}
}

type config struct {
	Allow   []string `json:"allow"`
	Deny    []string `json:"deny"`
	Status  float64  `json:"status"`
	Message string   `json:"message"`
}

type plugin struct {
	allow, deny ranges
	status      int
	message     string
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	var c config
	if err := json.Unmarshal(o.Config, &c); err != nil {
		return nil, err
	}
	p := &plugin{status: http.StatusForbidden, message: c.Message}
	if c.Status != 0 {
		p.status = int(c.Status)
	}
	var err error
	if p.allow, err = newRanges(c.Allow); err != nil {
		return nil, err
	}
	p.deny, err = newRanges(c.Deny)
	return p, err
}

// Access implements httpproxy.Accesser.
func (p *plugin) Access(x *httpproxy.Exchange) error {
	client := x.Request.Client.Unmap().WithZone("")
	if client.IsValid() && !p.deny.has(client) && (len(p.allow) == 0 || p.allow.has(client)) {
		return nil
	}
	message := p.message
	if message == "" {
		message = "IP address not allowed: " + client.String()
	}
	x.Refuse(p.status, message)
	return nil
}

// ranges are ranges of addresses, sorted, that do not overlap.
type ranges []span

// span is the addresses from first to last.
type span struct{ first, last netip.Addr }

func newRanges(texts []string) (ranges, error) {
	all := make(ranges, 0, len(texts))
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			ip, err := netip.ParseAddr(text)
			if err != nil {
				return nil, fmt.Errorf("%q is no address and no range of them", text)
			}
			prefix = netip.PrefixFrom(ip, ip.BitLen())
		}
		all = append(all, spanOf(prefix))
	}
	slices.SortFunc(all, func(a, b span) int {
		return cmp.Or(a.first.Compare(b.first), a.last.Compare(b.last))
	})
	merged := all[:0]
	for _, s := range all {
		n := len(merged)
		if n > 0 && merged[n-1].last.Compare(s.first) >= 0 {
			if s.last.Compare(merged[n-1].last) > 0 {
				merged[n-1].last = s.last
			}
			continue
		}
		merged = append(merged, s)
	}
	return merged, nil
}

// spanOf is a range with its ends. One of IPv4 in IPv6 is one of IPv4.
func spanOf(p netip.Prefix) span {
	if ip := p.Addr(); ip.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(ip.Unmap(), p.Bits()-96)
	}
	p = p.Masked()
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < 8*len(last); bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return span{p.Addr(), end}
}

func (r ranges) has(ip netip.Addr) bool {
	i, found := slices.BinarySearchFunc(r, ip, func(s span, ip netip.Addr) int { return s.first.Compare(ip) })
	if found {
		return true
	}
	return i > 0 && r[i-1].first.BitLen() == ip.BitLen() && r[i-1].last.Compare(ip) >= 0
}
