package rest

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/backplane/backplane/ent/schema"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/internal/telemetry"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/dbaas"
	"github.com/backplane/backplane/server/inproc"
	"github.com/backplane/backplane/server/intercept"
	"github.com/backplane/backplane/server/store"
)

const fakePassword = "123456"

// fake stands in for the RPCs of databases as a service and of the proxy: it
// answers every call as it is told to, and keeps what it got.
type fake struct {
	dbaasv1.UnimplementedDatabaseAdminServer
	dbaasv1.UnimplementedCredentialAdminServer

	mu       sync.Mutex
	answer   proto.Message // nil: an empty one
	location string
	header   metadata.MD // of the answer
	err      error

	method string
	got    proto.Message
	url    string
	asked  metadata.MD

	watch  func(*dbaasv1.WatchTasksRequest, grpc.ServerStreamingServer[dbaasv1.WatchTasksResponse]) error
	follow func(*proxyv1.WatchLogsRequest, grpc.ServerStreamingServer[proxyv1.LogLine]) error
}

// unary answers every unary call.
func (f *fake) unary(ctx context.Context, req any, method string) (any, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.method, f.got, f.url = method, proto.Clone(req.(proto.Message)), told(ctx)
	f.asked, _ = metadata.FromIncomingContext(ctx)
	if err := grpc.SetHeader(ctx, f.header); err != nil {
		return nil, err
	}
	if f.location != "" {
		if err := grpc.SetHeader(ctx, metadata.Pairs("location", f.location)); err != nil {
			return nil, err
		}
	}
	if f.err != nil {
		return nil, f.err
	}
	if f.answer != nil {
		return f.answer, nil
	}
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(strings.ReplaceAll(method[1:], "/", ".")))
	if err != nil {
		return nil, err
	}
	t, err := protoregistry.GlobalTypes.FindMessageByName(d.(protoreflect.MethodDescriptor).Output().FullName())
	if err != nil {
		return nil, err
	}
	return t.New().Interface(), nil
}

func told(ctx context.Context) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return strings.Join(md.Get(dbaas.RequestURLKey), " ")
}

// WatchTasks implements the RPC.
func (f *fake) WatchTasks(req *dbaasv1.WatchTasksRequest, s grpc.ServerStreamingServer[dbaasv1.WatchTasksResponse]) error {
	f.mu.Lock()
	f.got, f.url = req, told(s.Context())
	watch := f.watch
	f.mu.Unlock()
	return watch(req, s)
}

// proxyFake has the streams of the proxy.
type proxyFake struct {
	proxyv1.UnimplementedProxyServiceServer
	fake *fake
}

// WatchLogs implements the RPC.
func (p *proxyFake) WatchLogs(req *proxyv1.WatchLogsRequest, s grpc.ServerStreamingServer[proxyv1.LogLine]) error {
	p.fake.mu.Lock()
	follow := p.fake.follow
	p.fake.mu.Unlock()
	return follow(req, s)
}

// says makes the next calls answer so.
func (f *fake) says(answer proto.Message, location string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer, f.location, f.err, f.header = answer, location, err, nil
	f.method, f.got, f.url = "", nil, ""
}

// tells makes the next calls tell names and values in turn beside the answer.
func (f *fake) tells(kv ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.header = metadata.Pairs(kv...)
}

// last is what the last call was.
func (f *fake) last() (method string, got proto.Message, url string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.method[strings.LastIndex(f.method, "/")+1:], f.got, f.url
}

// facadeOf serves the façade in front of a fake, with one user, admin.
func facadeOf(t testing.TB, f *fake, adjust func(*Options)) *httptest.Server {
	t.Helper()
	st, err := store.Open(t.Context(), "", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	admin := st.Client.User.Create().SetUsername(auth.AdminUser).SetPasswordHash(auth.HashPassword(fakePassword)).SetCreatedAt(1)
	if err := admin.SetRoles([]schema.RoleBinding{{Role: string(auth.Admin)}}).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	metrics, log := telemetry.NewMetrics(), slog.New(slog.DiscardHandler)
	table := auth.Access()
	for method := range table {
		if strings.HasPrefix(method, "/backplane.dbaas.") {
			table[method] = auth.Rule{Reach: auth.Anyone, Role: auth.Viewer}
		}
	}
	for _, r := range loadRoutes("backplane.proxy.") {
		table[r.method] = auth.Rule{Reach: auth.Anyone, Role: auth.Viewer}
	}
	gate := auth.NewGate(auth.New(auth.Options{Store: st.Client, Metrics: metrics, Log: log}), table, 0, 0)
	chain := intercept.Standard(log, metrics, gate.Intercept)
	conn := inproc.New(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, _ grpc.UnaryHandler) (any, error) {
		return chain.Unary(ctx, req, info, func(ctx context.Context, req any) (any, error) { return f.unary(ctx, req, info.FullMethod) })
	}, chain.Stream)
	dbaasv1.RegisterDatabaseAdminServer(conn, f)
	dbaasv1.RegisterCredentialAdminServer(conn, f)
	proxyv1.RegisterProxyServiceServer(conn, &proxyFake{fake: f})
	gatewayv1.RegisterGatewayServiceServer(conn, gatewayv1.UnimplementedGatewayServiceServer{})
	gatewayv1.RegisterConsumerServiceServer(conn, gatewayv1.UnimplementedConsumerServiceServer{})
	gatewayv1.RegisterNodeServiceServer(conn, gatewayv1.UnimplementedNodeServiceServer{})
	o := Options{Conn: conn, Gate: gate, Metrics: http.NotFoundHandler(), Ready: func(context.Context) error { return nil }}
	if adjust != nil {
		adjust(&o)
	}
	handler, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

// answer is what a request was answered.
type answer struct {
	status int
	header http.Header
	body   string
}

// ask sends a request as the admin. headers are names and values in turn; an
// empty value leaves one out.
func ask(t testing.TB, s *httptest.Server, method, path, body string, headers ...string) answer {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, content)
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth(auth.AdminUser, fakePassword)
	r.Host = "localhost:8000"
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		switch {
		case headers[i] == "Host":
			r.Host = headers[i+1]
		case headers[i+1] == "":
			r.Header.Del(headers[i])
		default:
			r.Header.Set(headers[i], headers[i+1])
		}
	}
	resp, err := s.Client().Transport.RoundTrip(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{resp.StatusCode, resp.Header, string(text)}
}

// wantAnswer compares an answer with what it must be, byte for byte.
func wantAnswer(t testing.TB, what string, a answer, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body {
		t.Errorf("%s: %d\n%s\nwant %d\n%s", what, a.status, a.body, status, body)
	}
}

// failure is an error body of a request.
func failure(path, rest string) string {
	return `{"_links":{"self":"http://localhost:8000` + path + `"},` + rest + `}`
}

// faultsAre is an error of fields, as an RPC makes it.
func faultsAre(pathsAndMessages ...string) error {
	var out []errs.Field
	for i := 0; i+1 < len(pathsAndMessages); i += 2 {
		out = append(out, errs.Field{Path: pathsAndMessages[i], Message: pathsAndMessages[i+1]})
	}
	return errs.Invalid(out...)
}
