// Package rest is the REST façade around grpc-gateway. It settles what differs
// between REST dialects (errors, content types, trailing slashes, aliases) and
// hands every request to an RPC over an in-process connection, through the
// same interceptors that gRPC callers pass.
package rest

import (
	"context"
	"net/http"
	"path"
	"strings"

	"github.com/fullstorydev/grpchan"
	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/intercept"
)

// MaxBody is the largest request body in bytes.
const MaxBody = 1 << 20

// Options are what the façade needs.
type Options struct {
	// Conn reaches the RPCs, with their interceptors.
	Conn grpc.ClientConnInterface
	// Authenticate checks an Authorization header, so that a stranger's body
	// is not even read, and returns a context in which the interceptors know
	// the caller.
	Authenticate func(ctx context.Context, header string) (context.Context, error)
	// Public lists the RPCs that need no login, by full method name.
	Public []string
	// OpenAPI is the document to serve.
	OpenAPI []byte
	// Metrics serves /metrics.
	Metrics http.Handler
	// Ready says why the program is not ready, or nil.
	Ready func(ctx context.Context) error
}

type facade struct {
	Options
	origin *http.CrossOriginProtection
	routes routes
	public map[string]bool
	json   *strictJSON
	mux    *runtime.ServeMux
	client catalogv1.ServiceCatalogClient
}

// New makes the handler of the REST address.
func New(ctx context.Context, o Options) (http.Handler, error) {
	f := &facade{Options: o, origin: http.NewCrossOriginProtection(), routes: loadRoutes("backplane."), public: map[string]bool{}, json: newStrictJSON()}
	for _, m := range o.Public {
		f.public[m] = true
	}
	f.mux = runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.HTTPBodyMarshaler{Marshaler: f.json}),
		runtime.WithErrorHandler(f.callError),
		runtime.WithRoutingErrorHandler(f.routingError),
		runtime.WithIncomingHeaderMatcher(incomingHeader),
		runtime.WithOutgoingHeaderMatcher(outgoingHeader),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
	)
	conn := grpchan.InterceptClientConn(o.Conn, fillMask, nil)
	f.client = catalogv1.NewServiceCatalogClient(conn)
	if err := catalogv1.RegisterServiceCatalogHandlerClient(ctx, f.mux, f.client); err != nil {
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
		if !clean(r.URL.Path) {
			f.serveAPI(w, r) // which finds nothing there; the router would redirect
			return
		}
		root.ServeHTTP(w, r)
	}), nil
}

// clean reports whether a path has no empty, "." or ".." element.
func clean(p string) bool { return p == "/" || path.Clean(p) == strings.TrimSuffix(p, "/") }

func passRequestID(ctx context.Context, _ *http.Request) metadata.MD {
	if e := exchangeOf(ctx); e != nil {
		return metadata.Pairs(intercept.RequestIDHeader, e.requestID)
	}
	return nil
}

func (f *facade) serveAPI(w http.ResponseWriter, r *http.Request) {
	ctx, id := intercept.WithRequestID(r.Context(), r.Header.Get("X-Request-Id"))
	e := &exchange{requestID: id, rc: http.NewResponseController(w)}
	r = r.WithContext(context.WithValue(ctx, exchangeKey{}, e))
	h := w.Header()
	h.Set("X-Request-Id", id)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")

	// A browser sends a login that it remembers with what other sites ask for.
	if err := f.origin.Check(r); err != nil {
		f.writeError(w, r, &errs.Error{Reason: errs.PermissionDenied, Message: "Changes asked for by pages of another site are refused", Err: err})
		return
	}
	verb := r.Method
	if verb == http.MethodHead {
		verb = http.MethodGet // net/http leaves the body out
	}
	if len(r.URL.Path) > 1 {
		r.URL.Path, r.URL.RawPath = strings.TrimSuffix(r.URL.Path, "/"), strings.TrimSuffix(r.URL.RawPath, "/")
	}
	route, allow, err := f.routes.find(verb, r.URL.EscapedPath())
	if err != nil {
		if allow != nil {
			h.Set("Allow", strings.Join(allow, ", "))
		}
		f.writeError(w, r, err)
		return
	}
	if !f.public[route.method] {
		known, err := f.Authenticate(r.Context(), r.Header.Get("Authorization"))
		if err != nil {
			f.writeError(w, r, err)
			return
		}
		r = r.WithContext(known)
	}
	if err := route.checkQuery(r.URL.RawQuery); err != nil {
		f.writeError(w, r, err)
		return
	}
	if route.body {
		if err := checkContentType(r); err != nil {
			f.writeError(w, r, err)
			return
		}
	}
	r.Method = verb
	r.Body = &body{http.MaxBytesReader(w, r.Body, MaxBody), e}
	if route.stream {
		f.serveEvents(w, r)
		return
	}
	if tag := r.Header.Get("If-None-Match"); tag != "" && verb == http.MethodGet {
		w = &conditional{ResponseWriter: w, want: tag}
	}
	f.mux.ServeHTTP(w, r)
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
