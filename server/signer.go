package server

import (
	"context"
	"fmt"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/store"
)

// signingKey is the setting that holds the sealed key of short-lived tokens.
const signingKey = "jwt_key"

type sealer interface {
	Seal(value []byte, place string) []byte
	Open(sealed []byte, place string) ([]byte, error)
}

// openSigner makes the signer of short-lived tokens from the key in the store,
// so that every process on it accepts what another one signed.
func openSigner(ctx context.Context, st *store.Store, keys sealer) (*auth.Signer, error) {
	place := "setting/" + signingKey
	row, err := st.Setting.Get(ctx, signingKey)
	if ent.IsNotFound(err) {
		created := st.Setting.Create().SetID(signingKey).SetValue(keys.Seal(auth.NewSigningKey(), place)).Exec(ctx)
		if created != nil && !ent.IsConstraintError(created) {
			return nil, fmt.Errorf("signing key: %w", created)
		}
		row, err = st.Setting.Get(ctx, signingKey) // another process may have been first
	}
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	key, err := keys.Open(row.Value, place)
	if err != nil {
		return nil, fmt.Errorf("signing key: %w", err)
	}
	return auth.NewSigner(key)
}
