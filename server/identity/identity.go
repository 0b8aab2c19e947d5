// Package identity is the IdentityAdmin: users, tokens, roles, projects, and
// the audit trail, straight on the store.
package identity

import (
	"context"
	"regexp"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/backplane/backplane/ent/schema"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/store"
)

// Options are what an Identity needs.
type Options struct {
	Store *store.Store
	Auth  *auth.Authenticator
	Keys  *keys.Keys
	// Ending is closed when watches must end, so that a server can drain.
	Ending <-chan struct{}
}

// Identity implements the IdentityAdmin RPCs.
type Identity struct {
	identityv1.UnimplementedIdentityAdminServer
	Options
}

// New makes an Identity.
func New(o Options) *Identity { return &Identity{Options: o} }

const (
	minPassword = 8
	maxPassword = 512
	maxRoles    = 100
)

var (
	usernameShape = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,64}$`)
	projectShape  = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)

// change runs fn in a transaction and makes every process check its callers
// anew, this one at once. Such changes happen one after the other, because what
// one of them relies on (another admin remains, a project exists) another one
// could take away.
func (i *Identity) change(ctx context.Context, fn func(tx *store.Tx) error) error {
	err := i.Store.Change(ctx, func(tx *store.Tx) error {
		if err := tx.TakeTurn(ctx); err != nil {
			return err
		}
		if err := fn(tx); err != nil {
			return err
		}
		tx.Emit(store.Event{Kind: store.IdentityEvent, Payload: []byte{}})
		return nil
	})
	i.Auth.Forget()
	return err
}

func seconds(us int64) *timestamppb.Timestamp {
	if us == 0 {
		return nil
	}
	return &timestamppb.Timestamp{Seconds: time.UnixMicro(us).Unix()}
}

func rolesToProto(roles []schema.RoleBinding) []*identityv1.RoleBinding {
	out := make([]*identityv1.RoleBinding, len(roles))
	for n, b := range roles {
		out[n] = &identityv1.RoleBinding{Role: b.Role, Project: b.Project}
	}
	return out
}

// WhoAmI implements the RPC.
func (i *Identity) WhoAmI(ctx context.Context, _ *identityv1.WhoAmIRequest) (*identityv1.WhoAmIResponse, error) {
	id := auth.FromContext(ctx)
	return &identityv1.WhoAmIResponse{Ok: true, Data: &identityv1.Caller{
		Username: id.Username, TokenId: id.TokenID, Roles: rolesToProto(id.Roles),
	}}, nil
}

// GetAuthToken implements the RPC.
func (i *Identity) GetAuthToken(ctx context.Context, req *identityv1.GetAuthTokenRequest) (*identityv1.GetAuthTokenResponse, error) {
	if req.GetLogout() {
		return &identityv1.GetAuthTokenResponse{}, nil
	}
	id := auth.FromContext(ctx)
	if id.TokenID != "" || id.Signed {
		// It would have the user's rights, and outlive the token.
		return nil, errs.New(errs.PermissionDenied, "Log in with a password for this; a token cannot make another")
	}
	valid, _ := auth.SignedFor(req.GetMaxAge())
	text, err := i.Auth.Sign(ctx, id, valid)
	if err != nil {
		return nil, err
	}
	if err := i.recordSigned(ctx, id.Username, valid); err != nil {
		return nil, err
	}
	return &identityv1.GetAuthTokenResponse{Meta: &identityv1.AuthTokenMeta{Token: text}}, nil
}

// ListRoles implements the RPC.
func (i *Identity) ListRoles(context.Context, *identityv1.ListRolesRequest) (*identityv1.ListRolesResponse, error) {
	out := &identityv1.ListRolesResponse{Ok: true}
	for _, r := range auth.Roles() {
		out.Data = append(out.Data, &identityv1.Role{Name: string(r), Description: r.Describe()})
	}
	return out, nil
}

// RotateKeys implements the RPC.
func (i *Identity) RotateKeys(ctx context.Context, _ *identityv1.RotateKeysRequest) (*identityv1.RotateKeysResponse, error) {
	done, err := i.Keys.Rotate(ctx)
	if err != nil {
		return nil, err
	}
	return &identityv1.RotateKeysResponse{Ok: true, Data: &identityv1.KeyRotation{KeyId: done.KeyID, Resealed: uint32(done.Resealed)}}, nil
}
