package declarative

import (
	"errors"
	"fmt"
	"math"

	"gopkg.in/yaml.v3"

	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// MaxSize is how long documents may be.
const MaxSize = 64 << 20

// maxValues bounds what aliases can make of a document.
const maxValues = 5_000_000

// decode reads YAML, of which JSON is a part, as values of package schema. Dates
// are texts, as they are in JSON.
func decode(text []byte) (any, error) {
	if len(text) > MaxSize {
		return nil, fmt.Errorf("the document is longer than %d MiB", MaxSize>>20)
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return nil, err
	}
	if node.Kind == 0 {
		return map[string]any{}, nil // there is nothing in it
	}
	left := maxValues
	return (&decoder{&left}).value(&node, 0)
}

type decoder struct{ left *int }

var errTooMuch = errors.New("the document is nested too deeply, or has too many values")

func (d *decoder) value(n *yaml.Node, depth int) (any, error) {
	if *d.left--; *d.left < 0 || depth > schema.MaxDepth {
		return nil, errTooMuch
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return d.value(n.Content[0], depth)
	case yaml.AliasNode:
		return d.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i, e := range n.Content {
			var err error
			if out[i], err = d.value(e, depth+1); err != nil {
				return nil, err
			}
		}
		return out, nil
	case yaml.MappingNode:
		return d.mapping(n, depth)
	}
	return scalar(n)
}

func (d *decoder) mapping(n *yaml.Node, depth int) (any, error) {
	out := make(map[string]any, len(n.Content)/2)
	var merged []any
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a name must be a text", key.Line)
		}
		v, err := d.value(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		if key.Tag == "!!merge" {
			list, ok := v.([]any)
			if !ok {
				list = []any{v}
			}
			merged = append(merged, list...)
			continue
		}
		if _, twice := out[key.Value]; twice {
			return nil, fmt.Errorf("line %d: %q is there twice", key.Line, key.Value)
		}
		out[key.Value] = v
	}
	for _, v := range merged {
		from, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("line %d: only mappings can be merged into one", n.Line)
		}
		for name, v := range from {
			if _, given := out[name]; !given {
				out[name] = schema.Clone(v)
			}
		}
	}
	return out, nil
}

func scalar(n *yaml.Node) (any, error) {
	wrong := fmt.Errorf("line %d: the value cannot be read", n.Line)
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		var b bool
		if err := n.Decode(&b); err != nil {
			return nil, wrong
		}
		return b, nil
	case "!!int":
		var i int64
		if err := n.Decode(&i); err == nil {
			return i, nil
		}
		fallthrough
	case "!!float":
		var f float64
		if err := n.Decode(&f); err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, wrong
		}
		return schema.Normal(f), nil
	}
	return n.Value, nil
}
