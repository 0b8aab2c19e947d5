package rest

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/dbaas"
)

// localContext is that of a request to an address.
type localContext struct {
	context.Context
	at net.Addr
}

func (c localContext) Value(key any) any {
	if key == http.LocalAddrContextKey {
		return c.at
	}
	return c.Context.Value(key)
}

type taskStream = grpc.ServerStreamingServer[dbaasv1.WatchTasksResponse]

func sendTasks(s taskStream, states ...string) error {
	for i, state := range states {
		err := s.Send(&dbaasv1.WatchTasksResponse{Task: &dbaasv1.Task{Id: int64(i + 1), TaskStatus: state}})
		if err != nil {
			return err
		}
	}
	return nil
}

// TestWatchTasks: a watch without an index, that begins with a header or
// without, or is refused.
func TestWatchTasks(t *testing.T) {
	t.Parallel()
	f := &fake{}
	s := facadeOf(t, f, nil)
	header := func(s taskStream) error { return s.SendHeader(metadata.Pairs(dbaas.WatchingKey, "x")) }
	for _, c := range []struct {
		name, path string
		watch      func(s taskStream) error
		status     int
		want       []string // what the answer has, in order
	}{
		{"with a header", "/api/task/watch/?id=7", func(s taskStream) error {
			if err := header(s); err != nil {
				return err
			}
			return sendTasks(s, "RUNNING", "")
		}, 200, []string{": watching\n\nevent: running\ndata: {\"task\":{\"id\":1,", "\n\nevent: task\ndata: {\"task\":{\"id\":2,"}},
		{"without a header", "/api/task/watch", func(s taskStream) error { return sendTasks(s, "WAITING", "SUCCESS") }, 200,
			[]string{": watching\n\nevent: waiting\ndata: ", "\n\nevent: success\ndata: "}},
		{"nothing to see", "/api/task/watch/", func(taskStream) error { return nil }, 200, []string{": watching\n\n"}},
		{"refused", "/api/task/watch/", func(taskStream) error { return errs.New(errs.NotFound, "no such task") }, 404,
			[]string{failure("/api/task/watch/", `"detail":"Not found"`)}},
		{"broken off", "/api/task/watch/", func(s taskStream) error {
			if err := sendTasks(s, "RUNNING"); err != nil {
				return err
			}
			return errs.New(errs.Unavailable, "gone")
		}, 200, []string{"event: running", "event: error\ndata: {\"code\":\"unavailable\"}\n\n"}},
	} {
		f.mu.Lock()
		f.watch = func(_ *dbaasv1.WatchTasksRequest, s taskStream) error { return c.watch(s) }
		f.mu.Unlock()
		a := ask(t, s, "GET", c.path, "", "Accept", "text/event-stream")
		if a.status != c.status {
			t.Errorf("%s: %d %s", c.name, a.status, a.body)
		}
		kind, rest := "text/event-stream", a.body
		if c.status != 200 {
			kind = "application/json"
		}
		for _, want := range c.want {
			at := strings.Index(rest, want)
			if at < 0 {
				t.Errorf("%s: %q is not in\n%s", c.name, want, a.body)
				break
			}
			rest = rest[at+len(want):]
		}
		if strings.Contains(a.body, "id: ") || a.header.Get("Content-Type") != kind || a.header.Get("Vary") != "Accept" {
			t.Errorf("%s: %v\n%s", c.name, a.header, a.body)
		}
		_, got, told := f.last()
		if path, _, _ := strings.Cut(strings.TrimSuffix(c.path, "/"), "?"); !strings.HasPrefix(told, "http://localhost:8000"+strings.TrimSuffix(path, "/")+"/") {
			t.Errorf("%s: the RPC is told of %q", c.name, told)
		}
		if id := got.(*dbaasv1.WatchTasksRequest).GetId(); (id == 7) != strings.Contains(c.path, "7") {
			t.Errorf("%s watches task %d", c.name, id)
		}
	}
	wantAnswer(t, "no number", ask(t, s, "GET", "/api/task/watch/?id=x", ""), 400, failure("/api/task/watch/?id=x", `"id":["A valid integer is required."]`))
	wantAnswer(t, "HEAD", ask(t, s, "HEAD", "/api/task/watch/", ""), 200, "")
	wantAnswer(t, "a stranger", ask(t, s, "GET", "/api/task/watch/", "", "Authorization", ""), 401,
		failure("/api/task/watch/", `"detail":"Authentication credentials were not provided."`))
}

// TestWatchTasksIsSentAtOnce: the client learns that the watch has begun before
// there is an event, and gets the event while the watch goes on.
func TestWatchTasksIsSentAtOnce(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	begun := make(chan struct{})
	f := &fake{watch: func(_ *dbaasv1.WatchTasksRequest, s taskStream) error {
		defer close(ended)
		if err := s.SendHeader(metadata.Pairs(dbaas.WatchingKey, "x")); err != nil {
			return err
		}
		select {
		case <-begun: // not before the client has its answer
		case <-s.Context().Done():
		}
		if err := sendTasks(s, "RUNNING"); err != nil {
			return err
		}
		<-s.Context().Done()
		return s.Context().Err()
	}}
	s := facadeOf(t, f, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := httptest.NewRequestWithContext(ctx, "GET", s.URL+"/api/task/watch/", nil)
	r.RequestURI = ""
	r.SetBasicAuth("admin", fakePassword)
	resp, err := s.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	close(begun)
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() && lines.Text() != "event: running" {
	}
	if lines.Text() != "event: running" {
		t.Fatalf("the stream ends with %q: %v", lines.Text(), lines.Err())
	}
	cancel()
	<-ended // a client that goes ends the watch
}
