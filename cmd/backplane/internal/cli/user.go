package cli

import (
	"context"
	"errors"
	"strconv"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

func userColumns() []column[*identityv1.User] {
	return []column[*identityv1.User]{
		{"USERNAME", (*identityv1.User).GetUsername},
		{"ROLES", func(u *identityv1.User) string { return roleText(u.GetRoles()) }},
		{"ENABLED", func(u *identityv1.User) string { return strconv.FormatBool(u.GetEnabled()) }},
		{"CREATED", func(u *identityv1.User) string { return instantText(u.GetCreatedAt()) }},
		{"UPDATED", func(u *identityv1.User) string { return instantText(u.GetUpdatedAt()) }},
	}
}

func users() *cobra.Command {
	cmd, t := group("user", "Manage the users who may log in")
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List the users", Args: cobra.NoArgs, RunE: t.call(listUsers)},
		&cobra.Command{Use: "get USERNAME", Short: "Show one user", Args: oneArgument, RunE: t.call(getUser)},
		createUser(t), passwd(t), userRoles(t),
		&cobra.Command{Use: "enable USERNAME", Short: "Let a user log in again", Args: oneArgument, RunE: t.call(enableUser(true))},
		&cobra.Command{Use: "disable USERNAME", Short: "Let a user log in no more, nor its tokens", Args: oneArgument, RunE: t.call(enableUser(false))},
		&cobra.Command{Use: "delete USERNAME", Short: "Delete a user and its tokens", Args: oneArgument, RunE: t.call(deleteUser)},
	)
	return cmd
}

func listUsers(ctx context.Context, s *session, _ []string) error {
	resp, err := s.ListUsers(ctx, &identityv1.ListUsersRequest{})
	if err != nil {
		return err
	}
	return list(s.printer, resp.GetData(), userColumns())
}

func getUser(ctx context.Context, s *session, args []string) error {
	resp, err := s.GetUser(ctx, &identityv1.GetUserRequest{Username: args[0]})
	if err != nil {
		return err
	}
	return show(s.printer, resp.GetData(), userColumns())
}

func createUser(t *target) *cobra.Command {
	var (
		roles     roleFlag
		disabled  bool
		fromStdin bool
	)
	cmd := &cobra.Command{
		Use: "create USERNAME", Short: "Create a user; the password is asked for", Args: oneArgument,
		RunE: t.call(func(ctx context.Context, s *session, args []string) error {
			password, err := s.in.newPassword(ctx, fromStdin, args[0])
			if err != nil {
				return err
			}
			enabled := !disabled
			resp, err := s.CreateUser(ctx, &identityv1.CreateUserRequest{User: &identityv1.User{
				Username: args[0], Password: &password, Roles: roles, Enabled: &enabled,
			}})
			if err != nil {
				return err
			}
			return show(s.printer, resp.GetData(), userColumns())
		}),
	}
	cmd.Flags().Var(&roles, "role", roleHelp+"; can be repeated")
	cmd.Flags().BoolVar(&disabled, "disabled", false, "do not let the user log in yet")
	newPasswordFlag(cmd, &fromStdin)
	return cmd
}

func newPasswordFlag(cmd *cobra.Command, to *bool) {
	cmd.Flags().BoolVar(to, "new-password-stdin", false, "read the new password from a line of the standard input, the one after that of --password-stdin")
}

// update changes one field of a user.
func (s *session) update(ctx context.Context, username, field string, u *identityv1.User) error {
	_, err := s.UpdateUser(ctx, &identityv1.UpdateUserRequest{
		Username: username, User: u, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{field}},
	})
	return err
}

func passwd(t *target) *cobra.Command {
	var fromStdin bool
	cmd := &cobra.Command{
		Use: "passwd [USERNAME]", Short: "Change a user's password, or your own", Args: cobra.MaximumNArgs(1),
		RunE: t.call(func(ctx context.Context, s *session, args []string) error {
			if len(args) == 0 {
				me, err := s.WhoAmI(ctx, &identityv1.WhoAmIRequest{})
				if err != nil {
					return err
				}
				args = []string{me.GetData().GetUsername()}
			}
			password, err := s.in.newPassword(ctx, fromStdin, args[0])
			if err != nil {
				return err
			}
			if err := s.update(ctx, args[0], "password", &identityv1.User{Password: &password}); err != nil {
				return err
			}
			s.done("Changed the password of %s", args[0])
			return nil
		}),
	}
	newPasswordFlag(cmd, &fromStdin)
	return cmd
}

func userRoles(t *target) *cobra.Command {
	var none bool
	var roles roleFlag
	cmd := &cobra.Command{
		Use:   "roles USERNAME ROLE[@PROJECT]...",
		Short: "Give a user these roles and no others",
		Args: func(_ *cobra.Command, args []string) (err error) {
			if len(args) == 0 || (len(args) == 1) != none {
				return errors.New("name a user and its roles, or a user and --none")
			}
			roles, err = parseRoles(args[1:])
			return err
		},
		RunE: t.call(func(ctx context.Context, s *session, args []string) error {
			if err := s.update(ctx, args[0], "roles", &identityv1.User{Roles: roles}); err != nil {
				return err
			}
			s.done("%s has %s", args[0], cell(roleText(roles)))
			return nil
		}),
	}
	cmd.Flags().BoolVar(&none, "none", false, "take all roles away")
	return cmd
}

func enableUser(enabled bool) work {
	return func(ctx context.Context, s *session, args []string) error {
		if err := s.update(ctx, args[0], "enabled", &identityv1.User{Enabled: &enabled}); err != nil {
			return err
		}
		if enabled {
			s.done("%s may log in", args[0])
		} else {
			s.done("%s may not log in", args[0])
		}
		return nil
	}
}

func deleteUser(ctx context.Context, s *session, args []string) error {
	if _, err := s.DeleteUser(ctx, &identityv1.DeleteUserRequest{Username: args[0]}); err != nil {
		return err
	}
	s.done("Deleted user %s", args[0])
	return nil
}
