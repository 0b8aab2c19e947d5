package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"

	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/tlsconf"
	"github.com/backplane/backplane/server/intercept"
)

// What --output can be.
const (
	outputTable = "table"
	outputJSON  = "json"
)

// target is the server to call, and how to log in there.
type target struct {
	server        string
	username      string
	passwordStdin bool
	tokenFile     string
	dataDir       string
	output        string

	tls                   bool
	ca, name              string
	clientCert, clientKey string
	plaintext             bool

	requestID string // of the last call that was answered
}

func (t *target) register(f *pflag.FlagSet) {
	f.StringVar(&t.server, "server", "127.0.0.1:9090", "gRPC address of the server")
	f.StringVar(&t.username, "username", "", "user to log in as, with a password; admin unless set")
	f.BoolVar(&t.passwordStdin, "password-stdin", false, "read the password from the first line of the standard input")
	f.StringVar(&t.tokenFile, "token-file", "", "log in with the token in this file; - for the standard input")
	f.StringVar(&t.dataDir, "data-dir", "./data", "data directory of a server on this machine")
	f.StringVar(&t.output, "output", outputTable, outputTable+" or "+outputJSON)
	f.BoolVar(&t.tls, "tls", false, "connect with TLS")
	f.StringVar(&t.ca, "tls-ca", "", "file with the authorities to trust instead of the system's; implies --tls")
	f.StringVar(&t.name, "tls-server-name", "", "name that the server's certificate must be for; the host of --server unless set")
	f.StringVar(&t.clientCert, "client-cert", "", "file with the certificate to show to the server; implies --tls")
	f.StringVar(&t.clientKey, "client-key", "", "file with the private key of that certificate")
	f.BoolVar(&t.plaintext, "plaintext", false, "log in without TLS even where others may listen")
}

// complete sets the flags that were not given from the environment, and
// reports all faults at once.
func (t *target) complete(f *pflag.FlagSet, getenv func(string) string) error {
	var faults []error
	for _, name := range []string{"server", "username", "token-file", "data-dir", "output", "tls", "tls-ca", "tls-server-name", "client-cert", "client-key"} {
		v := getenv(config.EnvName(name))
		if v == "" || f.Changed(name) {
			continue
		}
		if err := f.Set(name, v); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", config.EnvName(name), err))
		}
	}
	if _, _, err := net.SplitHostPort(t.server); err != nil {
		faults = append(faults, fmt.Errorf("--server %q must be host:port", t.server))
	} else if !t.secure() && !t.plaintext && !tlsconf.Loopback(t.server) {
		faults = append(faults, fmt.Errorf("logging in at %s without TLS shows the password or token to others; use --tls or --tls-ca, or --plaintext", t.server))
	}
	if t.output != outputTable && t.output != outputJSON {
		faults = append(faults, fmt.Errorf("--output %q must be %s or %s", t.output, outputTable, outputJSON))
	}
	if (t.clientCert == "") != (t.clientKey == "") {
		faults = append(faults, errors.New("--client-cert and --client-key must be set together"))
	}
	if t.passwordStdin && t.tokenFile != "" {
		faults = append(faults, errors.New("--password-stdin and --token-file exclude each other"))
	}
	return errors.Join(faults...)
}

func (t *target) secure() bool { return t.tls || t.ca != "" || t.clientCert != "" }

// dial makes the connection; it is opened by the first call.
func (t *target) dial(who login) (*grpc.ClientConn, error) {
	transport := insecure.NewCredentials()
	if t.secure() {
		conf, err := t.tlsConfig()
		if err != nil {
			return nil, err
		}
		transport = credentials.NewTLS(conf)
	}
	return grpc.NewClient(t.server,
		grpc.WithTransportCredentials(transport),
		grpc.WithPerRPCCredentials(bearer{who.header, t.secure()}),
		grpc.WithUnaryInterceptor(t.noteRequest),
		grpc.WithUserAgent("backplane-cli"),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: backoff.DefaultConfig, MinConnectTimeout: 10 * time.Second}),
		// Finds out about a dead server; more often than every 20 s the server
		// would refuse.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
	)
}

// noteRequest keeps the id under which the server's log has a call.
func (t *target) noteRequest(ctx context.Context, method string, req, reply any, conn *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	var header metadata.MD
	err := call(ctx, method, req, reply, conn, append(opts, grpc.Header(&header))...)
	if id := header.Get(intercept.RequestIDHeader); len(id) > 0 {
		t.requestID = id[0]
	}
	return err
}

func (t *target) tlsConfig() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.name}
	if t.ca != "" {
		text, err := os.ReadFile(filepath.Clean(t.ca))
		if err != nil {
			return nil, fmt.Errorf("--tls-ca: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--tls-ca %s: no PEM certificate in it", t.ca)
		}
	}
	if t.clientCert != "" {
		pair, err := tls.LoadX509KeyPair(t.clientCert, t.clientKey)
		if err != nil {
			return nil, fmt.Errorf("--client-cert: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// bearer sends the login with each call.
type bearer struct {
	header string
	secure bool
}

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": b.header}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (b bearer) RequireTransportSecurity() bool { return b.secure }
