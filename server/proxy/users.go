package proxy

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/ent/user"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/server/auth"
)

const (
	userType = "inet"
	userPath = "users/inet"
)

// The accounts: what a user may do here.
const (
	accountAdmin = "admin"
	accountBasic = "basic"
)

// accountOf is the account that global roles make; "" without one.
func accountOf(roles []schema.RoleBinding) string {
	switch id := (auth.Identity{Roles: roles}); {
	case id.Can(auth.Admin, ""):
		return accountAdmin
	case id.Can(auth.Viewer, ""):
		return accountBasic
	}
	return ""
}

func noUser(name string) error { return kind{singular: "user"}.missing(name) }

// userRow finds a user that this API shows. Only admins see others than
// themselves, as everywhere.
func (p *Proxy) userRow(ctx context.Context, name string) (*ent.User, error) {
	row, err := p.Store.User.Query().Where(user.Username(name)).Only(ctx)
	if ent.IsNotFound(err) || err == nil && (accountOf(row.Roles) == "" || !seesUser(ctx, row)) {
		return nil, noUser(name)
	}
	return row, err
}

func seesUser(ctx context.Context, row *ent.User) bool {
	id := auth.FromContext(ctx)
	return id.Username == "" || id.Can(auth.Admin, "") || id.Username == row.Username
}

func (p *Proxy) showUser(l linker, row *ent.User) *proxyv1.User {
	return &proxyv1.User{
		Id: row.Username, Type: userType, Relationships: &proxyv1.Relationships{}, Links: self(l.resource(userPath, row.Username)),
		Attributes: &proxyv1.UserAttributes{
			Name: row.Username, Account: accountOf(row.Roles), Created: date(time.UnixMicro(row.CreatedAt)),
			LastUpdate: dateOf(row.PasswordChangedAt), LastLogin: dateOf(row.LastLoginAt),
		},
	}
}

// dateOf is a stored time as a date, "" for never.
func dateOf(us int64) string {
	if us == 0 {
		return ""
	}
	return date(time.UnixMicro(us))
}

// ListUsers implements the RPC.
func (p *Proxy) ListUsers(ctx context.Context, _ *proxyv1.ListRequest) (*proxyv1.UserCollection, error) {
	rows, err := p.Store.User.Query().Order(user.ByUsername()).All(ctx)
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	out := &proxyv1.UserCollection{Links: self(l.collection(userPath))}
	for _, row := range rows {
		if accountOf(row.Roles) != "" && seesUser(ctx, row) {
			out.Data = append(out.Data, p.showUser(l, row))
		}
	}
	return out, nil
}

// ListUnixUsers implements the RPC.
func (p *Proxy) ListUnixUsers(ctx context.Context, _ *proxyv1.ListRequest) (*proxyv1.UserCollection, error) {
	return &proxyv1.UserCollection{Links: self(linksOf(ctx).collection("users/unix"))}, nil
}

// GetUser implements the RPC.
func (p *Proxy) GetUser(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.UserDocument, error) {
	row, err := p.userRow(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	l := linksOf(ctx)
	return &proxyv1.UserDocument{Links: self(l.resource(userPath, row.Username)), Data: p.showUser(l, row)}, nil
}

// CreateUser implements the RPC.
func (p *Proxy) CreateUser(ctx context.Context, req *proxyv1.CreateRequest) (*proxyv1.Changed, error) {
	b, err := readBody(req.GetBody())
	if err != nil {
		return nil, err
	}
	name, ok := b.id.(string)
	if !ok || name == "" {
		return nil, invalid("data.id", "must be the name of the user")
	}
	if b.kind != nil && b.kind != userType {
		return nil, invalid("data.type", "must be "+userType)
	}
	password, err := b.text("password")
	if err != nil {
		return nil, err
	}
	role := auth.Admin
	switch b.attributes["account"] {
	case accountAdmin:
	case accountBasic:
		role = auth.Viewer
	default:
		return nil, invalid("data.attributes.account", "must be admin or basic")
	}
	_, err = p.Users.CreateUser(ctx, &identityv1.CreateUserRequest{User: &identityv1.User{
		Username: name, Password: proto.String(password), Roles: []*identityv1.RoleBinding{{Role: string(role)}},
	}})
	return changed(err)
}

// UpdateUser implements the RPC. All but the password stays what it is.
func (p *Proxy) UpdateUser(ctx context.Context, req *proxyv1.UpdateRequest) (*proxyv1.Changed, error) {
	row, err := p.userRow(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	b, err := readUserChange(req.GetBody(), row)
	if err != nil {
		return nil, err
	}
	password, err := b.text("password")
	if err != nil {
		return nil, err
	}
	if account, there := b.attributes["account"]; there && account != accountOf(row.Roles) {
		return nil, invalid("data.attributes.account", "cannot be changed")
	}
	_, err = p.Users.UpdateUser(ctx, &identityv1.UpdateUserRequest{
		Username: row.Username, User: &identityv1.User{Password: proto.String(password)}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"password"}},
	})
	return changed(err)
}

// readUserChange reads a change of a user, whose password nobody is shown.
func readUserChange(v *structpb.Value, row *ent.User) (*body, error) {
	return readChange(v, func() map[string]any {
		return map[string]any{"data": map[string]any{"id": row.Username, "type": userType, "attributes": map[string]any{
			"name": row.Username, "account": accountOf(row.Roles), "password": nil,
		}}}
	})
}

// DeleteUser implements the RPC.
func (p *Proxy) DeleteUser(ctx context.Context, req *proxyv1.NameRequest) (*proxyv1.Changed, error) {
	row, err := p.userRow(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	_, err = p.Users.DeleteUser(ctx, &identityv1.DeleteUserRequest{Username: row.Username})
	return changed(err)
}
