package balance

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// errNotServing is that a server of gRPC says so.
var errNotServing = errors.New("the service does not serve")

// probe makes one check of an address. The status is 0 where there is none to
// judge: the address is well then.
func (p *Pool) probe(ctx context.Context, u *entity.Upstream, a *address) (status int, err error) {
	secure := u.HealthChecks.Active.Type == "https" || u.HealthChecks.Active.Type == "grpcs"
	dial := func(ctx context.Context) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, "tcp", a.text)
		if err != nil || !secure {
			return c, err
		}
		t := tls.Client(c, p.tlsConfig(u, a))
		if err := t.HandshakeContext(ctx); err != nil {
			c.Close()
			return nil, err
		}
		return t, nil
	}
	switch u.HealthChecks.Active.Type {
	case "tcp":
		c, err := dial(ctx)
		if err != nil {
			return 0, err
		}
		return 0, c.Close()
	case "grpc", "grpcs":
		return 0, probeGRPC(ctx, dial, hostHeader(u, a), secure)
	default:
		c, err := dial(ctx)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
		defer stop()
		return probeHTTP(c, u, hostHeader(u, a))
	}
}

func (p *Pool) tlsConfig(u *entity.Upstream, a *address) *tls.Config {
	c := &tls.Config{
		ServerName:         u.HealthChecks.Active.HTTPSSNI,
		InsecureSkipVerify: !u.HealthChecks.Active.HTTPSVerifyCertificate,
	}
	if c.ServerName == "" {
		c.ServerName = a.name
	}
	if strings.HasPrefix(u.HealthChecks.Active.Type, "grpc") {
		c.NextProtos = []string{"h2"}
	}
	if u.ClientCertificate != nil && p.options.Certificate != nil {
		if cert := p.options.Certificate(u.ClientCertificate.ID); cert != nil {
			c.Certificates = []tls.Certificate{*cert}
		}
	}
	return c
}

func hostHeader(u *entity.Upstream, a *address) string {
	if u.HostHeader != "" {
		return u.HostHeader
	}
	return net.JoinHostPort(a.name, strconv.Itoa(int(a.addr.Port())))
}

// maxStatusLine bounds what is read of an answer.
const maxStatusLine = 4096

// probeHTTP asks as HTTP/1.0 does, so that the server closes the connection.
func probeHTTP(c net.Conn, u *entity.Upstream, host string) (status int, err error) {
	active := &u.HealthChecks.Active
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.0\r\n", oneLine(active.HTTPPath))
	hasHost := false
	for _, name := range slices.Sorted(maps.Keys(active.Headers)) {
		hasHost = hasHost || strings.EqualFold(name, "host")
		for _, v := range active.Headers[name] {
			fmt.Fprintf(&b, "%s: %s\r\n", oneLine(name), oneLine(v))
		}
	}
	if !hasHost {
		fmt.Fprintf(&b, "Host: %s\r\n", oneLine(host))
	}
	b.WriteString("\r\n")
	if _, err := c.Write(b.Bytes()); err != nil {
		return 0, err
	}
	line, err := bufio.NewReaderSize(io.LimitReader(c, maxStatusLine), maxStatusLine).ReadString('\n')
	if err != nil {
		return 0, err
	}
	return parseStatus(line)
}

func parseStatus(line string) (int, error) {
	rest, ok := strings.CutPrefix(line, "HTTP/1.")
	if !ok || len(rest) < 5 || rest[1] != ' ' {
		return 0, errors.New("the answer is not HTTP")
	}
	status, err := strconv.ParseUint(rest[2:5], 10, 16)
	if err != nil || status < 100 || len(rest) > 5 && !strings.ContainsRune(" \r\n", rune(rest[5])) {
		return 0, errors.New("the answer has no status")
	}
	return int(status), nil
}

func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

// probeGRPC asks grpc.health.v1.Health whether the server serves. A server that
// does not know of it is well, too: it has answered.
func probeGRPC(ctx context.Context, dial func(context.Context) (net.Conn, error), host string, secure bool) error {
	t := &http.Transport{
		DialContext:    func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		Protocols:      new(http.Protocols),
	}
	defer t.CloseIdleConnections()
	scheme := "http"
	if secure {
		scheme = "https"
	}
	t.Protocols.SetHTTP2(true)
	t.Protocols.SetUnencryptedHTTP2(true)
	empty := bytes.NewReader(make([]byte, 5)) // a message of no bytes: the server as a whole
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, scheme+"://"+oneLine(host)+"/grpc.health.v1.Health/Check", empty)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/grpc")
	req.Header.Set("TE", "trailers")
	resp, err := t.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxStatusLine))
	if err != nil {
		return err
	}
	code := resp.Trailer.Get("Grpc-Status")
	if code == "" {
		code = resp.Header.Get("Grpc-Status")
	}
	const unimplemented = "12"
	serving := []byte{0, 0, 0, 0, 2, 8, 1} // HealthCheckResponse{status: SERVING}
	if code == unimplemented || code == "0" && bytes.Equal(answer, serving) {
		return nil
	}
	return errNotServing
}
