package proxy

import (
	"context"
	"slices"

	"google.golang.org/protobuf/types/known/structpb"

	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
)

// get reads one object and sends its version along.
func (p *Proxy) get(ctx context.Context, kind, name string) (*estate, *object, error) {
	e, err := p.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	o, err := e.get(kind, name)
	if err != nil {
		return nil, nil, err
	}
	return e, o, p.tell(ctx, o.stamp())
}

// list reads the objects of a kind and sends the version of the collection
// along.
func (p *Proxy) list(ctx context.Context, kind string) (*estate, []*object, error) {
	e, err := p.read(ctx)
	if err != nil {
		return nil, nil, err
	}
	return e, e.of(kind), p.tell(ctx, e.stampOf(kind))
}

// notParameters are relationships and names that are no parameters of a
// service that is being made.
var notParameters = []string{"type", "router", "servers", "filters"}

// create makes an object of a document. A service may be given by the path.
func (p *Proxy) create(ctx context.Context, action, kind string, given *structpb.Value, service string) (*proxyv1.Changed, error) {
	b, err := readBody(given)
	if service == "" && err != nil {
		return nil, err
	}
	return changed(p.change(ctx, action, func(e *estate) error {
		relations := map[string][]string{}
		if service != "" {
			of, err := e.get(services, service)
			if err != nil {
				return err
			}
			relations[services] = []string{of.name}
		}
		if err != nil {
			return err
		}
		return p.make(e, kindOf(kind), b, relations)
	}))
}

// make adds an object. relations count before those of the document.
func (p *Proxy) make(e *estate, k kind, b *body, relations map[string][]string) error {
	name, err := b.newName(k.plural)
	if err != nil {
		return err
	}
	module := ""
	if k.moduleField != "" {
		text, err := b.text(k.moduleField)
		if err != nil {
			return err
		}
		known := false
		if module, known = p.moduleName(k.plural, text); !known {
			return invalid("data.attributes."+k.moduleField, "must be the name of a module for this; "+text+" is not")
		}
	}
	o := p.newObject(k, name, module)
	if _, there := e.lookup(k.plural, name); there {
		return taken(o)
	}
	if k.plural == services {
		for _, not := range notParameters {
			if _, there := b.parameters[not]; there {
				return invalid("parameters."+not, "is no parameter of a new service")
			}
		}
	}
	for relation, names := range relations {
		b.relations[relation] = names
		if !slices.Contains(b.order, relation) {
			b.order = append(b.order, relation)
		}
	}
	e.add(o)
	if k.plural == filters {
		b.order = nil // services name their filters
	}
	for _, relation := range b.order {
		if err := e.relate(o, relation, b.relations[relation]); err != nil {
			return err
		}
	}
	return e.merge(o, b.parameters)
}

// update changes an object as a document or a patch says.
func (p *Proxy) update(ctx context.Context, action, kind, name string, given *structpb.Value) (*proxyv1.Changed, error) {
	return changed(p.change(ctx, action, func(e *estate) error {
		o, err := e.get(kind, name)
		if err != nil {
			return err
		}
		if err := p.held(ctx, o.stamp()); err != nil {
			return err
		}
		b, err := readChange(given, func() map[string]any { return p.present(e, o) })
		if err != nil {
			return err
		}
		if o.moduleField != "" {
			if text, there := b.attributes[o.moduleField].(string); there {
				if module, _ := p.moduleName(kind, text); module != o.module {
					return invalid("data.attributes."+o.moduleField, "cannot be changed")
				}
			}
		}
		e.touch(o)
		if err := e.merge(o, b.parameters); err != nil {
			return err
		}
		for _, relation := range b.order {
			if err := e.relate(o, relation, b.relations[relation]); err != nil {
				return err
			}
		}
		return nil
	}))
}

// remove deletes an object.
func (p *Proxy) remove(ctx context.Context, action, kind, name string, force bool) (*proxyv1.Changed, error) {
	return changed(p.change(ctx, action, func(e *estate) error {
		o, err := e.get(kind, name)
		if err != nil {
			return err
		}
		if err := p.held(ctx, o.stamp()); err != nil {
			return err
		}
		return e.drop(o, force)
	}))
}

// getRelation shows one relationship.
func (p *Proxy) getRelation(ctx context.Context, kind string, req *proxyv1.GetRelationshipRequest) (*proxyv1.Relationship, error) {
	e, o, err := p.get(ctx, kind, req.GetName())
	if err != nil {
		return nil, err
	}
	if !slices.Contains(relationsOf(kind), req.GetRelation()) {
		return nil, noRelation(req.GetRelation())
	}
	l := linksOf(ctx)
	if r := l.relationship(kind, o.name, req.GetRelation(), e.related(o, req.GetRelation())); r != nil {
		return r, nil
	}
	empty := l.relationship(kind, o.name, req.GetRelation(), []string{""})
	empty.Data = nil
	return empty, nil
}

func noRelation(name string) error {
	return errs.New(errs.NotFound, "%s is not a relationship here", name)
}

// updateRelation replaces one relationship.
func (p *Proxy) updateRelation(ctx context.Context, action, kind string, req *proxyv1.UpdateRelationshipRequest) (*proxyv1.Changed, error) {
	return changed(p.change(ctx, action, func(e *estate) error {
		o, err := e.get(kind, req.GetName())
		if err != nil {
			return err
		}
		if err := p.held(ctx, o.stamp()); err != nil {
			return err
		}
		relation := req.GetRelation()
		if !slices.Contains(relationsOf(kind), relation) {
			return noRelation(relation)
		}
		if !slices.Contains(o.relations, relation) {
			return invalid("relationships."+relation, "cannot be changed here")
		}
		var names []string
		if operations, ok := req.GetBody().AsInterface().([]any); ok {
			names, err = p.patchRelation(e, o, relation, operations)
		} else {
			names, err = readRelation(relation, req.GetBody().AsInterface())
		}
		if err != nil {
			return err
		}
		e.touch(o)
		return e.relate(o, relation, names)
	}))
}

// patchRelation applies a JSON Patch to a relationship.
func (p *Proxy) patchRelation(e *estate, o *object, relation string, operations []any) ([]string, error) {
	data := p.present(e, o)["data"].(map[string]any)
	now := data["relationships"].(map[string]any)[relation].(map[string]any)
	after, err := patch(now, operations)
	if err != nil {
		return nil, err
	}
	return readRelation(relation, after)
}

// stop stops or starts an object.
func (p *Proxy) stop(ctx context.Context, action, kind, name string, stopped bool) (*object, error) {
	var found *object
	err := p.change(ctx, action, func(e *estate) error {
		o, err := e.get(kind, name)
		if err != nil {
			return err
		}
		if err := p.held(ctx, o.stamp()); err != nil {
			return err
		}
		found = o
		o.stopped = stopped
		e.touch(o)
		return nil
	})
	return found, err
}

// changed is the answer to a change.
func changed(err error) (*proxyv1.Changed, error) {
	if err != nil {
		return nil, err
	}
	return &proxyv1.Changed{}, nil
}

// source is where objects come from: all are made at run time.
func source() *proxyv1.Source { return &proxyv1.Source{Type: "runtime"} }

// parameters are the parameters of an object as a message.
func (e *estate) parameters(o *object) (*structpb.Struct, error) { return structOf(e.report(o)) }
