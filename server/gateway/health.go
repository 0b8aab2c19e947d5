package gateway

import (
	"context"
	"errors"
	"net/netip"
	"net/url"
	"slices"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/balance"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
)

// Balancers is what a data plane that balances tells of it.
type Balancers interface {
	// UpstreamStatus is how an upstream is; false if it is not served.
	UpstreamStatus(id uuid.UUID) (balance.Status, bool)
	// SetTargetHealth makes the addresses of a target healthy or unhealthy; one
	// of them, if addr is valid.
	SetTargetHealth(upstream uuid.UUID, target string, addr netip.AddrPort, healthy bool) error
}

// status is how an upstream is: unknown where the data plane does not say.
func (g *Gateway) status(id uuid.UUID) balance.Status {
	if b, ok := g.plane.(Balancers); ok {
		if s, ok := b.UpstreamStatus(id); ok {
			return s
		}
	}
	return balance.Status{Health: balance.ChecksOff}
}

// upstream is the one that a request names.
func (g *Gateway) upstream(ctx context.Context, r reader, key string) (*object, error) {
	o, err := r.find(ctx, entity.Find(upstreams), key, nil)
	if err == nil && o == nil {
		err = absent()
	}
	return o, err
}

// ListAllTargets implements the RPC.
func (g *Gateway) ListAllTargets(ctx context.Context, req *gatewayv1.ListAllTargetsRequest) (*gatewayv1.ListTargetsResponse, error) {
	p, err := g.list(ctx, about(targets, req))
	if err != nil {
		return nil, err
	}
	p.below(req.GetUpstream(), "targets/all")
	all, err := showAll[gatewayv1.Target](p)
	return &gatewayv1.ListTargetsResponse{Data: all, Next: p.next, Offset: p.offset}, err
}

// below makes the URL of the page after that of a path below an upstream.
func (p *page) below(upstream, path string) {
	if p.next == nil {
		return
	}
	next := "/upstreams/" + url.PathEscape(upstream) + "/" + path + "?offset=" + url.QueryEscape(*p.offset)
	p.next = &next
}

// GetUpstreamHealth implements the RPC.
func (g *Gateway) GetUpstreamHealth(ctx context.Context, req *gatewayv1.GetUpstreamHealthRequest) (*gatewayv1.UpstreamHealth, error) {
	up, err := g.upstream(ctx, g.reader(ctx), req.GetUpstream())
	if err != nil {
		return nil, err
	}
	p, err := g.list(ctx, about(targets, req))
	if err != nil {
		return nil, err
	}
	p.below(req.GetUpstream(), "health")
	now := g.status(up.id)
	out := &gatewayv1.UpstreamHealth{Next: p.next, Offset: p.offset, NodeId: g.node.String()}
	for _, o := range p.objects {
		t := &gatewayv1.TargetHealth{Health: string(now.Health)}
		if err := fill(t.ProtoReflect(), o.doc); err != nil {
			return nil, err
		}
		at := slices.IndexFunc(now.Targets, func(s balance.TargetStatus) bool { return s.Target.ID == o.id })
		if at >= 0 {
			t.Health, t.Data = string(now.Targets[at].Health), addressesOf(now.Targets[at])
		}
		out.Data = append(out.Data, t)
	}
	return out, nil
}

func addressesOf(s balance.TargetStatus) *gatewayv1.TargetAddresses {
	out := &gatewayv1.TargetAddresses{
		Host: s.Host, Port: int32(s.Port), Dns: "A", NodeWeight: int32(s.Target.Weight), Weight: weightOf(s.Weight),
	}
	if s.DNS != nil {
		out.Dns = s.DNS.Error()
	}
	for _, a := range s.Addresses {
		out.Addresses = append(out.Addresses, &gatewayv1.TargetAddress{
			Ip: a.Addr.Addr().String(), Port: int32(a.Addr.Port()), Weight: int32(a.Weight), Health: string(a.Health),
		})
	}
	return out
}

func weightOf(w balance.Weights) *gatewayv1.Weight {
	return &gatewayv1.Weight{Total: int32(w.Total), Available: int32(w.Available), Unavailable: int32(w.Unavailable)}
}

// GetBalancerHealth implements the RPC.
func (g *Gateway) GetBalancerHealth(ctx context.Context, req *gatewayv1.GetBalancerHealthRequest) (*gatewayv1.BalancerHealth, error) {
	up, err := g.upstream(ctx, g.reader(ctx), req.GetUpstream())
	if err != nil {
		return nil, err
	}
	now := g.status(up.id)
	state := &gatewayv1.BalancerState{Id: up.id.String(), Health: string(now.Health), BalancerHealth: string(balance.Healthy)}
	if now.Health == balance.Unhealthy {
		state.BalancerHealth = string(balance.Unhealthy)
	}
	state.Details = &gatewayv1.BalancerDetails{Healthy: now.Health != balance.Unhealthy, Weight: weightOf(now.Weight)}
	for _, t := range now.Targets {
		state.Details.Hosts = append(state.Details.Hosts, addressesOf(t))
	}
	return &gatewayv1.BalancerHealth{Data: state, NodeId: g.node.String()}, nil
}

// SetTargetHealthy implements the RPC.
func (g *Gateway) SetTargetHealthy(ctx context.Context, req *gatewayv1.SetTargetHealthyRequest) (*gatewayv1.TargetHealthSet, error) {
	return &gatewayv1.TargetHealthSet{}, g.setTargetHealth(ctx, req.GetUpstream(), req.GetTarget(), req.GetAddress(), true)
}

// SetTargetUnhealthy implements the RPC.
func (g *Gateway) SetTargetUnhealthy(ctx context.Context, req *gatewayv1.SetTargetUnhealthyRequest) (*gatewayv1.TargetHealthSet, error) {
	return &gatewayv1.TargetHealthSet{}, g.setTargetHealth(ctx, req.GetUpstream(), req.GetTarget(), req.GetAddress(), false)
}

func (g *Gateway) setTargetHealth(ctx context.Context, upstream, target, address string, healthy bool) error {
	r := g.reader(ctx)
	up, err := g.upstream(ctx, r, upstream)
	if err != nil {
		return err
	}
	s := scope{{"upstream", up}}
	o, err := r.find(ctx, entity.Find(targets), target, s)
	if err == nil && (o == nil || !s.holds(o)) {
		err = absent()
	}
	if err != nil {
		return err
	}
	var addr netip.AddrPort
	if address != "" {
		if addr, err = netip.ParseAddrPort(address); err != nil {
			return absent()
		}
	}
	b, ok := g.plane.(Balancers)
	if !ok {
		return errs.New(errs.BadRequest, "%v", balance.ErrChecksOff)
	}
	h := &setHealth{Upstream: up.id, Target: o.id, Address: addr, Healthy: healthy}
	err = h.on(b)
	switch {
	case errors.Is(err, balance.ErrChecksOff):
		return errs.New(errs.BadRequest, "%v", err)
	case errors.Is(err, balance.ErrNoAddress):
		return absent()
	case err != nil:
		return err
	}
	return g.announce(ctx, act{Health: h})
}
