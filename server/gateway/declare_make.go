package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/gateway/declarative"
)

// carryOut makes the changes: first what nothing depends on is removed, so that
// what it holds alone is free; then everything is written, what others refer to
// first; and last the rest is removed, which nothing refers to any more.
func (p *plan) carryOut(ctx context.Context) error {
	slices.SortStableFunc(p.surplus, func(a, b *object) int { return declarative.Level(b.c) - declarative.Level(a.c) })
	if err := p.removeIf(ctx, func(o *object) bool { return !holdsOthers(o.c) || p.replaced(o) }); err != nil {
		return err
	}
	for _, w := range p.wanted {
		if err := p.put(ctx, w); err != nil {
			return err
		}
	}
	return p.removeIf(ctx, func(*object) bool { return true })
}

// holdsOthers tells whether entities of a collection may be referred to by what
// remains without them.
func holdsOthers(c *entity.Collection) bool {
	switch c.Name {
	case services, upstreams, consumers, certificates, caCertificates:
		return true
	}
	return false
}

// replaced tells whether another entity of the document gets what only this one
// may have.
func (p *plan) replaced(o *object) bool {
	return slices.ContainsFunc(keysIn(o.c, o.doc), func(key string) bool { return p.names[key] != "" })
}

func (p *plan) removeIf(ctx context.Context, which func(*object) bool) error {
	var left []*object
	for _, o := range p.surplus {
		if !which(o) {
			left = append(left, o)
			continue
		}
		if !p.removed.has(o) {
			if err := p.remove(ctx, o); err != nil {
				return err
			}
		}
		p.tell("delete", o.c, o.doc, nil)
	}
	p.surplus = left
	return nil
}

// put writes an entity of the document, if it is not so already.
func (p *plan) put(ctx context.Context, w *wanted) error {
	var err error
	switch {
	case w.was == nil:
		_, err = p.insert(ctx, w.from.Collection, w.doc)
		p.tell("create", w.c, w.doc, nil)
	case p.removed.has(w.was): // with what it belonged to
		_, err = p.insert(ctx, w.from.Collection, w.doc)
		p.tell("update", w.c, w.doc, w.fields)
	case len(w.fields) > 0:
		_, err = p.replace(ctx, w.was, w.doc)
		p.tell("update", w.c, w.doc, w.fields)
	}
	return located(err, w.from.Path)
}

// tell notes a change.
func (p *plan) tell(action string, c *entity.Collection, doc map[string]any, fields []*gatewayv1.DeclarationField) {
	p.changes = append(p.changes, &gatewayv1.DeclarationChange{
		Action: action, Kind: c.Singular, Id: text(doc, "id"), Name: p.called(c, doc), Fields: fields,
	})
}

// called is what people call an entity, with what it belongs to.
func (p *plan) called(c *entity.Collection, doc map[string]any) string {
	var parts []string
	for _, field := range []string{"name", c.Key, "custom_id"} {
		if f := c.Record.Field(field); f != nil && !f.Hidden && text(doc, field) != "" {
			parts = append(parts, text(doc, field))
			break
		}
	}
	for _, f := range c.Foreign {
		id := reference(doc, f.Field)
		if id == "" || !f.Cascade {
			continue
		}
		to := entity.Find(f.Collection)
		if name := nameIn(p.docOf(to, id)); name != "" {
			parts = append(parts, "of "+to.Singular+" "+name)
		}
	}
	return strings.Join(parts, " ")
}

// docOf is the document of an entity, as it is to be or as it was.
func (p *plan) docOf(c *entity.Collection, id string) map[string]any {
	if o := p.stored[c.Name+" id "+id]; o != nil {
		return o.doc
	}
	return p.docs[c.Name+" id "+id]
}

func nameIn(doc map[string]any) string {
	for _, field := range []string{"name", "username", "custom_id"} {
		if name := text(doc, field); name != "" {
			return name
		}
	}
	return ""
}

// difference are the fields in which two documents differ, by name. When they
// were changed is none of it, nor is the order of tags.
func difference(c *entity.Collection, was, is map[string]any) (out []*gatewayv1.DeclarationField) {
	secret := secretsOf(c)
	var walk func(prefix string, was, is map[string]any)
	walk = func(prefix string, was, is map[string]any) {
		names := map[string]bool{}
		for name := range was {
			names[name] = true
		}
		for name := range is {
			names[name] = true
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			path := prefix + name
			if path == "created_at" || path == "updated_at" || path == "id" {
				continue
			}
			a, b := was[name], is[name]
			x, ok := a.(map[string]any)
			if y, both := b.(map[string]any); ok && both {
				walk(path+".", x, y)
				continue
			}
			if schema.Equal(a, b) || path == "tags" && sameSet(a, b) {
				continue
			}
			f := &gatewayv1.DeclarationField{Field: path, Before: shownValue(a), After: shownValue(b)}
			if slices.ContainsFunc(secret, func(s string) bool { return path == s || strings.HasPrefix(path, s+".") }) {
				f.Before, f.After = masked(a), masked(b)
			}
			out = append(out, f)
		}
	}
	walk("", was, is)
	return out
}

func sameSet(a, b any) bool {
	x, _ := a.([]any)
	y, _ := b.([]any)
	return (a == nil) == (b == nil) && len(x) == len(y) && !slices.ContainsFunc(x, func(v any) bool { return !slices.Contains(y, v) })
}

func masked(v any) string {
	if v == nil {
		return shownValue(v)
	}
	return hiddenValue
}

// shownValue is a value as JSON.
func shownValue(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return "" // values of package schema always encode
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// located says where in the document an error comes from.
func located(err error, path string) error {
	var e *errs.Error
	if !errors.As(err, &e) {
		return err
	}
	at := *e
	at.Message = path + ": " + e.Message
	return &at
}
