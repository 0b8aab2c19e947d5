// Command backplane serves the control plane; see `backplane help`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/grpclog"

	"github.com/backplane/backplane/cmd/backplane/internal/cli"
	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/evloop"
	"github.com/backplane/backplane/internal/telemetry"
	"github.com/backplane/backplane/server"
	"github.com/backplane/backplane/server/auth"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := command().ExecuteContext(ctx); err != nil {
		var end cli.ExitStatus
		if errors.As(err, &end) {
			os.Exit(int(end))
		}
		fmt.Fprintln(os.Stderr, "backplane:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:           "backplane",
		Short:         "One control plane for the backends that services depend on",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(serve())
	root.AddCommand(cli.Commands()...)
	return root
}

func serve() *cobra.Command {
	var conf config.Config
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the gRPC and REST APIs",
		Long: "Serve the gRPC and REST APIs.\n\nEvery flag can also be set by an environment variable, such as " +
			config.EnvName("rest-addr") + " for --rest-addr, or in the file named by --config.\n" +
			config.EnvPrefix + "ADMIN_PASSWORD sets the password of the first start's user, and " +
			config.EnvPrefix + "MASTER_KEY the key that secrets are sealed with.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := conf.Load(cmd.Flags(), os.Getenv); err != nil {
				return err
			}
			return run(cmd.Context(), conf, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	conf.Register(cmd.Flags())
	return cmd
}

func run(ctx context.Context, conf config.Config, out, log io.Writer) error {
	quietLibraries(conf, log)
	evloop.MakeRoom()
	if err := evloop.GiveWay(); err != nil {
		slog.New(slog.NewTextHandler(log, nil)).Warn("threads keep the usual way of being scheduled", "error", err)
	}
	s, err := server.New(ctx, conf, version, log)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	go tuneMemory(running)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	select {
	case err := <-ended:
		return err
	case <-s.Started():
	}
	greet(out, s, conf)
	return <-ended
}

// quietLibraries puts what gRPC and its gateway complain of, such as a client
// that has gone before its answer, into the log like all else, for debugging.
func quietLibraries(conf config.Config, log io.Writer) {
	level, err := conf.Level()
	if err != nil {
		return // the server refuses it too, and says so
	}
	lines := slog.NewLogLogger(telemetry.NewLogger(log, level).Handler(), slog.LevelDebug).Writer()
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, lines))
}

// greet tells a person where everything is.
func greet(out io.Writer, s *server.Server, conf config.Config) {
	login, password := "the password set at the first start", "PASSWORD"
	if s.AdminPasswordFile != "" {
		login = "the password in " + s.AdminPasswordFile
		password = "$(cat " + s.AdminPasswordFile + ")"
	}
	base := "http://" + reachable(s.RESTAddr)
	if conf.REST().TLS.Enabled() {
		base = "https://" + reachable(s.RESTAddr)
	}
	var gateway strings.Builder
	if s.GatewayHTTP != "" {
		fmt.Fprintf(&gateway, "\n  HTTP gateway  http://%s", reachable(s.GatewayHTTP))
	}
	if s.GatewayHTTPS != "" {
		fmt.Fprintf(&gateway, "\n  HTTP gateway  https://%s", reachable(s.GatewayHTTPS))
	}
	fmt.Fprintf(out, `
Backplane %s
  REST          %s   (API reference: %s/docs)
  gRPC          %s%s
  login         user %q with %s

Try:
  curl -u "%s:%s" -H 'Content-Type: application/json' %s/api/services \
    -d '{"name":"Scratch","service_type":"sqlite","config":{"path":"/tmp/scratch.db"}}'

`, version, base, base, reachable(s.GRPCAddr), gateway.String(), auth.AdminUser, login, auth.AdminUser, password, base)
}

// reachable is a listening address as one can connect to it.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}
