package gateway

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/ent/gatewaylabel"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
)

// apiVersion is the version of the admin API that is spoken.
const apiVersion = "3.10.0"

// GetNode implements the RPC.
func (g *Gateway) GetNode(ctx context.Context, _ *gatewayv1.GetNodeRequest) (*gatewayv1.Node, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	configured, err := g.configured(ctx)
	if err != nil {
		return nil, err
	}
	available, loaded := map[string]any{}, map[string]any{}
	for _, m := range g.Modules {
		available[m.Name] = map[string]any{"version": m.Version, "priority": m.Priority}
		loaded[m.Name] = true
	}
	pid := os.Getpid()
	out := &gatewayv1.Node{
		Version: apiVersion, Tagline: "Welcome to kong", Edition: "community", Hostname: host, NodeId: g.node.String(), LuaVersion: runtime.Version(),
		Plugins: &gatewayv1.NodePlugins{EnabledInCluster: configured},
	}
	for to, from := range map[**structpb.Struct]map[string]any{
		&out.Pids:                      {"master": pid, "workers": []any{pid}},
		&out.Timers:                    {"running": 0, "pending": 0},
		&out.Plugins.AvailableOnServer: available,
		&out.Configuration: {
			"database": "postgres", "router_flavor": "traditional_compatible", "role": "traditional", "loaded_plugins": loaded,
			"plugins": []any{"bundled"}, "version": apiVersion,
		},
	} {
		if *to, err = structpb.NewStruct(from); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// configured are the names of the plugins that there are instances of.
func (g *Gateway) configured(ctx context.Context) ([]string, error) {
	names, err := g.Store.GatewayLabel.Query().Where(gatewaylabel.Class(pluginLabel)).Order(gatewaylabel.ByValueKey()).
		Unique(true).Select(gatewaylabel.FieldValueKey).Strings(ctx)
	return append([]string{}, names...), err
}

// GetStatus implements the RPC.
func (g *Gateway) GetStatus(ctx context.Context, _ *gatewayv1.GetStatusRequest) (*gatewayv1.Status, error) {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	shown, err := structpb.NewStruct(map[string]any{
		"lua_shared_dicts": map[string]any{},
		"workers_lua_vms":  []any{map[string]any{"pid": os.Getpid(), "http_allocated_gc": fmt.Sprintf("%.2f MiB", float64(memory.HeapAlloc)/(1<<20))}},
	})
	return &gatewayv1.Status{
		Database: &gatewayv1.DatabaseStatus{Reachable: g.Store.Ping(ctx) == nil}, Server: g.counts(), Memory: shown,
	}, err
}

// ListEnabledPlugins implements the RPC.
func (g *Gateway) ListEnabledPlugins(context.Context, *gatewayv1.ListEnabledPluginsRequest) (*gatewayv1.ListEnabledPluginsResponse, error) {
	out := &gatewayv1.ListEnabledPluginsResponse{}
	for _, m := range g.Modules {
		out.EnabledPlugins = append(out.EnabledPlugins, m.Name)
	}
	slices.Sort(out.EnabledPlugins)
	return out, nil
}

// ListEndpoints implements the RPC.
func (g *Gateway) ListEndpoints(context.Context, *gatewayv1.ListEndpointsRequest) (*gatewayv1.ListEndpointsResponse, error) {
	out := &gatewayv1.ListEndpointsResponse{}
	for _, file := range []protoreflect.FileDescriptor{
		gatewayv1.File_backplane_gateway_v1_gateway_proto, gatewayv1.File_backplane_gateway_v1_consumers_proto, gatewayv1.File_backplane_gateway_v1_node_proto,
	} {
		methods := file.Services().Get(0).Methods()
		for i := range methods.Len() {
			rule, ok := proto.GetExtension(methods.Get(i).Options(), annotations.E_Http).(*annotations.HttpRule)
			if !ok {
				continue
			}
			for _, r := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
				out.Data = append(out.Data, endpoint(r.GetGet()), endpoint(r.GetPut()), endpoint(r.GetPost()), endpoint(r.GetDelete()))
			}
		}
	}
	slices.Sort(out.Data)
	out.Data = slices.Compact(out.Data)
	if out.Data[0] == "" {
		out.Data = out.Data[1:]
	}
	return out, nil
}

// endpoint is a path with its parameters named for the segments before them.
func endpoint(path string) string {
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if strings.HasPrefix(s, "{") && !strings.HasPrefix(segments[i-1], "{") {
			segments[i] = "{" + segments[i-1] + "}"
		}
	}
	return strings.Join(segments, "/")
}

// schemaNamed is the collection whose schema has a name.
func schemaNamed(name string) (*entity.Collection, error) {
	for _, c := range entity.Collections() {
		if c.SchemaName() == name || c.Name == name {
			return c, nil
		}
	}
	return nil, errs.New(errs.NotFound, "No entity named '%s'", name)
}

// GetSchema implements the RPC.
func (g *Gateway) GetSchema(_ context.Context, req *gatewayv1.GetSchemaRequest) (*structpb.Struct, error) {
	c, err := schemaNamed(req.GetEntity())
	if err != nil {
		return nil, err
	}
	return structpb.NewStruct(c.Record.Describe())
}

// GetPluginSchema implements the RPC.
func (g *Gateway) GetPluginSchema(_ context.Context, req *gatewayv1.GetPluginSchemaRequest) (*structpb.Struct, error) {
	c := g.kinds[req.GetName()]
	if c == nil {
		return nil, errs.New(errs.NotFound, "No plugin named '%s'", req.GetName())
	}
	return structpb.NewStruct(c.Record.Describe())
}

// GetPluginConfigSchema implements the RPC.
func (g *Gateway) GetPluginConfigSchema(_ context.Context, req *gatewayv1.GetPluginConfigSchemaRequest) (*structpb.Struct, error) {
	for i := range g.Modules {
		if g.Modules[i].Name == req.GetName() {
			return structpb.NewStruct(g.Modules[i].Config.Describe())
		}
	}
	return nil, errs.New(errs.NotFound, "No plugin named '%s'", req.GetName())
}

// ValidateEntity implements the RPC.
func (g *Gateway) ValidateEntity(_ context.Context, req *gatewayv1.ValidateEntityRequest) (*gatewayv1.ValidateEntityResponse, error) {
	c, err := schemaNamed(req.GetEntity())
	if err != nil {
		return nil, err
	}
	doc, ok := schema.Normal(req.GetDocument().AsInterface()).(map[string]any)
	if !ok && req.GetDocument() != nil {
		return nil, errs.New(errs.BadRequest, "Cannot parse JSON body")
	}
	if c, err = g.kindOf(c, doc); err != nil {
		return nil, err
	}
	if c.Name == certificates {
		if _, _, wrong := entity.TakeSNIs(plainMap(doc)); wrong != nil {
			return nil, invalid(wrong)
		}
	}
	if _, err := g.makeNew(c, doc, g.started); err != nil {
		return nil, err
	}
	return &gatewayv1.ValidateEntityResponse{Message: "schema validation successful"}, nil
}

// counts are the connections and requests of the data plane.
func (g *Gateway) counts() *gatewayv1.ServerStatus {
	p, ok := g.plane.(interface{ Statistics() httpproxy.Statistics })
	if !ok {
		return &gatewayv1.ServerStatus{}
	}
	n := p.Statistics()
	return &gatewayv1.ServerStatus{
		ConnectionsAccepted: n.Accepted, ConnectionsHandled: n.Handled, ConnectionsActive: n.Active, TotalRequests: n.Requests,
		ConnectionsReading: n.Reading, ConnectionsWriting: n.Writing, ConnectionsWaiting: max(0, n.Active-n.Reading-n.Writing),
	}
}
