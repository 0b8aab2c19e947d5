package proxy

import (
	"context"

	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
)

// filter shows a filter.
func (p *Proxy) filter(l linker, e *estate, o *object) (*proxyv1.Filter, error) {
	params, err := e.parameters(o)
	if err != nil {
		return nil, err
	}
	a := &proxyv1.FilterAttributes{Module: o.module, Parameters: params, Source: source()}
	if f, ok := p.plane.Filter(o.name); ok {
		if diagnostics := f.Diagnostics(); diagnostics != nil {
			a.FilterDiagnostics, err = structOf(diagnostics)
		}
	}
	return &proxyv1.Filter{
		Id: o.name, Type: filters, Attributes: a, Relationships: l.relationships(e, o), Links: self(l.resource(filters, o.name)),
	}, err
}

// ListFilters implements the RPC.
func (p *Proxy) ListFilters(ctx context.Context, _ *proxyv1.ListRequest) (*proxyv1.FilterCollection, error) {
	e, all, err := p.list(ctx, filters)
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	out := &proxyv1.FilterCollection{Links: self(l.collection(filters))}
	for _, o := range all {
		shown, err := p.filter(l, e, o)
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, shown)
	}
	return out, nil
}

// GetFilter implements the RPC.
func (p *Proxy) GetFilter(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.FilterDocument, error) {
	e, o, err := p.get(ctx, filters, req.GetName())
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	shown, err := p.filter(l, e, o)
	return &proxyv1.FilterDocument{Links: self(l.resource(filters, o.name)), Data: shown}, err
}

// CreateFilter implements the RPC.
func (p *Proxy) CreateFilter(ctx context.Context, req *proxyv1.CreateRequest) (*proxyv1.Changed, error) {
	return p.create(ctx, "CreateFilter", filters, req.GetBody(), "")
}

// UpdateFilter implements the RPC.
func (p *Proxy) UpdateFilter(ctx context.Context, req *proxyv1.UpdateRequest) (*proxyv1.Changed, error) {
	return p.update(ctx, "UpdateFilter", filters, req.GetName(), req.GetBody())
}

// DeleteFilter implements the RPC.
func (p *Proxy) DeleteFilter(ctx context.Context, req *proxyv1.DeleteRequest) (*proxyv1.Changed, error) {
	return p.remove(ctx, "DeleteFilter", filters, req.GetName(), req.GetForce())
}

// GetFilterRelationship implements the RPC.
func (p *Proxy) GetFilterRelationship(ctx context.Context, req *proxyv1.GetRelationshipRequest) (*proxyv1.Relationship, error) {
	return p.getRelation(ctx, filters, req)
}

// UpdateFilterRelationship implements the RPC.
func (p *Proxy) UpdateFilterRelationship(ctx context.Context, req *proxyv1.UpdateRelationshipRequest) (*proxyv1.Changed, error) {
	return p.updateRelation(ctx, "UpdateFilterRelationship", filters, req)
}
