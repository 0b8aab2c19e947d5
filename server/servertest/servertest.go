// Package servertest runs a real control plane for tests: on free ports, in a
// temporary data directory, with a client of each API that is logged in.
//
// Only tests import it.
package servertest

import (
	"context"
	"encoding/base64"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/server"
	"github.com/backplane/backplane/server/auth"
)

const (
	// Password is that of the admin.
	Password = "correct horse: battery staple"
	// Version is what the server says it is.
	Version = "v0.0.0-test"
	// Patience is how long a test waits for something that must come, on a
	// machine that is busy with other tests.
	Patience = 2 * time.Minute
)

// Options say what the server should be like. The zero value is one on SQLite
// in a new folder.
type Options struct {
	Store    string // URL of the store
	DataDir  string // a new folder when ""
	LogLevel string // debug when ""
	// Adjust changes the configuration before the start. May be nil.
	Adjust func(*config.Config)
}

// Server is a running control plane.
type Server struct {
	URL     string // of the REST address, without a slash at the end
	GRPC    string // host:port
	DataDir string
	Log     *Buffer
	// Client sends requests without a redirect being followed.
	Client *http.Client
	// Conn is a gRPC connection that logs in as the admin.
	Conn *grpc.ClientConn
	// Catalog and Identity are the APIs over Conn.
	Catalog  catalogv1.ServiceCatalogClient
	Identity identityv1.IdentityAdminClient
	// Databases and Credentials are the API of databases as a service.
	Databases   dbaasv1.DatabaseAdminClient
	Credentials dbaasv1.CredentialAdminClient
	// Proxy is the API of the database proxy.
	Proxy proxyv1.ProxyServiceClient
	// Gateway, Consumers and Node are the API of the HTTP gateway, which serves
	// at GatewayHTTP and GatewayHTTPS.
	Gateway                   gatewayv1.GatewayServiceClient
	Consumers                 gatewayv1.ConsumerServiceClient
	Node                      gatewayv1.NodeServiceClient
	GatewayHTTP, GatewayHTTPS string

	stop  context.CancelFunc
	ended chan error
	once  sync.Once
	err   error
}

// Start runs a server until the test ends, or Close.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	conf := defaults(t)
	conf.RESTAddr, conf.GRPCAddr, conf.GatewayHTTP, conf.GatewayHTTPS = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	conf.DataDir, conf.Store, conf.LogLevel, conf.AdminPassword = o.DataDir, o.Store, o.LogLevel, Password
	if conf.DataDir == "" {
		conf.DataDir = filepath.Join(t.TempDir(), "data")
	}
	if conf.LogLevel == "" {
		conf.LogLevel = "debug"
	}
	if o.Adjust != nil {
		o.Adjust(&conf)
	}
	s := &Server{DataDir: conf.DataDir, Log: &Buffer{}, ended: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	srv, err := server.New(ctx, conf, Version, s.Log)
	if err != nil {
		stop()
		t.Fatalf("start the server: %v", err)
	}
	go func() { s.ended <- srv.Run(ctx) }()
	select {
	case err := <-s.ended:
		stop()
		t.Fatalf("run the server: %v", err)
	case <-srv.Started():
	}
	s.URL, s.GRPC = "http://"+srv.RESTAddr, srv.GRPCAddr
	s.GatewayHTTP, s.GatewayHTTPS = srv.GatewayHTTP, srv.GatewayHTTPS
	s.Client = &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 64},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	s.Conn = Dial(t, s.GRPC, Basic(auth.AdminUser, Password))
	s.Catalog, s.Identity = catalogv1.NewServiceCatalogClient(s.Conn), identityv1.NewIdentityAdminClient(s.Conn)
	s.Databases, s.Credentials = dbaasv1.NewDatabaseAdminClient(s.Conn), dbaasv1.NewCredentialAdminClient(s.Conn)
	s.Proxy = proxyv1.NewProxyServiceClient(s.Conn)
	s.Gateway, s.Consumers, s.Node = gatewayv1.NewGatewayServiceClient(s.Conn), gatewayv1.NewConsumerServiceClient(s.Conn), gatewayv1.NewNodeServiceClient(s.Conn)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("the server ended with: %v", err)
		}
	})
	return s
}

// defaults is the configuration of a program that is told nothing.
func defaults(t testing.TB) config.Config {
	t.Helper()
	var conf config.Config
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	conf.Register(flags)
	if err := conf.Load(flags, func(string) string { return "" }); err != nil {
		t.Fatalf("the default settings: %v", err)
	}
	return conf
}

// Stop asks the server to drain and end, and does not wait for it.
func (s *Server) Stop() { s.stop() }

// Close stops the server and returns how it ended. It may be called again.
func (s *Server) Close() error {
	s.once.Do(func() {
		s.stop()
		s.Client.CloseIdleConnections()
		s.err = <-s.ended
		s.Conn.Close() //nolint:errcheck // the other side has gone
		s.Client.CloseIdleConnections()
	})
	return s.err
}

// Basic is an Authorization header's value.
func Basic(user, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
}

// Dial opens a gRPC connection that sends authorization, unless it is empty,
// with every call. It is closed when the test ends.
func Dial(t testing.TB, addr, authorization string, options ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	with := func(ctx context.Context) context.Context {
		if authorization == "" {
			return ctx
		}
		return metadata.AppendToOutgoingContext(ctx, "authorization", authorization)
	}
	conn, err := grpc.NewClient("passthrough:///"+addr, append([]grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return invoke(with(ctx), method, req, reply, cc, opts...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, d *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return open(with(ctx), d, cc, method, opts...)
		}),
	}, options...)...)
	if err != nil {
		t.Fatalf("dial %s: %v", addr, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Context is a context that ends when the test has lost its patience.
func Context(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	return ctx
}

// Eventually polls until ok, and fails the test when that does not come.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s in vain: %s", Patience, what)
		}
	}
}
