package proxy

import (
	"context"

	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
)

// monitor shows a monitor.
func (p *Proxy) monitor(l linker, e *estate, o *object) (*proxyv1.Monitor, error) {
	params, err := e.parameters(o)
	if err != nil {
		return nil, err
	}
	a := &proxyv1.MonitorAttributes{Module: o.module, State: p.standing(o), Parameters: params, Source: source()}
	diagnostics := map[string]any{}
	if m, _, ok := p.plane.Monitor(o.name); ok {
		a.Ticks = m.Ticks()
		if d := m.Diagnostics(); d != nil {
			diagnostics = d
		}
	}
	a.MonitorDiagnostics, err = structOf(diagnostics)
	return &proxyv1.Monitor{
		Id: o.name, Type: monitors, Attributes: a, Relationships: l.relationships(e, o), Links: self(l.resource(monitors, o.name)),
	}, err
}

// ListMonitors implements the RPC.
func (p *Proxy) ListMonitors(ctx context.Context, _ *proxyv1.ListRequest) (*proxyv1.MonitorCollection, error) {
	e, all, err := p.list(ctx, monitors)
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	out := &proxyv1.MonitorCollection{Links: self(l.collection(monitors))}
	for _, o := range all {
		shown, err := p.monitor(l, e, o)
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, shown)
	}
	return out, nil
}

// GetMonitor implements the RPC.
func (p *Proxy) GetMonitor(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.MonitorDocument, error) {
	e, o, err := p.get(ctx, monitors, req.GetName())
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	shown, err := p.monitor(l, e, o)
	return &proxyv1.MonitorDocument{Links: self(l.resource(monitors, o.name)), Data: shown}, err
}

// CreateMonitor implements the RPC.
func (p *Proxy) CreateMonitor(ctx context.Context, req *proxyv1.CreateRequest) (*proxyv1.Changed, error) {
	return p.create(ctx, "CreateMonitor", monitors, req.GetBody(), "")
}

// UpdateMonitor implements the RPC.
func (p *Proxy) UpdateMonitor(ctx context.Context, req *proxyv1.UpdateRequest) (*proxyv1.Changed, error) {
	return p.update(ctx, "UpdateMonitor", monitors, req.GetName(), req.GetBody())
}

// DeleteMonitor implements the RPC.
func (p *Proxy) DeleteMonitor(ctx context.Context, req *proxyv1.DeleteRequest) (*proxyv1.Changed, error) {
	return p.remove(ctx, "DeleteMonitor", monitors, req.GetName(), req.GetForce())
}

// GetMonitorRelationship implements the RPC.
func (p *Proxy) GetMonitorRelationship(ctx context.Context, req *proxyv1.GetRelationshipRequest) (*proxyv1.Relationship, error) {
	return p.getRelation(ctx, monitors, req)
}

// UpdateMonitorRelationship implements the RPC.
func (p *Proxy) UpdateMonitorRelationship(ctx context.Context, req *proxyv1.UpdateRelationshipRequest) (*proxyv1.Changed, error) {
	return p.updateRelation(ctx, "UpdateMonitorRelationship", monitors, req)
}

// StartMonitor implements the RPC.
func (p *Proxy) StartMonitor(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.Changed, error) {
	_, err := p.stop(ctx, "StartMonitor", monitors, req.GetName(), false)
	return changed(err)
}

// StopMonitor implements the RPC.
func (p *Proxy) StopMonitor(ctx context.Context, req *proxyv1.StopRequest) (*proxyv1.Changed, error) {
	_, err := p.stop(ctx, "StopMonitor", monitors, req.GetName(), true)
	return changed(err)
}
