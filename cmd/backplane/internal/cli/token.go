package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

func tokenColumns() []column[*identityv1.Token] {
	return []column[*identityv1.Token]{
		{"ID", (*identityv1.Token).GetId},
		{"NAME", (*identityv1.Token).GetName},
		{"PREFIX", (*identityv1.Token).GetPrefix},
		{"USERNAME", (*identityv1.Token).GetUsername},
		{"ROLES", func(t *identityv1.Token) string { return roleText(t.GetRoles()) }},
		{"CREATED", func(t *identityv1.Token) string { return instantText(t.GetCreatedAt()) }},
		{"EXPIRES", func(t *identityv1.Token) string { return instantText(t.GetExpiresAt()) }},
		{"LAST USED", func(t *identityv1.Token) string { return instantText(t.GetLastUsedAt()) }},
	}
}

func tokens() *cobra.Command {
	cmd, t := group("token", "Manage the tokens that programs log in with")
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List your tokens, or all of them as an admin", Args: cobra.NoArgs, RunE: t.call(listTokens)},
		createToken(t),
		&cobra.Command{Use: "revoke ID", Short: "Revoke a token", Args: oneArgument, RunE: t.call(revokeToken)},
	)
	return cmd
}

func listTokens(ctx context.Context, s *session, _ []string) error {
	resp, err := s.ListTokens(ctx, &identityv1.ListTokensRequest{})
	if err != nil {
		return err
	}
	return list(s.printer, resp.GetData(), tokenColumns())
}

func createToken(t *target) *cobra.Command {
	var (
		roles     roleFlag
		expiresIn string
	)
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a token and print it, this once", Args: oneArgument,
		RunE: t.call(func(ctx context.Context, s *session, args []string) error {
			resp, err := s.CreateToken(ctx, &identityv1.CreateTokenRequest{Name: args[0], ExpiresIn: expiresIn, Roles: roles})
			if err != nil {
				return err
			}
			made := resp.GetData()
			if s.json {
				return show(s.printer, made, nil)
			}
			s.note("Token %s (%s); it is shown this once:", made.GetName(), made.GetId())
			_, err = fmt.Fprintln(s.out, made.GetToken())
			return err
		}),
	}
	cmd.Flags().Var(&roles, "role", roleHelp+"; can be repeated; yours when there is none")
	cmd.Flags().StringVar(&expiresIn, "expires-in", "", "how long it is valid, such as 90d, 12h or 30m; until it is revoked unless set")
	return cmd
}

func revokeToken(ctx context.Context, s *session, args []string) error {
	if _, err := s.DeleteToken(ctx, &identityv1.DeleteTokenRequest{Id: args[0]}); err != nil {
		return err
	}
	s.done("Revoked token %s", args[0])
	return nil
}
