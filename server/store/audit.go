package store

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/schema"
)

// SystemActor is who acts when nobody called.
const SystemActor = "system"

// Actor is who makes a change, and from where.
type Actor struct {
	Name      string
	TokenID   string
	Address   string
	RequestID string
}

type actorKey struct{}

// WithActor makes every change under the context be recorded as this actor's.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom is the actor of a context; the system outside of any call.
func ActorFrom(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{Name: SystemActor}
}

// Audit is one thing to record in the transaction that does it.
type Audit struct {
	Action  string // the RPC, such as CreateService
	Kind    string // of the resource, such as service
	ID      string // of the resource
	Name    string // of the resource
	Project string // of the resource
	Changes []schema.AuditChange
}

// MaskedSecret stands for a secret in the audit trail, as JSON.
const MaskedSecret = `"***"`

// ChangesOf reads the changes of a record. A record that somebody damaged may
// have none that can be read; VerifyAudit names it.
func ChangesOf(r *ent.AuditRecord) ([]schema.AuditChange, error) {
	var out []schema.AuditChange
	if err := json.Unmarshal([]byte(r.Changes), &out); err != nil {
		return nil, fmt.Errorf("audit record %d: %w", r.ID, err)
	}
	return out, nil
}

// secretPrefix begins what stands for a secret while two states are compared.
const secretPrefix = "\x00"

// SecretValue stands for a secret in the states given to Changes: equal for
// equal sealed values, and masked in the outcome.
func SecretValue(sealed []byte) string {
	sum := sha256.Sum256(sealed)
	return secretPrefix + string(sum[:])
}

// Changes compares two states, given as field paths with JSON values.
func Changes(before, after map[string]string) []schema.AuditChange {
	paths := map[string]bool{}
	for p := range before {
		paths[p] = true
	}
	for p := range after {
		paths[p] = true
	}
	var out []schema.AuditChange
	for _, p := range slices.Sorted(maps.Keys(paths)) {
		if before[p] != after[p] {
			out = append(out, schema.AuditChange{Field: p, Before: masked(before[p]), After: masked(after[p])})
		}
	}
	return out
}

func masked(value string) string {
	if strings.HasPrefix(value, secretPrefix) {
		return MaskedSecret
	}
	return value
}
