package proxy

import (
	"encoding/json"
	"errors"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/internal/errs"
)

const (
	maxOperations = 1000
	// maxPatched is how much a patch may copy.
	maxPatched = 1 << 20
)

// readChange reads a document with changes, or a JSON Patch (RFC 6902) of the
// present one.
func readChange(v *structpb.Value, present func() map[string]any) (*body, error) {
	operations, ok := v.AsInterface().([]any)
	if !ok {
		return readBody(v)
	}
	before := present()
	after, err := patch(before, operations)
	if err != nil {
		return nil, err
	}
	b, err := readDocument(after)
	if err != nil {
		return nil, err
	}
	return b.without(before), nil
}

// patch applies operations to a document: all of them or none. Pointers that
// begin at the attributes or relationships of the resource are taken from
// there.
func patch(document map[string]any, operations []any) (any, error) {
	if len(operations) > maxOperations {
		return nil, errs.New(errs.BadRequest, "The patch has more than %d operations", maxOperations)
	}
	for i, op := range operations {
		o, ok := op.(map[string]any)
		if !ok {
			return nil, errs.New(errs.BadRequest, "The body must be a JSON Patch: an array of operations")
		}
		switch o["op"] {
		case "add", "replace", "test":
			if _, ok := o["value"]; !ok { // without which the library panics
				return nil, errs.New(errs.BadRequest, "Operation %d of the patch, %v, needs a value (null is one)", i+1, o["op"])
			}
		}
		for _, key := range []string{"path", "from"} {
			at, ok := o[key].(string)
			if ok && (under(at, "/attributes") || under(at, "/relationships")) {
				o[key] = "/data" + at
			}
		}
	}
	text, err := json.Marshal(operations)
	if err != nil {
		return nil, err
	}
	todo, err := jsonpatch.DecodePatch(text)
	if err != nil {
		return nil, &errs.Error{Reason: errs.BadRequest, Message: "The body must be a JSON Patch: an array of operations", Err: err}
	}
	whole, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	options := jsonpatch.NewApplyOptions()
	options.AccumulatedCopySizeLimit = maxPatched
	options.SupportNegativeIndices = false
	patched, err := todo.ApplyWithOptions(whole, options)
	switch {
	case errors.Is(err, jsonpatch.ErrTestFailed):
		return nil, &errs.Error{Reason: errs.TestFailed, Message: "A test of the patch fails: the resource is not what it says", Err: err}
	case err != nil:
		return nil, &errs.Error{Reason: errs.BadRequest, Message: "The patch cannot be applied: a path is not there, or an operation is not one", Err: err}
	}
	var after any
	return after, json.Unmarshal(patched, &after)
}

func under(pointer, prefix string) bool {
	return pointer == prefix || strings.HasPrefix(pointer, prefix+"/")
}

// without makes what a patch has removed explicit: a parameter that is gone is
// null, a relationship that is gone is empty.
func (b *body) without(before map[string]any) *body {
	data, _ := before["data"].(map[string]any)
	attributes, _ := data["attributes"].(map[string]any)
	parameters, _ := attributes["parameters"].(map[string]any)
	for name := range parameters {
		if _, there := b.parameters[name]; !there {
			b.parameters[name] = nil
		}
	}
	relations, _ := data["relationships"].(map[string]any)
	for relation := range relations {
		if _, there := b.relations[relation]; !there {
			b.relations[relation] = []string{}
			b.order = append(b.order, relation)
		}
	}
	return b
}

// present is an object as a patch is applied to it: the parts that can be
// changed, and what tells which object it is.
func (p *Proxy) present(e *estate, o *object) map[string]any {
	relations := map[string]any{}
	for _, relation := range relationsOf(o.plural) {
		members := []any{}
		for _, name := range e.related(o, relation) {
			members = append(members, map[string]any{"id": name, "type": relation})
		}
		relations[relation] = map[string]any{"data": members}
	}
	attributes := map[string]any{"parameters": e.report(o)}
	if o.moduleField != "" {
		attributes[o.moduleField] = o.module
	}
	if state := p.standing(o); state != "" {
		attributes["state"] = state
	}
	return map[string]any{"data": map[string]any{"id": o.name, "type": o.plural, "attributes": attributes, "relationships": relations}}
}
