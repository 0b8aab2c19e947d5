package keys

import (
	"context"
	"errors"
	"fmt"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/ent/setting"
	"github.com/backplane/backplane/internal/secret"
	"github.com/backplane/backplane/server/store"
)

// TrailKey is the setting that holds the key of the audit trail, sealed at
// SettingPlace(TrailKey).
const TrailKey = "trail_key"

var errTrailLost = errors.New("the store has lost the key of its audit trail, or somebody has removed it: restore it from a backup")

// OpenTrail gives the store the key of its audit trail and changes nothing: it
// is for programs that verify the trail and do not serve.
func OpenTrail(ctx context.Context, st *store.Store, src Source) error {
	k := &Keys{o: Options{Store: st, Source: src}}
	rows, isNew, err := k.rows(ctx)
	if err != nil {
		return err
	}
	if isNew {
		return errors.New("nothing has been recorded: the store is new")
	}
	k.masters, err = src.read(ctx)
	switch {
	case src.isFile() && secret.IsMissing(err):
		return fmt.Errorf("it needs the master key, which is not at %s: name it with --master-key-file, --master-key-command or BACKPLANE_MASTER_KEY", src)
	case err != nil:
		return fmt.Errorf("it needs the master key: %w", err)
	}
	all, active, err := k.unwrap(ctx, rows, nil)
	if err != nil {
		return fmt.Errorf("it needs the master key: %w", err)
	}
	if active.key.Earlier() {
		return errors.New("its trail has no key yet, which the next start of a server makes: start one, and ask again")
	}
	if k.Keyring, err = ringOf(all, active); err != nil {
		return err
	}
	return k.openTrail(ctx)
}

// ringOf is a keyring with all of the keys.
func ringOf(all []opened, active opened) (*secret.Keyring, error) {
	ring, err := secret.NewKeyring(active.key)
	if err != nil {
		return nil, err
	}
	for _, o := range all {
		if err := ring.Add(o.key); err != nil {
			return nil, err
		}
	}
	return ring, nil
}

// openTrail gives the store the key of its audit trail.
func (k *Keys) openTrail(ctx context.Context) error {
	row, err := k.o.Store.Setting.Get(ctx, TrailKey)
	if ent.IsNotFound(err) {
		return errTrailLost
	}
	if err != nil {
		return fmt.Errorf("key of the audit trail: %w", err)
	}
	encoded, err := k.Keyring.Open(row.Value, SettingPlace(TrailKey))
	if err != nil {
		return fmt.Errorf("key of the audit trail: %w", err)
	}
	key, err := store.ParseTrailKey(encoded)
	if err != nil {
		return err
	}
	return k.o.Store.OpenTrail(ctx, key)
}

// startTrail puts the trail under a new key for the records from one on.
func startTrail(ctx context.Context, tx *store.Tx, ring *secret.Keyring, from uint64) (sealed []byte, err error) {
	key := store.NewTrailKey(from)
	sealed = ring.Seal(key.Bytes(), SettingPlace(TrailKey))
	if err := tx.Setting.Create().SetID(TrailKey).SetValue(sealed).Exec(ctx); err != nil {
		return nil, err
	}
	return sealed, tx.StartTrail(ctx, key)
}

// adoptTrail gives a key to the trail of a store that has none yet, and records
// that. What was recorded before stays as it is, and can be verified as before.
// That a store has a key is told by how its data keys are wrapped, so that this
// happens once.
func (k *Keys) adoptTrail(ctx context.Context) error {
	defer k.Writing()()
	return k.o.Store.Change(ctx, func(tx *store.Tx) error {
		if err := tx.TakeTurn(ctx); err != nil {
			return err
		}
		if exists, err := tx.Setting.Query().Where(setting.ID(TrailKey)).Exist(ctx); err != nil || exists {
			return err // another process was first
		}
		rows, err := tx.DataKey.Query().All(ctx)
		if err != nil {
			return err
		}
		all, _, err := k.unwrap(ctx, rows, nil)
		if err != nil {
			return err
		}
		for _, o := range all {
			if !o.key.Earlier() {
				return errTrailLost
			}
			if err := tx.DataKey.UpdateOneID(o.row.ID).SetWrapped(o.by.Wrap(o.key)).Exec(ctx); err != nil {
				return err
			}
		}
		from, err := tx.NextAudit(ctx)
		if err != nil {
			return err
		}
		sealed, err := startTrail(ctx, tx, k.Keyring, from)
		if err != nil {
			return err
		}
		tx.Audit(store.Audit{
			Action: "StartTrailKey", Kind: "audit_trail",
			Changes: []schema.AuditChange{{Field: "first_record", After: fmt.Sprint(from)}, {Field: "key", After: store.MaskedSecret}},
		})
		return k.Guard(ctx, tx, sealed)
	})
}
