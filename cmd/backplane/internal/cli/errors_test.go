package cli

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/backplane/backplane/internal/errs"
)

// TestErrors is what a person is told when a call fails.
func TestErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"refused":     {errs.New(errs.Unauthenticated, "Log in"), "refuses the token in BACKPLANE_TOKEN"},
		"denied":      {errs.New(errs.PermissionDenied, "This needs the role admin"), "This needs the role admin"},
		"one field":   {errs.Invalid(errs.Field{Path: "user.password", Message: "must be longer"}), "user.password must be longer"},
		"more fields": {errs.Invalid(errs.Field{Path: "a", Message: "is bad"}, errs.Field{Path: "b", Message: "is worse"}), "Some fields are not valid\n  a is bad\n  b is worse"},
		"too often":   {&errs.Error{Reason: errs.TooManyCalls, Message: "You call too often", RetryAfter: 3 * time.Second}, "You call too often (try again in 3s)"},
		"internal":    {errs.New(errs.Internal, "the cause"), "Internal error (request req-1 in the server's log)"},
		"hostile":     {errs.New(errs.NotFound, "gone\x1b[31m"), "gone\uFFFD[31m"},
	} {
		f := serve(t)
		f.err = errs.ToStatus(tt.err).Err()
		if r := f.run(t, "user", "list"); r.err == nil || !strings.HasSuffix(r.err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, r.err, tt.want)
		}
	}
	f := serve(t)
	if r := f.run(t, "user", "list"); r.err == nil || !strings.Contains(r.err.Error(), "is it older than this program?") {
		t.Errorf("an unknown call: %v", r.err)
	}
	f.err = status.Error(codes.Unavailable, "draining")
	if r := f.run(t, "user", "list"); r.err == nil || !strings.Contains(r.err.Error(), "cannot reach the server at "+f.addr+": draining") {
		t.Errorf("a server that goes: %v", r.err)
	}
}

func TestNoServer(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{addr: l.Addr().String()}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	want := "cannot reach the server at " + f.addr + ": dial tcp " + f.addr + ": connect: connection refused; if it serves TLS, see --tls and --tls-ca"
	if r := f.run(t, "user", "list"); r.err == nil || r.err.Error() != want {
		t.Errorf("got %v", r.err)
	}
}

// TestAnotherServer asks what speaks HTTP alone, as REST does.
func TestAnotherServer(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	f := &fake{addr: s.Listener.Addr().String()}
	if r := f.run(t, "user", "list"); r.err == nil || !strings.Contains(r.err.Error(), "it does not speak gRPC; --server is the address") {
		t.Errorf("got %v", r.err)
	}
}
