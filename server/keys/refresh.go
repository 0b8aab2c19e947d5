package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/backplane/backplane/internal/secret"
)

// Run keeps the keyring up with the store until ctx ends: it finishes a
// rotation that was cut off, follows those of other processes, and drops keys
// that are no longer used. A failure is passed to report and tried again.
func (k *Keys) Run(ctx context.Context, report func(error)) {
	tick := time.NewTicker(k.o.refresh)
	defer tick.Stop()
	var tryAt time.Time
	for {
		if !k.o.Store.Exclusive() {
			if err := k.refresh(ctx); err != nil && ctx.Err() == nil {
				report(fmt.Errorf("follow the keys: %w", err))
			}
		}
		k.dropGone()
		if k.isUnfinished() && time.Now().After(tryAt) {
			tryAt = time.Now().Add(finishAgain)
			_, err := k.Finish(ctx)
			if err != nil && ctx.Err() == nil && !errors.Is(err, errBusy) {
				report(fmt.Errorf("finish the rotation of the keys: %w", err))
			}
			if errors.Is(err, secret.ErrDamaged) || errors.Is(err, secret.ErrWrongKey) {
				tryAt = time.Now().Add(damagedAgain)
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (k *Keys) isUnfinished() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.unfinished
}

// refresh puts what the store has on the keyring. It does not wait for writes:
// whoever rotates waits for this process, and Guard catches those that come too
// late.
func (k *Keys) refresh(ctx context.Context) error {
	rows, _, err := k.rows(ctx)
	if err != nil {
		return err
	}
	all, active, err := k.unwrap(ctx, rows, k.Has)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if active.row.CreatedAt < k.activeSince {
		return nil // read before a rotation of this process
	}
	for _, o := range all {
		if err := k.Add(o.key); err != nil {
			return err
		}
	}
	id, err := secret.ParseKeyID(active.row.ID)
	if err != nil {
		return err
	}
	if err := k.Activate(id); err != nil {
		return err
	}
	if k.wrappedBy, err = secret.KeyOf(active.row.Wrapped); err != nil {
		return err
	}
	k.activeSince = active.row.CreatedAt
	k.unfinished = len(rows) > 1
	stored := map[string]bool{}
	for _, row := range rows {
		stored[row.ID] = true
	}
	for _, id := range k.Keys() {
		if _, leaving := k.gone[id]; !leaving && !stored[id.String()] {
			k.gone[id] = time.Now().Add(k.o.grace)
		}
	}
	return nil
}

// dropGone takes keys off the ring whose time has come.
func (k *Keys) dropGone() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id, at := range k.gone {
		if time.Now().After(at) {
			k.Drop(id)
			delete(k.gone, id)
		}
	}
}

// find looks for a key that another process has made since the last refresh.
// One that is not in the store now will not be later, because keys are stored
// before anything is sealed under them; a damaged value must not cost a query
// at each reading.
func (k *Keys) find(id secret.KeyID) {
	k.finding.Lock()
	defer k.finding.Unlock()
	if k.Has(id) {
		return
	}
	k.mu.Lock()
	for old, until := range k.missing {
		if time.Now().After(until) {
			delete(k.missing, old)
		}
	}
	_, known := k.missing[id]
	k.mu.Unlock()
	if known {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTimeout)
	defer cancel()
	// A failure becomes that of the caller's Open; Run reports what it is about.
	wait := missingFor
	if err := k.refresh(ctx); err != nil {
		wait = failedFor
	}
	if !k.Has(id) {
		k.mu.Lock()
		k.missing[id] = time.Now().Add(wait)
		k.mu.Unlock()
	}
}
