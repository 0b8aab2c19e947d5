package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/registeredservice"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/server/store"
)

// batch is how many rows one statement is about.
const batch = 500

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// record stores what a plan says of services, in the transaction that makes the
// gateway so. Nothing comes of it if services are not any more what the plan was
// made of.
func (p *plan) record(ctx context.Context, tx *store.Tx) error {
	now, err := rows(ctx, tx.RegisteredService, true)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(now, p.rows, sameRow) {
		return errStale
	}
	var due []int64
	for _, v := range p.verdicts {
		switch {
		case v.gone:
			err = remove(ctx, tx, v.row)
		case v.differs():
			err = p.update(ctx, tx, v)
		case v.due(p.now):
			due = append(due, v.row.ID)
		}
		if err != nil {
			return err
		}
	}
	for part := range slices.Chunk(due, batch) {
		if _, err := tx.RegisteredService.Update().Where(registeredservice.IDIn(part...)).SetCheckedAt(p.now).Save(ctx); err != nil {
			return err
		}
	}
	return p.recordChanges(ctx, tx)
}

// sameRow tells whether a service is what it was, but for when it was looked at.
func sameRow(a, b *ent.RegisteredService) bool {
	return a.ID == b.ID && settingsOf(a) == settingsOf(b) && a.DeletedAt == b.DeletedAt && a.DocumentHash == b.DocumentHash &&
		a.StatusCode == b.StatusCode && a.Error == b.Error && a.FetchedAt == b.FetchedAt
}

func remove(ctx context.Context, tx *store.Tx, row *ent.RegisteredService) error {
	if err := tx.RegisteredService.DeleteOneID(row.ID).Exec(ctx); err != nil {
		return err
	}
	audit(tx, action, row, nil)
	return nil
}

func (p *plan) update(ctx context.Context, tx *store.Tx, v *verdict) error {
	operations, faults := v.operations(), v.faults
	if operations == nil {
		operations = []schema.RegisteredOperation{}
	}
	if faults == nil {
		faults = []string{}
	}
	u := tx.RegisteredService.UpdateOneID(v.row.ID).SetStatusCode(v.status).SetError(v.problem).SetFaults(faults).SetOperations(operations)
	if v.fetched {
		u.SetCheckedAt(p.now)
	}
	if v.body != nil {
		packed, err := pack(v.body)
		if err != nil {
			return err
		}
		u.SetDocument(packed).SetDocumentHash(v.prepared.hash).SetFetchedAt(p.now)
	}
	if v.barred {
		// Else it would be served again by who has not fetched it.
		u.ClearDocument().SetDocumentHash("").SetFetchedAt(0)
	}
	return u.Exec(ctx)
}
