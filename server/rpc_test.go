package server_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	reflectionv1 "google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

func structOf(t *testing.T, v object) *structpb.Struct {
	t.Helper()
	c, err := structpb.NewStruct(v)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// wantCode checks a status and its machine-readable reason.
func wantCode(t *testing.T, err error, code codes.Code, reason errs.Reason) {
	t.Helper()
	if status.Code(err) != code {
		t.Fatalf("got %v, want %s", err, code)
	}
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok && info.GetDomain() == errs.Domain {
			if info.GetReason() != string(reason) {
				t.Errorf("the reason is %s, want %s", info.GetReason(), reason)
			}
			return
		}
	}
	t.Errorf("%v carries no reason", err)
}

// add creates a service over gRPC.
func add(t *testing.T, c catalogv1.ServiceCatalogClient, s *catalogv1.Service) *catalogv1.Service {
	t.Helper()
	out, err := c.CreateService(servertest.Context(t), &catalogv1.CreateServiceRequest{Service: s})
	if err != nil {
		t.Fatal(err)
	}
	if !out.GetOk() {
		t.Error("ok is false")
	}
	return out.GetData()
}

// redisAt is a service at a loopback port.
func redisAt(t *testing.T, name string, port int) *catalogv1.Service {
	t.Helper()
	return &catalogv1.Service{Name: name, ServiceType: "redis", Config: structOf(t, object{"host": "127.0.0.1", "port": port, "password": "hidden-word"})}
}

// rpcTests has one test for each RPC of the catalogue.
var rpcTests = map[string]func(*testing.T, catalogv1.ServiceCatalogClient){
	"ListServices": rpcList, "CreateService": rpcCreate, "WatchServices": rpcWatch, "TestConfig": rpcTestConfig,
	"TestServices": rpcTestMany, "GetService": rpcGet, "UpdateService": rpcUpdate, "DeleteService": rpcDelete,
	"TestService": rpcTest, "ActivateService": rpcActivate, "DeactivateService": rpcActivate, "GetServiceHealth": rpcHealthHistory,
	"ListServiceVersions": rpcVersions, "RollbackService": rpcVersions, "ListServiceTypes": rpcTypes, "GetServiceType": rpcTypes,
	"GetHealth": rpcHealth,
}

func TestEveryRPC(t *testing.T) {
	t.Parallel()
	s := start(t)
	methods := catalogv1.File_backplane_catalog_v1_catalog_proto.Services().ByName("ServiceCatalog").Methods()
	var names []string
	for i := range methods.Len() {
		name := string(methods.Get(i).Name())
		names = append(names, name)
		test, ok := rpcTests[name]
		if !ok {
			t.Errorf("%s has no test", name)
			continue
		}
		t.Run(name, func(t *testing.T) { test(t, s.Catalog) })
	}
	for name := range rpcTests {
		if !slices.Contains(names, name) {
			t.Errorf("there is a test of %s, which does not exist", name)
		}
	}
}

func rpcCreate(t *testing.T, c catalogv1.ServiceCatalogClient) {
	ctx := servertest.Context(t)
	var header metadata.MD
	out, err := c.CreateService(ctx, &catalogv1.CreateServiceRequest{Service: &catalogv1.Service{
		Name: " made by rpc ", ServiceType: "redis", Config: structOf(t, object{"host": "cache", "password": "p"}),
		Enabled: proto.Bool(false), Description: "d", Tags: []string{"b", "a"}, Labels: map[string]string{"k": "v"},
		Check: &catalogv1.Check{Interval: durationpb.New(10 * time.Second)},
		Id:    unknownID, Version: 7, // set by the server alone
	}}, grpc.Header(&header))
	if err != nil {
		t.Fatal(err)
	}
	s := out.GetData()
	if s.GetName() != "made by rpc" || s.GetEnabled() || s.GetId() == unknownID || s.GetVersion() != 1 || !slices.Equal(s.GetSecretsSet(), []string{"password"}) {
		t.Errorf("created %v", s)
	}
	if s.GetConfig().GetFields()["port"].GetNumberValue() != 6379 || s.GetConfig().GetFields()["password"] != nil {
		t.Errorf("the configuration shown is %v", s.GetConfig())
	}
	if s.GetCheck().GetFailuresBeforeCritical() != 1 || !slices.Equal(s.GetTags(), []string{"b", "a"}) || !maps.Equal(s.GetLabels(), map[string]string{"k": "v"}) {
		t.Errorf("created %v", s)
	}
	if got := header.Get("etag"); !slices.Equal(got, []string{`"1"`}) {
		t.Errorf("etag is %v", got)
	}
	_, err = c.CreateService(ctx, &catalogv1.CreateServiceRequest{})
	wantCode(t, err, codes.InvalidArgument, errs.ValidationFailed)
	_, err = c.CreateService(ctx, &catalogv1.CreateServiceRequest{Service: redisAt(t, "MADE by RPC", 1)})
	wantCode(t, err, codes.AlreadyExists, errs.NameTaken)
	_, err = c.CreateService(ctx, &catalogv1.CreateServiceRequest{Service: redisAt(t, "verified", testbed.ClosedPort(t)), Verify: true})
	wantCode(t, err, codes.FailedPrecondition, errs.TestFailed)
	for _, d := range status.Convert(err).Details() {
		if r, ok := d.(*catalogv1.TestResult); ok && r.GetCode() == "refused" {
			return
		}
	}
	t.Errorf("the failed test is not among the details: %v", err)
}

func rpcList(t *testing.T, c catalogv1.ServiceCatalogClient) {
	ctx := servertest.Context(t)
	for _, name := range []string{"listed 1", "listed 2", "listed 3"} {
		s := redisAt(t, name, 1)
		s.Tags = []string{"listed"}
		add(t, c, s)
	}
	var names []string
	var header metadata.MD
	req := &catalogv1.ListServicesRequest{Limit: proto.Uint32(2), Tag: []string{"listed"}, ServiceType: "redis", Q: "LISTED", Status: "unknown", Enabled: proto.Bool(true)}
	for {
		page, err := c.ListServices(ctx, req, grpc.Header(&header))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.GetData() {
			names = append(names, s.GetName())
		}
		if page.NextCursor == nil {
			break
		}
		req.Cursor = page.GetNextCursor()
	}
	if !slices.Equal(names, []string{"listed 1", "listed 2", "listed 3"}) {
		t.Errorf("the pages hold %v", names)
	}
	if len(header.Get("x-index")) != 1 {
		t.Errorf("the header has no index: %v", header)
	}
	_, err := c.ListServices(ctx, &catalogv1.ListServicesRequest{Limit: proto.Uint32(0), Label: []string{"x"}})
	wantCode(t, err, codes.InvalidArgument, errs.BadRequest)
}

func rpcGet(t *testing.T, c catalogv1.ServiceCatalogClient) {
	ctx := servertest.Context(t)
	made := add(t, c, redisAt(t, "to get", 1))
	var header metadata.MD
	got, err := c.GetService(ctx, &catalogv1.GetServiceRequest{Id: made.GetId()}, grpc.Header(&header))
	if err != nil || !proto.Equal(got.GetData(), made) {
		t.Errorf("got %v, %v; want %v", got, err, made)
	}
	if !slices.Equal(header.Get("etag"), []string{`"1"`}) || len(header.Get("x-request-id")) != 1 {
		t.Errorf("the header is %v", header)
	}
	for _, id := range []string{"", "x", unknownID} {
		_, err = c.GetService(ctx, &catalogv1.GetServiceRequest{Id: id})
		wantCode(t, err, codes.NotFound, errs.NotFound)
	}
}

func rpcUpdate(t *testing.T, c catalogv1.ServiceCatalogClient) {
	ctx := servertest.Context(t)
	base := redisAt(t, "to update", 1)
	base.Description, base.Tags = "old", []string{"old"}
	id := add(t, c, base).GetId()
	update := func(want uint32, req *catalogv1.UpdateServiceRequest) *catalogv1.Service {
		t.Helper()
		req.Id = id
		out, err := c.UpdateService(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		if got := out.GetData().GetVersion(); got != want {
			t.Errorf("the version is %d, want %d", got, want)
		}
		return out.GetData()
	}
	// Without a mask, the fields that are set.
	s := update(2, &catalogv1.UpdateServiceRequest{Service: &catalogv1.Service{Name: "updated", Config: structOf(t, object{"host": "other"})}})
	if s.GetDescription() != "old" || s.GetConfig().GetFields()["port"].GetNumberValue() != 1 || !slices.Equal(s.GetSecretsSet(), []string{"password"}) {
		t.Errorf("what was absent did not stay: %v", s)
	}
	// With a mask, those that it names, even to their empty value.
	s = update(3, &catalogv1.UpdateServiceRequest{
		Service: &catalogv1.Service{Name: "not in the mask"}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"description", "tags", "enabled"}},
	})
	if s.GetName() != "updated" || s.GetDescription() != "" || len(s.GetTags()) > 0 || !s.GetEnabled() {
		t.Errorf("the mask was not followed: %v", s)
	}
	update(3, &catalogv1.UpdateServiceRequest{Service: &catalogv1.Service{Name: "updated"}, Etag: `"3"`})
	s = update(4, &catalogv1.UpdateServiceRequest{Service: &catalogv1.Service{Config: structOf(t, object{"host": "alone"})}, Replace: true})
	if s.GetConfig().GetFields()["port"].GetNumberValue() != 6379 || len(s.GetSecretsSet()) > 0 {
		t.Errorf("replace kept something: %v", s)
	}
	_, err := c.UpdateService(ctx, &catalogv1.UpdateServiceRequest{Id: id, Service: &catalogv1.Service{}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"nmae"}}})
	wantCode(t, err, codes.InvalidArgument, errs.ValidationFailed)
	_, err = c.UpdateService(ctx, &catalogv1.UpdateServiceRequest{Id: id, Service: &catalogv1.Service{Name: "x"}, Etag: "3"})
	wantCode(t, err, codes.Aborted, errs.VersionMismatch)
	_, err = c.UpdateService(ctx, &catalogv1.UpdateServiceRequest{Id: id, Service: &catalogv1.Service{ServiceType: "ftp"}})
	wantCode(t, err, codes.FailedPrecondition, errs.TypeImmutable)
	_, err = c.UpdateService(ctx, &catalogv1.UpdateServiceRequest{Id: id, Service: redisAt(t, "updated", testbed.ClosedPort(t)), Verify: true})
	wantCode(t, err, codes.FailedPrecondition, errs.TestFailed)
	_, err = c.UpdateService(ctx, &catalogv1.UpdateServiceRequest{Id: unknownID, Service: &catalogv1.Service{}})
	wantCode(t, err, codes.NotFound, errs.NotFound)
}

func rpcDelete(t *testing.T, c catalogv1.ServiceCatalogClient) {
	ctx := servertest.Context(t)
	id := add(t, c, redisAt(t, "to delete", 1)).GetId()
	_, err := c.DeleteService(ctx, &catalogv1.DeleteServiceRequest{Id: id, Etag: `"2"`})
	wantCode(t, err, codes.Aborted, errs.VersionMismatch)
	if out, err := c.DeleteService(ctx, &catalogv1.DeleteServiceRequest{Id: id, Etag: `"1"`}); err != nil || !out.GetOk() {
		t.Fatalf("delete: %v, %v", out, err)
	}
	_, err = c.DeleteService(ctx, &catalogv1.DeleteServiceRequest{Id: id})
	wantCode(t, err, codes.NotFound, errs.NotFound)
}

func rpcTest(t *testing.T, c catalogv1.ServiceCatalogClient) {
	ctx := servertest.Context(t)
	id := add(t, c, redisAt(t, "to test", testbed.ClosedPort(t))).GetId()
	out, err := c.TestService(ctx, &catalogv1.TestServiceRequest{Id: id, Timeout: 5})
	if err != nil {
		t.Fatal(err)
	}
	r := out.GetData()
	if r.GetConnected() || r.GetCode() != "refused" || r.GetStage() != "connect" || r.GetError() != "Connection refused" || r.Message != nil || r.GetCheckedAt() == nil {
		t.Errorf("the result is %v", r)
	}
	_, err = c.TestService(ctx, &catalogv1.TestServiceRequest{Id: id, Timeout: 31})
	wantCode(t, err, codes.InvalidArgument, errs.BadRequest)
	_, err = c.TestService(ctx, &catalogv1.TestServiceRequest{Id: unknownID})
	wantCode(t, err, codes.NotFound, errs.NotFound)
}

func rpcTestConfig(t *testing.T, c catalogv1.ServiceCatalogClient) {
	ctx := servertest.Context(t)
	server := testbed.StartRedis(t, testbed.RedisOptions{Password: "hidden-word"})
	stored := add(t, c, redisAt(t, "lender", 1))
	ask := func(s *catalogv1.Service) *catalogv1.TestResult {
		t.Helper()
		out, err := c.TestConfig(ctx, &catalogv1.TestConfigRequest{Service: s})
		if err != nil {
			t.Fatal(err)
		}
		return out.GetData()
	}
	if r := ask(redisAt(t, "", server.Port)); !r.GetConnected() || r.GetMessage() == "" || r.GetDetails().GetServerVersion() == "" {
		t.Errorf("a good configuration: %v", r)
	}
	bare := object{"host": "127.0.0.1", "port": server.Port}
	if r := ask(&catalogv1.Service{ServiceType: "redis", Config: structOf(t, bare)}); r.GetCode() != "auth_required" {
		t.Errorf("without the password: %v", r)
	}
	if r := ask(&catalogv1.Service{Id: stored.GetId(), Config: structOf(t, bare)}); !r.GetConnected() {
		t.Errorf("with the stored password: %v", r)
	}
	_, err := c.TestConfig(ctx, &catalogv1.TestConfigRequest{Service: &catalogv1.Service{ServiceType: "redis", Config: structOf(t, object{})}})
	wantCode(t, err, codes.InvalidArgument, errs.ValidationFailed)
	_, err = c.TestConfig(ctx, &catalogv1.TestConfigRequest{})
	wantCode(t, err, codes.InvalidArgument, errs.ValidationFailed)
	_, err = c.TestConfig(ctx, &catalogv1.TestConfigRequest{Service: &catalogv1.Service{Id: unknownID, Config: structOf(t, bare)}})
	wantCode(t, err, codes.NotFound, errs.NotFound)
}

func rpcTestMany(t *testing.T, c catalogv1.ServiceCatalogClient) {
	ctx := servertest.Context(t)
	for _, name := range []string{"batch 1", "batch 2", "batch off"} {
		s := redisAt(t, name, testbed.ClosedPort(t))
		s.Labels, s.Enabled = map[string]string{"batch": "yes"}, proto.Bool(name != "batch off")
		add(t, c, s)
	}
	out, err := c.TestServices(ctx, &catalogv1.TestServicesRequest{Label: []string{"batch=yes"}, ServiceType: "redis"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range out.GetData() {
		got = append(got, r.GetName()+" "+r.GetResult().GetCode())
	}
	if !slices.Equal(got, []string{"batch 1 refused", "batch 2 refused"}) {
		t.Errorf("the batch is %v", got)
	}
	_, err = c.TestServices(ctx, &catalogv1.TestServicesRequest{ServiceType: "nothing"})
	wantCode(t, err, codes.InvalidArgument, errs.BadRequest)
}

func rpcActivate(t *testing.T, c catalogv1.ServiceCatalogClient) {
	ctx := servertest.Context(t)
	s := add(t, c, redisAt(t, "switch "+t.Name()[strings.LastIndex(t.Name(), "/")+1:], 1))
	for range 2 { // the second time changes nothing
		off, err := c.DeactivateService(ctx, &catalogv1.DeactivateServiceRequest{Id: s.GetId()})
		if err != nil || off.GetData().GetActive() || off.GetData().GetName() != s.GetName() || off.GetData().GetMessage() == "" {
			t.Fatalf("deactivate: %v, %v", off, err)
		}
	}
	if got, err := c.GetService(ctx, &catalogv1.GetServiceRequest{Id: s.GetId()}); err != nil || got.GetData().GetActive() {
		t.Errorf("still active: %v, %v", got, err)
	}
	on, err := c.ActivateService(ctx, &catalogv1.ActivateServiceRequest{Id: s.GetId()})
	if err != nil || !on.GetData().GetActive() || on.GetData().GetServiceType() != "redis" {
		t.Fatalf("activate: %v, %v", on, err)
	}
	_, err = c.ActivateService(ctx, &catalogv1.ActivateServiceRequest{Id: unknownID})
	wantCode(t, err, codes.NotFound, errs.NotFound)
	_, err = c.DeactivateService(ctx, &catalogv1.DeactivateServiceRequest{Id: unknownID})
	wantCode(t, err, codes.NotFound, errs.NotFound)
	if _, err := c.UpdateService(ctx, &catalogv1.UpdateServiceRequest{Id: s.GetId(), Service: &catalogv1.Service{Enabled: proto.Bool(false)}}); err != nil {
		t.Fatal(err)
	}
	_, err = c.ActivateService(ctx, &catalogv1.ActivateServiceRequest{Id: s.GetId()})
	wantCode(t, err, codes.FailedPrecondition, errs.Disabled)
}

func rpcHealthHistory(t *testing.T, c catalogv1.ServiceCatalogClient) {
	ctx := servertest.Context(t)
	id := add(t, c, redisAt(t, "unwell", testbed.ClosedPort(t))).GetId()
	for range 3 {
		if _, err := c.TestService(ctx, &catalogv1.TestServiceRequest{Id: id}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := c.GetServiceHealth(ctx, &catalogv1.GetServiceHealthRequest{Id: id, Limit: 2})
	if err != nil {
		t.Fatal(err)
	}
	h := out.GetData()
	if h.GetHealth().GetStatus() != "critical" || h.GetHealth().GetConsecutiveFailures() != 3 || h.GetUptime()["1h"] != 0 || len(h.GetUptime()) != 3 || h.LatencyP50Ms != nil {
		t.Errorf("the history is %v", h)
	}
	if len(h.GetEntries()) != 2 || h.GetEntries()[0].GetId() <= h.GetEntries()[1].GetId() || h.GetEntries()[0].GetCode() != "refused" {
		t.Fatalf("the entries are %v", h.GetEntries())
	}
	rest, err := c.GetServiceHealth(ctx, &catalogv1.GetServiceHealthRequest{Id: id, Before: h.GetEntries()[1].GetId()})
	if err != nil || len(rest.GetData().GetEntries()) != 1 {
		t.Errorf("the rest is %v, %v", rest, err)
	}
	_, err = c.GetServiceHealth(ctx, &catalogv1.GetServiceHealthRequest{Id: id, Limit: 1001})
	wantCode(t, err, codes.InvalidArgument, errs.BadRequest)
	_, err = c.GetServiceHealth(ctx, &catalogv1.GetServiceHealthRequest{Id: unknownID})
	wantCode(t, err, codes.NotFound, errs.NotFound)
}

func rpcVersions(t *testing.T, c catalogv1.ServiceCatalogClient) {
	ctx := servertest.Context(t)
	name := "versioned " + t.Name()[strings.LastIndex(t.Name(), "/")+1:]
	id := add(t, c, redisAt(t, name, 1)).GetId()
	if _, err := c.UpdateService(ctx, &catalogv1.UpdateServiceRequest{Id: id, Service: &catalogv1.Service{Description: "second"}}); err != nil {
		t.Fatal(err)
	}
	out, err := c.ListServiceVersions(ctx, &catalogv1.ListServiceVersionsRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	v := out.GetData()
	if len(v) != 2 || v[0].GetVersion() != 2 || v[0].GetService().GetDescription() != "second" || v[1].GetService().GetDescription() != "" || v[0].GetCreatedBy() != "admin" {
		t.Errorf("the versions are %v", v)
	}
	back, err := c.RollbackService(ctx, &catalogv1.RollbackServiceRequest{Id: id, Version: 1})
	if err != nil || back.GetData().GetVersion() != 3 || back.GetData().GetDescription() != "" {
		t.Errorf("rolled back to %v, %v", back, err)
	}
	_, err = c.RollbackService(ctx, &catalogv1.RollbackServiceRequest{Id: id, Version: 9})
	wantCode(t, err, codes.InvalidArgument, errs.ValidationFailed)
	_, err = c.RollbackService(ctx, &catalogv1.RollbackServiceRequest{Id: unknownID, Version: 1})
	wantCode(t, err, codes.NotFound, errs.NotFound)
	_, err = c.ListServiceVersions(ctx, &catalogv1.ListServiceVersionsRequest{Id: unknownID})
	wantCode(t, err, codes.NotFound, errs.NotFound)
}

func rpcTypes(t *testing.T, c catalogv1.ServiceCatalogClient) {
	ctx := servertest.Context(t)
	all, err := c.ListServiceTypes(ctx, &catalogv1.ListServiceTypesRequest{})
	if err != nil || len(all.GetData()) != 9 {
		t.Fatalf("types: %v, %v", all, err)
	}
	one, err := c.GetServiceType(ctx, &catalogv1.GetServiceTypeRequest{ServiceType: "redis"})
	if err != nil || one.GetData().GetTitle() == "" || one.GetData().GetSchema().GetFields()["properties"] == nil {
		t.Errorf("redis: %v, %v", one, err)
	}
	_, err = c.GetServiceType(ctx, &catalogv1.GetServiceTypeRequest{ServiceType: "Redis"})
	wantCode(t, err, codes.NotFound, errs.NotFound)
}

func rpcHealth(t *testing.T, c catalogv1.ServiceCatalogClient) {
	out, err := c.GetHealth(servertest.Context(t), &catalogv1.GetHealthRequest{})
	if err != nil || out.GetStatus() != "healthy" || out.GetVersion() != servertest.Version {
		t.Errorf("health: %v, %v", out, err)
	}
}

func rpcWatch(t *testing.T, c catalogv1.ServiceCatalogClient) {
	ctx, cancel := context.WithCancel(servertest.Context(t))
	defer cancel()
	stream, err := c.WatchServices(ctx, &catalogv1.WatchServicesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if header, err := stream.Header(); err != nil || len(header.Get("x-index")) != 1 {
		t.Fatalf("the watch begins with %v, %v", header, err)
	}
	made := add(t, c, redisAt(t, "watched", 1))
	ev, err := stream.Recv()
	if err != nil || ev.GetEvent() != "created" || ev.GetIndex() == 0 || !proto.Equal(ev.GetService(), made) {
		t.Errorf("the event is %v, %v", ev, err)
	}
	cancel()
	if _, err := stream.Recv(); status.Code(err) != codes.Canceled {
		t.Errorf("a cancelled watch ends with %v", err)
	}
	ahead, err := c.WatchServices(servertest.Context(t), &catalogv1.WatchServicesRequest{Index: proto.Uint64(1 << 40)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = ahead.Recv()
	wantCode(t, err, codes.OutOfRange, errs.IndexGone)
}

// registered lists the methods of all services, as reflection tells them.
func registered(t *testing.T, s *servertest.Server) []string {
	t.Helper()
	stream, err := reflectionv1.NewServerReflectionClient(s.Conn).ServerReflectionInfo(servertest.Context(t))
	if err != nil {
		t.Fatal(err)
	}
	services := reflectAsk(t, stream, &reflectionv1.ServerReflectionRequest{MessageRequest: &reflectionv1.ServerReflectionRequest_ListServices{}}).GetListServicesResponse().GetService()
	var methods []string
	for _, svc := range services {
		files := reflectAsk(t, stream, &reflectionv1.ServerReflectionRequest{
			MessageRequest: &reflectionv1.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: svc.GetName()},
		}).GetFileDescriptorResponse().GetFileDescriptorProto()
		methods = append(methods, methodsOf(t, svc.GetName(), files)...)
	}
	if err := stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		t.Fatalf("reflection ends with %v", err)
	}
	if len(methods) < len(rpcTests) {
		t.Fatalf("reflection shows just %v", methods)
	}
	return methods
}

func reflectAsk(t *testing.T, stream reflectionv1.ServerReflection_ServerReflectionInfoClient, req *reflectionv1.ServerReflectionRequest) *reflectionv1.ServerReflectionResponse {
	t.Helper()
	if err := stream.Send(req); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if e := resp.GetErrorResponse(); e != nil {
		t.Fatalf("reflection: %v", e)
	}
	return resp
}

func TestHealthService(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := healthv1.NewHealthClient(servertest.Dial(t, s.GRPC, ""))
	out, err := c.Check(servertest.Context(t), &healthv1.HealthCheckRequest{})
	if err != nil || out.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("health: %v, %v", out, err)
	}
	watch, err := c.Watch(servertest.Context(t), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if first, err := watch.Recv(); err != nil || first.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		t.Fatalf("the watch begins with %v, %v", first, err)
	}
	s.Stop()
	if next, err := watch.Recv(); err != nil || next.GetStatus() != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("a draining server says %v, %v", next, err)
	}
}
