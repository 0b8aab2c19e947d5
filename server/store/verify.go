package store

import (
	"context"
	"crypto/hmac"
	"fmt"

	entsql "entgo.io/ent/dialect/sql"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/auditrecord"
)

// Verdict is the outcome of VerifyAudit.
type Verdict struct {
	Checked  uint64
	FirstBad uint64 // 0: the trail is whole
	Problem  string
}

// verifyBatch is how many records are read at a time.
const verifyBatch = 1000

// verifier walks along the trail.
type verifier struct {
	Verdict
	key      *TrailKey
	seen     end    // as far as this process has seen the trail go
	previous string // hash of the record before
}

// VerifyAudit checks the trail from the first record to the end. It needs the
// key of the trail; see OpenTrail.
func (s *Store) VerifyAudit(ctx context.Context) (Verdict, error) {
	v := verifier{}
	if v.key, v.seen = s.trail.known(); v.key == nil {
		return Verdict{}, errNoTrailKey
	}
	// Read before the head, which whatever is recorded moves on as well: no
	// record can be beyond it but one that was slipped in.
	newest, err := s.newestAudit(ctx)
	if err != nil {
		return Verdict{}, err
	}
	head, err := s.AuditHead.Get(ctx, auditRow)
	if err != nil && !ent.IsNotFound(err) {
		return Verdict{}, fmt.Errorf("audit head: %w", err)
	}
	last, sound := newest, head != nil && v.key.fits(head)
	if sound {
		last = head.Last
	}
	for v.Checked < last {
		// Records added since the head was read are left for the next time.
		rows, err := s.auditBatch(ctx, v.Checked, last)
		if err != nil {
			return Verdict{}, err
		}
		for _, r := range rows {
			if ok, err := v.follow(r); err != nil || !ok {
				return v.Verdict, err
			}
		}
		if len(rows) == 0 {
			return s.unreadable(ctx, v.Verdict)
		}
	}
	switch {
	case v.Checked < v.seen.last:
		return v.bad(v.Checked+1, "the record is missing: the trail has been longer since this process began"), nil
	case head == nil:
		return v.bad(v.Checked, "what says that the trail ends here is missing, and records may be after it"), nil
	case !sound:
		return v.bad(v.Checked, "what says that the trail ends here was changed, and records may be missing after it"), nil
	case v.previous != head.Hash:
		return v.bad(last, "the trail does not end as it should"), nil
	case newest > last:
		return v.bad(last+1, "it lies beyond the end of the trail"), nil
	}
	s.trail.note(addition{from: v.seen, to: end{head.Last, head.Hash}, sound: true})
	return v.Verdict, nil
}

// newestAudit is the highest number of a record; 0 when there is none.
func (s *Store) newestAudit(ctx context.Context) (uint64, error) {
	ids, err := s.AuditRecord.Query().Order(auditrecord.ByID(entsql.OrderDesc())).Limit(1).IDs(ctx)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return ids[0], nil
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

// follow checks the record that comes next, and reports whether it is sound.
func (v *verifier) follow(r *ent.AuditRecord) (bool, error) {
	hash, err := v.key.hashOf(r)
	if err != nil {
		return false, err
	}
	switch {
	case r.ID != v.Checked+1:
		v.Verdict = v.bad(v.Checked+1, "the record is missing")
	case r.PreviousHash != v.previous:
		v.Verdict = v.bad(r.ID, "it does not follow from the record before")
	case !hmac.Equal([]byte(r.Hash), []byte(hash)):
		v.Verdict = v.bad(r.ID, "its content was changed, or it was not made with the key of the trail")
	case r.ID == v.seen.last && r.Hash != v.seen.hash:
		v.Verdict = v.bad(r.ID, "it stands where this process has seen another record")
	default:
		v.Checked++
		v.previous = r.Hash
	}
	return v.FirstBad == 0, nil
}

func (v Verdict) bad(id uint64, problem string) Verdict {
	v.FirstBad, v.Problem = max(id, 1), problem
	return v
}
