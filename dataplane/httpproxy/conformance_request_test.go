package httpproxy_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/balance"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/testbed"
)

// TestRedirects is that of each status by which clients are sent to TLS.
func TestRedirects(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s))
	for _, status := range []int{301, 302, 307, 308} {
		g.Put(gatewaytest.Route(s, fmt.Sprint("/", status), protocols("https"), func(r *entity.Route) { r.HTTPSRedirectStatusCode = status }))
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			res := g.Do(method, fmt.Sprintf("/%d/a%%20b?c=%%2F", status), "", "Host", "h.test:8000")
			if got := res.Header.Get("Location"); res.StatusCode != status || got != fmt.Sprintf("https://h.test/%d/a%%20b?c=%%2F", status) || res.Text != "" {
				t.Errorf("%s: %s to %q, %q", method, res.Status, got, res.Text)
			}
		}
	}
}

// TestPluginsWithoutService is that plugins run where there is a route, and then
// nothing that it leads to.
func TestPluginsWithoutService(t *testing.T) {
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{
		accesser("see", 1, func(x *httpproxy.Exchange) error {
			if x.Request.HasQuery {
				x.Refuse(http.StatusForbidden, "no")
			}
			x.Response.Header.Set("X-Seen", x.Route.Name)
			return nil
		}),
	}}, gatewaytest.All(gatewaytest.Route(nil, "/", func(r *entity.Route) { r.Name = "r" }), gatewaytest.Plugin("see", "{}")))
	res := g.Get("/")
	wantMessage(t, res, http.StatusServiceUnavailable, "no Service found with those values")
	if res.Header.Get("X-Seen") != "r" {
		t.Errorf("the plugin was not run: %v", res.Header)
	}
	wantMessage(t, g.Get("/?"), http.StatusForbidden, "no")
}

// TestForwardedPrefix is that what is stripped is told, unless it is all.
func TestForwardedPrefix(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/"), gatewaytest.Route(s, "/a"), gatewaytest.Route(s, `~/re/\d+`),
		gatewaytest.Route(s, "/kept", func(r *entity.Route) { r.StripPath = false })))
	for path, want := range map[string]string{"/x": "", "/a/b": "/a", "/re/12/c": "/re/12", "/kept/x": ""} {
		asked := g.Get(path, "X-Forwarded-Prefix", "/evil").Asked(t)
		if got := strings.Join(asked.Header["X-Forwarded-Prefix"], "|"); got != want {
			t.Errorf("%s: %q instead of %q", path, got, want)
		}
		if got := strings.Join(asked.Header["X-Forwarded-Path"], "|"); got != path {
			t.Errorf("%s: the path is %q", path, got)
		}
	}
}

// TestUpgradeFields is what the upstream is sent of a wish for another protocol.
func TestUpgradeFields(t *testing.T) {
	asked := make(chan string, 1)
	s := gatewaytest.Service(gatewaytest.ServeTCP(t, func(nc net.Conn) {
		in := bufio.NewReader(nc)
		var head strings.Builder
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			if head.WriteString(line); line == "\r\n" {
				break
			}
		}
		asked <- head.String()
		_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nhello")
		_, _ = io.Copy(nc, in)
	}))
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
	nc, err := net.Dial("tcp", g.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	_, _ = io.WriteString(nc, "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: x\r\n\r\nearly")
	head := <-asked
	for _, want := range []string{"Upgrade: websocket\r\n", "Connection: keep-alive, Upgrade\r\n", "Sec-WebSocket-Key: x\r\n"} {
		if !strings.Contains(strings.ToLower(head), strings.ToLower(want)) {
			t.Errorf("%q is not in\n%s", want, head)
		}
	}
	in := bufio.NewReader(nc)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Upgrade") != "websocket" {
		t.Fatalf("%+v %v", res, err)
	}
	// What was sent before the other side has agreed is not lost. The end of one
	// way is passed on, and the other way goes on until it ends.
	_, _ = io.WriteString(nc, " late")
	if err := nc.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(in); string(b) != "helloearly late" || err != nil {
		t.Errorf("through the tunnel came %q %v", b, err)
	}
}

// TestRequestBuffering is that a body is read before the upstream is asked, or
// sent on as it comes.
func TestRequestBuffering(t *testing.T) {
	began := make(chan struct{}, 1)
	s := gatewaytest.Service(gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		_, _ = io.Copy(w, r.Body)
	})))
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/kept"),
		gatewaytest.Route(s, "/streamed", func(r *entity.Route) { r.RequestBuffering = false })))
	for _, base := range []string{g.URL, g.SecureURL} {
		for _, path := range []string{"/kept", "/streamed"} {
			body, write := io.Pipe()
			go func() {
				_, _ = io.WriteString(write, "first ")
				if path == "/streamed" {
					<-began
				}
				_, _ = io.WriteString(write, "second ")
				if path == "/kept" {
					// Another request goes all the way meanwhile.
					if res, err := g.Client.Get(base + "/none"); err == nil {
						_ = res.Body.Close()
					}
					select {
					case <-began:
						t.Errorf("%s: the upstream was asked before the body has ended", base)
						began <- struct{}{}
					default:
					}
				}
				_ = write.Close()
			}()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+path, body)
			if err != nil {
				t.Fatal(err)
			}
			if res := g.Send(req); res.Text != "first second " {
				t.Errorf("%s: %s %q", path, res.Status, res.Text)
			}
			if path == "/kept" {
				<-began
			}
		}
	}
}

// TestActiveChecks is that targets are found to be gone and back again without
// a request, and that nothing is left to ask when all are gone.
func TestActiveChecks(t *testing.T) {
	up := testbed.StartNginx(t, testbed.NginxOptions{Server: []string{`location / { return 200 up; }`}})
	entities := gatewaytest.Upstream("pool", up.URL())
	u := entities[0].(*entity.Upstream)
	active := &u.HealthChecks.Active
	active.Healthy.Interval, active.Healthy.Successes = 0.05, 1
	active.Unhealthy.Interval, active.Unhealthy.TCPFailures, active.Unhealthy.Timeouts = 0.05, 1, 1
	active.Timeout = 0.2
	s := gatewaytest.Service("http://pool", func(s *entity.Service) { s.Retries = 0 })
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/"), entities))
	becomes := func(h balance.Health) {
		t.Helper()
		waitFor(t, func() bool { status, ok := g.UpstreamStatus(u.ID); return ok && status.Health == h })
	}
	becomes(balance.Healthy)
	for name, fault := range map[string][2]func() error{
		"killed": {func() error { up.Kill(); return nil }, func() error { up.Restart(t); return nil }},
		"frozen": {func() error { return up.Signal(syscall.SIGSTOP) }, func() error { return up.Signal(syscall.SIGCONT) }},
	} {
		if err := fault[0](); err != nil {
			t.Fatal(err)
		}
		becomes(balance.Unhealthy)
		wantMessage(t, g.Get("/", "Accept", "*/*"), http.StatusServiceUnavailable, "failure to get a peer from the ring-balancer")
		if err := fault[1](); err != nil {
			t.Fatal(err)
		}
		becomes(balance.Healthy)
		if res := g.Get("/"); res.Text != "up" {
			t.Errorf("%s, and back: %s %s", name, res.Status, res.Text)
		}
	}
}
