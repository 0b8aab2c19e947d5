package gateway

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// makeNew makes a new entity of what was sent, as its schema has it and the data
// plane can use it.
func (g *Gateway) makeNew(c *entity.Collection, sent map[string]any, now time.Time) (map[string]any, error) {
	made, wrong := c.New(sent, now)
	if wrong == nil {
		wrong = g.tryPlugin(c, nil, made)
	}
	if wrong != nil {
		return nil, invalid(wrong)
	}
	return made, nil
}

// tryPlugin tells why a plugin cannot be made, or nil: not all that is wrong with a
// configuration is for a schema to say. One that is stored already and stays as
// it is may be broken: who changes something else of it is not held up by that.
func (g *Gateway) tryPlugin(c *entity.Collection, was, doc map[string]any) *schema.Violations {
	if c.Name != plugins {
		return nil
	}
	wrong := g.unusable(was, doc)
	var field *httpproxy.ConfigError
	switch {
	case wrong == nil:
		return nil
	case errors.As(wrong, &field):
		return schema.Violation("config."+field.Field, field.Err.Error())
	}
	return schema.Violation("config", "the plugin cannot be made of it: "+wrong.Error())
}

// unusable is why the data plane cannot make a plugin; nil if it can, or had to
// before.
func (g *Gateway) unusable(was, doc map[string]any) error {
	m := g.modules[text(doc, "name")]
	same := was != nil && was["name"] == doc["name"] && schema.Equal(was["config"], doc["config"])
	if m == nil || same && (was["enabled"] == true || doc["enabled"] == false) {
		return nil
	}
	text, err := json.Marshal(doc)
	if err != nil {
		return err
	}
	p := &entity.Plugin{}
	if err := json.Unmarshal(text, p); err != nil {
		return err
	}
	return m.Try(p)
}
