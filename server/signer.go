package server

import (
	"context"
	"fmt"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/store"
)

// openSigner makes the signer of short-lived tokens from the key in the store,
// so that every process on it accepts what another one signed.
func openSigner(ctx context.Context, st *store.Store, ring *keys.Keys) (*auth.Signer, error) {
	key, err := openKey(ctx, st, ring, keys.JWTKey, auth.NewSigningKey)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return auth.NewSigner(key)
}

// openKey reads a key that the store keeps sealed, and makes it for a store
// that has none yet.
func openKey(ctx context.Context, st *store.Store, ring *keys.Keys, setting string, fresh func() []byte) ([]byte, error) {
	place := keys.SettingPlace(setting)
	row, err := st.Setting.Get(ctx, setting)
	if ent.IsNotFound(err) {
		defer ring.Writing()()
		sealed := ring.Seal(fresh(), place)
		created := st.Change(ctx, func(tx *store.Tx) error {
			if err := tx.Setting.Create().SetID(setting).SetValue(sealed).Exec(ctx); err != nil {
				return err
			}
			return ring.Guard(ctx, tx, sealed)
		})
		if created != nil && !ent.IsConstraintError(created) {
			return nil, created
		}
		row, err = st.Setting.Get(ctx, setting) // another process may have been first
	}
	if err != nil {
		return nil, err
	}
	return ring.Open(row.Value, place)
}
