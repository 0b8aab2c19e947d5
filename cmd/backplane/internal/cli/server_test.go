package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

// day is a time that answers carry.
var day = time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)

// seen is a call that the server got.
type seen struct {
	method        string // without the service
	request       proto.Message
	authorization string
}

// fake is a server that records calls and plays answers.
type fake struct {
	identityv1.UnimplementedIdentityAdminServer
	addr    string
	answers map[string]proto.Message // by method
	events  []*identityv1.WatchAuditResponse
	err     error // for every call, when set

	mu    sync.Mutex
	calls []seen
}

func serve(t *testing.T, opts ...grpc.ServerOption) *fake {
	t.Helper()
	return serveAlso(t, func(*grpc.Server) {}, opts...)
}

// serveAlso is serve with another service.
func serveAlso(t *testing.T, register func(*grpc.Server), opts ...grpc.ServerOption) *fake {
	t.Helper()
	f := &fake{answers: map[string]proto.Message{}}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	s := grpc.NewServer(append(opts, grpc.UnaryInterceptor(f.unary))...)
	identityv1.RegisterIdentityAdminServer(s, f)
	register(s)
	var all sync.WaitGroup
	all.Go(func() { s.Serve(l) })
	t.Cleanup(func() { s.Stop(); all.Wait() })
	return f
}

func (f *fake) record(ctx context.Context, method string, req any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	header := metadata.ValueFromIncomingContext(ctx, "authorization")
	f.calls = append(f.calls, seen{method[strings.LastIndex(method, "/")+1:], req.(proto.Message), strings.Join(header, "|")})
}

func (f *fake) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	f.record(ctx, info.FullMethod, req)
	if err := grpc.SetHeader(ctx, metadata.Pairs("x-request-id", "req-1")); err != nil {
		return nil, err
	}
	if f.err != nil {
		return nil, f.err
	}
	if answer, ok := f.answers[info.FullMethod[strings.LastIndex(info.FullMethod, "/")+1:]]; ok {
		return answer, nil
	}
	return next(ctx, req)
}

// WatchAudit plays the events, then waits for the client to go.
func (f *fake) WatchAudit(req *identityv1.WatchAuditRequest, stream grpc.ServerStreamingServer[identityv1.WatchAuditResponse]) error {
	f.record(stream.Context(), identityv1.IdentityAdmin_WatchAudit_FullMethodName, req)
	for _, e := range f.events {
		if err := stream.Send(e); err != nil {
			return err
		}
	}
	if f.err != nil {
		return f.err
	}
	<-stream.Context().Done()
	return nil
}

// last is the only or the last of the calls.
func (f *fake) last(t *testing.T) seen {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.calls) == 0 {
		t.Fatal("no call came")
	}
	return f.calls[len(f.calls)-1]
}

// result is what a run of a command left.
type result struct {
	out, notes string
	err        error
}

// runWith runs a command line with an input.
func runWith(ctx context.Context, in io.Reader, args ...string) result {
	var out, notes bytes.Buffer
	return runTo(ctx, in, &out, &notes, func() result { return result{out: out.String(), notes: notes.String()} }, args...)
}

func runTo(ctx context.Context, in io.Reader, out, notes io.Writer, got func() result, args ...string) result {
	root := &cobra.Command{Use: "backplane", SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(Commands()...)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(notes)
	err := root.ExecuteContext(ctx)
	r := got()
	r.err = err
	return r
}

// bare removes from the environment whatever steers the commands.
func bare(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, value, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "BACKPLANE_") {
			t.Setenv(name, value) // puts it back at the end
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// run runs a command line against the server, logged in with a token.
func (f *fake) run(t *testing.T, args ...string) result {
	t.Helper()
	bare(t)
	t.Setenv("BACKPLANE_TOKEN", "bp_test")
	return runWith(t.Context(), strings.NewReader(""), append(args, "--server", f.addr)...)
}

func basic(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

func at(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }
