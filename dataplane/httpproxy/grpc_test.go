package httpproxy_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// echoes is a service of gRPC with one method, of two streams: it sends back
// what it gets. "fail" is an error, "hang" is not answered.
var echoes = grpc.ServiceDesc{
	ServiceName: "test.Echo",
	HandlerType: (*any)(nil),
	Streams: []grpc.StreamDesc{{
		StreamName: "Both", ServerStreams: true, ClientStreams: true,
		Handler: func(_ any, s grpc.ServerStream) error {
			md, _ := metadata.FromIncomingContext(s.Context())
			_ = s.SetHeader(metadata.Pairs("seen", md.Get("x-forwarded-proto")[0]))
			s.SetTrailer(metadata.Pairs("sum", "1"))
			for {
				m := &wrapperspb.StringValue{}
				if err := s.RecvMsg(m); errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return err
				}
				switch m.Value {
				case "fail":
					return errFromUpstream
				case "hang":
					<-s.Context().Done()
					return s.Context().Err()
				}
				if err := s.SendMsg(m); err != nil {
					return err
				}
			}
		},
	}},
}

// errFromUpstream has the status FailedPrecondition.
var errFromUpstream = statusError{codes.FailedPrecondition, "no 100% é"}

type statusError struct {
	code    codes.Code
	message string
}

func (e statusError) Error() string { return e.message }

func (e statusError) GRPCStatus() *status.Status {
	s, _ := status.FromError(context.DeadlineExceeded)
	p := s.Proto()
	p.Code, p.Message = int32(e.code), e.message
	return status.FromProto(p)
}

func grpcServer(t *testing.T, o ...grpc.ServerOption) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(o...)
	s.RegisterService(&echoes, nil)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() { s.Stop(); <-ended })
	return l.Addr().String()
}

func grpcClient(t *testing.T, addr net.Addr, secure bool) *grpc.ClientConn {
	t.Helper()
	creds := insecure.NewCredentials()
	if secure {
		creds = credentials.NewTLS(&tls.Config{InsecureSkipVerify: true})
	}
	c, err := grpc.NewClient(addr.String(), grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func both(t *testing.T, c *grpc.ClientConn) grpc.ClientStream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	s, err := c.NewStream(ctx, &echoes.Streams[0], "/test.Echo/Both")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func exchange(s grpc.ClientStream, value string) (string, error) {
	if err := s.SendMsg(wrapperspb.String(value)); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	m := &wrapperspb.StringValue{}
	err := s.RecvMsg(m)
	return m.Value, err
}

func grpcRoute(s *entity.Service, p ...string) *entity.Route {
	return gatewaytest.Route(s, "/test.Echo", func(r *entity.Route) { r.Protocols, r.StripPath = p, false })
}

func TestGRPC(t *testing.T) {
	cert := issue(t, nil, "localhost")
	secure := credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: [][]byte{cert.cert.Raw}, PrivateKey: cert.key})
	for scheme, addr := range map[string]string{"grpc": grpcServer(t), "grpcs": grpcServer(t, grpc.Creds(secure))} {
		s := gatewaytest.Service(scheme+"://"+addr, func(s *entity.Service) { s.ReadTimeout = 300 })
		g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, grpcRoute(s, "grpc", "grpcs")))
		for _, tls := range []bool{false, true} {
			addr, proto := g.Addr(), "http"
			if tls {
				addr, proto = g.TLSAddr(), "https"
			}
			c := grpcClient(t, addr, tls)
			stream := both(t, c)
			for _, v := range []string{"one", "two"} {
				if got, err := exchange(stream, v); got != v || err != nil {
					t.Fatalf("%s: %q %v", scheme, got, err)
				}
			}
			if err := stream.CloseSend(); err != nil {
				t.Fatal(err)
			}
			if err := stream.RecvMsg(&wrapperspb.StringValue{}); !errors.Is(err, io.EOF) {
				t.Errorf("%s: the end: %v", scheme, err)
			}
			h, err := stream.Header()
			if err != nil || h.Get("seen")[0] != proto || len(h.Get("x-kong-request-id")) != 1 || stream.Trailer().Get("sum")[0] != "1" {
				t.Errorf("%s: header %v, trailer %v: %v", scheme, h, stream.Trailer(), err)
			}
			if _, err := exchange(both(t, c), "fail"); status.Code(err) != codes.FailedPrecondition ||
				status.Convert(err).Message() != "no 100% é" {
				t.Errorf("%s: an error of the upstream: %v", scheme, err)
			}
			if _, err := exchange(both(t, c), "hang"); err == nil {
				t.Errorf("%s: it should not take for ever", scheme)
			}
		}
	}
}

func TestGRPCErrors(t *testing.T) {
	s := gatewaytest.Service("grpc://127.0.0.1:1")
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{
		accesser("no", 1, func(x *httpproxy.Exchange) error {
			if x.Request.Header.Has("Stop") {
				x.Refuse(429, "API rate limit exceeded")
			}
			return nil
		}),
	}}, gatewaytest.All(s, grpcRoute(s, "grpc", "grpcs"), gatewaytest.Plugin("no", "{}")))
	c := grpcClient(t, g.TLSAddr(), true)
	if _, err := exchange(both(t, c), "x"); status.Code(err) != codes.Unavailable {
		t.Errorf("there is no upstream: %v", err)
	}
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "stop", "1"), 10*time.Second)
	defer cancel()
	stream, err := c.NewStream(ctx, &echoes.Streams[0], "/test.Echo/Both")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exchange(stream, "x"); status.Code(err) != codes.ResourceExhausted ||
		status.Convert(err).Message() != "API rate limit exceeded" {
		t.Errorf("a plugin's answer: %v", err)
	}
}
