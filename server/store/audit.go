package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/auditrecord"
	"github.com/backplane/backplane/ent/schema"
)

// auditRow is the one row of the audit head.
const auditRow = 1

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

// appendAudit chains entries to the trail. It locks the head until the commit
// and therefore comes last.
func appendAudit(ctx context.Context, tx *ent.Tx, entries []Audit) error {
	if err := tx.AuditHead.UpdateOneID(auditRow).AddLast(int64(len(entries))).Exec(ctx); err != nil {
		return err
	}
	head, err := tx.AuditHead.Get(ctx, auditRow)
	if err != nil {
		return err
	}
	actor, now, hash := ActorFrom(ctx), time.Now().UnixMicro(), head.Hash
	rows := make([]*ent.AuditRecordCreate, len(entries))
	for i, e := range entries {
		r := &ent.AuditRecord{
			ID: head.Last - uint64(len(entries)-1-i), At: now,
			Actor: actor.Name, TokenID: actor.TokenID, Address: actor.Address, RequestID: actor.RequestID,
			Action: e.Action, ResourceKind: e.Kind, ResourceID: e.ID, ResourceName: e.Name, Project: e.Project,
			Changes: e.Changes, PreviousHash: hash,
		}
		if hash, err = digest(r); err != nil {
			return err
		}
		rows[i] = tx.AuditRecord.Create().SetID(r.ID).SetAt(r.At).SetActor(r.Actor).SetTokenID(r.TokenID).
			SetAddress(r.Address).SetRequestID(r.RequestID).SetAction(r.Action).SetResourceKind(r.ResourceKind).
			SetResourceID(r.ResourceID).SetResourceName(r.ResourceName).SetProject(r.Project).SetChanges(r.Changes).
			SetPreviousHash(r.PreviousHash).SetHash(hash)
	}
	if err := tx.AuditRecord.CreateBulk(rows...).Exec(ctx); err != nil {
		return err
	}
	return tx.AuditHead.UpdateOneID(auditRow).SetHash(hash).Exec(ctx)
}

// digest covers everything in a record but its own hash.
func digest(r *ent.AuditRecord) (string, error) {
	text, err := json.Marshal([]any{
		r.ID, r.At, r.Actor, r.TokenID, r.Address, r.RequestID, r.Action,
		r.ResourceKind, r.ResourceID, r.ResourceName, r.Project, changesOrNone(r.Changes), r.PreviousHash,
	})
	if err != nil {
		return "", fmt.Errorf("audit record %d: %w", r.ID, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

func changesOrNone(c []schema.AuditChange) []schema.AuditChange {
	if c == nil {
		return []schema.AuditChange{}
	}
	return c
}

// Verdict is the outcome of VerifyAudit.
type Verdict struct {
	Checked  uint64
	FirstBad uint64 // 0: the chain holds
	Problem  string
}

// VerifyAudit checks the chain from the first record to the head.
func (s *Store) VerifyAudit(ctx context.Context) (Verdict, error) {
	const batch = 1000
	head, err := s.AuditHead.Get(ctx, auditRow)
	if err != nil {
		return Verdict{}, fmt.Errorf("audit head: %w", err)
	}
	v := Verdict{}
	previous := ""
	for v.Checked < head.Last {
		// Records added since the head was read are left for the next time.
		rows, err := s.AuditRecord.Query().Where(auditrecord.IDGT(v.Checked), auditrecord.IDLTE(head.Last)).
			Order(auditrecord.ByID()).Limit(batch).All(ctx)
		if err != nil {
			return Verdict{}, err
		}
		if len(rows) == 0 {
			return v.bad(v.Checked+1, "the record is missing"), nil
		}
		for _, r := range rows {
			hash, err := digest(r)
			switch {
			case err != nil:
				return Verdict{}, err
			case r.ID != v.Checked+1:
				return v.bad(v.Checked+1, "the record is missing"), nil
			case r.PreviousHash != previous:
				return v.bad(r.ID, "it does not follow from the record before"), nil
			case r.Hash != hash:
				return v.bad(r.ID, "its content was changed"), nil
			}
			previous = r.Hash
			v.Checked++
		}
	}
	if previous != head.Hash {
		return v.bad(head.Last, "the trail does not end as it should"), nil
	}
	return v, nil
}

func (v Verdict) bad(id uint64, problem string) Verdict {
	v.FirstBad, v.Problem = max(id, 1), problem
	return v
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
