package gateway

import (
	"context"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
)

// ListServices implements the RPC.
func (g *Gateway) ListServices(ctx context.Context, req *gatewayv1.ListServicesRequest) (*gatewayv1.ListServicesResponse, error) {
	p, err := g.list(ctx, about(services, req))
	if err != nil {
		return nil, err
	}
	data, err := showAll[gatewayv1.Service](p)
	return &gatewayv1.ListServicesResponse{Data: data, Next: p.next, Offset: p.offset}, err
}

// CreateService implements the RPC.
func (g *Gateway) CreateService(ctx context.Context, req *gatewayv1.CreateServiceRequest) (*gatewayv1.Service, error) {
	return show[gatewayv1.Service](g.create(ctx, "CreateService", about(services, req)))
}

// GetService implements the RPC.
func (g *Gateway) GetService(ctx context.Context, req *gatewayv1.GetServiceRequest) (*gatewayv1.Service, error) {
	return show[gatewayv1.Service](g.get(ctx, about(services, req)))
}

// UpsertService implements the RPC.
func (g *Gateway) UpsertService(ctx context.Context, req *gatewayv1.UpsertServiceRequest) (*gatewayv1.Service, error) {
	return show[gatewayv1.Service](g.upsert(ctx, "UpsertService", about(services, req)))
}

// UpdateService implements the RPC.
func (g *Gateway) UpdateService(ctx context.Context, req *gatewayv1.UpdateServiceRequest) (*gatewayv1.Service, error) {
	return show[gatewayv1.Service](g.update(ctx, "UpdateService", about(services, req)))
}

// DeleteService implements the RPC.
func (g *Gateway) DeleteService(ctx context.Context, req *gatewayv1.DeleteServiceRequest) (*gatewayv1.Deleted, error) {
	return &gatewayv1.Deleted{}, g.delete(ctx, "DeleteService", about(services, req))
}

// ListRoutes implements the RPC.
func (g *Gateway) ListRoutes(ctx context.Context, req *gatewayv1.ListRoutesRequest) (*gatewayv1.ListRoutesResponse, error) {
	p, err := g.list(ctx, about(routes, req))
	if err != nil {
		return nil, err
	}
	data, err := showAll[gatewayv1.Route](p)
	return &gatewayv1.ListRoutesResponse{Data: data, Next: p.next, Offset: p.offset}, err
}

// CreateRoute implements the RPC.
func (g *Gateway) CreateRoute(ctx context.Context, req *gatewayv1.CreateRouteRequest) (*gatewayv1.Route, error) {
	return show[gatewayv1.Route](g.create(ctx, "CreateRoute", about(routes, req)))
}

// GetRoute implements the RPC.
func (g *Gateway) GetRoute(ctx context.Context, req *gatewayv1.GetRouteRequest) (*gatewayv1.Route, error) {
	return show[gatewayv1.Route](g.get(ctx, about(routes, req)))
}

// UpsertRoute implements the RPC.
func (g *Gateway) UpsertRoute(ctx context.Context, req *gatewayv1.UpsertRouteRequest) (*gatewayv1.Route, error) {
	return show[gatewayv1.Route](g.upsert(ctx, "UpsertRoute", about(routes, req)))
}

// UpdateRoute implements the RPC.
func (g *Gateway) UpdateRoute(ctx context.Context, req *gatewayv1.UpdateRouteRequest) (*gatewayv1.Route, error) {
	return show[gatewayv1.Route](g.update(ctx, "UpdateRoute", about(routes, req)))
}

// DeleteRoute implements the RPC.
func (g *Gateway) DeleteRoute(ctx context.Context, req *gatewayv1.DeleteRouteRequest) (*gatewayv1.Deleted, error) {
	return &gatewayv1.Deleted{}, g.delete(ctx, "DeleteRoute", about(routes, req))
}

// ListUpstreams implements the RPC.
func (g *Gateway) ListUpstreams(ctx context.Context, req *gatewayv1.ListUpstreamsRequest) (*gatewayv1.ListUpstreamsResponse, error) {
	p, err := g.list(ctx, about(upstreams, req))
	if err != nil {
		return nil, err
	}
	data, err := showAll[gatewayv1.Upstream](p)
	return &gatewayv1.ListUpstreamsResponse{Data: data, Next: p.next, Offset: p.offset}, err
}

// CreateUpstream implements the RPC.
func (g *Gateway) CreateUpstream(ctx context.Context, req *gatewayv1.CreateUpstreamRequest) (*gatewayv1.Upstream, error) {
	return show[gatewayv1.Upstream](g.create(ctx, "CreateUpstream", about(upstreams, req)))
}

// GetUpstream implements the RPC.
func (g *Gateway) GetUpstream(ctx context.Context, req *gatewayv1.GetUpstreamRequest) (*gatewayv1.Upstream, error) {
	return show[gatewayv1.Upstream](g.get(ctx, about(upstreams, req)))
}

// UpsertUpstream implements the RPC.
func (g *Gateway) UpsertUpstream(ctx context.Context, req *gatewayv1.UpsertUpstreamRequest) (*gatewayv1.Upstream, error) {
	return show[gatewayv1.Upstream](g.upsert(ctx, "UpsertUpstream", about(upstreams, req)))
}

// UpdateUpstream implements the RPC.
func (g *Gateway) UpdateUpstream(ctx context.Context, req *gatewayv1.UpdateUpstreamRequest) (*gatewayv1.Upstream, error) {
	return show[gatewayv1.Upstream](g.update(ctx, "UpdateUpstream", about(upstreams, req)))
}

// DeleteUpstream implements the RPC.
func (g *Gateway) DeleteUpstream(ctx context.Context, req *gatewayv1.DeleteUpstreamRequest) (*gatewayv1.Deleted, error) {
	return &gatewayv1.Deleted{}, g.delete(ctx, "DeleteUpstream", about(upstreams, req))
}

// ListTargets implements the RPC.
func (g *Gateway) ListTargets(ctx context.Context, req *gatewayv1.ListTargetsRequest) (*gatewayv1.ListTargetsResponse, error) {
	p, err := g.list(ctx, about(targets, req))
	if err != nil {
		return nil, err
	}
	data, err := showAll[gatewayv1.Target](p)
	return &gatewayv1.ListTargetsResponse{Data: data, Next: p.next, Offset: p.offset}, err
}

// CreateTarget implements the RPC.
func (g *Gateway) CreateTarget(ctx context.Context, req *gatewayv1.CreateTargetRequest) (*gatewayv1.Target, error) {
	return show[gatewayv1.Target](g.create(ctx, "CreateTarget", about(targets, req)))
}

// GetTarget implements the RPC.
func (g *Gateway) GetTarget(ctx context.Context, req *gatewayv1.GetTargetRequest) (*gatewayv1.Target, error) {
	return show[gatewayv1.Target](g.get(ctx, about(targets, req)))
}

// UpsertTarget implements the RPC.
func (g *Gateway) UpsertTarget(ctx context.Context, req *gatewayv1.UpsertTargetRequest) (*gatewayv1.Target, error) {
	return show[gatewayv1.Target](g.upsert(ctx, "UpsertTarget", about(targets, req)))
}

// UpdateTarget implements the RPC.
func (g *Gateway) UpdateTarget(ctx context.Context, req *gatewayv1.UpdateTargetRequest) (*gatewayv1.Target, error) {
	return show[gatewayv1.Target](g.update(ctx, "UpdateTarget", about(targets, req)))
}

// DeleteTarget implements the RPC.
func (g *Gateway) DeleteTarget(ctx context.Context, req *gatewayv1.DeleteTargetRequest) (*gatewayv1.Deleted, error) {
	return &gatewayv1.Deleted{}, g.delete(ctx, "DeleteTarget", about(targets, req))
}

// ListCertificates implements the RPC.
func (g *Gateway) ListCertificates(ctx context.Context, req *gatewayv1.ListCertificatesRequest) (*gatewayv1.ListCertificatesResponse, error) {
	p, err := g.list(ctx, about(certificates, req))
	if err != nil {
		return nil, err
	}
	data, err := showAll[gatewayv1.Certificate](p)
	return &gatewayv1.ListCertificatesResponse{Data: data, Next: p.next, Offset: p.offset}, err
}

// CreateCertificate implements the RPC.
func (g *Gateway) CreateCertificate(ctx context.Context, req *gatewayv1.CreateCertificateRequest) (*gatewayv1.Certificate, error) {
	return show[gatewayv1.Certificate](g.create(ctx, "CreateCertificate", about(certificates, req)))
}

// GetCertificate implements the RPC.
func (g *Gateway) GetCertificate(ctx context.Context, req *gatewayv1.GetCertificateRequest) (*gatewayv1.Certificate, error) {
	return show[gatewayv1.Certificate](g.get(ctx, about(certificates, req)))
}

// UpsertCertificate implements the RPC.
func (g *Gateway) UpsertCertificate(ctx context.Context, req *gatewayv1.UpsertCertificateRequest) (*gatewayv1.Certificate, error) {
	return show[gatewayv1.Certificate](g.upsert(ctx, "UpsertCertificate", about(certificates, req)))
}

// UpdateCertificate implements the RPC.
func (g *Gateway) UpdateCertificate(ctx context.Context, req *gatewayv1.UpdateCertificateRequest) (*gatewayv1.Certificate, error) {
	return show[gatewayv1.Certificate](g.update(ctx, "UpdateCertificate", about(certificates, req)))
}

// DeleteCertificate implements the RPC.
func (g *Gateway) DeleteCertificate(ctx context.Context, req *gatewayv1.DeleteCertificateRequest) (*gatewayv1.Deleted, error) {
	return &gatewayv1.Deleted{}, g.delete(ctx, "DeleteCertificate", about(certificates, req))
}

// ListCaCertificates implements the RPC.
func (g *Gateway) ListCaCertificates(ctx context.Context, req *gatewayv1.ListCaCertificatesRequest) (*gatewayv1.ListCaCertificatesResponse, error) {
	p, err := g.list(ctx, about(caCertificates, req))
	if err != nil {
		return nil, err
	}
	data, err := showAll[gatewayv1.CaCertificate](p)
	return &gatewayv1.ListCaCertificatesResponse{Data: data, Next: p.next, Offset: p.offset}, err
}

// CreateCaCertificate implements the RPC.
func (g *Gateway) CreateCaCertificate(ctx context.Context, req *gatewayv1.CreateCaCertificateRequest) (*gatewayv1.CaCertificate, error) {
	return show[gatewayv1.CaCertificate](g.create(ctx, "CreateCaCertificate", about(caCertificates, req)))
}

// GetCaCertificate implements the RPC.
func (g *Gateway) GetCaCertificate(ctx context.Context, req *gatewayv1.GetCaCertificateRequest) (*gatewayv1.CaCertificate, error) {
	return show[gatewayv1.CaCertificate](g.get(ctx, about(caCertificates, req)))
}

// UpsertCaCertificate implements the RPC.
func (g *Gateway) UpsertCaCertificate(ctx context.Context, req *gatewayv1.UpsertCaCertificateRequest) (*gatewayv1.CaCertificate, error) {
	return show[gatewayv1.CaCertificate](g.upsert(ctx, "UpsertCaCertificate", about(caCertificates, req)))
}

// UpdateCaCertificate implements the RPC.
func (g *Gateway) UpdateCaCertificate(ctx context.Context, req *gatewayv1.UpdateCaCertificateRequest) (*gatewayv1.CaCertificate, error) {
	return show[gatewayv1.CaCertificate](g.update(ctx, "UpdateCaCertificate", about(caCertificates, req)))
}

// DeleteCaCertificate implements the RPC.
func (g *Gateway) DeleteCaCertificate(ctx context.Context, req *gatewayv1.DeleteCaCertificateRequest) (*gatewayv1.Deleted, error) {
	return &gatewayv1.Deleted{}, g.delete(ctx, "DeleteCaCertificate", about(caCertificates, req))
}

// ListSnis implements the RPC.
func (g *Gateway) ListSnis(ctx context.Context, req *gatewayv1.ListSnisRequest) (*gatewayv1.ListSnisResponse, error) {
	p, err := g.list(ctx, about(snis, req))
	if err != nil {
		return nil, err
	}
	data, err := showAll[gatewayv1.Sni](p)
	return &gatewayv1.ListSnisResponse{Data: data, Next: p.next, Offset: p.offset}, err
}

// CreateSni implements the RPC.
func (g *Gateway) CreateSni(ctx context.Context, req *gatewayv1.CreateSniRequest) (*gatewayv1.Sni, error) {
	return show[gatewayv1.Sni](g.create(ctx, "CreateSni", about(snis, req)))
}

// GetSni implements the RPC.
func (g *Gateway) GetSni(ctx context.Context, req *gatewayv1.GetSniRequest) (*gatewayv1.Sni, error) {
	return show[gatewayv1.Sni](g.get(ctx, about(snis, req)))
}

// UpsertSni implements the RPC.
func (g *Gateway) UpsertSni(ctx context.Context, req *gatewayv1.UpsertSniRequest) (*gatewayv1.Sni, error) {
	return show[gatewayv1.Sni](g.upsert(ctx, "UpsertSni", about(snis, req)))
}

// UpdateSni implements the RPC.
func (g *Gateway) UpdateSni(ctx context.Context, req *gatewayv1.UpdateSniRequest) (*gatewayv1.Sni, error) {
	return show[gatewayv1.Sni](g.update(ctx, "UpdateSni", about(snis, req)))
}

// DeleteSni implements the RPC.
func (g *Gateway) DeleteSni(ctx context.Context, req *gatewayv1.DeleteSniRequest) (*gatewayv1.Deleted, error) {
	return &gatewayv1.Deleted{}, g.delete(ctx, "DeleteSni", about(snis, req))
}

// ListPlugins implements the RPC.
func (g *Gateway) ListPlugins(ctx context.Context, req *gatewayv1.ListPluginsRequest) (*gatewayv1.ListPluginsResponse, error) {
	p, err := g.list(ctx, about(plugins, req))
	if err != nil {
		return nil, err
	}
	data, err := showAll[gatewayv1.Plugin](p)
	return &gatewayv1.ListPluginsResponse{Data: data, Next: p.next, Offset: p.offset}, err
}

// CreatePlugin implements the RPC.
func (g *Gateway) CreatePlugin(ctx context.Context, req *gatewayv1.CreatePluginRequest) (*gatewayv1.Plugin, error) {
	return show[gatewayv1.Plugin](g.create(ctx, "CreatePlugin", about(plugins, req)))
}

// GetPlugin implements the RPC.
func (g *Gateway) GetPlugin(ctx context.Context, req *gatewayv1.GetPluginRequest) (*gatewayv1.Plugin, error) {
	return show[gatewayv1.Plugin](g.get(ctx, about(plugins, req)))
}

// UpsertPlugin implements the RPC.
func (g *Gateway) UpsertPlugin(ctx context.Context, req *gatewayv1.UpsertPluginRequest) (*gatewayv1.Plugin, error) {
	return show[gatewayv1.Plugin](g.upsert(ctx, "UpsertPlugin", about(plugins, req)))
}

// UpdatePlugin implements the RPC.
func (g *Gateway) UpdatePlugin(ctx context.Context, req *gatewayv1.UpdatePluginRequest) (*gatewayv1.Plugin, error) {
	return show[gatewayv1.Plugin](g.update(ctx, "UpdatePlugin", about(plugins, req)))
}

// DeletePlugin implements the RPC.
func (g *Gateway) DeletePlugin(ctx context.Context, req *gatewayv1.DeletePluginRequest) (*gatewayv1.Deleted, error) {
	return &gatewayv1.Deleted{}, g.delete(ctx, "DeletePlugin", about(plugins, req))
}
