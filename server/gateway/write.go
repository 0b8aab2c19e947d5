package gateway

import (
	"context"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// create makes an entity.
func (g *Gateway) create(ctx context.Context, action string, req request) (out *object, err error) {
	sent, err := req.sent()
	if err != nil {
		return nil, err
	}
	err = g.change(ctx, action, func(e *edit) error {
		s, _, _, err := req.scope(ctx, e.reader)
		if err != nil {
			return err
		}
		out, err = e.create(ctx, req.c, s, sent)
		return err
	})
	return g.written(ctx, out, err)
}

// written is an entity that was written, as answers show it.
func (g *Gateway) written(ctx context.Context, o *object, err error) (*object, error) {
	if err != nil {
		return nil, err
	}
	return o, g.reader(ctx).addNames(ctx, []*object{o})
}

// upsert replaces an entity or makes it.
func (g *Gateway) upsert(ctx context.Context, action string, req request) (out *object, err error) {
	sent, err := req.sent()
	if err != nil {
		return nil, err
	}
	err = g.change(ctx, action, func(e *edit) error {
		s, child, by, err := req.scope(ctx, e.reader)
		if err != nil {
			return err
		}
		if child == nil {
			out, err = e.upsert(ctx, req.c, s, req.id(), sent)
			return err
		}
		if id := reference(child.doc, by.Field); id != "" {
			out, err = e.upsert(ctx, req.c, nil, id, sent)
			return err
		}
		if out, err = e.create(ctx, req.c, nil, sent); err != nil {
			return err
		}
		return e.link(ctx, child, by.Field, out.ref())
	})
	return g.written(ctx, out, err)
}

// link makes a field of an entity refer to another one, or to none.
func (e *edit) link(ctx context.Context, child *object, field string, to map[string]any) error {
	change := map[string]any{field: nil}
	if to != nil {
		change[field] = to
	}
	_, err := e.merge(ctx, child, change)
	return err
}

// update changes an entity.
func (g *Gateway) update(ctx context.Context, action string, req request) (out *object, err error) {
	sent, err := req.sent()
	if err != nil {
		return nil, err
	}
	err = g.change(ctx, action, func(e *edit) error {
		s, child, by, err := req.scope(ctx, e.reader)
		if err != nil {
			return err
		}
		var was *object
		switch {
		case child != nil:
			was, err = e.target(ctx, req.c, child, by)
		default:
			was, err = e.find(ctx, req.c, req.id(), s)
			if err == nil && (was == nil || !s.holds(was)) {
				err = missing(req.c, req.id(), s)
			}
		}
		if err != nil {
			return err
		}
		out, err = e.merge(ctx, was, sent)
		return err
	})
	return g.written(ctx, out, err)
}

// target is what an entity refers to.
func (r reader) target(ctx context.Context, c *entity.Collection, child *object, by entity.ForeignKey) (*object, error) {
	id, ok := isID(reference(child.doc, by.Field))
	if !ok {
		return nil, absent()
	}
	o, err := r.byID(ctx, c, id)
	if err == nil && o == nil {
		err = absent()
	}
	return o, err
}

// missing is the error for an entity that is to be changed and is not there.
func missing(c *entity.Collection, key string, s scope) error {
	if len(s) > 0 {
		return absent()
	}
	if _, ok := isID(key); ok || c.Key == "" {
		return notFound("id", key)
	}
	if f := c.Record.Field(c.Key); f != nil && f.Hidden {
		key = hiddenValue
	}
	return notFound(c.Key, key)
}

// create makes an entity that belongs to a scope.
func (e *edit) create(ctx context.Context, c *entity.Collection, s scope, sent map[string]any) (*object, error) {
	doc, names, err := e.prepare(ctx, c, s, sent)
	if err != nil {
		return nil, err
	}
	of, err := e.g.kindOf(c, doc)
	if err != nil {
		return nil, err
	}
	made, err := e.g.makeNew(of, doc, e.now)
	if err != nil {
		return nil, err
	}
	o, err := e.insert(ctx, c, made)
	if err != nil {
		return nil, err
	}
	return o, e.setNames(ctx, o, names)
}

// upsert makes an entity under a key, or replaces the one that is there. What
// was not sent is what it is for new ones.
func (e *edit) upsert(ctx context.Context, c *entity.Collection, s scope, key string, sent map[string]any) (*object, error) {
	was, err := e.find(ctx, c, key, s)
	if err != nil {
		return nil, err
	}
	if c.Name == targets {
		if was == nil || !s.holds(was) {
			return nil, absent()
		}
		return e.merge(ctx, was, sent)
	}
	doc, names, err := e.prepare(ctx, c, s, sent)
	if err != nil {
		return nil, err
	}
	id, isUUID := isID(key)
	switch {
	case was != nil:
		doc["id"] = was.id.String()
		if !isUUID && c.Key != "" {
			doc[c.Key] = key
		}
	case isUUID:
		doc["id"] = id.String()
	case c.Name == certificates:
		names = withName(names, key)
	case c.Key != "":
		doc[c.Key] = key
	}
	of, err := e.g.kindOf(c, doc)
	if err != nil {
		return nil, err
	}
	made, err := e.g.makeNew(of, doc, e.now)
	if err != nil {
		return nil, err
	}
	var o *object
	if was == nil {
		o, err = e.insert(ctx, c, made)
	} else {
		o, err = e.replace(ctx, was, made)
	}
	if err != nil {
		return nil, err
	}
	names.given = true // what was not sent is none
	return o, e.setNames(ctx, o, names)
}

// merge changes an entity as a document says.
func (e *edit) merge(ctx context.Context, was *object, sent map[string]any) (*object, error) {
	doc, names, err := e.prepare(ctx, was.c, nil, sent)
	if err != nil {
		return nil, err
	}
	delete(doc, "id")
	whole := was.c.Record.Merge(was.doc, doc)
	of, err := e.g.kindOf(was.c, whole)
	if err != nil {
		return nil, err
	}
	made, wrong := of.Change(was.doc, doc, e.now)
	if wrong == nil {
		wrong = e.g.tryPlugin(of, was.doc, made)
	}
	if wrong != nil {
		return nil, invalid(wrong)
	}
	o, err := e.replace(ctx, was, made)
	if err != nil {
		return nil, err
	}
	return o, e.setNames(ctx, o, names)
}

// prepare makes what was sent what schemas take: it belongs to its scope, names
// of other entities are their ids, and the server names of a certificate are
// apart.
func (e *edit) prepare(ctx context.Context, c *entity.Collection, s scope, sent map[string]any) (map[string]any, names, error) {
	doc, _ := schema.Clone(sent).(map[string]any)
	if doc == nil {
		doc = map[string]any{}
	}
	s.attach(doc)
	var n names
	if c.Name == certificates {
		var wrong *schema.Violations
		if n.list, n.given, wrong = entity.TakeSNIs(doc); wrong != nil {
			return nil, n, invalid(wrong)
		}
	}
	return doc, n, e.resolve(ctx, c, doc)
}
