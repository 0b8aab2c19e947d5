package cli

import (
	"context"

	"github.com/spf13/cobra"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

func whoami() *cobra.Command {
	cmd, t := group("whoami", "Show who you are to the server, and with which roles")
	cmd.Args, cmd.DisableFlagsInUseLine = cobra.NoArgs, false
	cmd.RunE = t.call(func(ctx context.Context, s *session, _ []string) error {
		resp, err := s.WhoAmI(ctx, &identityv1.WhoAmIRequest{})
		if err != nil {
			return err
		}
		return show(s.printer, resp.GetData(), []column[*identityv1.Caller]{
			{"USERNAME", (*identityv1.Caller).GetUsername},
			{"TOKEN", (*identityv1.Caller).GetTokenId},
			{"ROLES", func(c *identityv1.Caller) string { return roleText(c.GetRoles()) }},
		})
	})
	return cmd
}
