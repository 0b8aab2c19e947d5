package httpproxy_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/testbed"
)

// bystanders ask an upstream that nothing is wrong with until they are stopped:
// none of their requests may fail.
func bystanders(t *testing.T, g *gatewaytest.Gateway) (stop func()) {
	t.Helper()
	s := gatewaytest.Service(gatewaytest.Echo(t, "good"))
	g.Put(s, gatewaytest.Route(s, "/bystander"))
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			url := []string{g.URL, g.SecureURL}[i%2] + "/bystander/" + strconv.Itoa(i)
			pause := time.NewTicker(2 * time.Millisecond) // there is other work to do
			defer pause.Stop()
			for ctx.Err() == nil {
				<-pause.C
				res, err := g.Client.Get(url)
				if err != nil {
					t.Errorf("another upstream: %v", err)
					return
				}
				b, err := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(b), `"/`+strconv.Itoa(i)+`"`) {
					t.Errorf("another upstream: %s %s %v", res.Status, b, err)
					return
				}
			}
		})
	}
	return func() {
		cancel()
		clients.Wait()
	}
}

// counted is an upstream on TCP of which is known how many connections there are.
func counted(t *testing.T, serve func(net.Conn)) (url string, open *atomic.Int32) {
	t.Helper()
	open = new(atomic.Int32)
	return gatewaytest.ServeTCP(t, func(nc net.Conn) {
		open.Add(1)
		defer open.Add(-1)
		defer nc.Close()
		serve(nc)
	}), open
}

// after answers each connection with something, once a request is there, and
// then goes on as told.
func after(answer string, then func(net.Conn)) func(net.Conn) {
	return func(nc net.Conn) {
		if _, err := nc.Read(make([]byte, 4096)); err != nil {
			return
		}
		_, _ = io.WriteString(nc, answer)
		then(nc)
	}
}

func closes(net.Conn) {}

func stays(nc net.Conn) { _, _ = io.Copy(io.Discard, nc) }

// partly is instead of a status: a response that breaks off, or an error in the
// place of all of it.
const partly = -1

// faults are what upstreams may do wrong, and what clients are told.
var faults = []struct {
	name    string
	serve   func(net.Conn)
	status  int
	message string
	late    bool // it is the timeout that tells
}{
	{"closes at once", closes, 502, badUpstream, false},
	{"resets at once", func(nc net.Conn) { reset(nc, nil) }, 502, badUpstream, false},
	{"closes after the request", after("", closes), 502, badUpstream, false},
	{"says nothing", stays, 504, timingOut, false},
	{"answers garbage", after("\x00\x01\x02 no HTTP\r\n\r\n", stays), 502, badUpstream, false},
	{"answers as of another protocol", after("220 mail.test ESMTP\r\n", stays), 504, timingOut, false},
	{"another version", after("HTTP/9.9 200 OK\r\n\r\n", stays), 502, badUpstream, false},
	{"no status", after("HTTP/1.1 OK\r\n\r\n", stays), 502, badUpstream, false},
	{"half a head, then the end", after("HTTP/1.1 200 OK\r\nContent-Le", closes), 502, badUpstream, false},
	{"half a head, then nothing", after("HTTP/1.1 200 OK\r\nContent-Le", stays), 504, timingOut, false},
	{"a head without an end", after("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20), stays), 502, badUpstream, false},
	{"interim responses without an end", after(strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 1000), stays), 502, badUpstream, false},
	{"a change of protocol that nobody wanted", after("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", stays), 502, badUpstream, false},
	{"two lengths", after("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc", stays), 502, badUpstream, false},
	{"a length and chunks", after("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", stays), 502, badUpstream, false},
	{"half a body, then the end", after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", closes), partly, "", false},
	{"half a body, then nothing", after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", stays), partly, "", true},
	{"half a body, then a reset", after("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", func(nc net.Conn) { reset(nc, nil) }), partly, "", false},
	{"chunks that end", after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", closes), partly, "", false},
	{"chunks that are none", after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nzz\r\n", stays), partly, "", false},
}

// TestFaults is what clients are told of upstreams that are broken, while others
// are served as ever, and that nothing is left of the connections.
func TestFaults(t *testing.T) {
	g := gatewaytest.Start(t, httpproxy.Options{}, httpproxy.Entities{})
	defer bystanders(t, g)()
	var all sync.WaitGroup
	for i, f := range faults {
		url, open := counted(t, f.serve)
		s := gatewaytest.Service(url, func(s *entity.Service) {
			if s.Retries = 1; f.status == 504 || f.late {
				s.ReadTimeout = 300
			}
		})
		path := "/fault/" + strconv.Itoa(i) + "/"
		g.Put(s, gatewaytest.Route(s, path))
		for _, base := range []string{g.URL, g.SecureURL} {
			for _, method := range []string{http.MethodGet, http.MethodPost} {
				all.Go(func() {
					if err := faulty(g, method, base+path, f.status, f.message); err != nil {
						t.Errorf("%s, %s: %v", f.name, method, err)
					}
				})
			}
		}
		defer waitFor(t, func() bool { return open.Load() == 0 })
	}
	all.Wait()
}

// faulty makes a request that goes wrong, and tells what is wrong with how.
func faulty(g *gatewaytest.Gateway, method, url string, status int, message string) error {
	req, err := http.NewRequest(method, url, strings.NewReader("body"))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "*/*")
	res, err := g.Client.Do(req)
	if err != nil {
		if status == partly {
			return nil
		}
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	switch {
	case status == partly && err == nil && res.StatusCode >= 500 && strings.Contains(string(b), `"message":"`):
		// None of the response has been passed on yet.
	case status == partly && err == nil:
		return errors.New("a part looks like the whole: " + res.Status + " " + string(b))
	case status != partly && (err != nil || res.StatusCode != status || !strings.Contains(string(b), `"message":"`+message+`"`)):
		return errors.New(res.Status + " " + string(b))
	}
	return nil
}

// TestLastFailure is that the last try counts.
func TestLastFailure(t *testing.T) {
	for _, c := range []struct {
		steps   []func(net.Conn, *http.Request)
		status  int
		message string
	}{
		{[]func(net.Conn, *http.Request){hang, reset}, 502, badUpstream},
		{[]func(net.Conn, *http.Request){reset, hang}, 504, timingOut},
	} {
		url, _ := script(t, c.steps...)
		s := gatewaytest.Service(url, func(s *entity.Service) { s.Retries, s.ReadTimeout = 1, 100 })
		g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
		wantMessage(t, g.Get("/", "Accept", "*/*"), c.status, c.message)
	}
}

// deaf is an address at which connections are neither taken nor refused.
func deaf(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	at, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := testbed.Addr(at.(*syscall.SockaddrInet4).Port)
	for range 64 { // until the queue is full
		nc, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
			return addr
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
	}
	t.Fatal("the queue is never full")
	return ""
}

// TestTimeouts is that of connecting, of writing, and of reading between two
// pieces.
func TestTimeouts(t *testing.T) {
	g := gatewaytest.Start(t, httpproxy.Options{}, httpproxy.Entities{})
	defer bystanders(t, g)()
	far := gatewaytest.Service("http://"+deaf(t), func(s *entity.Service) { s.ConnectTimeout, s.Retries = 150, 1 })
	unread, _ := counted(t, func(nc net.Conn) {
		_ = nc.(*net.TCPConn).SetReadBuffer(4 << 10)
		<-t.Context().Done()
	})
	slow := gatewaytest.Service(unread, func(s *entity.Service) { s.WriteTimeout, s.Retries = 150, 0 })
	steady := gatewaytest.Service(gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for range 15 { // all of it takes longer than one read may
			_, _ = io.WriteString(w, "x")
			w.(http.Flusher).Flush()
			<-tick.C
		}
	})), func(s *entity.Service) { s.ReadTimeout = 400 })
	g.Put(far, slow, steady, gatewaytest.Route(far, "/far"), gatewaytest.Route(slow, "/slow"), gatewaytest.Route(steady, "/steady"))
	wantMessage(t, g.Do(http.MethodPost, "/far", "x", "Accept", "*/*"), http.StatusGatewayTimeout, timingOut)
	wantMessage(t, g.Do(http.MethodPost, "/slow", strings.Repeat("x", 16<<20), "Accept", "*/*"), http.StatusGatewayTimeout, timingOut)
	for _, base := range []string{g.URL, g.SecureURL} {
		if res := g.Do(http.MethodGet, base+"/steady", ""); res.Text != strings.Repeat("x", 15) {
			t.Errorf("slow but steady: %s %q", res.Status, res.Text)
		}
	}
}

// TestRefusedConnectionsAreTriedElsewhere is that a request which was not sent is
// sent to another target, whatever its method is.
func TestRefusedConnectionsAreTriedElsewhere(t *testing.T) {
	entities := gatewaytest.Upstream("pool", testbed.Addr(testbed.ClosedPort(t)), gatewaytest.Echo(t, "a"))
	s := gatewaytest.Service("http://pool", func(s *entity.Service) { s.Retries = 1 })
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/"), entities))
	for range 6 {
		for _, method := range []string{http.MethodPost, http.MethodPatch, http.MethodGet, "LOCK"} {
			if res := g.Do(method, "/", "x"); res.StatusCode != http.StatusOK || res.Asked(t).Body != "x" {
				t.Errorf("%s: %s %s", method, res.Status, res.Text)
			}
		}
	}
}

// TestUpstreamProcess kills, starts and freezes an upstream while it is asked.
func TestUpstreamProcess(t *testing.T) {
	up := testbed.StartNginx(t, testbed.NginxOptions{Server: []string{`location / { return 200 up; }`}})
	s := gatewaytest.Service(up.URL(), func(s *entity.Service) { s.Retries, s.ReadTimeout, s.ConnectTimeout = 2, 200, 2000 })
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/up")))
	defer bystanders(t, g)()
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	for i := range 4 {
		clients.Go(func() {
			for ctx.Err() == nil {
				askUp(t, g, []string{g.URL, g.SecureURL}[i%2]+"/up")
			}
		})
	}
	answers := func(status int) func() bool {
		return func() bool { return g.Get("/up", "Accept", "*/*").StatusCode == status }
	}
	for range 2 {
		waitFor(t, answers(http.StatusOK))
		up.Kill()
		wantMessage(t, g.Get("/up", "Accept", "*/*"), http.StatusBadGateway, badUpstream)
		up.Restart(t)
		if res := g.Get("/up"); res.Text != "up" {
			t.Errorf("after a restart: %s %s", res.Status, res.Text)
		}
		if err := up.Signal(syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		waitFor(t, answers(http.StatusGatewayTimeout))
		if err := up.Signal(syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	waitFor(t, answers(http.StatusOK))
	cancel()
	clients.Wait()
}

// askUp asks an upstream that may be there or not.
func askUp(t *testing.T, g *gatewaytest.Gateway, url string) {
	res, err := g.Client.Get(url)
	if err != nil {
		t.Error(err)
		return
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	text := string(b)
	switch {
	case err != nil:
		t.Errorf("%s: %v", res.Status, err)
	case res.StatusCode == http.StatusOK && text == "up":
	case res.StatusCode == http.StatusBadGateway && strings.HasPrefix(text, badUpstream+"\nrequest_id: "):
	case res.StatusCode == http.StatusGatewayTimeout && strings.HasPrefix(text, timingOut+"\nrequest_id: "):
	default:
		t.Errorf("%s %s", res.Status, text)
	}
}

// TestGRPCServerThatDies is that streams end with an error when their upstream is
// gone in the midst of them, and that new ones are told so.
func TestGRPCServerThatDies(t *testing.T) {
	server := grpcServer(t)
	cut := make(chan struct{})
	relay := gatewaytest.ServeTCP(t, func(nc net.Conn) {
		there, err := net.Dial("tcp", server)
		if err != nil {
			return
		}
		defer there.Close()
		go func() { _, _ = io.Copy(there, nc) }()
		go func() { _, _ = io.Copy(nc, there) }()
		<-cut
	})
	s := gatewaytest.Service(strings.Replace(relay, "http:", "grpc:", 1), func(s *entity.Service) { s.Retries = 0 })
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, grpcRoute(s, "grpc", "grpcs")))
	stream := both(t, grpcClient(t, g.TLSAddr(), true))
	if got, err := exchange(stream, "one"); got != "one" || err != nil {
		t.Fatalf("%q %v", got, err)
	}
	close(cut)
	if _, err := exchange(stream, "two"); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the stream goes on or has ended well: %v", err)
	}
	if _, err := exchange(both(t, grpcClient(t, g.Addr(), false)), "three"); status.Code(err) != codes.Unavailable {
		t.Errorf("a new stream: %v", err)
	}
}
