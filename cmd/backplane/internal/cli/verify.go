package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/config"
	serverkeys "github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/store"
)

const verifyShort = "Check that no record was changed, removed or made up; fails when one was"

const verifyHelp = `It takes the key of the trail, which the master key of the store opens. The
server has it, so over the API it is enough to be a global admin. With --offline
no server is asked: the store itself is read, that of --data-dir or --store, and
the master key is needed here, from where the server has it. Settings of the
server in its environment variables and in --config count. A server may use the
store meanwhile, but for SQLite: there it must be stopped, or a copy be read.`

func verifyAudit(t *target) *cobra.Command {
	var offline bool
	online := t.call(verifyByServer)
	cmd := &cobra.Command{
		Use: "verify", Short: verifyShort,
		Long: verifyShort + ".\n\n" + verifyHelp + "\n\n" + loginHelp, Args: cobra.NoArgs,
	}
	f := cmd.Flags()
	f.BoolVar(&offline, "offline", false, "read the store itself; needs the master key")
	f.String("store", "", "with --offline: URL of the store; empty: the SQLite file in --data-dir")
	f.String("master-key-file", "", "with --offline: file with the master key; empty: master.key in --data-dir")
	f.String("master-key-command", "", "with --offline: command that prints the master key")
	f.String("config", "", "with --offline: the server's YAML file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if offline {
			return t.verifyOffline(cmd)
		}
		for _, name := range []string{"store", "master-key-file", "master-key-command", "config"} {
			if f.Changed(name) {
				return fmt.Errorf("--%s is for --offline; without it the server reads its own store", name)
			}
		}
		return online(cmd, args)
	}
	return cmd
}

func verifyByServer(ctx context.Context, s *session, _ []string) error {
	resp, err := s.VerifyAudit(ctx, &identityv1.VerifyAuditRequest{})
	if err != nil {
		return err
	}
	return s.verdict(resp.GetData())
}

// verdict shows the outcome of a check, which fails when the trail is damaged.
func (p printer) verdict(v *identityv1.AuditVerdict) error {
	if p.json {
		if err := show(p, v, nil); err != nil {
			return err
		}
	}
	if !v.GetIntact() {
		return fmt.Errorf("the audit trail is damaged: record %d: %s", v.GetFirstBad(), printable(v.GetProblem()))
	}
	p.done("The audit trail is intact: %d records", v.GetChecked())
	return nil
}

// verifyOffline checks the trail in the store without a server.
func (t *target) verifyOffline(cmd *cobra.Command) (err error) {
	if err := t.complete(cmd.Flags(), os.Getenv); err != nil {
		return err
	}
	conf, err := serverConfig(cmd.Flags())
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(conf.DataDir)
	if err != nil {
		return fmt.Errorf("--data-dir: %w", err)
	}
	ctx := cmd.Context()
	st, err := store.OpenExisting(ctx, conf.Store, dir)
	if err != nil {
		return fmt.Errorf("%w; if a server runs on this store, ask it, without --offline", err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	if err := serverkeys.OpenTrail(ctx, st, serverkeys.SourceOf(conf, dir)); err != nil {
		return fmt.Errorf("the audit trail cannot be checked: %w", err)
	}
	v, err := st.VerifyAudit(ctx)
	if err != nil {
		return fmt.Errorf("the audit trail cannot be checked: %w", err)
	}
	return t.printer(cmd).verdict(&identityv1.AuditVerdict{
		Intact: v.FirstBad == 0, Checked: v.Checked, FirstBad: v.FirstBad, Problem: v.Problem,
	})
}

// serverConfig is the server's configuration, as far as it tells where the
// store and the master key are.
func serverConfig(given *pflag.FlagSet) (conf config.Config, err error) {
	all := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	conf.Register(all)
	for _, name := range []string{"data-dir", "store", "master-key-file", "master-key-command", "config"} {
		if given.Changed(name) {
			if err := all.Set(name, given.Lookup(name).Value.String()); err != nil {
				return conf, fmt.Errorf("--%s: %w", name, err)
			}
		}
	}
	return conf, conf.Load(all, os.Getenv)
}
