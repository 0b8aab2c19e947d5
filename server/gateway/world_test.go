package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/ent"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/telemetry"
	"github.com/backplane/backplane/server/gateway"
	"github.com/backplane/backplane/server/inproc"
	"github.com/backplane/backplane/server/intercept"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/store"
	"github.com/backplane/backplane/testbed"
)

type object = map[string]any

// stores makes stores of every kind.
func stores(t *testing.T) map[string]func(*testing.T) string {
	t.Helper()
	postgres, mariadb := testbed.StartPostgres(t, testbed.PostgresOptions{}), testbed.StartMariaDB(t, testbed.MariaDBOptions{})
	var mu sync.Mutex
	n := 0
	fresh := func() string {
		mu.Lock()
		defer mu.Unlock()
		n++
		return fmt.Sprintf("store%d", n)
	}
	return map[string]func(*testing.T) string{
		"SQLite": func(*testing.T) string { return "" },
		"PostgreSQL": func(t *testing.T) string {
			name := fresh()
			postgres.CreateDatabase(t, name, postgres.User)
			return postgres.AdminURL(name)
		},
		"MariaDB": func(t *testing.T) string {
			name := fresh()
			mariadb.Exec(t, "CREATE DATABASE "+name)
			u := url.URL{Scheme: "mysql", User: url.UserPassword(mariadb.User, mariadb.Password), Host: testbed.Addr(mariadb.Port), Path: "/" + name}
			return u.String()
		},
	}
}

// plane notes what it is configured with.
type plane struct {
	mu   sync.Mutex
	has  map[httpproxy.Key]any
	told int // how many entities it was told of, and of how many last
	last int
	// updates is how often it was told anything.
	updates int
	pages   map[string]*entity.Page
}

func (p *plane) Update(u httpproxy.Update) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if u.Reset {
		p.has = map[httpproxy.Key]any{}
	}
	for _, k := range u.Remove {
		delete(p.has, k)
	}
	p.last = len(u.Remove)
	put := func(kind httpproxy.Kind, id uuid.UUID, v any) {
		p.has[httpproxy.Key{Kind: kind, ID: id}] = v
		p.last++
	}
	p.updates++
	if u.Pages != nil {
		p.pages = map[string]*entity.Page{}
		each(u.Pages, func(v *entity.Page) { p.pages[v.Path] = v })
	}
	each(u.Put.Services, func(v *entity.Service) { put(httpproxy.Services, v.ID, v) })
	each(u.Put.Routes, func(v *entity.Route) { put(httpproxy.Routes, v.ID, v) })
	each(u.Put.Certificates, func(v *entity.Certificate) { put(httpproxy.Certificates, v.ID, v) })
	each(u.Put.SNIs, func(v *entity.SNI) { put(httpproxy.SNIs, v.ID, v) })
	each(u.Put.CACertificates, func(v *entity.CACertificate) { put(httpproxy.CACertificates, v.ID, v) })
	each(u.Put.Upstreams, func(v *entity.Upstream) { put(httpproxy.Upstreams, v.ID, v) })
	each(u.Put.Targets, func(v *entity.Target) { put(httpproxy.Targets, v.ID, v) })
	each(u.Put.Consumers, func(v *entity.Consumer) { put(httpproxy.Consumers, v.ID, v) })
	each(u.Put.Credentials, func(v *entity.Credential) { put(httpproxy.Kind(v.Kind), v.ID, v) })
	each(u.Put.Plugins, func(v *entity.Plugin) { put(httpproxy.Plugins, v.ID, v) })
	p.told += p.last
	return nil
}

func each[T any](all []T, f func(T)) {
	for _, v := range all {
		f(v)
	}
}

// state is what the plane has now, as JSON by key.
func (p *plane) state(t *testing.T) map[string]string {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]string{}
	for k, v := range p.has {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out[string(k.Kind)+" "+k.ID.String()] = string(text)
	}
	return out
}

// toldTimes is how often the plane was told anything.
func (p *plane) toldTimes() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.updates
}

// page is the body of a page, "" if there is none.
func (p *plane) page(path string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.pages[path]; v != nil {
		return string(v.Body)
	}
	return ""
}

// of is what the plane has under a key, nil for nothing.
func (p *plane) of(kind httpproxy.Kind, id string) any {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.has[httpproxy.Key{Kind: kind, ID: uuid.MustParse(id)}]
}

// catalog is a catalogue of one service.
type catalog struct {
	mu     sync.Mutex
	id     uuid.UUID
	config connectors.Config
}

var errGone = errors.New("it is not there")

func (c *catalog) Backend(_ context.Context, id uuid.UUID) (*ent.Service, connectors.Connector, connectors.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if id != c.id {
		return nil, nil, nil, errGone
	}
	return nil, nil, c.config, nil
}

// modules are plugins for tests.
func modules() []httpproxy.PluginModule {
	return []httpproxy.PluginModule{
		{Name: "limiter", Version: "1.2.3", Priority: 10, Config: schema.Record{Fields: []schema.Field{
			{Name: "minute", Type: schema.Integer}, {Name: "names", Type: schema.Array, Default: []any{"a"}, Elements: &schema.Field{Type: schema.String}},
			{Name: "redis", Type: schema.RecordT, Required: true, Fields: []schema.Field{
				{Name: "port", Type: schema.Integer, Default: 6379}, {Name: "password", Type: schema.String, Hidden: true},
			}},
		}}},
		{Name: "login", Version: "1.0.0", Priority: 20, NoConsumer: true},
	}
}

// world is an API on a store, with a data plane that only takes notes.
type world struct {
	*gateway.Gateway
	grpc.ClientConnInterface
	plane   *plane
	catalog *catalog
	store   *store.Store
	dir     string
}

// docsPage is a page that is served while there are stored ones.
func docsPage() *entity.Page {
	return &entity.Page{Path: "/docs/", ContentType: "text/html", Body: []byte("docs"), Header: map[string]string{"X-Page": "docs"}}
}

// newWorld opens a store, in a directory if it is not elsewhere.
func newWorld(t *testing.T, storeURL, dir string) *world {
	t.Helper()
	w := &world{plane: &plane{}, catalog: &catalog{}, dir: dir}
	var err error
	if w.store, err = store.Open(t.Context(), storeURL, dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	ring, err := keys.Open(t.Context(), keys.Options{Store: w.store, Source: keys.Source{Command: []string{"echo", strings.Repeat("5a", 32)}}, Sealed: keys.All()})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	w.Gateway = gateway.New(gateway.Options{Store: w.store, Keys: ring, Catalog: w.catalog, Modules: modules(), Log: log, HashKey: []byte("key"), Pages: []*entity.Page{docsPage()}})
	chain := intercept.Standard(log, telemetry.NewMetrics())
	conn := inproc.New(chain.Unary, chain.Stream)
	gatewayv1.RegisterGatewayServiceServer(conn, w.Gateway)
	gatewayv1.RegisterConsumerServiceServer(conn, w.Gateway)
	gatewayv1.RegisterNodeServiceServer(conn, w.Gateway)
	gatewayv1.RegisterDeclarationServiceServer(conn, w.Gateway)
	w.ClientConnInterface = conn
	if err := w.Start(t.Context(), w.plane); err != nil {
		t.Fatal(err)
	}
	return w
}

// follow has the world follow other processes until the end of the test, or of
// the function that it returns.
func (w *world) follow(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { w.Follow(ctx) })
	all.Go(func() { w.store.Follow(ctx, func(error) {}) })
	stop = func() { cancel(); all.Wait() }
	t.Cleanup(stop)
	return stop
}

// answer is what a call came to.
type answer struct {
	body   object
	err    error
	detail *gatewayv1.ErrorDetail
}

// call makes a call with a request in JSON.
func call(t *testing.T, conn grpc.ClientConnInterface, method, request string) answer {
	t.Helper()
	desc := methodOf(t, method)
	in, out := message(t, desc.Input()), message(t, desc.Output())
	if err := protojson.Unmarshal([]byte(request), in); err != nil {
		t.Fatalf("%s: %v: %s", method, err, request)
	}
	a := answer{body: object{}}
	a.err = conn.Invoke(t.Context(), "/"+string(desc.Parent().FullName())+"/"+method, in, out)
	if a.err != nil {
		for _, d := range status.Convert(a.err).Details() {
			if detail, ok := d.(*gatewayv1.ErrorDetail); ok {
				a.detail = detail
			}
		}
		return a
	}
	text, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(out)
	if err == nil {
		err = json.Unmarshal(text, &a.body)
	}
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	return a
}

func methodOf(t *testing.T, method string) protoreflect.MethodDescriptor {
	t.Helper()
	for _, service := range []string{"GatewayService", "ConsumerService", "NodeService"} {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName("backplane.gateway.v1." + service + "." + method))
		if err == nil {
			return d.(protoreflect.MethodDescriptor)
		}
	}
	t.Fatalf("there is no RPC %s", method)
	return nil
}

func message(t *testing.T, desc protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(desc.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return kind.New().Interface()
}

// must is call for what must succeed.
func must(t *testing.T, conn grpc.ClientConnInterface, method, request string) object {
	t.Helper()
	a := call(t, conn, method, request)
	if a.err != nil {
		t.Fatalf("%s %s: %v", method, request, a.err)
	}
	return a.body
}

// made is must for a document that is created; it returns the id.
func made(t *testing.T, conn grpc.ClientConnInterface, method, document string) string {
	t.Helper()
	return must(t, conn, method, `{"document":`+document+`}`)["id"].(string)
}

// holds checks that an object has values, given as JSON.
func holds(t *testing.T, what string, got object, want string) {
	t.Helper()
	for key, v := range parse(t, want) {
		if !reflect.DeepEqual(got[key], v) {
			t.Errorf("%s: %s is %v, want %v", what, key, got[key], v)
		}
	}
}

func parse(t *testing.T, text string) object {
	t.Helper()
	var out object
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return out
}

// said is a refusal as tests have it: the code of gRPC, the number of the admin
// API with its name, the message and the fields.
func said(a answer) string {
	if a.err == nil {
		return "OK"
	}
	st := status.Convert(a.err)
	out := st.Code().String()
	if a.detail != nil {
		out += fmt.Sprintf(" %d %s", a.detail.GetCode(), a.detail.GetName())
	}
	return out + ": " + st.Message()
}

// data are the entities on a page.
func data(page object) (out []object) {
	list, _ := page["data"].([]any)
	for _, v := range list {
		out = append(out, v.(object))
	}
	return out
}
