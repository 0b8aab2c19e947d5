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
	place := keys.SettingPlace(keys.JWTKey)
	row, err := st.Setting.Get(ctx, keys.JWTKey)
	if ent.IsNotFound(err) {
		defer ring.Writing()()
		sealed := ring.Seal(auth.NewSigningKey(), place)
		created := st.Change(ctx, func(tx *store.Tx) error {
			if err := tx.Setting.Create().SetID(keys.JWTKey).SetValue(sealed).Exec(ctx); err != nil {
				return err
			}
			return ring.Guard(ctx, tx, sealed)
		})
		if created != nil && !ent.IsConstraintError(created) {
			return nil, fmt.Errorf("signing key: %w", created)
		}
		row, err = st.Setting.Get(ctx, keys.JWTKey) // another process may have been first
	}
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	key, err := ring.Open(row.Value, place)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return auth.NewSigner(key)
}
