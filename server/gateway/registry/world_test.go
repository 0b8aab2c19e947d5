package registry_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/builtin"
	"github.com/backplane/backplane/ent"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/telemetry"
	"github.com/backplane/backplane/server/gateway"
	"github.com/backplane/backplane/server/gateway/registry"
	"github.com/backplane/backplane/server/inproc"
	"github.com/backplane/backplane/server/intercept"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/store"
)

// patience is how long a test waits for what must come.
const patience = 60 * time.Second

// api is the GatewayService, as a server registers it.
type api struct {
	*gateway.Gateway
	*registry.Registry
}

// noCatalog is a catalogue without services.
type noCatalog struct{}

func (noCatalog) Backend(context.Context, uuid.UUID) (*ent.Service, connectors.Connector, connectors.Config, error) {
	return nil, nil, nil, io.EOF
}

// world is a registry over a store, a gateway and a data plane that serves.
type world struct {
	gatewayv1.GatewayServiceClient
	registry *registry.Registry
	gateway  *gateway.Gateway
	store    *store.Store
	addr     string // of the data plane
	client   *http.Client
}

// options are for tests that have refreshes run when they call for them.
type options = func(*registry.Options)

func newWorld(t *testing.T, adjust ...options) *world {
	return openWorld(t, "", t.TempDir(), adjust...)
}

func openWorld(t *testing.T, storeURL, dir string, adjust ...options) *world {
	t.Helper()
	st, err := store.Open(t.Context(), storeURL, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	ring, err := keys.Open(t.Context(), keys.Options{Store: st, Source: keys.Source{Command: []string{"echo", strings.Repeat("5a", 32)}}, Sealed: keys.All()})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	g := gateway.New(gateway.Options{Store: st, Keys: ring, Catalog: noCatalog{}, Modules: builtin.Modules(), Log: log, HashKey: []byte("key")})
	w := &world{gateway: g, store: st}
	w.serve(t, log)
	o := registry.Options{Store: st, Generator: g, Log: log, Enabled: true, Timeout: 10 * time.Second, Own: func() []netip.AddrPort {
		return []netip.AddrPort{netip.MustParseAddrPort(w.addr)}
	}}
	for _, f := range adjust {
		f(&o)
	}
	w.registry = registry.New(o)
	t.Cleanup(w.registry.Close)
	chain := intercept.Standard(log, telemetry.NewMetrics())
	conn := inproc.New(chain.Unary, chain.Stream)
	gatewayv1.RegisterGatewayServiceServer(conn, api{g, w.registry})
	w.GatewayServiceClient = gatewayv1.NewGatewayServiceClient(conn)
	return w
}

// serve starts the data plane.
func (w *world) serve(t *testing.T, log *slog.Logger) {
	t.Helper()
	plane, err := httpproxy.New(httpproxy.Options{HTTP: "127.0.0.1:0", Modules: builtin.Modules(), Logger: log, Drain: -1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	w.addr = plane.Addr().String()
	if err := w.gateway.Start(t.Context(), plane); err != nil {
		t.Fatal(err)
	}
	go func() { ended <- plane.Run(ctx) }()
	transport := &http.Transport{}
	w.client = &http.Client{Transport: transport, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// run has the registry refresh by itself until the end of the test.
func (w *world) run(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { w.registry.Run(ctx) })
	t.Cleanup(func() { stop(); all.Wait() })
}

// upstream is a service, whose document can be changed.
type upstream struct {
	*httptest.Server
	mu       sync.Mutex
	document http.HandlerFunc
	asked    int // how often the document was asked for
}

func newUpstream(t *testing.T, document http.HandlerFunc) *upstream {
	t.Helper()
	u := &upstream{document: document}
	u.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/openapi.json" {
			fmt.Fprintf(w, "%s %s", r.Method, r.URL.RequestURI())
			return
		}
		u.mu.Lock()
		u.asked++
		serve := u.document
		u.mu.Unlock()
		serve(w, r)
	}))
	t.Cleanup(func() { u.CloseClientConnections(); u.Server.Close() })
	return u
}

func (u *upstream) says(document http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.document = document
}

func (u *upstream) fetches() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked
}

func (u *upstream) port(t *testing.T) int32 {
	t.Helper()
	return portOf(t, u.URL)
}

func portOf(t *testing.T, address string) int32 {
	t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(at.Port())
	if err != nil {
		t.Fatal(err)
	}
	return int32(n)
}

// text answers with a text and a status.
func text(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body) //nolint:errcheck // who has gone does not read
	}
}

// document answers with one whose operations, such as "GET /items/", are exposed.
// Those that begin with "!" are protected, and those with "-" hidden.
func document(operations ...string) http.HandlerFunc {
	return text(http.StatusOK, documentOf(operations...))
}

func documentOf(operations ...string) string {
	var order []string
	paths := map[string][]string{}
	for _, o := range operations {
		tag := "open"
		switch o[0] {
		case '!':
			tag, o = "safe", o[1:]
		case '-':
			tag, o = "hidden", o[1:]
		}
		method, path, _ := strings.Cut(o, " ")
		if paths[path] == nil {
			order = append(order, path)
		}
		var parameters []string
		for part := range strings.SplitSeq(path, "{") {
			if name, _, ok := strings.Cut(part, "}"); ok {
				parameters = append(parameters, fmt.Sprintf(`{"name":%q,"in":"path","required":true,"schema":{"type":"string"}}`, name))
			}
		}
		paths[path] = append(paths[path], fmt.Sprintf(`%q:{"tags":[%q],"parameters":[%s],"responses":{"200":{"description":"OK"}}}`,
			strings.ToLower(method), tag, strings.Join(parameters, ",")))
	}
	items := make([]string, len(order))
	for i, path := range order {
		items[i] = fmt.Sprintf("%q:{%s}", path, strings.Join(paths[path], ","))
	}
	return `{"openapi":"3.1.0","info":{"title":"Shop","version":"1.2"},"tags":[{"name":"open","x-auto-generate-in-api-gateway":true},` +
		`{"name":"safe","x-auto-generate-in-api-gateway":true,"x-enable-auth-in-api-gateway":true},{"name":"hidden"}],"paths":{` + strings.Join(items, ",") + `}}`
}

// register registers a service and returns its number.
func (w *world) register(t *testing.T, name string, port int32) int64 {
	t.Helper()
	got, err := w.RegisterService(t.Context(), &gatewayv1.RegisterServiceRequest{Domain: "http://127.0.0.1", NameService: name, Port: &port})
	if err != nil {
		t.Fatalf("register %s: %v", name, err)
	}
	return got.GetRegistration().GetService().GetId()
}

func (w *world) refresh(t *testing.T) *gatewayv1.RefreshServicesResponse {
	t.Helper()
	out, err := w.RefreshServices(t.Context(), &gatewayv1.RefreshServicesRequest{})
	if err != nil {
		t.Fatalf("refresh: %v", err)
	}
	return out
}

func (w *world) details(t *testing.T, id int64) *gatewayv1.RegistrationDetails {
	t.Helper()
	out, err := w.GetRegistration(t.Context(), &gatewayv1.GetRegistrationRequest{IdService: id})
	if err != nil {
		t.Fatalf("service %d: %v", id, err)
	}
	return out
}

// get is what the data plane answers.
func (w *world) get(t *testing.T, method, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+w.addr+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, string(body)
}

// want checks what the data plane answers; any body is taken for "".
func (w *world) want(t *testing.T, method, path string, status int, body string) {
	t.Helper()
	if got, text := w.get(t, method, path); got != status || body != "" && text != body {
		t.Errorf("%s %s: %d %q, want %d %q", method, path, got, text, status, body)
	}
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s in vain: %s", patience, what)
		}
	}
}
