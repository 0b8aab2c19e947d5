package httpproxy_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// TestHeadBeforeBody: a client is sent the head of a response whose body is not
// there yet.
func TestHeadBeforeBody(t *testing.T) {
	seen := make(chan struct{})
	url := gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		select {
		case <-seen:
			_, _ = io.WriteString(w, "hello")
		case <-r.Context().Done():
		}
	}))
	s := gatewaytest.Service(url)
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/")))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.SecureURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := g.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	close(seen)
	if b, err := io.ReadAll(res.Body); res.ProtoMajor != 2 || string(b) != "hello" || err != nil {
		t.Errorf("%s %q %v", res.Proto, b, err)
	}
}

// askH2 sends a request of HTTP/2 as it is and gives the status of the response.
func askH2(t *testing.T, g *gatewaytest.Gateway, method, path, authority string) int {
	t.Helper()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
	nc, err := d.DialContext(t.Context(), "tcp", g.TLSAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	fields := []hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":authority", Value: authority}}
	if method != http.MethodConnect {
		fields = append(fields, hpack.HeaderField{Name: ":scheme", Value: "https"}, hpack.HeaderField{Name: ":path", Value: path})
	}
	for _, f := range fields {
		_ = enc.WriteField(f)
	}
	_, _ = io.WriteString(nc, http2.ClientPreface)
	framer := http2.NewFramer(nc, nc)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true})
	for {
		f, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			status, _ := strconv.Atoi(f.PseudoValue("status"))
			return status
		case *http2.RSTStreamFrame:
			return 0
		}
	}
}

// TestRequestsThatCannotBe: what HTTP/1 could not carry is refused in HTTP/2 as
// well.
func TestRequestsThatCannotBe(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "a"))
	r := gatewaytest.Route(s, "/")
	r.PreserveHost = true
	g := gatewaytest.Start(t, httpproxy.Options{}, gatewaytest.All(s, r))
	for _, c := range []struct {
		method, path, authority string
		status                  int
	}{
		{"GET", "/a?b", "example.com:443", 200},
		{"GET", "/a b", "example.com", 400},
		{"GET", "/a?b HTTP/1.1", "example.com", 400},
		{"GET", "/a", "exam ple.com", 400},
		{"GET", "/a", "example.com/x", 400},
		{"GET", "/a%00", "example.com", 400},
		{"CONNECT", "", "example.com:443", 405},
	} {
		if got := askH2(t, g, c.method, c.path, c.authority); got != c.status {
			t.Errorf("%s %q of %q: %d, not %d", c.method, c.path, c.authority, got, c.status)
		}
	}
}

// TestStatusesOfPlugins: what is no status of a response is none in any version.
func TestStatusesOfPlugins(t *testing.T) {
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{
		accesser("no", 1, func(x *httpproxy.Exchange) error { x.Refuse(150, "no"); return nil }),
	}}, gatewaytest.All(gatewaytest.Route(nil, "/"), gatewaytest.Plugin("no", "{}")))
	for _, url := range []string{g.URL, g.SecureURL} {
		if res := g.Do(http.MethodGet, url, ""); res.StatusCode != http.StatusInternalServerError {
			t.Errorf("%s: %s", url, fmt.Sprint(res.Status, res.Text))
		}
	}
}

// TestUnreadableAfterOther: of a request that cannot be read nothing is told
// that the one before it has had.
func TestUnreadableAfterOther(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	g := gatewaytest.Start(t, httpproxy.Options{AccessLog: slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(p)
	}), nil))}, httpproxy.Entities{})
	raw(t, g, "PUT / HTTP/1.1\r\nHost: before\r\n\r\nnonsense\r\n\r\n")
	g.Stop()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || strings.Contains(lines[1], "before") || strings.Contains(lines[1], "PUT") {
		t.Errorf("the log is %q", lines)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
