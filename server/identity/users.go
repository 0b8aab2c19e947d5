package identity

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/project"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/ent/token"
	"github.com/backplane/backplane/ent/user"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/store"
)

func userToProto(u *ent.User) *identityv1.User {
	return &identityv1.User{
		Username: u.Username, Roles: rolesToProto(u.Roles), Enabled: proto.Bool(u.Enabled),
		CreatedAt: seconds(u.CreatedAt), UpdatedAt: seconds(max(u.UpdatedAt, u.CreatedAt)),
	}
}

func noUser(err error) error {
	if ent.IsNotFound(err) {
		return &errs.Error{Reason: errs.NotFound, Message: "User not found"}
	}
	return err
}

func checkPassword(p string) []errs.Field {
	if len(p) < minPassword || len(p) > maxPassword {
		return []errs.Field{{Path: "password", Message: fmt.Sprintf("must be %d to %d bytes long", minPassword, maxPassword)}}
	}
	return nil
}

// checkRoles turns role bindings into stored ones and says what is wrong with
// them.
func (i *Identity) checkRoles(ctx context.Context, in []*identityv1.RoleBinding) ([]schema.RoleBinding, []errs.Field, error) {
	var faults []errs.Field
	if len(in) > maxRoles {
		faults = append(faults, errs.Field{Path: "roles", Message: fmt.Sprintf("must have at most %d entries", maxRoles)})
	}
	var out []schema.RoleBinding
	for n, b := range in {
		path := fmt.Sprintf("roles[%d]", n)
		if !auth.Role(b.GetRole()).Known() {
			faults = append(faults, errs.Field{Path: path + ".role", Message: "must be viewer, editor or admin"})
		}
		if p := b.GetProject(); p != "" {
			exists, err := i.Store.Project.Query().Where(project.ID(p)).Exist(ctx)
			if err != nil {
				return nil, nil, err
			}
			if !exists {
				faults = append(faults, errs.Field{Path: path + ".project", Message: "must be the name of a project"})
			}
		}
		binding := schema.RoleBinding{Role: b.GetRole(), Project: b.GetProject()}
		if !slices.Contains(out, binding) {
			out = append(out, binding)
		}
	}
	return out, faults, nil
}

// ListUsers implements the RPC.
func (i *Identity) ListUsers(ctx context.Context, _ *identityv1.ListUsersRequest) (*identityv1.ListUsersResponse, error) {
	rows, err := i.Store.User.Query().Order(user.ByUsername()).All(ctx)
	if err != nil {
		return nil, err
	}
	out := &identityv1.ListUsersResponse{Ok: true}
	for _, u := range rows {
		out.Data = append(out.Data, userToProto(u))
	}
	return out, nil
}

// mayManage reports whether the caller may manage users, and whether the user
// is itself.
func mayManage(ctx context.Context, username string) (admin, self bool) {
	id := auth.FromContext(ctx)
	return id.Can(auth.Admin, ""), id.Username == username
}

// GetUser implements the RPC. To others than admins, only they themselves
// exist.
func (i *Identity) GetUser(ctx context.Context, req *identityv1.GetUserRequest) (*identityv1.GetUserResponse, error) {
	if admin, self := mayManage(ctx, req.GetUsername()); !admin && !self {
		return nil, noUser(&ent.NotFoundError{})
	}
	u, err := i.Store.User.Query().Where(user.Username(req.GetUsername())).Only(ctx)
	if err != nil {
		return nil, noUser(err)
	}
	return &identityv1.GetUserResponse{Ok: true, Data: userToProto(u)}, nil
}

// CreateUser implements the RPC.
func (i *Identity) CreateUser(ctx context.Context, req *identityv1.CreateUserRequest) (*identityv1.CreateUserResponse, error) {
	in := req.GetUser()
	roles, faults, err := i.checkRoles(ctx, in.GetRoles())
	if err != nil {
		return nil, err
	}
	if !usernameShape.MatchString(in.GetUsername()) {
		faults = append(faults, errs.Field{Path: "username", Message: "must be 1 to 64 of a-z A-Z 0-9 . _ @ -"})
	}
	if in.GetUsername() == store.SystemActor {
		faults = append(faults, errs.Field{Path: "username", Message: "must not be the name of the program itself"})
	}
	if faults = append(faults, checkPassword(in.GetPassword())...); len(faults) > 0 {
		return nil, errs.Invalid(faults...)
	}
	hash, now := auth.HashPassword(in.GetPassword()), time.Now().UnixMicro()
	var row *ent.User
	err = i.change(ctx, func(tx *store.Tx) (err error) {
		if err := projectsRemain(ctx, tx, roles); err != nil {
			return err
		}
		row, err = tx.User.Create().SetUsername(in.GetUsername()).SetPasswordHash(hash).SetRoles(roles).
			SetEnabled(in.Enabled == nil || in.GetEnabled()).SetCreatedAt(now).SetUpdatedAt(now).Save(ctx)
		if ent.IsConstraintError(err) {
			return &errs.Error{Reason: errs.NameTaken, Message: "There is a user of that name already", Err: err}
		}
		if err != nil {
			return err
		}
		tx.Audit(store.Audit{
			Action: "CreateUser", Kind: "user", ID: row.Username, Name: row.Username,
			Changes: store.Changes(nil, userFields(row)),
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.CreateUserResponse{Ok: true, Data: userToProto(row)}, nil
}

// userFields are what the audit trail compares of a user.
func userFields(u *ent.User) map[string]string {
	return map[string]string{
		"enabled": fmt.Sprint(u.Enabled), "roles": rolesJSON(u.Roles), "password": store.SecretValue([]byte(u.PasswordHash)),
	}
}

// rolesJSON is the bindings as the audit trail shows them.
func rolesJSON(roles []schema.RoleBinding) string {
	text, _ := json.Marshal(append([]schema.RoleBinding{}, roles...)) // strings only
	return string(text)
}

// UpdateUser implements the RPC.
func (i *Identity) UpdateUser(ctx context.Context, req *identityv1.UpdateUserRequest) (*identityv1.UpdateUserResponse, error) {
	in, fields := req.GetUser(), req.GetUpdateMask().GetPaths()
	if len(fields) == 0 {
		for name, set := range map[string]bool{"password": in.GetPassword() != "", "roles": len(in.GetRoles()) > 0, "enabled": in.Enabled != nil} {
			if set {
				fields = append(fields, name)
			}
		}
	}
	admin, self := mayManage(ctx, req.GetUsername())
	switch {
	case !admin && !self:
		return nil, noUser(&ent.NotFoundError{})
	case !admin && (slices.Contains(fields, "roles") || slices.Contains(fields, "enabled")):
		return nil, errs.New(errs.PermissionDenied, "Only a global admin may change roles or disable a user")
	case !admin && (auth.FromContext(ctx).TokenID != "" || auth.FromContext(ctx).Signed):
		return nil, errs.New(errs.PermissionDenied, "Log in with the password to change it; a token may not")
	}
	roles, faults, err := i.checkRoles(ctx, in.GetRoles())
	if err != nil {
		return nil, err
	}
	faults = append(faults, checkMask(fields)...)
	hash := ""
	if slices.Contains(fields, "password") {
		faults = append(faults, checkPassword(in.GetPassword())...)
		hash = auth.HashPassword(in.GetPassword())
	}
	if u := in.GetUsername(); u != "" && u != req.GetUsername() {
		faults = append(faults, errs.Field{Path: "username", Message: "cannot change"})
	}
	if len(faults) > 0 {
		return nil, errs.Invalid(faults...)
	}
	var row *ent.User
	err = i.change(ctx, func(tx *store.Tx) error {
		old, err := tx.User.Query().Where(user.Username(req.GetUsername())).Only(ctx)
		if err != nil {
			return noUser(err)
		}
		if row = old; unchanged(old, fields, roles, in.Enabled == nil || in.GetEnabled()) {
			return errUnchanged
		}
		u := old.Update().SetUpdatedAt(time.Now().UnixMicro())
		for _, f := range fields {
			switch f {
			case "password":
				u.SetPasswordHash(hash).SetPasswordChangedAt(time.Now().UnixMicro())
			case "roles":
				u.SetRoles(roles)
			case "enabled":
				u.SetEnabled(in.Enabled == nil || in.GetEnabled())
			}
		}
		if row, err = u.Save(ctx); err != nil {
			return noUser(err)
		}
		if err := projectsRemain(ctx, tx, roles); err != nil {
			return err
		}
		tx.Audit(store.Audit{
			Action: "UpdateUser", Kind: "user", ID: row.Username, Name: row.Username,
			Changes: store.Changes(userFields(old), userFields(row)),
		})
		return adminRemains(ctx, tx)
	})
	if err != nil && !errors.Is(err, errUnchanged) {
		return nil, err
	}
	return &identityv1.UpdateUserResponse{Ok: true, Data: userToProto(row)}, nil
}

// errUnchanged leaves a transaction that has nothing to do.
var errUnchanged = errors.New("nothing to change")

// unchanged reports whether an update of the fields says what is stored.
func unchanged(u *ent.User, fields []string, roles []schema.RoleBinding, enabled bool) bool {
	return !slices.Contains(fields, "password") &&
		(!slices.Contains(fields, "roles") || slices.Equal(u.Roles, roles)) &&
		(!slices.Contains(fields, "enabled") || u.Enabled == enabled)
}

// checkMask refuses fields that a user does not have.
func checkMask(fields []string) (faults []errs.Field) {
	known := (&identityv1.User{}).ProtoReflect().Descriptor().Fields()
	for _, f := range fields {
		if known.ByTextName(f) == nil {
			faults = append(faults, errs.Field{Path: "update_mask", Message: fmt.Sprintf("%q is not a field of a user", f)})
		}
	}
	return faults
}

// projectsRemain refuses roles in a project that was deleted since it was
// looked for.
func projectsRemain(ctx context.Context, tx *store.Tx, roles []schema.RoleBinding) error {
	for n, b := range roles {
		if b.Project == "" {
			continue
		}
		if exists, err := tx.Project.Query().Where(project.ID(b.Project)).Exist(ctx); err != nil {
			return err
		} else if !exists {
			return errs.Invalid(errs.Field{Path: fmt.Sprintf("roles[%d].project", n), Message: "must be the name of a project"})
		}
	}
	return nil
}

// adminRemains refuses a change after which nobody could manage users.
func adminRemains(ctx context.Context, tx *store.Tx) error {
	rows, err := tx.User.Query().Where(user.Enabled(true)).All(ctx)
	if err != nil {
		return err
	}
	for _, u := range rows {
		if (auth.Identity{Roles: u.Roles}).Can(auth.Admin, "") {
			return nil
		}
	}
	return errs.New(errs.InUse, "This is the last global admin that can log in; make another one first")
}

// DeleteUser implements the RPC.
func (i *Identity) DeleteUser(ctx context.Context, req *identityv1.DeleteUserRequest) (*identityv1.DeleteUserResponse, error) {
	err := i.change(ctx, func(tx *store.Tx) error {
		row, err := tx.User.Query().Where(user.Username(req.GetUsername())).Only(ctx)
		if err != nil {
			return noUser(err)
		}
		tokens, err := tx.Token.Query().Where(token.Username(row.Username)).Order(token.ByCreatedAt(), token.ByID()).All(ctx)
		if err != nil {
			return err
		}
		for _, t := range tokens {
			tx.Audit(auditOfToken("DeleteToken", t, tokenFields(t), nil))
		}
		if _, err := tx.Token.Delete().Where(token.Username(row.Username)).Exec(ctx); err != nil {
			return err
		}
		if err := tx.User.DeleteOne(row).Exec(ctx); err != nil {
			return noUser(err)
		}
		tx.Audit(store.Audit{
			Action: "DeleteUser", Kind: "user", ID: row.Username, Name: row.Username,
			Changes: store.Changes(userFields(row), nil),
		})
		return adminRemains(ctx, tx)
	})
	if err != nil {
		return nil, err
	}
	return &identityv1.DeleteUserResponse{Ok: true}, nil
}
