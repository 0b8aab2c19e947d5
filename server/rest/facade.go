// Package rest is the REST façade around grpc-gateway. It settles what differs
// between REST dialects (errors, content types, trailing slashes, aliases) and
// hands every request to an RPC over an in-process connection, through the
// same interceptors that gRPC callers pass.
package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/fullstorydev/grpchan"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/intercept"
)

// MaxBody is the largest request body in bytes.
const MaxBody = 1 << 20

// Options are what the façade needs.
type Options struct {
	// Conn reaches the RPCs, with their interceptors.
	Conn grpc.ClientConnInterface
	// Gate checks credentials first, so that a stranger's body is not even
	// read.
	Gate *auth.Gate
	// OpenAPI is the document to serve.
	OpenAPI []byte
	// Metrics serves /metrics.
	Metrics http.Handler
	// AllowPlaintext permits to hand out tokens without TLS where others may
	// read them.
	AllowPlaintext bool
	// TrustForwarded takes the scheme and host of links from X-Forwarded-Proto
	// and X-Forwarded-Host, as a proxy in front of the program sets them.
	TrustForwarded bool
	// ProxyForbids makes 403 of each 400 that a change through the proxy's API
	// is refused with, as its first version had it.
	ProxyForbids bool
	// PluginKind is the collection of the plugins of one kind; nil if there is
	// none of that name.
	PluginKind func(name string) *entity.Collection
	// Ready says why the program is not ready, or nil.
	Ready func(ctx context.Context) error
}

type facade struct {
	Options
	origin *http.CrossOriginProtection
	routes routes
	json   *strictJSON
	// muxes hold the generated handlers, by service: a mux tries each of its
	// patterns in turn.
	muxes map[string]*runtime.ServeMux
	watch map[string]watcher
	conn  grpc.ClientConnInterface

	identities identityv1.IdentityAdminClient
}

// New makes the handler of the REST address.
func New(ctx context.Context, o Options) (http.Handler, error) {
	f := &facade{Options: o, origin: http.NewCrossOriginProtection(), routes: loadRoutes("backplane."), json: newStrictJSON()}
	conn := grpchan.InterceptClientConn(o.Conn, fillMask, nil)
	services, identities := catalogv1.NewServiceCatalogClient(conn), identityv1.NewIdentityAdminClient(conn)
	databases, credentials := dbaasv1.NewDatabaseAdminClient(conn), dbaasv1.NewCredentialAdminClient(conn)
	proxies := proxyv1.NewProxyServiceClient(conn)
	f.identities, f.conn = identities, conn
	f.watch = map[string]watcher{
		catalogv1.ServiceCatalog_WatchServices_FullMethodName: watchServices(services),
		identityv1.IdentityAdmin_WatchAudit_FullMethodName:    watchAudit(identities),
		dbaasv1.DatabaseAdmin_WatchTasks_FullMethodName:       watchTasks(databases),
		proxyv1.ProxyService_WatchLogs_FullMethodName:         watchLogs(proxies),
	}
	catalogMux, identityMux, databaseMux, credentialMux, proxyMux := f.newMux(), f.newMux(), f.newMux(), f.newMux(), f.newMux()
	gatewayMux := f.newMux() // for what the catalogue's dialect serves: the others make their calls themselves
	f.muxes = map[string]*runtime.ServeMux{
		catalogv1.ServiceCatalog_ServiceDesc.ServiceName: catalogMux,
		identityv1.IdentityAdmin_ServiceDesc.ServiceName: identityMux,
		dbaasv1.DatabaseAdmin_ServiceDesc.ServiceName:    databaseMux,
		dbaasv1.CredentialAdmin_ServiceDesc.ServiceName:  credentialMux,
		proxyv1.ProxyService_ServiceDesc.ServiceName:     proxyMux,
		gatewayv1.GatewayService_ServiceDesc.ServiceName: gatewayMux,
	}
	for _, r := range f.routes {
		if f.muxes[r.service] == nil && !strings.HasPrefix(r.service, gatewayPackage) {
			return nil, fmt.Errorf("%s has no handlers", r.service)
		}
	}
	err := errors.Join(
		catalogv1.RegisterServiceCatalogHandlerClient(ctx, catalogMux, services),
		identityv1.RegisterIdentityAdminHandlerClient(ctx, identityMux, identities),
		dbaasv1.RegisterDatabaseAdminHandlerClient(ctx, databaseMux, databases),
		dbaasv1.RegisterCredentialAdminHandlerClient(ctx, credentialMux, credentials),
		proxyv1.RegisterProxyServiceHandlerClient(ctx, proxyMux, proxies),
		gatewayv1.RegisterGatewayServiceHandlerClient(ctx, gatewayMux, gatewayv1.NewGatewayServiceClient(conn)),
	)
	if err != nil {
		return nil, err
	}
	root := http.NewServeMux()
	root.HandleFunc("GET /healthz", live)
	root.HandleFunc("GET /readyz", f.readyz)
	root.Handle("GET /metrics", o.Metrics)
	root.HandleFunc("GET /openapi.json", f.openapi)
	docs(root)
	root.HandleFunc("/", f.serveAPI)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// Also for a body that nobody wants: net/http reads it to its end
			// before it answers.
			(&exchange{rc: http.NewResponseController(w)}).deadline(time.Now().Add(bodyTimeout))
		}
		if !clean(r.URL.Path) {
			f.serveAPI(w, r) // which finds nothing there; the router would redirect
			return
		}
		root.ServeHTTP(w, r)
	}), nil
}

// newMux makes a mux for the generated handlers of one service.
func (f *facade) newMux() *runtime.ServeMux {
	return runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.HTTPBodyMarshaler{Marshaler: f.json}),
		runtime.WithErrorHandler(f.callError),
		runtime.WithRoutingErrorHandler(f.routingError),
		runtime.WithIncomingHeaderMatcher(incomingHeader),
		runtime.WithMetadata(aboutRequest),
		runtime.WithForwardResponseOption(answerConnection),
		runtime.WithOutgoingHeaderMatcher(outgoingHeader),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
	)
}

// clean reports whether a path has no empty, "." or ".." element.
func clean(p string) bool { return p == "/" || path.Clean(p) == strings.TrimSuffix(p, "/") }

func (f *facade) serveAPI(w http.ResponseWriter, r *http.Request) {
	ctx, id := intercept.WithRequestID(r.Context(), r.Header.Get("X-Request-Id"))
	x := &exchange{
		Context: ctx, requestID: id, rc: http.NewResponseController(w), verb: r.Method, dialect: DialectOfRequest(r).speaker(),
	}
	r = r.WithContext(x)
	h := w.Header()
	h.Set("X-Request-Id", id)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")

	if err := f.checkOrigin(r); err != nil {
		f.writeError(w, r, err)
		return
	}
	x.loginOfCookie(r)
	if len(r.URL.Path) > 1 {
		r.URL.Path, r.URL.RawPath = strings.TrimSuffix(r.URL.Path, "/"), strings.TrimSuffix(r.URL.RawPath, "/")
	}
	x.dialect.serve(f, w, r, x)
}

// admit authenticates the caller ahead of the call. The request that it
// returns knows the caller.
func (f *facade) admit(r *http.Request) (*http.Request, error) {
	known, err := f.Gate.Admit(r.Context(), auth.Credentials{
		Authorization: r.Header.Get("Authorization"), KongToken: r.Header.Get("Kong-Admin-Token"), Address: auth.Host(r.RemoteAddr),
	})
	if err != nil {
		return r, err
	}
	return r.WithContext(known), nil
}

// forward hands a settled request to the RPC of its route.
func (f *facade) forward(w http.ResponseWriter, r *http.Request, route *route) {
	switch {
	case route.stream:
		f.serveEvents(w, r, f.watch[route.method])
		return
	case route.method == identityv1.IdentityAdmin_GetAuthToken_FullMethodName:
		f.serveToken(w, r)
		return
	}
	if r.Method == http.MethodGet && isConditional(r.Header) {
		w = &conditional{ResponseWriter: w, asked: r.Header}
	}
	f.muxes[route.service].ServeHTTP(w, r)
}

// checkOrigin refuses changes that pages of other sites ask for: a browser
// sends a login that it remembers along with them.
func (f *facade) checkOrigin(r *http.Request) error {
	if err := f.origin.Check(r); err != nil {
		return &errs.Error{Reason: errs.PermissionDenied, Message: "Changes asked for by pages of another site are refused", Err: err}
	}
	return nil
}

func live(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Write([]byte("ok\n")) //nolint:errcheck // the client has gone
}

func (f *facade) readyz(w http.ResponseWriter, r *http.Request) {
	if err := f.Ready(r.Context()); err != nil {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	live(w, r)
}
