// Package server is the control plane: it wires the store, the RPC servers and
// the REST façade together and runs them.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/builtin"
	proxymodules "github.com/backplane/backplane/dataplane/dbproxy/builtin"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/lifecycle"
	"github.com/backplane/backplane/internal/telemetry"
	"github.com/backplane/backplane/internal/tlsconf"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/catalog"
	"github.com/backplane/backplane/server/dbaas"
	"github.com/backplane/backplane/server/gateway"
	"github.com/backplane/backplane/server/gateway/registry"
	"github.com/backplane/backplane/server/identity"
	"github.com/backplane/backplane/server/inproc"
	"github.com/backplane/backplane/server/intercept"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/openapi"
	"github.com/backplane/backplane/server/proxy"
	"github.com/backplane/backplane/server/rest"
	"github.com/backplane/backplane/server/store"
)

const (
	// drainTimeout is how long calls under way may take to end.
	drainTimeout = 10 * time.Second
	// maxMessage is the largest gRPC request, like the largest REST body plus
	// what protobuf adds.
	maxMessage = rest.MaxBody + 64<<10
)

// Server is a wired but not yet running control plane.
type Server struct {
	conf    config.Config
	version string
	log     *slog.Logger
	metrics *telemetry.Metrics
	closers lifecycle.Stack

	store    *store.Store
	catalog  *catalog.Catalog
	dbaas    *dbaas.Admin
	proxy    *proxy.Proxy
	gateway  *gateway.Gateway
	registry *registry.Registry
	identity *identity.Identity
	keys     *keys.Keys
	auth     *auth.Authenticator
	gate     *auth.Gate
	health   *health.Server
	grpc     *grpc.Server
	http     *http.Server
	draining atomic.Bool

	// AdminPasswordFile holds the generated admin password; empty when the
	// password was given.
	AdminPasswordFile string
	// RESTAddr and GRPCAddr are the addresses really listened on, once
	// Started is closed.
	RESTAddr, GRPCAddr string
	// GatewayHTTP and GatewayHTTPS are the same for the HTTP gateway; empty where
	// it does not listen.
	GatewayHTTP, GatewayHTTPS string
	listening                 []netip.AddrPort // all of these
	started                   chan struct{}
	ending                    chan struct{} // closed when watches must end
}

// New opens the store and wires everything; it listens on nothing yet. What it
// opened is closed by Run, or by Close when Run is not called.
func New(ctx context.Context, conf config.Config, version string, logTo io.Writer) (_ *Server, err error) {
	level, err := conf.Level()
	if err != nil {
		return nil, err
	}
	lines := proxy.NewLines()
	s := &Server{
		conf: conf, version: version, log: slog.New(lines.Handler(telemetry.NewLogger(logTo, level).Handler())), metrics: telemetry.NewMetrics(),
		health: health.NewServer(), started: make(chan struct{}), ending: make(chan struct{}),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close(ctx))
		}
	}()
	dataDir, err := conf.EnsureDataDir()
	if err != nil {
		return nil, err
	}
	if s.store, err = store.Open(ctx, conf.Store, dataDir); err != nil {
		return nil, err
	}
	s.closers.Push("store", func(context.Context) error { return s.store.Close() })
	s.keys, err = keys.Open(ctx, keys.Options{Store: s.store, Source: keys.SourceOf(conf, dataDir), Sealed: keys.All()})
	if err != nil {
		return nil, err
	}
	if s.AdminPasswordFile, err = auth.EnsureAdmin(ctx, s.store, conf.AdminPassword, dataDir); err != nil {
		return nil, err
	}
	types, err := builtin.Registry()
	if err != nil {
		return nil, err
	}
	signer, err := openSigner(ctx, s.store, s.keys)
	if err != nil {
		return nil, err
	}
	s.auth = auth.New(auth.Options{Store: s.store.Client, Metrics: s.metrics, Log: s.log, Signer: signer})
	s.gate = auth.NewGate(s.auth, auth.Access(), conf.MaxCallsPerSecond, conf.MaxCallsAtOnce)
	s.identity = identity.New(identity.Options{Store: s.store, Auth: s.auth, Keys: s.keys, Ending: s.ending})
	s.catalog, err = catalog.New(catalog.Options{
		Store: s.store, Registry: types, Keys: s.keys, Metrics: s.metrics, Log: s.log, Version: version,
		RequireSecretOnRetarget: conf.RequireSecretOnRetarget,
		Env: connectors.Env{
			FileRoots: conf.FileRoots, Deny: conf.DenyTargets,
			FileDeny: ownFiles(conf, dataDir),
		},
	})
	if err != nil {
		return nil, err
	}
	ownDatabase, ownUser := ownStore(conf.Store)
	s.dbaas = dbaas.New(dbaas.Options{
		Store: s.store, Registry: types, Env: connectors.Env{Deny: conf.DenyTargets}, Keys: s.keys, Catalog: s.catalog, Projects: s.identity,
		Metrics: s.metrics, Log: s.log, DataDir: dataDir, Retention: conf.QuarantineRetention, Ending: s.ending,
		OwnDatabase: ownDatabase, OwnUser: ownUser,
	})
	s.proxy, err = proxy.New(proxy.Options{
		Store: s.store, Keys: s.keys, Catalog: s.catalog, Users: s.identity, Modules: proxymodules.Modules(), Log: s.log, Lines: lines,
		Dir: filepath.Join(dataDir, "proxy"), Version: version, Ending: s.ending,
	})
	if err != nil {
		return nil, err
	}
	s.closers.Push("database proxy", func(context.Context) error { return s.proxy.Close() })
	if err := s.metrics.Registry.Register(s.proxy.Plane()); err != nil {
		return nil, err
	}
	if s.gateway, err = s.newGateway(ctx); err != nil {
		return nil, err
	}
	if s.registry, err = s.newRegistry(); err != nil {
		return nil, err
	}
	return s, s.wire(ctx, types)
}

// ownStore is the database that the program itself works on, and its login
// there.
func ownStore(rawURL string) (database, user string) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "", ""
	}
	return strings.Trim(u.Path, "/"), u.User.Username()
}

// ownFiles are what no service's configuration may name: the store and the
// keys of the program itself.
func ownFiles(conf config.Config, dataDir string) []string {
	files := []string{dataDir}
	for _, own := range []string{conf.MasterKeyFile, conf.REST().TLS.Key, conf.GRPC().TLS.Key} {
		if path, err := filepath.Abs(own); own != "" && err == nil {
			files = append(files, path)
		}
	}
	return files
}

// wire registers the APIs on gRPC and, through the same interceptors, on the
// in-process connection of the façade.
func (s *Server) wire(ctx context.Context, types *connectors.Registry) error {
	chain := intercept.Standard(s.log, s.metrics, s.gate.Intercept)
	s.grpc = grpc.NewServer(
		grpc.UnaryInterceptor(chain.Unary), grpc.StreamInterceptor(chain.Stream),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxHeaderListSize(uint32(s.conf.MaxHeaderBytes)), grpc.MaxConcurrentStreams(1000),
		grpc.ConnectionTimeout(10*time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 2 * time.Minute, Timeout: 20 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 20 * time.Second, PermitWithoutStream: true}),
	)
	inProcess := inproc.New(chain.Unary, chain.Stream)
	for _, r := range []grpc.ServiceRegistrar{s.grpc, inProcess} {
		catalogv1.RegisterServiceCatalogServer(r, s.catalog)
		identityv1.RegisterIdentityAdminServer(r, s.identity)
		dbaasv1.RegisterDatabaseAdminServer(r, s.dbaas)
		dbaasv1.RegisterCredentialAdminServer(r, s.dbaas)
		proxyv1.RegisterProxyServiceServer(r, s.proxy)
		gatewayv1.RegisterGatewayServiceServer(r, gatewayService{s.gateway, s.registry})
		gatewayv1.RegisterConsumerServiceServer(r, s.gateway)
		gatewayv1.RegisterNodeServiceServer(r, s.gateway)
		gatewayv1.RegisterDeclarationServiceServer(r, s.gateway)
	}
	healthv1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	if err := auth.Complete(auth.Access(), s.grpc.GetServiceInfo()); err != nil {
		return err
	}

	doc, err := openapi.Build(s.version, s.gate.Public, types)
	if err != nil {
		return err
	}
	handler, err := rest.New(ctx, rest.Options{
		Conn:    inProcess,
		Gate:    s.gate,
		OpenAPI: doc,
		Metrics: promhttp.HandlerFor(s.metrics.Registry, promhttp.HandlerOpts{}),
		Ready:   s.ready,

		AllowPlaintext: s.conf.AllowPlaintext,
		TrustForwarded: s.conf.TrustForwarded,
		ProxyForbids:   s.conf.ProxyForbids,
		PluginKind:     s.gateway.Kind,
	})
	if err != nil {
		return err
	}
	s.http = &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: s.conf.MaxHeaderBytes,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	return nil
}

// ready says why the program should get no traffic.
func (s *Server) ready(ctx context.Context) error {
	if s.draining.Load() {
		return errors.New("shutting down")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	return s.store.Ping(ctx)
}

// Started is closed once the server accepts calls.
func (s *Server) Started() <-chan struct{} { return s.started }

// Close closes what New opened, when Run is not called.
func (s *Server) Close(ctx context.Context) error { return s.closers.Close(ctx) }

// Run serves until ctx ends, then drains: readiness falls, listeners close,
// calls under way end or are cut after a while, and the store is closed last.
func (s *Server) Run(ctx context.Context) (err error) {
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
		defer cancel()
		err = errors.Join(err, s.Close(end))
	}()
	restListener, err := s.listen(ctx, s.conf.REST(), "h2", "http/1.1")
	if err != nil {
		return err
	}
	grpcListener, err := s.listen(ctx, s.conf.GRPC(), "h2")
	if err != nil {
		return errors.Join(err, restListener.Close())
	}
	if err := s.proxy.Start(ctx); err != nil {
		return errors.Join(err, restListener.Close(), grpcListener.Close())
	}
	plane, err := s.startGateway(ctx)
	if err != nil {
		return errors.Join(err, restListener.Close(), grpcListener.Close())
	}
	for _, addr := range []net.Addr{restListener.Addr(), grpcListener.Addr(), plane.Addr(), plane.TLSAddr()} {
		s.listening = withAddress(s.listening, addr)
	}
	s.RESTAddr, s.GRPCAddr = restListener.Addr().String(), grpcListener.Addr().String()

	work, stop := context.WithCancelCause(ctx)
	// Requests outlive ctx by the time they are given to end.
	open, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	s.http.BaseContext = func(net.Listener) context.Context { return open }
	var all sync.WaitGroup
	all.Go(func() { restListener.Run(work) })
	all.Go(func() { grpcListener.Run(work) })
	all.Go(func() { s.forgetLogins(work) })
	all.Go(func() { s.keys.Run(work, func(err error) { s.log.Error("look after the keys", "error", err) }) })
	all.Go(func() { s.store.Follow(work, func(err error) { s.log.Error("follow the store", "error", err) }) })
	all.Go(func() { s.catalog.Monitor(work) })
	all.Go(func() { s.dbaas.Run(work) })
	all.Go(func() { s.proxy.Run(work) })
	all.Go(func() { s.gateway.Follow(work) })
	all.Go(func() { s.registry.Run(work) })
	all.Go(func() {
		if err := plane.Run(work); err != nil {
			s.log.Error("end the HTTP gateway", "error", err)
		}
	})
	all.Go(func() {
		if err := s.grpc.Serve(grpcListener); err != nil {
			stop(fmt.Errorf("serve gRPC: %w", err))
		}
	})
	all.Go(func() {
		if err := s.http.Serve(restListener); !errors.Is(err, http.ErrServerClosed) {
			stop(fmt.Errorf("serve REST: %w", err))
		}
	})
	s.log.Info("serving", "rest", s.RESTAddr, "grpc", s.GRPCAddr, "gateway", s.GatewayHTTP, "gateway_tls", s.GatewayHTTPS, "version", s.version)
	close(s.started)
	<-work.Done()
	if cause := context.Cause(work); !errors.Is(cause, context.Canceled) {
		err = cause
	}
	s.draining.Store(true)
	s.health.Shutdown()
	s.log.Info("draining")
	s.catalog.EndWatches()
	close(s.ending)
	s.drain(open, cut)
	stop(nil)
	all.Wait()
	return err
}

func (s *Server) listen(ctx context.Context, l config.Listener, protocols ...string) (*tlsconf.Listener, error) {
	listener, err := tlsconf.Listen(ctx, l.Addr, tlsconf.Options{Name: l.Name, Files: l.TLS, Protocols: protocols, AllowPlaintext: s.conf.AllowPlaintext, Log: s.log})
	if err != nil {
		return nil, fmt.Errorf("--%s-addr: %w", l.Name, err)
	}
	return listener, nil
}

// forgetLogins makes this process check its callers anew when another one has
// changed users, tokens or projects.
func (s *Server) forgetLogins(ctx context.Context) {
	if s.store.Exclusive() {
		return // every change is made here, and forgets by itself
	}
	at := uint64(0)
	for {
		if err := s.store.AwaitChange(ctx, at); err != nil {
			return
		}
		current, _, err := s.store.CurrentRevision(ctx)
		changes, more := s.store.ChangesAfter(ctx, at, 1000)
		if err = errors.Join(err, more); err != nil {
			s.log.Error("follow changes of users", "error", err)
			s.auth.Forget() // better slow than wrong
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
			continue
		}
		if len(changes) == 0 {
			at = max(at, current) // there was none yet, or they are not kept any more
			s.auth.Forget()
		}
		for _, ch := range changes {
			if at = ch.ID; ch.Event == store.IdentityEvent {
				s.auth.Forget()
			}
		}
	}
}

// drain lets calls under way end, and cuts what is left after a while.
func (s *Server) drain(ctx context.Context, cut func()) {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	var both sync.WaitGroup
	both.Go(func() {
		if err := s.http.Shutdown(ctx); err != nil {
			cut()
			s.http.Close() //nolint:errcheck // connections that did not end in time
		}
	})
	both.Go(func() {
		done := make(chan struct{})
		go func() { s.grpc.GracefulStop(); close(done) }()
		select {
		case <-done:
		case <-ctx.Done():
			s.grpc.Stop()
			<-done
		}
	})
	both.Wait()
}
