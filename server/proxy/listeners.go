package proxy

import (
	"context"

	"github.com/backplane/backplane/dataplane/dbproxy"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
)

// listener shows a listener.
func (p *Proxy) listener(l linker, e *estate, o *object) (*proxyv1.Listener, error) {
	params, err := e.parameters(o)
	return &proxyv1.Listener{
		Id: o.name, Type: listeners, Attributes: &proxyv1.ListenerAttributes{Parameters: params, State: p.standing(o), Source: source()},
		Relationships: l.relationships(e, o), Links: self(l.resource(listeners, o.name)),
	}, err
}

// ListListeners implements the RPC.
func (p *Proxy) ListListeners(ctx context.Context, _ *proxyv1.ListRequest) (*proxyv1.ListenerCollection, error) {
	e, all, err := p.list(ctx, listeners)
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	out := &proxyv1.ListenerCollection{Links: self(l.collection(listeners))}
	for _, o := range all {
		shown, err := p.listener(l, e, o)
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, shown)
	}
	return out, nil
}

// GetListener implements the RPC.
func (p *Proxy) GetListener(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.ListenerDocument, error) {
	e, o, err := p.get(ctx, listeners, req.GetName())
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	shown, err := p.listener(l, e, o)
	return &proxyv1.ListenerDocument{Links: self(l.resource(listeners, o.name)), Data: shown}, err
}

// CreateListener implements the RPC.
func (p *Proxy) CreateListener(ctx context.Context, req *proxyv1.CreateRequest) (*proxyv1.Changed, error) {
	return p.create(ctx, "CreateListener", listeners, req.GetBody(), "")
}

// UpdateListener implements the RPC.
func (p *Proxy) UpdateListener(ctx context.Context, req *proxyv1.UpdateRequest) (*proxyv1.Changed, error) {
	return p.update(ctx, "UpdateListener", listeners, req.GetName(), req.GetBody())
}

// DeleteListener implements the RPC.
func (p *Proxy) DeleteListener(ctx context.Context, req *proxyv1.DeleteRequest) (*proxyv1.Changed, error) {
	return p.remove(ctx, "DeleteListener", listeners, req.GetName(), req.GetForce())
}

// GetListenerRelationship implements the RPC.
func (p *Proxy) GetListenerRelationship(ctx context.Context, req *proxyv1.GetRelationshipRequest) (*proxyv1.Relationship, error) {
	return p.getRelation(ctx, listeners, req)
}

// StartListener implements the RPC.
func (p *Proxy) StartListener(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.Changed, error) {
	_, err := p.stop(ctx, "StartListener", listeners, req.GetName(), false)
	return changed(err)
}

// StopListener implements the RPC.
func (p *Proxy) StopListener(ctx context.Context, req *proxyv1.StopRequest) (*proxyv1.Changed, error) {
	o, err := p.stop(ctx, "StopListener", listeners, req.GetName(), true)
	if err == nil && req.GetForce() {
		p.killSessions(func(s *dbproxy.Session) bool { return s.Listener().Name() == o.name })
	}
	return changed(err)
}
