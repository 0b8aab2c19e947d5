package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/server/store"
	"github.com/backplane/backplane/testbed"
)

// event is one server-sent event.
type event struct {
	id, kind, data string
}

// body decodes the data of a change.
func (e event) body(t *testing.T) (index, kind string, service object) {
	t.Helper()
	var c struct {
		Index   json.Number
		Event   string
		Service object
	}
	if err := json.Unmarshal([]byte(e.data), &c); err != nil {
		t.Fatalf("data is not a change: %v: %s", err, e.data)
	}
	return c.Index.String(), c.Event, c.Service
}

// watch is an open event stream.
type watch struct {
	index  uint64 // where it begins
	lines  *bufio.Scanner
	closer io.Closer
}

func openWatch(t *testing.T, s *servertest.Server, query string, headers ...string) *watch {
	t.Helper()
	req, err := servertest.NewRequest("GET", s.URL+"/api/services/watch"+query, nil, headers...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(servertest.Context(t))
	t.Cleanup(cancel)
	resp, err := s.Client.Do(req.WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("the watch begins with %d %v", resp.StatusCode, resp.Header)
	}
	index, err := strconv.ParseUint(resp.Header.Get("X-Index"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	w := &watch{index: index, lines: bufio.NewScanner(resp.Body), closer: resp.Body}
	t.Cleanup(func() { resp.Body.Close() })
	return w
}

// next reads one event, past comments. It is false at the stream's end.
func (w *watch) next() (e event, ok bool) {
	for w.lines.Scan() {
		field, value, _ := strings.Cut(w.lines.Text(), ": ")
		switch field {
		case "id":
			e.id = value
		case "event":
			e.kind = value
		case "data":
			e.data = value
		case "":
			if value == "" && e.data != "" {
				return e, true
			}
		}
	}
	return e, false
}

func (w *watch) want(t *testing.T, kind string) (event, object) {
	t.Helper()
	e, ok := w.next()
	if !ok {
		t.Fatalf("the stream ended before %q: %v", kind, w.lines.Err())
	}
	index, inside, service := e.body(t)
	if e.kind != kind || inside != kind || e.id != index {
		t.Fatalf("got event %+v, want %q", e, kind)
	}
	return e, service
}

func TestEvents(t *testing.T) {
	t.Parallel()
	s := start(t)
	w := openWatch(t, s, "")
	id := s.Create(t, redisBody("one", testbed.ClosedPort(t), "password", "hidden-word"))["id"].(string)
	created, service := w.want(t, "created")
	if service["id"] != id || service["config"].(object)["password"] != nil || created.id != strconv.FormatUint(w.index+1, 10) {
		t.Errorf("created is %+v after index %d", created, w.index)
	}
	put(t, s, id, object{"description": "new"})
	if _, service := w.want(t, "updated"); service["description"] != "new" || service["version"] != 2. {
		t.Errorf("updated to %v", service)
	}
	s.Do(t, "POST", "/api/services/"+id+"/test", nil).Data(t)
	if _, service := w.want(t, "health"); service["health"].(object)["status"] != "critical" {
		t.Errorf("health is %v", service["health"])
	}
	s.Do(t, "POST", "/api/services/"+id+"/test", nil).Data(t) // as critical as before: no event
	s.Do(t, "POST", "/api/services/"+id+"/deactivate", nil).Data(t)
	if _, service := w.want(t, "updated"); service["active"] != false {
		t.Errorf("deactivated: %v", service)
	}
	s.Do(t, "DELETE", "/api/services/"+id, nil).Good(t)
	last, service := w.want(t, "deleted")
	if service["id"] != id || service["name"] != "one" || service["service_type"] != "redis" {
		t.Errorf("deleted: %v", service)
	}

	t.Run("resume", func(t *testing.T) {
		for _, resume := range []*watch{openWatch(t, s, "", "Last-Event-ID", created.id), openWatch(t, s, "?index="+created.id)} {
			for _, kind := range []string{"updated", "health", "updated", "deleted"} {
				resume.want(t, kind)
			}
		}
		openWatch(t, s, "?index=0").want(t, "created")
		at := openWatch(t, s, "?index=1", "Last-Event-ID", last.id) // the header wins
		s.Create(t, sqlite("two"))
		at.want(t, "created")
	})
	t.Run("refused", func(t *testing.T) {
		wantError(t, s.Do(t, "GET", "/api/services/watch?index=999999", nil), 410, errs.IndexGone)
		wantError(t, s.Do(t, "GET", "/api/services/watch", nil, "Last-Event-ID", "x"), 400, errs.BadRequest)
	})
}

func TestWatchFromAListMissesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	list := s.Do(t, "GET", "/api/services", nil)
	s.Create(t, sqlite("after the list"))
	if _, service := openWatch(t, s, "?index="+list.Header.Get("X-Index")).want(t, "created"); service["name"] != "after the list" {
		t.Errorf("the first change is %v", service)
	}
}

func TestConcurrentChangesAreAllSeenInOrder(t *testing.T) {
	t.Parallel()
	s := start(t)
	const writers, each = 6, 15
	watches := []*watch{openWatch(t, s, ""), openWatch(t, s, "?index=0")}
	stream, err := s.Catalog.WatchServices(servertest.Context(t), &catalogv1.WatchServicesRequest{Index: proto.Uint64(0)})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for w := range writers {
		all.Go(func() {
			for i := range each {
				name := fmt.Sprintf("writer %d service %d", w, i)
				if a, err := s.Try("POST", "/api/services", sqlite(name)); err != nil || a.Status != 200 {
					t.Errorf("create: %d %v", a.Status, err)
				}
			}
		})
	}
	check := func(what string, next func() (uint64, string)) {
		seen, last := map[string]int{}, uint64(0)
		for range writers * each {
			index, name := next()
			if name == "" {
				t.Errorf("%s ended after %d changes", what, len(seen))
				return
			}
			if last != 0 && index != last+1 {
				t.Errorf("%s: after %d came %d", what, last, index)
			}
			last = index
			seen[name]++
		}
		if len(seen) != writers*each {
			t.Errorf("%s: %d different changes, want %d", what, len(seen), writers*each)
		}
	}
	for i, w := range watches {
		all.Go(func() {
			check(fmt.Sprintf("event stream %d", i), func() (uint64, string) {
				e, ok := w.next()
				if !ok {
					return 0, ""
				}
				index, err := strconv.ParseUint(e.id, 10, 64)
				if err != nil {
					t.Error(err)
				}
				var c struct{ Service struct{ Name string } }
				if err := json.Unmarshal([]byte(e.data), &c); err != nil {
					t.Error(err)
				}
				return index, c.Service.Name
			})
		})
	}
	all.Go(func() {
		check("gRPC", func() (uint64, string) {
			ev, err := stream.Recv()
			if err != nil {
				return 0, ""
			}
			return ev.GetIndex(), ev.GetService().GetName()
		})
	})
	all.Wait()
}

func TestLongPoll(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := s.Do(t, "GET", "/api/services", nil)
	index := first.Header.Get("X-Index")
	if index == "" || index == "0" {
		t.Fatalf("X-Index is %q", index)
	}
	// An index of the past, and 0, are answered at once.
	s.Create(t, sqlite("one"))
	for _, old := range []string{index, "0"} {
		if a := s.Do(t, "GET", "/api/services?index="+old, nil); len(a.List(t)) != 1 || a.Header.Get("X-Index") == index {
			t.Errorf("index %s: %d services, X-Index %s", old, len(a.List(t)), a.Header.Get("X-Index"))
		}
	}
	index = s.Do(t, "GET", "/api/services", nil).Header.Get("X-Index")
	if a := s.Do(t, "GET", "/api/services?wait=50ms&index="+index, nil); a.Header.Get("X-Index") != index || a.Status != 200 {
		t.Errorf("without a change: %d, X-Index %s", a.Status, a.Header.Get("X-Index"))
	}
	// The present one waits for a change.
	answered := make(chan servertest.Answer, 1)
	go func() {
		a, err := s.Try("GET", "/api/services?wait=5m&index="+index, nil)
		if err != nil {
			t.Error(err)
		}
		answered <- a
	}()
	wantWatchers(t, s, 1)
	s.Create(t, sqlite("two"))
	if a := <-answered; len(a.List(t)) != 2 || a.Header.Get("X-Index") == index {
		t.Errorf("after the change: %s, X-Index %s", a.Body, a.Header.Get("X-Index"))
	}
}

// wantWatchers waits until so many watches and long polls are open.
func wantWatchers(t *testing.T, s *servertest.Server, n int) {
	t.Helper()
	servertest.Eventually(t, fmt.Sprintf("%d open watches", n), func() bool {
		return strings.Contains(string(s.Do(t, "GET", "/metrics", nil).Body), fmt.Sprintf("\nbackplane_watchers %d\n", n))
	})
}

func TestIndexThatIsNotKept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// Such a store would take 10,000 changes: say that the first are gone.
	st, err := store.Open(t.Context(), "", dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Revision.Update().SetValue(20_000).SetOldest(10_000).Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	s := servertest.Start(t, servertest.Options{DataDir: dir})
	for _, index := range []string{"1", "9999", "20001"} {
		a := s.Do(t, "GET", "/api/services/watch?index="+index, nil)
		wantError(t, a, 410, errs.IndexGone)
	}
	if w := openWatch(t, s, ""); w.index != 20_000 {
		t.Errorf("a new watch begins at %d", w.index)
	}
}

func TestShutdownEndsWatches(t *testing.T) {
	t.Parallel()
	s := start(t)
	w := openWatch(t, s, "")
	stream, err := s.Catalog.WatchServices(servertest.Context(t), &catalogv1.WatchServicesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Header(); err != nil {
		t.Fatal(err)
	}
	index := s.Do(t, "GET", "/api/services", nil).Header.Get("X-Index")
	polled := make(chan servertest.Answer, 1)
	go func() {
		a, err := s.Try("GET", "/api/services?index="+index, nil)
		if err != nil {
			t.Error(err)
		}
		polled <- a
	}()
	wantWatchers(t, s, 3)
	s.Stop()
	if e, ok := w.next(); !ok || e.kind != "error" || !strings.Contains(e.data, "unavailable") {
		t.Errorf("the event stream says %+v", e)
	}
	if _, ok := w.next(); ok || w.lines.Err() != nil {
		t.Errorf("the event stream does not end well: %v", w.lines.Err())
	}
	if _, err := stream.Recv(); status.Code(err) != codes.Unavailable && !errors.Is(err, io.EOF) {
		t.Errorf("the gRPC stream ends with %v", err)
	}
	if a := <-polled; a.Status != 200 {
		t.Errorf("the poll answers %d: %s", a.Status, a.Body)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
