package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/reflection/grpc_reflection_v1alpha" // its messages
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/backplane/backplane/server/dbaas"
	"github.com/backplane/backplane/server/servertest"
)

// rpc is a call that can be made over both transports.
type rpc struct {
	method  string
	desc    protoreflect.MethodDescriptor
	request proto.Message
}

// newRPC makes a call of the method from a request in JSON.
func newRPC(t *testing.T, method, request string) *rpc {
	t.Helper()
	name := strings.ReplaceAll(strings.TrimPrefix(method, "/"), "/", ".")
	found, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
	desc := found.(protoreflect.MethodDescriptor)
	r := &rpc{method: method, desc: desc, request: emptyMessage(t, desc.Input())}
	if err := protojson.Unmarshal([]byte(request), r.request); err != nil {
		t.Fatalf("%s: %v: %s", method, err, request)
	}
	return r
}

func emptyMessage(t *testing.T, desc protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(desc.FullName())
	if err != nil {
		t.Fatal(err)
	}
	return kind.New().Interface()
}

// httpStatus says in HTTP what a gRPC status says. A request that makes no sense
// is 422 to the catalogue, and 400 to databases as a service.
var httpStatus = map[codes.Code]string{
	codes.OK: "200", codes.Unauthenticated: "401", codes.PermissionDenied: "403", codes.NotFound: "404", codes.InvalidArgument: "422",
}

// ofDatabases reports whether the RPC is one of databases as a service.
func (r *rpc) ofDatabases() bool { return r.desc.ParentFile().Package() == "backplane.dbaas.v1" }

// overGRPC makes the call and returns its outcome as an HTTP status. A stream
// is given up once it has begun.
func (r *rpc) overGRPC(t *testing.T, conn *grpc.ClientConn) string {
	t.Helper()
	ctx, cancel := context.WithCancel(servertest.Context(t))
	defer cancel()
	response := emptyMessage(t, r.desc.Output())
	var err error
	if r.desc.IsStreamingServer() {
		err = r.stream(ctx, conn, response)
	} else {
		err = conn.Invoke(ctx, r.method, r.request, response)
	}
	if status.Code(err) == codes.InvalidArgument && r.ofDatabases() {
		return "400"
	}
	if text, ok := httpStatus[status.Code(err)]; ok {
		return text
	}
	return err.Error()
}

func (r *rpc) stream(ctx context.Context, conn *grpc.ClientConn, response proto.Message) error {
	desc := &grpc.StreamDesc{ServerStreams: true, ClientStreams: r.desc.IsStreamingClient()}
	s, err := conn.NewStream(ctx, desc, r.method)
	if err != nil {
		return err
	}
	if err := s.SendMsg(r.request); err != nil {
		return s.RecvMsg(response)
	}
	if err := s.CloseSend(); err != nil {
		return err
	}
	// A watch says that it has begun before there is anything to see.
	if header, err := s.Header(); err == nil && len(header.Get("x-index"))+len(header.Get(dbaas.WatchingKey)) > 0 {
		return nil
	}
	return s.RecvMsg(response)
}

// overREST makes the call and returns the status, "" when the RPC is not
// reachable that way. What is answered with 201 or 204 is a mere 200 over gRPC,
// and so here.
func (r *rpc) overREST(t *testing.T, s *servertest.Server, authorization string) string {
	t.Helper()
	verb, path, body := r.http(t)
	if verb == "" {
		return ""
	}
	var content any
	if body != nil {
		content = body
	}
	req, err := servertest.NewRequest(verb, s.URL+path, content, "Authorization", authorization)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(servertest.Context(t))
	defer cancel()
	resp, err := s.Client.Do(req.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if (r.ofDatabases() || r.ofProxy() || r.ofGateway()) && (resp.StatusCode == http.StatusCreated || resp.StatusCode == http.StatusNoContent) {
		return "200"
	}
	if r.ofProxy() {
		return r.fromProxy(t, resp, verb)
	}
	if r.ofGateway() && resp.StatusCode == http.StatusBadRequest {
		return "422" // as other APIs would have it
	}
	if r.ofGateway() && resp.StatusCode == http.StatusForbidden && resp.Header.Get("WWW-Authenticate") != "" {
		return "401" // which those that are written with FastAPI do not know
	}
	return fmt.Sprint(resp.StatusCode)
}

// ofGateway reports whether the RPC is one of the HTTP gateway.
func (r *rpc) ofGateway() bool { return r.desc.ParentFile().Package() == "backplane.gateway.v1" }

// ofProxy reports whether the RPC is one of the database proxy.
func (r *rpc) ofProxy() bool { return r.desc.ParentFile().Package() == "backplane.proxy.v1" }

// fromProxy is the status of an answer in the proxy's dialect, as other APIs
// would have it: what makes no sense is 400 there, and whoever may not change
// things is told to log in as somebody else.
func (r *rpc) fromProxy(t *testing.T, resp *http.Response, verb string) string {
	t.Helper()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case resp.StatusCode == http.StatusUnauthorized && verb != http.MethodGet && bytes.Contains(text, []byte("permission_denied")):
		return "403"
	case resp.StatusCode == http.StatusBadRequest:
		return "422"
	}
	return fmt.Sprint(resp.StatusCode)
}

// http is the request as the proto says that it is made over HTTP.
func (r *rpc) http(t *testing.T) (verb, path string, body []byte) {
	t.Helper()
	rule, ok := proto.GetExtension(r.desc.Options(), annotations.E_Http).(*annotations.HttpRule)
	if !ok || rule == nil {
		return "", "", nil
	}
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		verb, path = http.MethodGet, p.Get
	case *annotations.HttpRule_Put:
		verb, path = http.MethodPut, p.Put
	case *annotations.HttpRule_Post:
		verb, path = http.MethodPost, p.Post
	case *annotations.HttpRule_Delete:
		verb, path = http.MethodDelete, p.Delete
	case *annotations.HttpRule_Patch:
		verb, path = http.MethodPatch, p.Patch
	default:
		t.Fatalf("%s: unknown kind of HTTP rule", r.method)
	}
	rest := proto.Clone(r.request).ProtoReflect()
	query := url.Values{}
	r.request.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		place := "{" + f.TextName() + "}"
		switch {
		case f.Message() != nil && f.Message().FullName() == "google.protobuf.FieldMask":
			// Over REST the keys of the body are the mask.
		case strings.Contains(path, place):
			path = strings.Replace(path, place, url.PathEscape(v.String()), 1)
			rest.Clear(f)
		case f.TextName() == rule.GetBody():
			body = marshalJSON(t, v.Message().Interface())
		case rule.GetBody() != "*":
			query.Set(f.JSONName(), v.String())
		}
		return true
	})
	if rule.GetBody() == "*" {
		body = marshalJSON(t, rest.Interface())
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return verb, path, body
}

func marshalJSON(t *testing.T, m proto.Message) []byte {
	t.Helper()
	text, err := protojson.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(text)
}
