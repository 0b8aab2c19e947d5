package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/server/servertest"
)

// many are services of one listener: each has its document, and its paths, below
// its name. Those whose names begin with "hang" begin to answer, or do not even
// that, and say no more.
type many struct {
	port            int
	hanging, atOnce atomic.Int32
}

func startMany(t *testing.T) *many {
	t.Helper()
	m := &many{}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, isDocument := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/"), ".json")
		switch {
		case isDocument && strings.HasPrefix(name, "hang"):
			now := m.hanging.Add(1)
			defer m.hanging.Add(-1)
			for most := m.atOnce.Load(); now > most && !m.atOnce.CompareAndSwap(most, now); most = m.atOnce.Load() {
			}
			if strings.HasPrefix(name, "hang-half") {
				io.WriteString(w, `{"openapi":`) //nolint:errcheck // who has gone does not read
				w.(http.Flusher).Flush()
			}
			<-r.Context().Done()
		case isDocument:
			fmt.Fprintf(w, `{"openapi":"3.0.3","info":{"title":%q,"version":"1"},"tags":[{"name":"x","x-auto-generate-in-api-gateway":true}],"paths":{
				"/%[1]s/things":{"get":{"tags":["x"],"responses":{"200":{"description":"OK","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Thing"}}}}}}},
				"/%[1]s/things/{id}":{"get":{"tags":["x"],"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string"}}],"responses":{"200":{"description":"OK"}}}}},
				"components":{"schemas":{"Thing":{"type":"object","title":%[1]q}}}}`, name)
		default:
			fmt.Fprint(w, r.URL.Path)
		}
	}))
	t.Cleanup(s.Close)
	m.port = portIn(t, s.URL)
	return m
}

// TestManyServices: of two hundred services ten hang. The others are served, and
// nobody waits for the ten one after the other.
func TestManyServices(t *testing.T) {
	t.Parallel()
	const all, hang = 200, 10
	m, c := startMany(t), newCatalogue(t)
	var names []string
	for i := range all {
		name := fmt.Sprintf("s%03d", i)
		if i%(all/hang) == 7 {
			name = fmt.Sprintf("hang%d", i)
			if i%(2*all/hang) == 7 {
				name = fmt.Sprintf("hang-half%d", i)
			}
		} else {
			names = append(names, name)
		}
		c.add(t, name, m.port, func(r *gatewayv1.RegisterServiceRequest) { r.DocumentPath = "/" + name + ".json" })
	}
	began := time.Now()
	out := c.refresh(t)
	t.Logf("the refresh of %d services, of which %d hang, took %s", all, hang, time.Since(began).Round(time.Millisecond))
	if out.GetServices() != all || out.GetUsable() != all-hang {
		t.Errorf("%v, want %d that can be used", out, all-hang)
	}
	if got := m.atOnce.Load(); got != hang {
		t.Errorf("%d documents were waited for at once, want %d", got, hang)
	}
	for _, name := range names {
		path := "/" + name + "/things/1"
		c.ask(t, "GET", "/"+name+path, nil).want(t, name, http.StatusOK, path)
	}
	if doc := c.mergedDocument(t); doc.Paths.Len() != 2*(all-hang) {
		t.Errorf("the document has %d paths", doc.Paths.Len())
	}
	for page := 1; page <= all/10; page++ {
		list, err := c.Gateway.ListRegistrations(servertest.Context(t), &gatewayv1.ListRegistrationsRequest{Page: proto.Int32(int32(page))})
		if err != nil || len(list.GetServices()) != 10 || list.GetMetadata().GetCountPage() != all/10 {
			t.Fatalf("page %d: %v, %v", page, list, err)
		}
		for _, s := range list.GetServices() {
			want := int32(200)
			if strings.HasPrefix(s.GetName(), "hang") {
				want = -1
			}
			if s.GetStatusCode() != want {
				t.Errorf("%s has the status %d, want %d", s.GetName(), s.GetStatusCode(), want)
			}
		}
	}
}

// TestRefreshedUnderLoad: while clients ask for refreshes, and a service's
// document changes again and again, no request fails.
func TestRefreshedUnderLoad(t *testing.T) {
	t.Parallel()
	const changes, clients, refreshers = 30, 8, 4
	parts, m, c := startParts(t), startMany(t), newCatalogue(t)
	c.add(t, "parts", parts.port)
	for i := range 20 {
		name := fmt.Sprintf("s%d", i)
		c.add(t, name, m.port, func(r *gatewayv1.RegisterServiceRequest) { r.DocumentPath = "/" + name + ".json" })
	}
	c.refresh(t)
	ctx, stop := context.WithCancel(servertest.Context(t))
	var work sync.WaitGroup
	var asked, refreshed atomic.Int64
	for i := range clients {
		client := plainClient(t)
		work.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				name := fmt.Sprintf("s%d", (n+i)%20)
				path := "/" + name + "/things"
				for path, want := range map[string]string{"/" + name + path: path, "/parts/things": `["GET","/things"]` + "\n", "/openapi.json": ""} {
					got, err := try(client, "GET", "http://"+c.GatewayHTTP+path, nil)
					if err != nil || got.StatusCode != http.StatusOK || want != "" && got.text != want {
						t.Errorf("%s: %v %.200s: %v", path, got.Response, got.text, err)
						return
					}
					asked.Add(1)
				}
			}
		})
	}
	for range refreshers {
		work.Go(func() {
			for ctx.Err() == nil {
				if _, err := c.Gateway.RefreshServices(ctx, &gatewayv1.RefreshServicesRequest{}); err != nil && ctx.Err() == nil {
					t.Errorf("a refresh: %v", err)
					return
				}
				refreshed.Add(1)
			}
		})
	}
	for n := range changes {
		// One path has another name each time, and the paths of requests stay.
		parts.tells(strings.Replace(partsDocument, `"/things/latest"`, fmt.Sprintf(`"/things/latest%d"`, n), 1))
		c.refresh(t)
		if got, err := try(c.client, "GET", fmt.Sprintf("http://%s/parts/things/latest%d", c.GatewayHTTP, n), nil); err != nil || got.StatusCode != 200 {
			t.Errorf("change %d is not served after a refresh: %v %v", n, got.Response, err)
		}
	}
	stop()
	work.Wait()
	t.Logf("%d requests, %d refreshes, %d changes", asked.Load(), refreshed.Load(), changes)
	if asked.Load() == 0 || refreshed.Load() == 0 {
		t.Error("there was no load")
	}
}

// TestByItself: nobody has to call for a refresh. What is registered, changed
// and deleted is served, served otherwise, and gone.
func TestByItself(t *testing.T) {
	t.Parallel()
	parts, c := startParts(t), newCatalogue(t, func(c *config.Config) { c.RegistryRefresh = 500 * time.Millisecond })
	id := c.add(t, "parts", parts.port)
	answers := func(path string, status int) func() bool {
		return func() bool {
			got, err := try(c.client, "GET", "http://"+c.GatewayHTTP+path, nil)
			return err == nil && got.StatusCode == status
		}
	}
	servertest.Eventually(t, "it is served", answers("/parts/things/latest", 200))
	parts.tells(strings.Replace(partsDocument, `"/things/latest"`, `"/last"`, 1))
	servertest.Eventually(t, "the next release is", answers("/parts/last", 200))
	if _, err := c.Gateway.UpdateRegistration(servertest.Context(t), &gatewayv1.UpdateRegistrationRequest{IdService: id, NameService: proto.String("pieces")}); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, "its new name is", answers("/pieces/last", 200))
	servertest.Eventually(t, "its old name is not", answers("/parts/last", 404))
	if _, err := c.Gateway.UnregisterService(servertest.Context(t), &gatewayv1.UnregisterServiceRequest{IdService: id}); err != nil {
		t.Fatal(err)
	}
	servertest.Eventually(t, "it is gone", answers("/pieces/last", 404))
	servertest.Eventually(t, "the document is gone", answers("/openapi.json", 404))
}

// TestHangingRefreshIsLeft: who waits for a refresh may leave; it goes on.
func TestHangingRefreshIsLeft(t *testing.T) {
	t.Parallel()
	m, c := startMany(t), newCatalogue(t, func(c *config.Config) { c.RegistryTimeout = 2 * time.Second })
	id := c.add(t, "good", m.port, func(r *gatewayv1.RegisterServiceRequest) { r.DocumentPath = "/good.json" })
	c.add(t, "hang", m.port, func(r *gatewayv1.RegisterServiceRequest) { r.DocumentPath = "/hang.json" })
	ctx, leave := context.WithCancel(servertest.Context(t))
	left := make(chan error, 1)
	go func() {
		_, err := c.Gateway.RefreshServices(ctx, &gatewayv1.RefreshServicesRequest{})
		left <- err
	}()
	servertest.Eventually(t, "a document is waited for", func() bool { return m.hanging.Load() == 1 })
	leave()
	if err := <-left; err == nil || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("who leaves is told %v", err)
	}
	servertest.Eventually(t, "it is found to be usable", func() bool { return c.about(t, id).GetService().GetStatusCode() == 200 })
	// What is stored can be read a moment before the gateway has it.
	servertest.Eventually(t, "it is served without anybody waiting", func() bool {
		got, err := try(c.client, "GET", "http://"+c.GatewayHTTP+"/good/good/things", nil)
		return err == nil && got.StatusCode == http.StatusOK && got.text == "/good/things"
	})
}
