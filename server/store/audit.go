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

	entsql "entgo.io/ent/dialect/sql"

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
		changes, err := json.Marshal(append([]schema.AuditChange{}, e.Changes...))
		if err != nil {
			return fmt.Errorf("audit of %s: %w", e.Action, err)
		}
		r := &ent.AuditRecord{
			ID: head.Last - uint64(len(entries)-1-i), At: now,
			Actor: actor.Name, TokenID: actor.TokenID, Address: actor.Address, RequestID: actor.RequestID,
			Action: e.Action, ResourceKind: e.Kind, ResourceID: e.ID, ResourceName: e.Name, Project: e.Project,
			Changes: string(changes), PreviousHash: hash,
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
		r.ResourceKind, r.ResourceID, r.ResourceName, r.Project, r.Changes, r.PreviousHash,
	})
	if err != nil {
		return "", fmt.Errorf("audit record %d: %w", r.ID, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}

// ChangesOf reads the changes of a record. A record that somebody damaged may
// have none that can be read; VerifyAudit names it.
func ChangesOf(r *ent.AuditRecord) ([]schema.AuditChange, error) {
	var out []schema.AuditChange
	if err := json.Unmarshal([]byte(r.Changes), &out); err != nil {
		return nil, fmt.Errorf("audit record %d: %w", r.ID, err)
	}
	return out, nil
}

// Verdict is the outcome of VerifyAudit.
type Verdict struct {
	Checked  uint64
	FirstBad uint64 // 0: the chain holds
	Problem  string
}

// verifyBatch is how many records are read at a time.
const verifyBatch = 1000

// VerifyAudit checks the chain from the first record to the head.
func (s *Store) VerifyAudit(ctx context.Context) (Verdict, error) {
	// Read before the head, which whatever is recorded moves on as well: no
	// record can be beyond it but one that was slipped in.
	newest, err := s.AuditRecord.Query().Order(auditrecord.ByID(entsql.OrderDesc())).Limit(1).IDs(ctx)
	if err != nil {
		return Verdict{}, err
	}
	head, err := s.AuditHead.Get(ctx, auditRow)
	if ent.IsNotFound(err) {
		return Verdict{}.bad(1, "the end of the trail is not known any more"), nil
	}
	if err != nil {
		return Verdict{}, fmt.Errorf("audit head: %w", err)
	}
	v, previous := Verdict{}, ""
	for v.Checked < head.Last {
		// Records added since the head was read are left for the next time.
		rows, err := s.auditBatch(ctx, v.Checked, head.Last)
		if err != nil {
			return Verdict{}, err
		}
		for _, r := range rows {
			if v, previous, err = v.follow(r, previous); err != nil || v.FirstBad > 0 {
				return v, err
			}
		}
		if len(rows) == 0 {
			return s.unreadable(ctx, v)
		}
	}
	switch {
	case previous != head.Hash:
		return v.bad(head.Last, "the trail does not end as it should"), nil
	case len(newest) > 0 && newest[0] > head.Last:
		return v.bad(head.Last+1, "it lies beyond the end of the trail"), nil
	}
	return v, nil
}

// auditBatch reads the records that follow one. Of records that cannot all be
// read it returns those before the first that cannot.
func (s *Store) auditBatch(ctx context.Context, after, last uint64) ([]*ent.AuditRecord, error) {
	rows, err := s.AuditRecord.Query().Where(auditrecord.IDGT(after), auditrecord.IDLTE(last)).
		Order(auditrecord.ByID()).Limit(verifyBatch).All(ctx)
	if err == nil || ctx.Err() != nil {
		return rows, err
	}
	for id := after + 1; id <= min(last, after+verifyBatch); id++ {
		r, err := s.AuditRecord.Get(ctx, id)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			break
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// unreadable says why there is no record after those that were checked.
func (s *Store) unreadable(ctx context.Context, v Verdict) (Verdict, error) {
	_, err := s.AuditRecord.Get(ctx, v.Checked+1)
	switch {
	case ctx.Err() != nil:
		return Verdict{}, ctx.Err()
	case err == nil || ent.IsNotFound(err):
		return v.bad(v.Checked+1, "the record is missing"), nil
	default:
		return v.bad(v.Checked+1, "it cannot be read"), nil
	}
}

// follow checks the record that comes next.
func (v Verdict) follow(r *ent.AuditRecord, previous string) (Verdict, string, error) {
	hash, err := digest(r)
	switch {
	case err != nil:
		return v, "", err
	case r.ID != v.Checked+1:
		return v.bad(v.Checked+1, "the record is missing"), "", nil
	case r.PreviousHash != previous:
		return v.bad(r.ID, "it does not follow from the record before"), "", nil
	case r.Hash != hash:
		return v.bad(r.ID, "its content was changed"), "", nil
	}
	v.Checked++
	return v, r.Hash, nil
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
