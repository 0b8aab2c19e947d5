package identity

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/token"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/duration"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/store"
)

const (
	maxTokenName = 128
	maxTokenLife = 10 * 365 * 24 * time.Hour
	// shownPrefix is how much of a token is kept in clear, to recognise it.
	shownPrefix = 8
)

func tokenToProto(t *ent.Token) *identityv1.Token {
	return &identityv1.Token{
		Id: t.ID.String(), Name: t.Name, Prefix: t.Prefix, Username: t.Username, Roles: rolesToProto(t.Roles),
		CreatedAt: seconds(t.CreatedAt), ExpiresAt: seconds(t.ExpiresAt), LastUsedAt: seconds(t.LastUsedAt),
	}
}

func noToken() error { return &errs.Error{Reason: errs.NotFound, Message: "Token not found"} }

// ListTokens implements the RPC.
func (i *Identity) ListTokens(ctx context.Context, _ *identityv1.ListTokensRequest) (*identityv1.ListTokensResponse, error) {
	q := i.Store.Token.Query().Order(token.ByCreatedAt(), token.ByID())
	if id := auth.FromContext(ctx); !id.Can(auth.Admin, "") {
		q.Where(token.Username(id.Username))
	}
	rows, err := q.All(ctx)
	if err != nil {
		return nil, err
	}
	out := &identityv1.ListTokensResponse{Ok: true}
	for _, t := range rows {
		out.Data = append(out.Data, tokenToProto(t))
	}
	return out, nil
}

// CreateToken implements the RPC.
func (i *Identity) CreateToken(ctx context.Context, req *identityv1.CreateTokenRequest) (*identityv1.CreateTokenResponse, error) {
	id := auth.FromContext(ctx)
	if id.TokenID != "" || id.Signed {
		return nil, errs.New(errs.PermissionDenied, "Log in with a password for this; a token cannot make another")
	}
	roles, faults, err := i.checkRoles(ctx, req.GetRoles())
	if err != nil {
		return nil, err
	}
	name := strings.TrimSpace(req.GetName())
	if n := utf8.RuneCountInString(name); n < 1 || n > maxTokenName || strings.ContainsFunc(name, unicode.IsControl) {
		faults = append(faults, errs.Field{Path: "name", Message: "must have 1 to 128 characters and no control characters"})
	}
	now := time.Now()
	var expires int64
	if req.GetExpiresIn() != "" {
		life, err := duration.Parse(req.GetExpiresIn())
		if err != nil || life < time.Second || life > maxTokenLife {
			faults = append(faults, errs.Field{Path: "expires_in", Message: "must be a time such as 30m, 12h or 90d, at most 3650d"})
		}
		expires = now.Add(life).UnixMicro()
	}
	for n, b := range roles {
		if !id.Can(auth.Role(b.Role), b.Project) {
			faults = append(faults, errs.Field{Path: fmt.Sprintf("roles[%d]", n), Message: "must not be more than your own roles"})
		}
	}
	if len(faults) > 0 {
		return nil, errs.Invalid(faults...)
	}
	text := auth.NewToken()
	var row *ent.Token
	err = i.change(ctx, func(tx *store.Tx) (err error) {
		if err := projectsRemain(ctx, tx, roles); err != nil {
			return err
		}
		row, err = tx.Token.Create().SetName(name).SetDigest(auth.Digest(text)).SetPrefix(text[:shownPrefix]).
			SetUsername(id.Username).SetRoles(roles).SetCreatedAt(now.UnixMicro()).SetExpiresAt(expires).Save(ctx)
		if err != nil {
			return err
		}
		tx.Audit(auditOfToken("CreateToken", row, nil, tokenFields(row)))
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := tokenToProto(row)
	out.Token = proto.String(text)
	return &identityv1.CreateTokenResponse{Ok: true, Data: out}, nil
}

// tokenFields are what the audit trail compares of a token.
func tokenFields(t *ent.Token) map[string]string {
	fields := map[string]string{"username": fmt.Sprintf("%q", t.Username), "roles": rolesJSON(t.Roles), "token": store.SecretValue([]byte(t.Digest))}
	if t.ExpiresAt > 0 {
		fields["expires_at"] = fmt.Sprintf("%q", time.UnixMicro(t.ExpiresAt).UTC().Format(time.RFC3339))
	}
	return fields
}

func auditOfToken(action string, t *ent.Token, before, after map[string]string) store.Audit {
	return store.Audit{Action: action, Kind: "token", ID: t.ID.String(), Name: t.Name, Changes: store.Changes(before, after)}
}

// DeleteToken implements the RPC.
func (i *Identity) DeleteToken(ctx context.Context, req *identityv1.DeleteTokenRequest) (*identityv1.DeleteTokenResponse, error) {
	id, err := uuid.Parse(req.GetId())
	if err != nil {
		return nil, noToken()
	}
	caller := auth.FromContext(ctx)
	err = i.change(ctx, func(tx *store.Tx) error {
		row, err := tx.Token.Get(ctx, id)
		if ent.IsNotFound(err) || err == nil && row.Username != caller.Username && !caller.Can(auth.Admin, "") {
			return noToken()
		}
		if err != nil {
			return err
		}
		if caller.TokenID != "" && caller.TokenID != row.ID.String() && !caller.Can(auth.Admin, "") {
			return errs.New(errs.PermissionDenied, "A token may revoke no other one; log in with the password")
		}
		tx.Audit(auditOfToken("DeleteToken", row, tokenFields(row), nil))
		return tx.Token.DeleteOne(row).Exec(ctx)
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.DeleteTokenResponse{Ok: true}, nil
}
