package balance

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// active is an upstream with active checks of a type.
func active(kind string) *entity.Upstream {
	return &entity.Upstream{Name: "up.test", HealthChecks: entity.HealthChecks{Active: entity.ActiveCheck{
		Type: kind, Timeout: 5, Concurrency: 2, HTTPPath: "/health?a=b",
		Healthy:   entity.Healthy{Interval: 0.005, Successes: 2, HTTPStatuses: []int{200, 302}},
		Unhealthy: entity.Unhealthy{Interval: 0.005, TCPFailures: 2, Timeouts: 1, HTTPFailures: 2, HTTPStatuses: []int{429, 500}},
	}}}
}

func isHealthy(b *Balancer, want bool) func() bool {
	return func() bool { return (b.Status().Health == Healthy) == want }
}

// listen listens at an address that was free, or that is to be free again.
func listen(t *testing.T, at string) net.Listener {
	t.Helper()
	var l net.Listener
	eventually(t, "the address is free", func() (ok bool) {
		var err error
		l, err = net.Listen("tcp", at)
		return err == nil
	})
	return l
}

func TestServerIsKilledAndComesBack(t *testing.T) {
	for _, kind := range []string{"http", "tcp"} {
		p := newPool(t, Options{})
		handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		l := listen(t, "127.0.0.1:0")
		at := l.Addr().String()
		server := &http.Server{Handler: handler}
		go server.Serve(l)
		b := p.New(active(kind), []*entity.Target{target100(at)})
		if got := pick(t, b); got != at {
			t.Fatal(got)
		}
		for range 2 {
			server.Close()
			eventually(t, kind+": it is found dead", isHealthy(b, false))
			wantError(t, b, ErrPeer)
			server = &http.Server{Handler: handler}
			go server.Serve(listen(t, at))
			eventually(t, kind+": it is found alive", isHealthy(b, true))
			pick(t, b)
		}
		b.Close()
		server.Close()
	}
}

func TestActiveAndPassiveTogether(t *testing.T) {
	p := newPool(t, Options{})
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	u := active("tcp")
	u.HealthChecks.Passive = passive().HealthChecks.Passive
	u.HealthChecks.Active.Healthy.Interval = 0 // only those that are not healthy
	b := p.New(u, []*entity.Target{target100(server.Listener.Addr().String())})
	defer b.Close()
	for range 3 {
		peer, err := b.Pick(t.Context(), &Input{})
		if err != nil {
			t.Fatal(err)
		}
		peer.Report(Outcome{Status: 500})
		peer.Report(Outcome{Status: 500})
		eventually(t, "it is healthy again", isHealthy(b, true))
	}
}

func TestCheckOverHTTP(t *testing.T) {
	p := newPool(t, Options{})
	var status, asked atomic.Int64
	status.Store(200)
	requests := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case requests <- fmt.Sprintf("%s %s %s %s %q", r.Method, r.RequestURI, r.Proto, r.Host, r.Header["X-Check"]):
		default:
		}
		asked.Add(1)
		w.WriteHeader(int(status.Load()))
	}))
	defer server.Close()
	u := active("http")
	u.HealthChecks.Active.Headers = map[string][]string{"X-Check": {"1", "2\r\nEvil: 3"}}
	at := server.Listener.Addr().String()
	b := p.New(u, []*entity.Target{target100(at)})
	defer b.Close()
	if got, want := <-requests, "GET /health?a=b HTTP/1.0 "+at+` ["1" "2Evil: 3"]`; got != want {
		t.Errorf("%s instead of %s", got, want)
	}
	for _, c := range []struct {
		status  int64
		healthy bool
	}{{500, false}, {302, true}, {429, false}, {200, true}} {
		status.Store(c.status)
		eventually(t, fmt.Sprint(c.status, " counts"), isHealthy(b, c.healthy))
	}
	status.Store(404) // in neither list
	before := asked.Load()
	eventually(t, "checks go on", func() bool { return asked.Load() > before+5 })
	if b.Status().Health != Healthy {
		t.Error("a status that is in no list counts")
	}
	v := *u
	v.HostHeader = "host.test:99"
	b.Update(&v, []*entity.Target{target100(at)})
	eventually(t, "the host is that of the upstream", func() bool { return strings.Contains(<-requests, " host.test:99 ") })
	b.Update(&entity.Upstream{}, []*entity.Target{target100(at)})
	if b.Status().Health != ChecksOff {
		t.Errorf("%+v", b.Status())
	}
}

// TestCheckOfStrangeServers has servers that do not answer as they should.
func TestCheckOfStrangeServers(t *testing.T) {
	for name, serve := range map[string]func(net.Conn){
		"closes":        func(net.Conn) {},
		"talks garbage": func(c net.Conn) { io.WriteString(c, "SSH-2.0-x\r\n") },
		"talks for ever": func(c net.Conn) {
			for {
				if _, err := io.WriteString(c, strings.Repeat("x", 1000)); err != nil {
					return
				}
			}
		},
		"does not answer": func(c net.Conn) { io.Copy(io.Discard, c) },
	} {
		p := newPool(t, Options{})
		l := listen(t, "127.0.0.1:0")
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					bufio.NewReader(c).ReadString('\n')
					serve(c)
				}()
			}
		}()
		u := active("http")
		u.HealthChecks.Active.Timeout = 0.1
		if name == "does not answer" {
			u.HealthChecks.Active.Unhealthy.TCPFailures = 0
		} else {
			u.HealthChecks.Active.Unhealthy.Timeouts = 0
		}
		b := p.New(u, []*entity.Target{target100(l.Addr().String())})
		eventually(t, name+": it is found out", isHealthy(b, false))
		b.Close()
		l.Close()
	}
}

func TestCheckOverTLS(t *testing.T) {
	var sni atomic.Value
	var certificates atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		sni.Store(r.TLS.ServerName)
		certificates.Store(int64(len(r.TLS.PeerCertificates)))
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	mine, id := server.TLS.Certificates[0], uuid.New()
	p := newPool(t, Options{Certificate: func(asked uuid.UUID) *tls.Certificate {
		if asked == id {
			return &mine
		}
		return nil
	}})
	u := active("https")
	u.HealthChecks.Active.HTTPSSNI = "sni.test"
	u.ClientCertificate = &entity.Reference{ID: id}
	targets := []*entity.Target{target100(server.Listener.Addr().String())}
	b := p.New(u, targets)
	defer b.Close()
	eventually(t, "it is asked with that name and certificate", func() bool {
		return sni.Load() == "sni.test" && certificates.Load() == 1
	})
	// Its certificate is of no authority that is known here.
	v := *u
	v.HealthChecks.Active.HTTPSVerifyCertificate = true
	b.Update(&v, targets)
	eventually(t, "its certificate does not hold", isHealthy(b, false))
	b.Update(u, targets)
	eventually(t, "it need not", isHealthy(b, true))
}

func TestCheckOverGRPC(t *testing.T) {
	web := httptest.NewTLSServer(http.NotFoundHandler())
	defer web.Close()
	config := &tls.Config{Certificates: web.TLS.Certificates}
	for _, kind := range []string{"grpc", "grpcs"} {
		for _, known := range []bool{true, false} {
			p := newPool(t, Options{})
			var options []grpc.ServerOption
			if kind == "grpcs" {
				options = append(options, grpc.Creds(credentials.NewTLS(config)))
			}
			server := grpc.NewServer(options...)
			health := grpchealth.NewServer()
			if known {
				grpc_health_v1.RegisterHealthServer(server, health)
			}
			l := listen(t, "127.0.0.1:0")
			go server.Serve(l)
			b := p.New(active(kind), []*entity.Target{target100(l.Addr().String())})
			if err := b.SetHealth(l.Addr().String(), netip.AddrPort{}, false); err != nil {
				t.Fatal(err)
			}
			eventually(t, fmt.Sprint(kind, known, ": it serves"), isHealthy(b, true))
			if known {
				health.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
				eventually(t, kind+": it does not serve", isHealthy(b, false))
				health.SetServingStatus("", grpc_health_v1.HealthCheckResponse_SERVING)
				eventually(t, kind+": it serves again", isHealthy(b, true))
			}
			server.Stop()
			eventually(t, kind+": it is gone", isHealthy(b, false))
			b.Close()
		}
	}
}

func TestConcurrencyOfChecks(t *testing.T) {
	p := newPool(t, Options{})
	var now, most, all atomic.Int64
	enough := make(chan struct{})
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		if all.Add(1) == 2 {
			close(enough)
		}
		<-enough // two are here at the same time, or nobody goes on
	})
	var targets []*entity.Target
	for range 6 {
		server := httptest.NewServer(handler)
		defer server.Close()
		targets = append(targets, target100(server.Listener.Addr().String()))
	}
	u := active("http")
	u.HealthChecks.Active.Unhealthy = entity.Unhealthy{}
	b := p.New(u, targets)
	defer b.Close()
	eventually(t, "there were many checks", func() bool { return all.Load() > 20 })
	if most.Load() > 2 {
		t.Errorf("%d checks at the same time", most.Load())
	}
}

func FuzzParseStatus(f *testing.F) {
	for _, s := range []string{"HTTP/1.1 200 OK\r\n", "HTTP/1.0 404\n", "HTTP/1.1 99 x\n", "HTTP/1.1 2000\n", "HTTP/2 200\n", "HTTP/1.", "\n", "HTTP/1.1 +20\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		status, err := parseStatus(line)
		if err != nil {
			return
		}
		if status < 100 || status > 999 || !strings.HasPrefix(line[9:], fmt.Sprint(status)) {
			t.Fatalf("%q has status %d", line, status)
		}
	})
}
