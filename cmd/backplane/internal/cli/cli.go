// Package cli holds the commands that call a running server: each group of
// them is a client of its gRPC API. One also works without a server, on the
// store itself.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/errs"
)

// Commands are the command groups.
func Commands() []*cobra.Command {
	return []*cobra.Command{users(), tokens(), projects(), auditTrail(), keys(), gateway(), whoami()}
}

// group makes the command that others hang below, or that stands alone. They
// share its flags.
func group(use, short string) (*cobra.Command, *target) {
	t := &target{}
	cmd := &cobra.Command{Use: use, Short: short, Long: short + ".\n\n" + loginHelp, DisableFlagsInUseLine: true, RunE: helpOrUnknown}
	t.register(cmd.PersistentFlags())
	return cmd, t
}

// helpOrUnknown is what a group of commands does by itself. Without it a
// misspelled command would show the help and succeed.
func helpOrUnknown(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return fmt.Errorf("unknown command %q for %q: it has %s", args[0], cmd.CommandPath(), strings.Join(names, ", "))
}

// oneArgument wants the one argument that the command's use names.
func oneArgument(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	_, name, _ := strings.Cut(cmd.Use, " ")
	return fmt.Errorf("one argument is needed, %s, and %d were given; see %s --help", name, len(args), cmd.CommandPath())
}

// session is what a command works with.
type session struct {
	identityv1.IdentityAdminClient
	printer
	in   *input
	conn grpc.ClientConnInterface
}

// work is what a command does once it is connected.
type work func(ctx context.Context, s *session, args []string) error

// call makes the RunE of a command: it logs in, connects and explains errors.
func (t *target) call(do work) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		if err := t.complete(cmd.Flags(), os.Getenv); err != nil {
			return err
		}
		ctx, in := cmd.Context(), newInput(cmd.InOrStdin(), cmd.ErrOrStderr())
		who, err := t.credentials(ctx, in, os.Getenv)
		if err != nil {
			return err
		}
		conn, err := t.dial(who)
		if err != nil {
			return err
		}
		defer conn.Close() //nolint:errcheck // the work is done
		s := &session{IdentityAdminClient: identityv1.NewIdentityAdminClient(conn), in: in, conn: conn, printer: t.printer(cmd)}
		return t.explain(ctx, who, do(ctx, s, args))
	}
}

func (t *target) printer(cmd *cobra.Command) printer {
	return printer{out: cmd.OutOrStdout(), notes: cmd.ErrOrStderr(), json: t.output == outputJSON}
}

// explain turns the status of a call into what a person needs to know.
func (t *target) explain(ctx context.Context, who login, err error) error {
	st, ok := status.FromError(err)
	if err == nil || !ok {
		return err
	}
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	switch st.Code() {
	case codes.Unavailable:
		return fmt.Errorf("cannot reach the server at %s: %s", t.server, printable(t.unreached(st.Message())))
	case codes.Unimplemented:
		return fmt.Errorf("the server at %s does not know this call; is it older than this program?", t.server)
	case codes.Unauthenticated:
		return fmt.Errorf("the server at %s refuses %s", t.server, who.how)
	}
	e := errs.FromStatus(err)
	text := []string{printable(e.Message)}
	if len(e.Fields) > 1 {
		for _, f := range e.Fields {
			text = append(text, printable(f.Path+" "+f.Message))
		}
	}
	if e.RetryAfter > 0 {
		text[0] += fmt.Sprintf(" (try again in %s)", e.RetryAfter)
	}
	if e.Reason == errs.Internal && t.requestID != "" {
		text[0] += fmt.Sprintf(" (request %s in the server's log)", printable(t.requestID))
	}
	return errors.New(strings.Join(text, "\n  "))
}

// unreached is why a server was not reached, without the wrapping of gRPC, and
// what to try.
func (t *target) unreached(message string) string {
	if quoted, ok := strings.CutPrefix(message, "connection error: desc = "); ok {
		if text, err := strconv.Unquote(quoted); err == nil {
			message = strings.TrimPrefix(strings.TrimPrefix(text, "transport: "), "Error while dialing: ")
		}
	}
	switch {
	case strings.Contains(message, "looked like an HTTP/1.1 header"):
		return "it does not speak gRPC; --server is the address that the server has as --grpc-addr"
	case t.secure():
		return message
	default:
		return message + "; if it serves TLS, see --tls and --tls-ca"
	}
}
