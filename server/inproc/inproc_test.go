package inproc_test

import (
	"context"
	"errors"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/server/inproc"
)

type contextKey struct{}

// service answers with what it was told.
type service struct {
	catalogv1.UnimplementedServiceCatalogServer
	shared *catalogv1.Service
	failed error
}

func (s *service) GetService(ctx context.Context, req *catalogv1.GetServiceRequest) (*catalogv1.GetServiceResponse, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	said, _ := ctx.Value(contextKey{}).(string)
	err := errors.Join(
		grpc.SetHeader(ctx, metadata.Pairs("got", md.Get("authorization")[0], "id", req.GetId())),
		grpc.SetHeader(ctx, metadata.Pairs("value", said)),
		grpc.SetTrailer(ctx, metadata.Pairs("at", "end")),
	)
	if err != nil || s.failed != nil {
		return nil, errors.Join(err, s.failed)
	}
	return &catalogv1.GetServiceResponse{Ok: true, Data: s.shared}, nil
}

func (s *service) WatchServices(_ *catalogv1.WatchServicesRequest, stream grpc.ServerStreamingServer[catalogv1.WatchServicesResponse]) error {
	return stream.Send(&catalogv1.WatchServicesResponse{Index: 7})
}

func connect(s *service, seen *[]string) catalogv1.ServiceCatalogClient {
	conn := inproc.New(
		func(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
			*seen = append(*seen, info.FullMethod)
			return next(ctx, req)
		},
		func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
			*seen = append(*seen, info.FullMethod)
			return next(srv, ss)
		})
	catalogv1.RegisterServiceCatalogServer(conn, s)
	return catalogv1.NewServiceCatalogClient(conn)
}

func TestInvoke(t *testing.T) {
	var seen []string
	s := &service{shared: &catalogv1.Service{Id: "x", Tags: []string{"a"}}}
	client := connect(s, &seen)
	ctx := context.WithValue(context.Background(), contextKey{}, "kept")
	ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "me")
	var header, trailer metadata.MD
	out, err := client.GetService(ctx, &catalogv1.GetServiceRequest{Id: "one"}, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		t.Fatal(err)
	}
	if !out.GetOk() || out.GetData() != s.shared {
		t.Errorf("answer is %v, not the service's own message", out)
	}
	for key, want := range map[string]string{"got": "me", "id": "one", "value": "kept"} {
		if got := header.Get(key); len(got) != 1 || got[0] != want {
			t.Errorf("header %s is %q, want %q", key, got, want)
		}
	}
	if got := trailer.Get("at"); len(got) != 1 || got[0] != "end" {
		t.Errorf("trailer is %q", got)
	}
	if len(seen) != 1 || seen[0] != catalogv1.ServiceCatalog_GetService_FullMethodName {
		t.Errorf("the interceptor saw %q", seen)
	}
}

func TestInvokeFails(t *testing.T) {
	var seen []string
	s := &service{failed: errors.New("the very error")}
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "me")
	var header metadata.MD
	_, err := connect(s, &seen).GetService(ctx, &catalogv1.GetServiceRequest{}, grpc.Header(&header))
	if !errors.Is(err, s.failed) {
		t.Errorf("error is %v, not the service's own", err)
	}
	if len(header.Get("value")) != 1 {
		t.Errorf("a failed call has lost its header: %v", header)
	}
}

func TestInvokeUnknownMethod(t *testing.T) {
	conn := inproc.New(nil, nil)
	err := conn.Invoke(context.Background(), "/no.Service/Method", &catalogv1.GetServiceRequest{}, &catalogv1.GetServiceResponse{})
	if status.Code(err) != codes.Unimplemented {
		t.Errorf("error is %v", err)
	}
}

func TestInvokeWithWrongMessages(t *testing.T) {
	conn := inproc.New(nil, nil)
	catalogv1.RegisterServiceCatalogServer(conn, &service{})
	ctx := metadata.AppendToOutgoingContext(context.Background(), "authorization", "me")
	name := catalogv1.ServiceCatalog_GetService_FullMethodName
	if err := conn.Invoke(ctx, name, &catalogv1.GetHealthRequest{}, &catalogv1.GetServiceResponse{}); err == nil {
		t.Error("another method's request was accepted")
	}
	if err := conn.Invoke(ctx, name, &catalogv1.GetServiceRequest{}, &catalogv1.GetHealthResponse{}); err == nil {
		t.Error("another method's response was filled")
	}
	if err := conn.Invoke(ctx, name, 1, &catalogv1.GetServiceResponse{}); err == nil {
		t.Error("a number was accepted as a request")
	}
}

func TestStream(t *testing.T) {
	var seen []string
	stream, err := connect(&service{}, &seen).WatchServices(context.Background(), &catalogv1.WatchServicesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	ev, err := stream.Recv()
	if err != nil || ev.GetIndex() != 7 {
		t.Errorf("got %v, %v", ev, err)
	}
	if len(seen) != 1 || seen[0] != catalogv1.ServiceCatalog_WatchServices_FullMethodName {
		t.Errorf("the interceptor saw %q", seen)
	}
}

// TestStreamRefused: a call that ends before it is sent its request tells why.
func TestStreamRefused(t *testing.T) {
	conn := inproc.New(nil, func(any, grpc.ServerStream, *grpc.StreamServerInfo, grpc.StreamHandler) error {
		return status.Error(codes.ResourceExhausted, "too many")
	})
	catalogv1.RegisterServiceCatalogServer(conn, &service{})
	desc := &grpc.StreamDesc{ServerStreams: true}
	for range 50 { // the request may be taken all the same
		s, err := conn.NewStream(t.Context(), desc, catalogv1.ServiceCatalog_WatchServices_FullMethodName)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.Header() // comes when the call has ended
		if err := s.SendMsg(&catalogv1.WatchServicesRequest{}); err != nil {
			t.Fatalf("the request: %v", err)
		}
		if err := s.RecvMsg(&catalogv1.WatchServicesResponse{}); status.Code(err) != codes.ResourceExhausted {
			t.Fatalf("the response: %v", err)
		}
	}
}
