package auth

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/server/store"
)

// eraSetting is the setting that counts the eras of signed tokens: those of an
// earlier one have ended. Clocks, which differ, have no part in it.
const eraSetting = "signed_era"

// era is the present one; the first is 0.
func era(ctx context.Context, settings *ent.SettingClient) (uint64, error) {
	row, err := settings.Get(ctx, eraSetting)
	if ent.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("era of signed tokens: %w", err)
	}
	n, err := strconv.ParseUint(string(row.Value), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("era of signed tokens: %w", err)
	}
	return n, nil
}

// EndSigned ends all signed tokens that there are, once tx is committed and
// logins are forgotten.
func EndSigned(ctx context.Context, tx *store.Tx) error {
	now, err := era(ctx, tx.Setting)
	if err != nil {
		return err
	}
	next := []byte(strconv.FormatUint(now+1, 10))
	if now > 0 {
		return tx.Setting.UpdateOneID(eraSetting).SetValue(next).Exec(ctx)
	}
	return tx.Setting.Create().SetID(eraSetting).SetValue(next).Exec(ctx)
}

// Sign makes a token for the caller that is valid for a time, or until EndSigned.
func (a *Authenticator) Sign(ctx context.Context, id Identity, valid time.Duration) (string, error) {
	var err error
	if id.era, err = era(ctx, a.Store.Setting); err != nil {
		return "", err
	}
	return a.Signer.Sign(id, valid)
}
