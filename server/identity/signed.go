package identity

import (
	"context"
	"strconv"
	"time"

	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/store"
)

// recordSigned records a signed token before it is handed out: from then on it
// is a login that cannot be told from others. It is in no other table, so the
// record is all there is of it.
func (i *Identity) recordSigned(ctx context.Context, username string, valid time.Duration) error {
	expires := time.Now().Add(valid).UTC().Format(time.RFC3339)
	return i.Store.Change(ctx, func(tx *store.Tx) error {
		tx.Audit(store.Audit{
			Action: "GetAuthToken", Kind: "signed_token", ID: username, Name: username,
			Changes: []schema.AuditChange{
				{Field: "expires_at", After: strconv.Quote(expires)}, {Field: "token", After: store.MaskedSecret},
			},
		})
		return nil
	})
}

// EndSignedTokens ends all signed tokens that there are, as part of an action.
func (i *Identity) EndSignedTokens(ctx context.Context, action string) error {
	return i.change(ctx, func(tx *store.Tx) error {
		tx.Audit(store.Audit{Action: action, Kind: "signed_token", ID: "all", Name: "all"})
		return auth.EndSigned(ctx, tx)
	})
}
