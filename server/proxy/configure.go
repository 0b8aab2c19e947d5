package proxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/store"
)

// refresh applies what the store holds.
func (p *Proxy) refresh(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.applyStored(ctx)
}

func (p *Proxy) applyStored(ctx context.Context) error {
	e, err := p.load(ctx, p.Store.Client, p.Keys)
	if err != nil {
		return err
	}
	return p.apply(ctx, e)
}

// follow applies what other processes change, and what changes in the
// catalogue, until ctx ends.
func (p *Proxy) follow(ctx context.Context) {
	at, _, err := p.Store.CurrentRevision(ctx)
	for stale := true; ; {
		if err == nil && stale {
			err = p.refresh(ctx)
		}
		if err != nil && ctx.Err() == nil {
			p.Log.ErrorContext(ctx, "follow the objects of the proxy", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			at, _, err = p.Store.CurrentRevision(ctx)
			stale = true
			continue
		}
		if stale, at, err = p.await(ctx, at); ctx.Err() != nil {
			return
		}
	}
}

// await waits for changes after a revision, and tells whether they concern the
// proxy, and up to where they go.
func (p *Proxy) await(ctx context.Context, at uint64) (stale bool, next uint64, err error) {
	if err := p.Store.AwaitChange(ctx, at); err != nil {
		return false, at, err
	}
	const batch = 1000
	changes, err := p.Store.ChangesAfter(ctx, at, batch)
	if err != nil {
		return false, at, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, ch := range changes {
		_, followed := p.follows[ch.ServiceID]
		stale = stale || ch.Event == store.ProxyEvent || followed && ch.Event != "health" || i == 0 && ch.ID != at+1
		next = ch.ID
	}
	return stale || len(changes) == 0, max(at, next), nil
}

// apply configures the data plane. What it refuses of the objects that the
// change at hand is about is an error; other objects that cannot be made are
// left out, together with what depends on them, and told in the log.
func (p *Proxy) apply(ctx context.Context, e *estate) error {
	c, err := p.config(ctx, e)
	if err != nil {
		return err
	}
	for {
		err := p.plane.Apply(ctx, c)
		if err == nil {
			break
		}
		var first *dbproxy.ObjectError
		if !errors.As(err, &first) {
			return err
		}
		faults := objectErrors(err)
		for _, fault := range faults {
			if e.changes(fault.Kind, fault.Name) {
				return &errs.Error{Reason: errs.ValidationFailed, Message: fmt.Sprintf("The %s %s cannot be made: %v", fault.Kind, fault.Name, fault.Err)}
			}
			p.Log.ErrorContext(ctx, "the database proxy does without an object", "kind", fault.Kind, "name", fault.Name, "error", fault.Err)
		}
		if opened(faults) {
			break // the rest is in force
		}
		if !prune(&c, first.Kind, first.Name) {
			return err
		}
	}
	p.applyStates(e)
	p.applyLog(e)
	return nil
}

// objectErrors are all errors about objects that an error holds.
func objectErrors(err error) (out []*dbproxy.ObjectError) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			out = append(out, objectErrors(one)...)
		}
		return out
	}
	var one *dbproxy.ObjectError
	if errors.As(err, &one) {
		out = append(out, one)
	}
	return out
}

// opened tells whether all that failed is the opening of listeners, and the
// rest of a configuration is in force.
func opened(faults []*dbproxy.ObjectError) bool {
	return !slices.ContainsFunc(faults, func(f *dbproxy.ObjectError) bool {
		var op *net.OpError
		return f.Kind != "listener" || !errors.As(f.Err, &op)
	})
}

// config is what the data plane is to be. It fails when that cannot be said of
// what the change at hand is about.
func (p *Proxy) config(ctx context.Context, e *estate) (dbproxy.Config, error) {
	var c dbproxy.Config
	c.Settings, _ = param.ParseSome(dbproxy.SettingsSpecs(), only(dbproxy.SettingsSpecs(), e.program.set.Plain()))
	clear(p.follows)
	var without []*object
	for _, o := range e.objects {
		err := o.fault
		if err == nil {
			err = p.configure(ctx, &c, o)
		}
		if err != nil && e.changes(o.singular, o.name) {
			return c, &errs.Error{Reason: errs.ValidationFailed, Message: fmt.Sprintf("The %s %s cannot be made: %v", o.singular, o.name, err)}
		}
		if err != nil {
			p.Log.ErrorContext(ctx, "the database proxy does without an object", "kind", o.singular, "name", o.name, "error", err)
			without = append(without, o)
		}
	}
	for _, o := range without {
		prune(&c, o.singular, o.name)
	}
	return c, nil
}

// configure adds an object to the configuration.
func (p *Proxy) configure(ctx context.Context, c *dbproxy.Config, o *object) error {
	switch o.plural {
	case servers:
		params, err := p.serverParams(ctx, o)
		if err != nil {
			return err
		}
		c.Servers = append(c.Servers, dbproxy.ServerConfig{Name: o.name, Params: params})
	case filters:
		c.Filters = append(c.Filters, dbproxy.FilterConfig{Name: o.name, Module: o.module, Params: o.set})
	case monitors:
		c.Monitors = append(c.Monitors, dbproxy.MonitorConfig{Name: o.name, Module: o.module, Params: o.set, Servers: o.links[servers], Stopped: o.stopped})
	case services:
		s := dbproxy.ServiceConfig{
			Name: o.name, Router: o.module, Params: o.set, PreviousPassword: o.secrets[previousPassword],
			Servers: o.links[servers], Services: o.links[services], Filters: o.links[filters], Stopped: o.stopped,
		}
		if len(o.links[monitors]) > 0 {
			s.Cluster = o.links[monitors][0]
		}
		c.Services = append(c.Services, s)
	case listeners:
		c.Listeners = append(c.Listeners, dbproxy.ListenerConfig{Name: o.name, Service: o.links[services][0], Params: o.set, Stopped: o.stopped})
	}
	return nil
}

// only are the values that specs describe.
func only(specs param.Specs, values map[string]any) map[string]any {
	out := map[string]any{}
	for name, v := range values {
		if _, ok := specs.Find(name); ok {
			out[name] = v
		}
	}
	return out
}

// prune takes an object out of a configuration, and with it what cannot be
// without: a service does not run without one of its filters. It tells whether
// the object was there.
func prune(c *dbproxy.Config, kind, name string) bool {
	before := len(c.Servers) + len(c.Filters) + len(c.Monitors) + len(c.Services) + len(c.Listeners)
	less := func(names []string) []string {
		return slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == name })
	}
	var dependent []string
	switch kind {
	case "server":
		c.Servers = slices.DeleteFunc(c.Servers, func(s dbproxy.ServerConfig) bool { return s.Name == name })
		for i := range c.Monitors {
			c.Monitors[i].Servers = less(c.Monitors[i].Servers)
		}
		for i := range c.Services {
			c.Services[i].Servers = less(c.Services[i].Servers)
		}
	case "filter":
		c.Filters = slices.DeleteFunc(c.Filters, func(f dbproxy.FilterConfig) bool { return f.Name == name })
	case "monitor":
		c.Monitors = slices.DeleteFunc(c.Monitors, func(m dbproxy.MonitorConfig) bool { return m.Name == name })
	case "service":
		c.Services = slices.DeleteFunc(c.Services, func(s dbproxy.ServiceConfig) bool { return s.Name == name })
		c.Listeners = slices.DeleteFunc(c.Listeners, func(l dbproxy.ListenerConfig) bool { return l.Service == name })
		for i := range c.Services {
			c.Services[i].Services = less(c.Services[i].Services)
		}
	case "listener":
		c.Listeners = slices.DeleteFunc(c.Listeners, func(l dbproxy.ListenerConfig) bool { return l.Name == name })
	}
	for _, s := range c.Services {
		if kind == "filter" && slices.Contains(s.Filters, name) || kind == "monitor" && s.Cluster == name {
			dependent = append(dependent, s.Name)
		}
	}
	for _, s := range dependent {
		prune(c, "service", s)
	}
	return len(c.Servers)+len(c.Filters)+len(c.Monitors)+len(c.Services)+len(c.Listeners) < before
}
