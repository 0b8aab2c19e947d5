package connectors

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Connector reaches one kind of backend. Its methods are safe for concurrent
// use, keep no state between calls and start no goroutine that outlives them.
type Connector interface {
	// Spec describes the type: its name and the fields of its configuration.
	Spec() Spec
	// Test opens one connection of its own, logs in and proves that the
	// configured target is usable, then closes. c has passed Spec().Validate
	// and carries its secrets. All network traffic goes through p.Dial, which
	// enforces the deadline of ctx; progress and findings are told to p.
	//
	// A nil error means "connected". Any other error becomes a Failure: return
	// a *Failure where the protocol says what is wrong, and the bare error
	// otherwise, which Run classifies.
	Test(ctx context.Context, p *Probe, c Config) error
}

// Registry holds the connectors by type name. It is immutable once built.
type Registry struct {
	byType map[string]Connector
	names  []string
}

// NewRegistry builds a registry. The order given is the order of Types. Two
// connectors of one type are a programming error and are reported as such.
func NewRegistry(list ...Connector) (*Registry, error) {
	r := &Registry{byType: make(map[string]Connector, len(list))}
	for _, c := range list {
		name := c.Spec().Type
		if _, dup := r.byType[name]; dup {
			return nil, fmt.Errorf("connector type %q registered twice", name)
		}
		r.byType[name] = c
		r.names = append(r.names, name)
	}
	return r, nil
}

// Lookup returns the connector of a type and whether there is one. Type names
// are lower case and have no aliases.
func (r *Registry) Lookup(typ string) (Connector, bool) {
	c, ok := r.byType[typ]
	return c, ok
}

// Types lists the type names in registration order.
func (r *Registry) Types() []string { return slices.Clone(r.names) }

// TypeList is Types as one phrase for messages.
func (r *Registry) TypeList() string { return strings.Join(r.names, ", ") }
