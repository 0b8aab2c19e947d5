package keys

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/datakey"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/internal/secret"
	"github.com/backplane/backplane/server/store"
)

// leaseName is that of the one rotation at a time.
const leaseName = "rotate-keys"

// The steps of a rotation, in order, as hooks know them.
const (
	stepMaster = "new master key"
	stepEnroll = "enroll the new data key"
	stepAdopt  = "adopt the new master key"
	stepSwitch = "switch"
	stepReseal = "re-seal"
	stepClose  = "give up the old data keys"
	stepAgain  = "re-seal what came in between"
	stepRetire = "delete the old data keys"
)

var errBusy = &errs.Error{Reason: errs.InUse, Message: "The keys are being rotated already; try again when that has ended"}

// Result says what a rotation did.
type Result struct {
	KeyID            string   // the data key that seals now
	MasterKeyID      string   // the master key that wraps it
	MasterKeyChanged bool     // false where the source still gives the same one
	Resealed         int      // values
	Retired          []string // data keys deleted
}

// Rotate makes a new data key, wraps all data keys under the master key, which
// is a new one where the source allows it, and re-seals everything. Reads and
// writes go on meanwhile. When it fails, or ctx ends, after the new key is in
// use, Run or the next rotation finishes it.
func (k *Keys) Rotate(ctx context.Context) (res Result, err error) {
	renew, release, err := k.begin(ctx)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, release()) }()
	before := k.masterInUse()
	target, err := k.nextMaster(ctx)
	if err != nil {
		return res, fmt.Errorf("new master key: %w", err)
	}
	// From here on, half a step is worse than a caller who has gone.
	steady := context.WithoutCancel(ctx)
	if err := k.replaceKeys(steady, target); err != nil {
		return res, err
	}
	res.MasterKeyChanged = before != target.ID()
	return res, k.finish(ctx, renew, &res)
}

// Finish carries on a rotation that was cut off. Without one it does nothing
// but report the keys.
func (k *Keys) Finish(ctx context.Context) (res Result, err error) {
	renew, release, err := k.begin(ctx)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, release()) }()
	return res, k.finish(ctx, renew, &res)
}

// begin takes the right to rotate and brings this process up to date. renew
// keeps the right.
func (k *Keys) begin(ctx context.Context) (renew func() error, release func() error, err error) {
	select {
	case k.turn <- struct{}{}:
	default:
		return nil, nil, errBusy
	}
	renew, release = func() error { return ctx.Err() }, func() error { <-k.turn; return nil }
	if !k.o.Store.Exclusive() {
		var renewed time.Time
		renew = func() error {
			if time.Since(renewed) < k.o.lease/4 {
				return ctx.Err()
			}
			held, err := k.o.Store.Acquire(ctx, leaseName, k.holder, k.o.lease)
			if err == nil && !held {
				err = errBusy
			}
			renewed = time.Now()
			return err
		}
		release = func() error {
			defer func() { <-k.turn }()
			return k.o.Store.Release(context.WithoutCancel(ctx), leaseName, k.holder)
		}
	}
	if err = renew(); err == nil {
		var rows []*ent.DataKey
		if rows, _, err = k.rows(ctx); err == nil {
			if err = k.settle(rows); err == nil {
				err = k.refresh(ctx)
			}
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, release())
	}
	return renew, release, nil
}

func (k *Keys) masterInUse() secret.KeyID {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.wrappedBy
}

// nextMaster is the master key to wrap with from now on. One that is made here
// is on disk, beside the one in use, before anything is wrapped under it.
func (k *Keys) nextMaster(ctx context.Context) (*secret.MasterKey, error) {
	if err := k.o.before(stepMaster); err != nil {
		return nil, err
	}
	if !k.ownsFile() {
		masters, err := k.o.Source.readSteady(ctx)
		if err != nil {
			return nil, err
		}
		return masters[0], nil
	}
	path, err := replaceable(k.o.Source.File)
	if err != nil {
		return nil, &errs.Error{
			Reason:  errs.Internal,
			Message: "The file of the master key cannot be replaced, nothing was changed; make it replaceable, or use --master-key-command where something else looks after the key",
			Err:     err,
		}
	}
	raw, err := secret.CreateKeyFile(path + nextSuffix)
	if err != nil {
		return nil, err
	}
	return secret.NewMasterKey(raw)
}

// replaceKeys puts a new data key in use, and all keys under the master key.
func (k *Keys) replaceKeys(ctx context.Context, target *secret.MasterKey) error {
	next := secret.NewDataKey()
	if err := k.o.before(stepEnroll); err != nil {
		return err
	}
	createdAt, err := k.enroll(ctx, target, next)
	if err != nil {
		// The store knows whether the commit came about.
		rows, _, again := k.rows(ctx)
		if again == nil {
			again = k.settle(rows)
		}
		return errors.Join(fmt.Errorf("store the new data key: %w", err), again)
	}
	k.mu.Lock()
	k.unfinished = true
	k.masters, k.wrappedBy = []*secret.MasterKey{target}, target.ID()
	k.mu.Unlock()
	if err := k.o.before(stepAdopt); err != nil {
		return err
	}
	if k.ownsFile() {
		path, err := filepath.EvalSymlinks(k.o.Source.File)
		if err == nil {
			err = secret.ReplaceFile(path+nextSuffix, path)
		}
		if err != nil {
			return fmt.Errorf("the store is under the new master key, which must be renamed from %s to %s before the next start: %w", k.o.Source.File+nextSuffix, k.o.Source.File, err)
		}
	}
	if err := k.o.before(stepSwitch); err != nil {
		return err
	}
	if err := k.Add(next); err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.activeSince = createdAt
	return k.Activate(next.ID())
}

// enroll stores the new data key as the active one, and wraps all others anew.
func (k *Keys) enroll(ctx context.Context, target *secret.MasterKey, next *secret.DataKey) (createdAt int64, err error) {
	err = k.o.Store.Change(ctx, func(tx *store.Tx) error {
		was, err := readList(ctx, tx.Setting.Query())
		if err != nil {
			return err
		}
		if len(was) == 0 {
			return errors.New("the store has lost its list of data keys: restore it from a backup")
		}
		if err := changeList(ctx, tx, was, slices.Concat([]secret.KeyID{next.ID()}, was)); err != nil {
			return err
		}
		rows, err := tx.DataKey.Query().All(ctx)
		if err != nil {
			return err
		}
		old, active, err := k.unwrap(ctx, rows, nil)
		if err != nil {
			return err
		}
		createdAt = time.Now().UnixMicro()
		for _, o := range old {
			// Clocks differ; the order of the keys must not.
			createdAt = max(createdAt, o.row.CreatedAt+1)
			if err := tx.DataKey.UpdateOneID(o.row.ID).SetWrapped(target.Wrap(o.key)).SetActive(false).Exec(ctx); err != nil {
				return err
			}
		}
		tx.Audit(store.Audit{
			Action: "RotateKeys", Kind: "data_key", ID: next.ID().String(),
			Changes: []schema.AuditChange{{Field: "active", Before: fmt.Sprintf("%q", active.row.ID), After: fmt.Sprintf("%q", next.ID())}},
		})
		return tx.DataKey.Create().SetID(next.ID().String()).SetWrapped(target.Wrap(next)).SetCreatedAt(createdAt).SetActive(true).Exec(ctx)
	})
	return createdAt, err
}

// finish re-seals everything under the active key and deletes the others.
func (k *Keys) finish(ctx context.Context, renew func() error, res *Result) error {
	res.KeyID, res.MasterKeyID = k.Active().String(), k.masterInUse().String()
	active := k.Active()
	if err := k.Switch(ctx, active); err != nil {
		return err
	}
	open, err := readList(ctx, k.o.Store.Setting.Query())
	if err != nil {
		return err
	}
	if len(open) > 1 {
		if err := k.closeOld(ctx, renew, open, res); err != nil {
			return err
		}
	}
	if err := k.o.before(stepAgain); err != nil {
		return err
	}
	if err := k.sealRest(ctx, renew, res); err != nil {
		return err
	}
	if err := k.o.before(stepRetire); err != nil {
		return err
	}
	return k.retire(ctx, active, res)
}

// closeOld re-seals what there is, waits until the other processes must have
// learned of the new key, and lets nothing more be written under the old ones.
func (k *Keys) closeOld(ctx context.Context, renew func() error, open []secret.KeyID, res *Result) error {
	if err := k.o.before(stepReseal); err != nil {
		return err
	}
	t, err := k.pass(ctx, renew)
	res.Resealed += t.resealed
	if err != nil {
		return err
	}
	if !k.o.Store.Exclusive() {
		wait := time.NewTimer(2 * k.o.refresh)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := renew(); err != nil {
		return err
	}
	if err := k.o.before(stepClose); err != nil {
		return err
	}
	return k.o.Store.Change(ctx, func(tx *store.Tx) error { return changeList(ctx, tx, open, open[:1]) })
}

// sealRest passes over the store until nothing is left under an old key.
func (k *Keys) sealRest(ctx context.Context, renew func() error, res *Result) error {
	for range maxPasses {
		t, err := k.pass(ctx, renew)
		res.Resealed += t.resealed
		if err != nil {
			return err
		}
		if t.found == 0 {
			return t.err()
		}
	}
	return errors.New("values are still being sealed under an old data key")
}

// retire deletes the old keys. This process keeps them for a little longer.
func (k *Keys) retire(ctx context.Context, active secret.KeyID, res *Result) error {
	var retired []string
	err := k.o.Store.Change(ctx, func(tx *store.Tx) error {
		open, err := readList(ctx, tx.Setting.Query().Where(store.Locked))
		if err != nil {
			return err
		}
		if len(open) != 1 || open[0] != active {
			return errBusy // another rotation has begun
		}
		if retired, err = tx.DataKey.Query().Where(datakey.IDNEQ(active.String())).Order(datakey.ByCreatedAt()).IDs(ctx); err != nil {
			return err
		}
		_, err = tx.DataKey.Delete().Where(datakey.IDIn(retired...)).Exec(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("delete the old data keys: %w", err)
	}
	res.Retired = retired
	return k.refresh(ctx)
}
