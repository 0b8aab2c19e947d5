package proxy

import (
	"context"
	"net/url"
	"slices"

	"github.com/backplane/backplane/dataplane/dbproxy"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
)

// standing is whether an object does what it is for, in the word of its kind;
// "" where that is no question.
func (p *Proxy) standing(o *object) string {
	switch o.plural {
	case services:
		if o.stopped {
			return "Stopped"
		}
		return "Started"
	case listeners:
		if l, ok := p.plane.Listener(o.name); ok && l.Running() {
			return "Running"
		}
		return "Stopped"
	case monitors:
		if _, running, ok := p.plane.Monitor(o.name); ok && running {
			return "Running"
		}
		return "Stopped"
	}
	return ""
}

// service shows a service.
func (p *Proxy) service(l linker, e *estate, o *object) (*proxyv1.Service, error) {
	params, err := e.parameters(o)
	if err != nil {
		return nil, err
	}
	a := &proxyv1.ServiceAttributes{
		Router: o.module, State: p.standing(o), Started: date(p.started), Parameters: params, Source: source(), Statistics: &proxyv1.ServiceStatistics{},
	}
	for _, name := range e.related(o, listeners) {
		listener, _ := e.lookup(listeners, name)
		shown, err := p.listener(l, e, listener)
		if err != nil {
			return nil, err
		}
		a.Listeners = append(a.Listeners, shown)
	}
	if s, ok := p.plane.Service(o.name); ok {
		err = fillService(a, s)
	} else {
		a.RouterDiagnostics, err = structOf(nil)
	}
	return &proxyv1.Service{
		Id: o.name, Type: services, Attributes: a, Relationships: l.relationships(e, o), Links: self(l.resource(services, o.name)),
	}, err
}

// fillService is what the data plane tells of a service.
func fillService(a *proxyv1.ServiceAttributes, s *dbproxy.Service) (err error) {
	a.Started = date(s.Started())
	st := s.Statistics()
	a.Connections, a.TotalConnections = st.Connections, st.TotalConnections
	a.Statistics = &proxyv1.ServiceStatistics{
		Connections: st.Connections, TotalConnections: st.TotalConnections, MaxConnections: st.MaxConnections, FailedAuths: st.FailedLogins,
		ActiveOperations: st.Operations, RoutedPackets: st.Requests, AvgSescmdHistoryLength: st.AverageHistory, MaxSescmdHistoryLength: st.LongestHistory,
		AvgSessionLifetime: st.AverageLife.Seconds(), MaxSessionLifetime: st.LongestLife.Seconds(),
	}
	for _, u := range s.Users() {
		a.Users = append(a.Users, &proxyv1.ServiceUser{
			User: u.User, Host: u.Host, Plugin: u.Plugin, Ssl: u.TLS, SuperPriv: u.Super, GlobalPriv: u.Global, ProxyPriv: u.Proxy, DefaultRole: u.DefaultRole,
		})
	}
	a.UsersLastUpdate = dateOrNull(s.UsersUpdated())
	diagnostics := map[string]any{"connections": st.TotalConnections, "current_connections": st.Connections}
	if r := s.Router(); r != nil {
		for name, v := range r.Diagnostics() {
			diagnostics[name] = v
		}
	}
	a.RouterDiagnostics, err = structOf(diagnostics)
	return err
}

// ListServices implements the RPC.
func (p *Proxy) ListServices(ctx context.Context, _ *proxyv1.ListRequest) (*proxyv1.ServiceCollection, error) {
	e, all, err := p.list(ctx, services)
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	out := &proxyv1.ServiceCollection{Links: self(l.collection(services))}
	for _, o := range all {
		s, err := p.service(l, e, o)
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, s)
	}
	return out, nil
}

// GetService implements the RPC.
func (p *Proxy) GetService(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.ServiceDocument, error) {
	e, o, err := p.get(ctx, services, req.GetName())
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	s, err := p.service(l, e, o)
	return &proxyv1.ServiceDocument{Links: self(l.resource(services, o.name)), Data: s}, err
}

// CreateService implements the RPC.
func (p *Proxy) CreateService(ctx context.Context, req *proxyv1.CreateRequest) (*proxyv1.Changed, error) {
	return p.create(ctx, "CreateService", services, req.GetBody(), "")
}

// UpdateService implements the RPC.
func (p *Proxy) UpdateService(ctx context.Context, req *proxyv1.UpdateRequest) (*proxyv1.Changed, error) {
	return p.update(ctx, "UpdateService", services, req.GetName(), req.GetBody())
}

// DeleteService implements the RPC.
func (p *Proxy) DeleteService(ctx context.Context, req *proxyv1.DeleteRequest) (*proxyv1.Changed, error) {
	return p.remove(ctx, "DeleteService", services, req.GetName(), req.GetForce())
}

// GetServiceRelationship implements the RPC.
func (p *Proxy) GetServiceRelationship(ctx context.Context, req *proxyv1.GetRelationshipRequest) (*proxyv1.Relationship, error) {
	return p.getRelation(ctx, services, req)
}

// UpdateServiceRelationship implements the RPC.
func (p *Proxy) UpdateServiceRelationship(ctx context.Context, req *proxyv1.UpdateRelationshipRequest) (*proxyv1.Changed, error) {
	return p.updateRelation(ctx, "UpdateServiceRelationship", services, req)
}

// StartService implements the RPC.
func (p *Proxy) StartService(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.Changed, error) {
	_, err := p.stop(ctx, "StartService", services, req.GetName(), false)
	return changed(err)
}

// StopService implements the RPC.
func (p *Proxy) StopService(ctx context.Context, req *proxyv1.StopRequest) (*proxyv1.Changed, error) {
	o, err := p.stop(ctx, "StopService", services, req.GetName(), true)
	if err == nil && req.GetForce() {
		p.killSessions(func(s *dbproxy.Session) bool { return s.Service().Name() == o.name })
	}
	return changed(err)
}

// killSessions ends the sessions that are meant.
func (p *Proxy) killSessions(meant func(*dbproxy.Session) bool) {
	for _, s := range p.plane.Sessions() {
		if meant(s) {
			s.Kill()
		}
	}
}

// ReloadService implements the RPC.
func (p *Proxy) ReloadService(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.Changed, error) {
	_, o, err := p.get(ctx, services, req.GetName())
	if err != nil {
		return nil, err
	}
	s, ok := p.plane.Service(o.name)
	if !ok {
		return nil, errs.New(errs.Unavailable, "The service %s is not in force here; the log says why", o.name)
	}
	if err := s.Reload(ctx); err != nil {
		return nil, &errs.Error{Reason: errs.Unavailable, Message: "The accounts of " + o.name + " cannot be loaded; the log says why", Err: err}
	}
	return &proxyv1.Changed{}, nil
}

// ListServiceListeners implements the RPC.
func (p *Proxy) ListServiceListeners(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.ListenerCollection, error) {
	e, o, err := p.get(ctx, services, req.GetName())
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	out := &proxyv1.ListenerCollection{Links: self(l.resource(services, o.name) + "/listeners")}
	for _, name := range e.related(o, listeners) {
		listener, _ := e.lookup(listeners, name)
		shown, err := p.listener(l, e, listener)
		if err != nil {
			return nil, err
		}
		out.Data = append(out.Data, shown)
	}
	return out, p.tell(ctx, e.stampOf(listeners))
}

// CreateServiceListener implements the RPC.
func (p *Proxy) CreateServiceListener(ctx context.Context, req *proxyv1.UpdateRequest) (*proxyv1.Changed, error) {
	return p.create(ctx, "CreateServiceListener", listeners, req.GetBody(), req.GetName())
}

// listenerOf finds a listener of a service. Those of others are not there.
func (e *estate) listenerOf(service, listener string) (*object, *object, error) {
	s, err := e.get(services, service)
	if err != nil {
		return nil, nil, err
	}
	o, err := e.get(listeners, listener)
	if err == nil && !slices.Contains(o.links[services], s.name) {
		err = kindOf(listeners).missing(listener)
	}
	return s, o, err
}

// GetServiceListener implements the RPC.
func (p *Proxy) GetServiceListener(ctx context.Context, req *proxyv1.ServiceListenerRequest) (*proxyv1.ListenerDocument, error) {
	e, err := p.read(ctx)
	if err != nil {
		return nil, err
	}
	s, o, err := e.listenerOf(req.GetName(), req.GetListener())
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	shown, err := p.listener(l, e, o)
	if err != nil {
		return nil, err
	}
	out := &proxyv1.ListenerDocument{Links: self(l.resource(services, s.name) + "/listeners/" + url.PathEscape(o.name)), Data: shown}
	return out, p.tell(ctx, o.stamp())
}

// DeleteServiceListener implements the RPC.
func (p *Proxy) DeleteServiceListener(ctx context.Context, req *proxyv1.ServiceListenerRequest) (*proxyv1.Changed, error) {
	return changed(p.change(ctx, "DeleteServiceListener", func(e *estate) error {
		_, o, err := e.listenerOf(req.GetName(), req.GetListener())
		if err != nil {
			return err
		}
		if err := p.held(ctx, o.stamp()); err != nil {
			return err
		}
		return e.drop(o, false)
	}))
}
