package httpproxy

import (
	"bytes"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/balance"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// servedUpstream is an upstream with its balancer.
type servedUpstream struct {
	*entity.Upstream
	balancer *balance.Balancer
	client   *certificate // that it is shown, nil for none
}

// ErrNoUpstream is that there is no upstream of an ID.
var ErrNoUpstream = errors.New("there is no such upstream")

// UpstreamStatus tells how an upstream and its targets are; false if there is
// no such upstream.
func (p *Proxy) UpstreamStatus(id uuid.UUID) (balance.Status, bool) {
	b, ok := p.current.Load().balancers.get(id)
	if !ok {
		return balance.Status{}, false
	}
	return b.Status(), true
}

// SetTargetHealth makes addresses of a target healthy or not until they are found to
// be otherwise (see balance.Balancer.SetHealth).
func (p *Proxy) SetTargetHealth(id uuid.UUID, target string, addr netip.AddrPort, healthy bool) error {
	b, ok := p.current.Load().balancers.get(id)
	if !ok {
		return ErrNoUpstream
	}
	return b.SetHealth(target, addr, healthy)
}

// Upstreams are the names of all upstreams with how they are, sorted.
func (p *Proxy) Upstreams() []UpstreamHealth {
	var all []UpstreamHealth
	p.current.Load().upstreams.each(func(name string, u *servedUpstream) {
		all = append(all, UpstreamHealth{name, u.balancer.Status()})
	})
	slices.SortFunc(all, func(a, b UpstreamHealth) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// UpstreamHealth is how an upstream is.
type UpstreamHealth struct {
	Name string
	balance.Status
}

// pick picks the peer of the next try.
func (x *Exchange) pick() error {
	u := &x.Upstream
	up, ok := x.snapshot.upstreams.get(u.Host)
	var err error
	if !ok {
		x.up.tls = x.upstreamTLS(nil)
		err = x.pickHost(strings.Trim(u.Host, "[]"), uint16(u.Port))
	} else {
		x.up.tls = x.upstreamTLS(up.client)
		x.up.input.Request = (*hashed)(x)
		if up.balancer.Pending() {
			err = x.awaitPeer(up.balancer)
		} else {
			x.up.peer, err = up.balancer.Pick(x.ctx, &x.up.input)
		}
	}
	if err != nil {
		return err
	}
	switch {
	case u.HostHeader != "":
		x.up.host = u.HostHeader
	case ok && up.HostHeader != "":
		x.up.host = up.HostHeader
	case ok:
		x.up.host = authorityOf(x.up.peer.Host, int(x.up.peer.Addr.Port()), u.Scheme)
	case u.Host == x.service.Host && u.Port == x.service.Port && u.Scheme == x.service.Protocol:
		x.up.host = x.service.authority
	default:
		x.up.host = authorityOf(u.Host, u.Port, u.Scheme)
	}
	return nil
}

// pickHost picks the peer where the host is no upstream.
func (x *Exchange) pickHost(host string, port uint16) error {
	var ok bool
	if x.up.peer, ok = x.proxy.balancers.KnownHost(host, port); ok {
		return nil
	}
	return x.awaitHost(host, port)
}

func (x *Exchange) awaitPeer(b *balance.Balancer) (err error) {
	x.Outside(func() { x.up.peer, err = b.Pick(x.ctx, &x.up.input) })
	return err
}

func (x *Exchange) awaitHost(host string, port uint16) (err error) {
	x.Outside(func() { x.up.peer, err = x.proxy.balancers.PickHost(x.ctx, host, port) })
	return err
}

// upstreamTLS is how to speak with the upstream, nil without TLS.
func (x *Exchange) upstreamTLS(client *certificate) *upstreamTLS {
	if x.Upstream.Scheme != "https" && x.Upstream.Scheme != "grpcs" {
		return nil
	}
	if x.service.tls == nil { // a plugin has chosen another scheme
		return noTLSRules.withClient(client)
	}
	return x.service.tls.withClient(client)
}

var noTLSRules = &upstreamTLS{depth: -1}

// authorityOf is a host with its port, unless that is the scheme's own.
func authorityOf(host string, port int, scheme string) string {
	secure := scheme == "https" || scheme == "grpcs"
	if port == 443 && secure || port == 80 && !secure {
		if strings.Contains(host, ":") && host[0] != '[' {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), strconv.Itoa(port))
}

// hashed is an Exchange as a balance.Request.
type hashed Exchange

// HashValue implements balance.Request.
func (h *hashed) HashValue(source, name string) string {
	x := (*Exchange)(h)
	switch source {
	case "consumer":
		if x.Consumer != nil {
			return x.Consumer.ID.String()
		}
	case "ip":
		return x.Request.Client.String()
	case "path":
		return x.Request.Path
	case "header":
		return x.Request.Header.Join(name)
	case "cookie":
		return x.Request.Cookie(name)
	case "query_arg":
		return x.Request.QueryArg(name)
	case "uri_capture":
		if v, ok := x.Captures.Named(name); ok {
			return v
		}
		if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < len(x.Captures.Numbered) {
			return x.Captures.Numbered[n]
		}
	}
	return ""
}

// Cookie is the value of a cookie, "" if there is none.
func (r *Request) Cookie(name string) string {
	for line := range r.Header.Values("Cookie") {
		for pair := range strings.SplitSeq(line, ";") {
			if k, v, ok := strings.Cut(strings.TrimSpace(pair), "="); ok && k == name {
				return strings.Trim(v, `"`)
			}
		}
	}
	return ""
}

// QueryArg is the first value of a query argument, "" if there is none.
func (r *Request) QueryArg(name string) string {
	for pair := range strings.SplitSeq(r.Query, "&") {
		k, v, _ := strings.Cut(pair, "=")
		if k != name {
			if !strings.ContainsAny(k, "%+") {
				continue
			}
			if plain, err := url.QueryUnescape(k); err != nil || plain != name {
				continue
			}
		}
		if plain, err := url.QueryUnescape(v); err == nil {
			return plain
		}
		return v
	}
	return ""
}

func (b *build) putUpstream(id uuid.UUID, v *entity.Upstream) {
	if old := b.upstreams[id]; old != nil {
		if _, ok := b.oldUpstreams[id]; !ok {
			b.oldUpstreams[id] = old.Name
		}
		if old.ClientCertificate != nil {
			b.upstreamsOf.del(old.ClientCertificate.ID, id)
		}
		delete(b.upstreams, id)
	}
	b.dirtyUpstreams.add(id)
	if v == nil {
		return
	}
	b.upstreams[id] = v
	if v.ClientCertificate != nil {
		b.upstreamsOf.add(v.ClientCertificate.ID, id)
	}
}

func (b *build) putTarget(id uuid.UUID, v *entity.Target) {
	if old := b.targets[id]; old != nil {
		b.targetsOf.del(old.Upstream.ID, id)
		b.dirtyUpstreams.add(old.Upstream.ID)
		delete(b.targets, id)
	}
	if v != nil {
		b.targets[id] = v
		b.targetsOf.add(v.Upstream.ID, id)
		b.dirtyUpstreams.add(v.Upstream.ID)
	}
}

// makeUpstreams lets the balancers know. They are not a part of the snapshot,
// since what they know of addresses outlives it.
func (b *build) makeUpstreams() {
	if len(b.dirtyUpstreams) == 0 {
		return
	}
	names, balancers := b.next.upstreams.txn(), b.next.balancers.txn()
	for _, name := range b.oldUpstreams {
		names.del(name)
	}
	ids := slices.SortedFunc(maps.Keys(b.dirtyUpstreams), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range ids {
		u := b.upstreams[id]
		balancer, ok := balancers.get(id)
		if u == nil {
			if ok {
				balancer.Close()
				balancers.del(id)
			}
			continue
		}
		var targets []*entity.Target
		for t := range b.targetsOf[id] {
			targets = append(targets, b.targets[t])
		}
		if ok {
			balancer.Update(u, targets)
		} else {
			balancer = b.proxy.balancers.New(u, targets)
			balancers.put(id, balancer)
		}
		made := &servedUpstream{Upstream: u, balancer: balancer}
		if u.ClientCertificate != nil {
			made.client = b.certs[u.ClientCertificate.ID]
		}
		names.put(u.Name, made)
	}
	b.next.upstreams, b.next.balancers = names.table, balancers.table
}

// checkCertificate is what checks of health prove themselves with.
func (p *Proxy) checkCertificate(id uuid.UUID) *tls.Certificate {
	if c, ok := p.current.Load().clientCerts.get(id); ok {
		return c.pairs[0]
	}
	return nil
}
