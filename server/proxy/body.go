package proxy

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/internal/errs"
)

// body is a document that a client has sent, as far as it says something.
type body struct {
	id         any
	kind       any // the type
	attributes map[string]any
	parameters map[string]any
	// relations have the names by relationship; order has the relationships in
	// an order that is always the same.
	relations map[string][]string
	order     []string
}

// readBody reads a document. What it does not know it overlooks: clients send
// back all that they were shown.
func readBody(v *structpb.Value) (*body, error) { return readDocument(v.AsInterface()) }

func readDocument(v any) (*body, error) {
	top, ok := v.(map[string]any)
	if !ok {
		return nil, errs.New(errs.BadRequest, "The body must be a JSON object")
	}
	data, ok := top["data"].(map[string]any)
	if !ok {
		return nil, invalid("data", "must be an object")
	}
	b := &body{id: data["id"], kind: data["type"], relations: map[string][]string{}}
	var err error
	if b.attributes, err = objectAt(data, "attributes", "data.attributes"); err != nil {
		return nil, err
	}
	if b.parameters, err = objectAt(b.attributes, "parameters", "data.attributes.parameters"); err != nil {
		return nil, err
	}
	relations, err := objectAt(data, "relationships", "data.relationships")
	if err != nil {
		return nil, err
	}
	for relation, v := range relations {
		if b.relations[relation], err = readRelation(relation, v); err != nil {
			return nil, err
		}
		b.order = append(b.order, relation)
	}
	slices.Sort(b.order)
	return b, nil
}

// objectAt is the object under a key; an absent one is empty.
func objectAt(in map[string]any, key, path string) (map[string]any, error) {
	v, there := in[key]
	if !there {
		return map[string]any{}, nil
	}
	o, ok := v.(map[string]any)
	if !ok {
		return nil, invalid(path, "must be an object")
	}
	return o, nil
}

// readRelation reads {"data":[{"id":…}]}; null is an empty list.
func readRelation(relation string, v any) ([]string, error) {
	path := "relationships." + relation
	o, ok := v.(map[string]any)
	if !ok {
		return nil, invalid(path, "must be an object with data")
	}
	data, there := o["data"]
	if !there {
		return nil, invalid(path, "must have data")
	}
	members, ok := data.([]any)
	if !ok && data != nil {
		return nil, invalid(path+".data", "must be an array, or null")
	}
	names := []string{}
	for i, m := range members {
		at := fmt.Sprintf("%s.data[%d]", path, i)
		member, ok := m.(map[string]any)
		if !ok {
			return nil, invalid(at, "must be an object with id and type")
		}
		id, ok := member["id"].(string)
		if !ok || id == "" {
			return nil, invalid(at+".id", "must be a name")
		}
		if kind, there := member["type"]; there && kind != relation {
			return nil, invalid(at+".type", "must be "+relation)
		}
		names = append(names, id)
	}
	return names, nil
}

// newName is the name of what a document asks to make.
func (b *body) newName(kind string) (string, error) {
	id, ok := b.id.(string)
	if !ok {
		return "", invalid("data.id", "must be the name of what to make")
	}
	if b.kind != nil && b.kind != kind {
		return "", invalid("data.type", "must be "+kind)
	}
	return checkName(id)
}

// text is an attribute that must be a text.
func (b *body) text(name string) (string, error) {
	text, ok := b.attributes[name].(string)
	if !ok || text == "" {
		return "", invalid("data.attributes."+name, "must be given")
	}
	return text, nil
}
