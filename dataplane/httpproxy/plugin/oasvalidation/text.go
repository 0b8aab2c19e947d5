package oasvalidation

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/backplane/backplane/dataplane/httpproxy/plugin/oasvalidation/jsonschema"
)

// decodeText reads a document that is JSON or YAML, and may be URI-encoded.
func decodeText(text string, encoded bool) (map[string]any, error) {
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	// Encoded text has none of these, and a document is not without.
	if encoded && !strings.ContainsAny(text, "{\"\n ") {
		var err error
		if text, err = url.QueryUnescape(text); err != nil {
			return nil, errors.New("the document is not well encoded")
		}
		text = strings.TrimSpace(text)
	}
	var v any
	var err error
	if strings.HasPrefix(text, "{") {
		v, err = jsonschema.Decode([]byte(text))
	}
	if v == nil {
		var yamlErr error
		if v, yamlErr = decodeYAML(text); err == nil || yamlErr == nil {
			err = yamlErr // flow mappings of YAML begin like JSON
		}
	}
	if err != nil {
		return nil, fmt.Errorf("the document cannot be read: %w", err)
	}
	document, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("the document is no object")
	}
	return document, nil
}

func decodeYAML(text string) (any, error) {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		return nil, err
	}
	if len(root.Content) == 0 {
		return nil, errors.New("it is empty")
	}
	// Aliases may stand for much more than is written.
	d := yamlDecoder{left: 1<<16 + len(text)}
	return d.value(root.Content[0], 0)
}

// yamlDecoder makes values like those of JSON from YAML.
type yamlDecoder struct{ left int }

func (d *yamlDecoder) value(n *yaml.Node, depth int) (any, error) {
	if depth > jsonschema.MaxDepth {
		return nil, jsonschema.ErrDepth
	}
	if d.left--; d.left < 0 {
		return nil, errors.New("its aliases stand for too much")
	}
	switch n.Kind {
	case yaml.AliasNode:
		return d.value(n.Alias, depth+1)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, sub := range n.Content {
			var err error
			if list[i], err = d.value(sub, depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case yaml.MappingNode:
		return d.mapping(n, depth)
	default:
		return scalar(n), nil
	}
}

func (d *yamlDecoder) mapping(n *yaml.Node, depth int) (any, error) {
	object := make(map[string]any, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, sub := n.Content[i], n.Content[i+1]
		for key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		if key.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("line %d: a key must be a text", key.Line)
		}
		v, err := d.value(sub, depth+1)
		if err != nil {
			return nil, err
		}
		if key.Tag != "!!merge" {
			object[key.Value] = v
		} else if err := merge(object, v); err != nil {
			return nil, fmt.Errorf("line %d: %w", key.Line, err)
		}
	}
	return object, nil
}

// merge takes what is merged ("<<") into a mapping, where it is not there.
func merge(object map[string]any, v any) error {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, v := range list {
		from, ok := v.(map[string]any)
		if !ok {
			return errors.New("only a mapping can be merged")
		}
		for name, value := range from {
			if _, has := object[name]; !has {
				object[name] = value
			}
		}
	}
	return nil
}

// scalar is a value that is written as a text. Times stay texts.
func scalar(n *yaml.Node) any {
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		var b bool
		if n.Decode(&b) == nil {
			return b
		}
	case "!!int":
		var i int64
		if n.Decode(&i) == nil {
			return json.Number(strconv.FormatInt(i, 10))
		}
		fallthrough
	case "!!float":
		var f float64
		if n.Decode(&f) == nil && !math.IsInf(f, 0) && !math.IsNaN(f) {
			if json.Valid([]byte(n.Value)) {
				return json.Number(n.Value)
			}
			return json.Number(strconv.FormatFloat(f, 'g', -1, 64))
		}
	}
	return n.Value
}
