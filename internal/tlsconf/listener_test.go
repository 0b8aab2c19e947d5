package tlsconf

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/backplane/backplane/testbed"
)

// syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// echo opens a listener with the files and sends back each line it gets. The
// files are watched until the test ends.
func echo(t *testing.T, files Files) (addr string, log *syncBuffer) {
	t.Helper()
	log = &syncBuffer{}
	l, err := Listen(t.Context(), "127.0.0.1:0", Options{
		Name: "echo", Files: files, Log: slog.New(slog.NewTextHandler(log, nil)), Every: 5 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { l.Run(ctx) })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				io.Copy(c, c)
				c.Close()
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		all.Wait()
	})
	return l.Addr().String(), log
}

// client trusts the authority and shows the certificate, when there is one.
func client(t *testing.T, ca *testbed.CA, certs ...tls.Certificate) *tls.Config {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ca.PEM)) {
		t.Fatal("no authority")
	}
	return &tls.Config{RootCAs: roots, Certificates: certs}
}

// dial connects and makes a round trip: with TLS 1.3 a client learns only then
// that its certificate was refused.
func dial(t *testing.T, addr string, conf *tls.Config) (*tls.Conn, error) {
	t.Helper()
	d := tls.Dialer{Config: conf}
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	return c.(*tls.Conn), roundTrip(c)
}

func roundTrip(c net.Conn) error {
	if _, err := io.WriteString(c, "hello\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err == nil && line != "hello\n" {
		err = errors.New("answered " + line)
	}
	return err
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		case <-tick.C:
		}
	}
}

func serialOf(c *tls.Conn) string {
	return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestReload(t *testing.T) {
	s := newStock(t)
	addr, log := echo(t, Files{Cert: s.cert, Key: s.key})
	conf := client(t, s.ca)
	old, err := dial(t, addr, conf)
	if err != nil {
		t.Fatal(err)
	}
	first := serialOf(old)

	s.write(t, "server.crt", "half a certif")
	eventually(t, "complaint about the bad certificate", func() bool { return strings.Contains(log.String(), "no PEM certificate") })
	c, err := dial(t, addr, conf)
	if err != nil {
		t.Fatalf("with a bad file in place: %v", err)
	}
	if got := serialOf(c); got != first {
		t.Errorf("certificate %s with a bad file in place, want the first, %s", got, first)
	}
	if err := os.Remove(s.key); err != nil {
		t.Fatal(err)
	}
	eventually(t, "complaint about the missing key", func() bool { return strings.Contains(log.String(), "no such file") })

	fresh := s.ca.Issue(t, "127.0.0.1")
	s.write(t, "server.crt", fresh.CertPEM)
	s.write(t, "server.key", fresh.KeyPEM)
	var second string
	eventually(t, "the new certificate", func() bool {
		c, err := dial(t, addr, conf)
		if err != nil {
			t.Fatal(err)
		}
		second = serialOf(c)
		return second != first
	})
	if want := fresh.TLS(t).Leaf.SerialNumber.String(); second != want {
		t.Errorf("serves certificate %s, want %s", second, want)
	}
	if err := roundTrip(old); err != nil {
		t.Errorf("the old connection: %v", err)
	}
	for _, once := range []string{"no PEM certificate", "files changed and are in use"} {
		if n := strings.Count(log.String(), once); n != 1 {
			t.Errorf("%d times %q in the log, want once:\n%s", n, once, log)
		}
	}
	if strings.Contains(log.String(), "PRIVATE KEY") {
		t.Error("a key is in the log")
	}
}

func TestReloadThroughLink(t *testing.T) {
	s := newStock(t)
	one, two := s.dir+"/one", s.dir+"/two"
	for _, d := range []string{one, two} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
		s.ca.Issue(t, "127.0.0.1").Files(t, d, "tls", "")
	}
	current := s.dir + "/current"
	if err := os.Symlink(one, current); err != nil {
		t.Fatal(err)
	}
	addr, _ := echo(t, Files{Cert: current + "/tls.crt", Key: current + "/tls.key"})
	c, err := dial(t, addr, client(t, s.ca))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Symlink(two, current+".new"), os.Rename(current+".new", current)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the certificate behind the new link", func() bool {
		after, err := dial(t, addr, client(t, s.ca))
		if err != nil {
			t.Fatal(err)
		}
		return serialOf(after) != serialOf(c)
	})
}

func TestClientCertificates(t *testing.T) {
	s := newStock(t)
	good, foreign := s.ca.Issue(t, "client").TLS(t), testbed.NewCA(t).Issue(t, "client").TLS(t)
	expired := s.ca.IssueExpired(t, "client").TLS(t)
	for name, tt := range map[string]struct {
		mode                         ClientAuth
		none, good, foreign, expired bool
	}{
		"by default": {"", false, true, false, false},
		"required":   {Required, false, true, false, false},
		"optional":   {Optional, true, true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			addr, _ := echo(t, Files{Cert: s.cert, Key: s.key, ClientCA: s.authority, Auth: tt.mode})
			for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
				try := func(what string, want bool, certs ...tls.Certificate) {
					conf := client(t, s.ca)
					conf.MinVersion, conf.MaxVersion = version, version
					// Shown even when the server names other authorities.
					conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
						return &append(certs, tls.Certificate{})[0], nil
					}
					if _, err := dial(t, addr, conf); (err == nil) != want {
						t.Errorf("%s, %s: %v", tls.VersionName(version), what, err)
					}
				}
				try("no certificate", tt.none)
				try("a good certificate", tt.good, good)
				try("a foreign certificate", tt.foreign, foreign)
				try("an expired certificate", tt.expired, expired)
			}
		})
	}
}

func TestRemovedAuthority(t *testing.T) {
	s := newStock(t)
	addr, log := echo(t, Files{Cert: s.cert, Key: s.key, ClientCA: s.authority})
	conf := client(t, s.ca, s.ca.Issue(t, "client").TLS(t))
	conf.ClientSessionCache = tls.NewLRUClientSessionCache(8)
	old, err := dial(t, addr, conf)
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "authority.pem", testbed.NewCA(t).PEM)
	eventually(t, "use of the new authority", func() bool { return strings.Contains(log.String(), "are in use") })
	if _, err := dial(t, addr, conf); err == nil {
		t.Error("a client of the removed authority connects by its old session")
	}
	if err := roundTrip(old); err != nil {
		t.Errorf("the old connection: %v", err)
	}
}

func TestVersions(t *testing.T) {
	s := newStock(t)
	addr, _ := echo(t, Files{Cert: s.cert, Key: s.key})
	for version, want := range map[uint16]bool{
		tls.VersionTLS10: false, tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true,
	} {
		conf := client(t, s.ca)
		conf.MinVersion, conf.MaxVersion = version, version
		c, err := dial(t, addr, conf)
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.VersionName(version), err)
		}
		if want && err == nil && c.ConnectionState().Version != version {
			t.Errorf("%s became %s", tls.VersionName(version), tls.VersionName(c.ConnectionState().Version))
		}
	}
	plain, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if err := roundTrip(plain); err == nil {
		t.Error("plaintext is answered")
	}
}

func TestExpiredCertificateIsServedWithAWarning(t *testing.T) {
	s := newStock(t)
	cert, key := s.ca.IssueExpired(t, "127.0.0.1").Files(t, s.dir, "expired", "")
	_, log := echo(t, Files{Cert: cert, Key: key})
	if !strings.Contains(log.String(), "not valid now") {
		t.Errorf("no warning in the log: %q", log)
	}
}

func TestPlaintext(t *testing.T) {
	for _, tt := range []struct {
		addr    string
		allow   bool
		refused bool
	}{
		{"127.0.0.1:0", false, false},
		{"localhost:0", false, false},
		{"0.0.0.0:0", false, true},
		{":0", false, true},
		{"0.0.0.0:0", true, false},
	} {
		l, err := Listen(t.Context(), tt.addr, Options{AllowPlaintext: tt.allow})
		if errors.Is(err, ErrPlaintext) != tt.refused || (err != nil) != tt.refused {
			t.Errorf("%s, allowed %t: %v", tt.addr, tt.allow, err)
		}
		if err != nil {
			continue
		}
		if l.Secure() {
			t.Errorf("%s: says that it serves TLS", tt.addr)
		}
		l.Run(t.Context()) // nothing to watch: returns
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:1": true, "127.9.9.9:1": true, "[::1]:1": true, "localhost:1": true, "[::ffff:127.0.0.1]:1": true,
		":1": false, "0.0.0.0:1": false, "[::]:1": false, "10.0.0.1:1": false, "example.com:1": false, "localhost.example.com:1": false, "nonsense": false,
	} {
		if got := Loopback(addr); got != want {
			t.Errorf("Loopback(%q) = %t", addr, got)
		}
	}
}

// TestServers is that the servers of this program work on such a listener.
func TestServers(t *testing.T) {
	s := newStock(t)
	open := func(protocols ...string) *Listener {
		l, err := Listen(t.Context(), "127.0.0.1:0", Options{Files: Files{Cert: s.cert, Key: s.key}, Protocols: protocols})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	var all sync.WaitGroup
	defer all.Wait()

	web := open("h2", "http/1.1")
	hs := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }), ReadHeaderTimeout: time.Minute}
	all.Go(func() { hs.Serve(web) })
	defer hs.Close()
	for want, h2 := range map[string]bool{"HTTP/2.0": true, "HTTP/1.1": false} {
		transport := &http.Transport{TLSClientConfig: client(t, s.ca), ForceAttemptHTTP2: h2}
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+web.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil || string(got) != want {
			t.Errorf("got %s, %v, want %s", got, err, want)
		}
	}

	rpc := open("h2")
	gs := grpc.NewServer()
	healthv1.RegisterHealthServer(gs, health.NewServer())
	all.Go(func() { gs.Serve(rpc) })
	defer gs.Stop()
	conn, err := grpc.NewClient(rpc.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(client(t, s.ca))))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{}); err != nil {
		t.Error(err)
	}
}
