package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/audithead"
	"github.com/backplane/backplane/ent/auditrecord"
	"github.com/backplane/backplane/ent/schema"
)

// auditRow is the one row of the audit head.
const auditRow = 1

var errNoTrailKey = errors.New("the key of the audit trail is not open")

// trail is what this process knows of the audit trail.
type trail struct {
	mu   sync.Mutex
	key  *TrailKey
	seen end // how far the trail went, by what this process has seen itself
}

// end is the last record of a trail and its hash; zero before the first one.
type end struct {
	last uint64
	hash string
}

// addition is how far the trail went before and after a transaction.
type addition struct {
	from, to end
	sound    bool // whether from was as it should be
}

// known returns the key of the trail, and how far it went.
func (t *trail) known() (*TrailKey, end) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.key, t.seen
}

// note remembers what was committed. An addition to a trail that does not go as
// far as it did before is none: the memory of the lost records is what tells of
// them.
func (t *trail) note(a addition) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.sound && (a.from.last > t.seen.last || a.from == t.seen) {
		t.seen = a.to
	}
}

// StartTrail puts the audit trail under a key from now on. The store is given
// the key by OpenTrail, after the commit.
func (tx *Tx) StartTrail(ctx context.Context, key *TrailKey) error {
	head, err := tx.AuditHead.Get(ctx, auditRow)
	if err != nil {
		return fmt.Errorf("audit head: %w", err)
	}
	tx.trailKey = key
	return tx.AuditHead.UpdateOne(head).SetMAC(key.macOf(end{head.Last, head.Hash})).Exec(ctx)
}

// NextAudit is the number of the next audit record.
func (tx *Tx) NextAudit(ctx context.Context) (uint64, error) {
	head, err := tx.AuditHead.Get(ctx, auditRow)
	if err != nil {
		return 0, fmt.Errorf("audit head: %w", err)
	}
	return head.Last + 1, nil
}

// OpenTrail gives the store the key of its audit trail, without which nothing
// can be recorded or verified.
func (s *Store) OpenTrail(ctx context.Context, key *TrailKey) error {
	head, err := s.AuditHead.Get(ctx, auditRow)
	if err != nil && !ent.IsNotFound(err) {
		return fmt.Errorf("audit head: %w", err)
	}
	s.trail.mu.Lock()
	defer s.trail.mu.Unlock()
	s.trail.key = key
	if head != nil && key.fits(head) && head.Last > s.trail.seen.last {
		s.trail.seen = end{head.Last, head.Hash}
	}
	return nil
}

// appendAudit chains what a transaction records to the trail. It locks the head
// until the commit and therefore comes last.
func (s *Store) appendAudit(ctx context.Context, tx *Tx) (a addition, err error) {
	key, _ := s.trail.known()
	if tx.trailKey != nil {
		key = tx.trailKey
	}
	if key == nil {
		return a, errNoTrailKey
	}
	head, err := tx.AuditHead.Query().Where(audithead.ID(auditRow), Locked).Unique(false).Only(ctx)
	if err != nil {
		return a, err
	}
	a.from, a.sound = end{head.Last, head.Hash}, key.fits(head)
	if !a.sound {
		// Somebody has changed the end. Calls go on, but what is not known to
		// be the end must not be made into one, by giving it a new MAC.
		if a.from, err = lastRecord(ctx, tx.Tx); err != nil {
			return a, err
		}
	}
	a.to = a.from
	actor, now := ActorFrom(ctx), time.Now().UnixMicro()
	rows := make([]*ent.AuditRecordCreate, len(tx.audit))
	for i, e := range tx.audit {
		changes, err := json.Marshal(append([]schema.AuditChange{}, e.Changes...))
		if err != nil {
			return a, fmt.Errorf("audit of %s: %w", e.Action, err)
		}
		r := &ent.AuditRecord{
			ID: a.to.last + 1, At: now,
			Actor: actor.Name, TokenID: actor.TokenID, Address: actor.Address, RequestID: actor.RequestID,
			Action: e.Action, ResourceKind: e.Kind, ResourceID: e.ID, ResourceName: e.Name, Project: e.Project,
			Changes: string(changes), PreviousHash: a.to.hash,
		}
		hash, err := key.hashOf(r)
		if err != nil {
			return a, err
		}
		a.to = end{r.ID, hash}
		rows[i] = tx.AuditRecord.Create().SetID(r.ID).SetAt(r.At).SetActor(r.Actor).SetTokenID(r.TokenID).
			SetAddress(r.Address).SetRequestID(r.RequestID).SetAction(r.Action).SetResourceKind(r.ResourceKind).
			SetResourceID(r.ResourceID).SetResourceName(r.ResourceName).SetProject(r.Project).SetChanges(r.Changes).
			SetPreviousHash(r.PreviousHash).SetHash(hash)
	}
	for part := range slices.Chunk(rows, bulkSize) {
		if err := tx.AuditRecord.CreateBulk(part...).Exec(ctx); err != nil {
			return a, err
		}
	}
	mac := ""
	if a.sound {
		mac = key.macOf(a.to)
	}
	return a, tx.AuditHead.Update().Where(audithead.ID(auditRow)).SetLast(a.to.last).SetHash(a.to.hash).SetMAC(mac).Exec(ctx)
}

// lastRecord is where the trail ends by its records.
func lastRecord(ctx context.Context, tx *ent.Tx) (end, error) {
	rows, err := tx.AuditRecord.Query().Order(auditrecord.ByID(entsql.OrderDesc())).Limit(1).
		Select(auditrecord.FieldID, auditrecord.FieldHash).All(ctx)
	if err != nil || len(rows) == 0 {
		return end{}, err
	}
	return end{rows[0].ID, rows[0].Hash}, nil
}
