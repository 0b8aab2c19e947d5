package cli

import (
	"context"

	"github.com/spf13/cobra"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

func keys() *cobra.Command {
	cmd, t := group("keys", "Manage the keys that secrets are sealed with")
	cmd.AddCommand(&cobra.Command{
		Use: "rotate", Short: "Seal every secret anew under a new key; the old one opens nothing afterwards",
		Args: cobra.NoArgs, RunE: t.call(rotateKeys),
	})
	return cmd
}

func rotateKeys(ctx context.Context, s *session, _ []string) error {
	resp, err := s.RotateKeys(ctx, &identityv1.RotateKeysRequest{})
	if err != nil {
		return err
	}
	if s.json {
		return show(s.printer, resp.GetData(), nil)
	}
	s.done("Sealed %d values anew under key %s", resp.GetData().GetResealed(), resp.GetData().GetKeyId())
	return nil
}
