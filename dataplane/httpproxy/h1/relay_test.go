package h1

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

// pattern is n bytes in which what is moved, lost or repeated shows.
func pattern(n int) []byte {
	const period = 10_007 // fits no buffer evenly
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i%period) ^ byte(i%period>>8)*31
	}
	return b
}

// pieces is a body that comes in pieces of random lengths.
type pieces struct {
	rest []byte
	rng  *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		return 0, io.EOF
	}
	n := min(len(b), len(p.rest), 1+p.rng.IntN(1<<p.rng.IntN(18)))
	copy(b, p.rest[:n])
	p.rest = p.rest[n:]
	return n, nil
}

// TestRelay sends bodies through a relay to who sends them back.
func TestRelay(t *testing.T) {
	s := httptest.NewTLSServer(nil) // it has a certificate
	defer s.Close()
	config := &tls.Config{Certificates: s.TLS.Certificates, InsecureSkipVerify: true}
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("TLS=%v", secure), func(t *testing.T) {
			pair := func() (a, b net.Conn) {
				if a, b = tcpPair(t); secure {
					a, b = tls.Client(a, config), tls.Server(b, config)
				}
				return a, b
			}
			o := Options{ReadTimeout: time.Minute, WriteTimeout: time.Minute, Drain: 1 << 40}
			peer, front := pair()
			back, upstream := pair()
			done := make(chan struct{}, 2)
			go func() { relay(NewServer(front, o), NewClient(back, o)); done <- struct{}{} }()
			go func() { echo(NewServer(upstream, o)); done <- struct{}{} }()
			c := NewClient(peer, o)
			rng := rand.New(rand.NewPCG(1, 2))
			for range 60 {
				sendAndCompare(t, c, rng)
			}
			c.Close()
			<-done
			<-done
		})
	}
}

func sendAndCompare(t *testing.T, c *Client, rng *rand.Rand) {
	t.Helper()
	size := rng.IntN(1 << rng.IntN(21))
	if rng.IntN(3) == 0 {
		size = largeSize*rng.IntN(4) + rng.IntN(40) - 20
	}
	sent := pattern(max(size, 0))
	r, w := newRequest(), newResponse()
	r.Method, r.Path, r.Host = "PUT", "/", "h"
	r.Body, r.ContentLength = &pieces{sent, rng}, int64(len(sent))
	if rng.IntN(2) == 0 {
		r.ContentLength = -1
		r.Trailer.Add("Sum", "1")
	}
	what := fmt.Sprintf("%d bytes, length %d", len(sent), r.ContentLength)
	rest := make(chan error, 1)
	switch err := c.WriteRequest(r); err {
	case ErrBodyPending:
		go func() { rest <- c.WriteRest() }()
	default:
		rest <- err
	}
	if err := c.ReadResponse(w); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	got, err := io.ReadAll(w.Body)
	if err != nil || !bytes.Equal(got, sent) || fields(w.Trailer) != fields(r.Trailer) {
		t.Fatalf("%s: %d bytes came back, trailers %q, %v", what, len(got), fields(w.Trailer), err)
	}
	if err := <-rest; err != nil || !c.Reusable() {
		t.Fatalf("%s: %v, reusable: %v", what, err, c.Reusable())
	}
}

// TestLongBodiesThatEnd breaks the relay of a body at either end.
func TestLongBodiesThatEnd(t *testing.T) {
	const told, sent = 4 << 20, 300_000
	for _, c := range []struct {
		name  string
		after func(upstream, peer net.Conn)
		cause error
		write bool
	}{
		{"closed", func(upstream, _ net.Conn) { upstream.Close() }, io.ErrUnexpectedEOF, false},
		{"silent", func(net.Conn, net.Conn) {}, os.ErrDeadlineExceeded, false},
		{"not taken", func(upstream, _ net.Conn) { upstream.Write(pattern(told - sent)) }, os.ErrDeadlineExceeded, true},
		{"client gone", func(upstream, peer net.Conn) { peer.Close(); upstream.Write(pattern(told - sent)) }, nil, true},
	} {
		peer, front := tcpPair(t)
		back, upstream := tcpPair(t)
		must(t, front.(*net.TCPConn).SetWriteBuffer(1<<16))
		must(t, peer.(*net.TCPConn).SetReadBuffer(1<<16))
		o := Options{ReadTimeout: 50 * time.Millisecond, WriteTimeout: 50 * time.Millisecond}
		s, cl := NewServer(front, o), NewClient(back, o)
		io.WriteString(peer, "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		must(t, s.ReadRequest(newRequest()))
		must(t, cl.WriteRequest(&Request{Method: "GET", Path: "/", Host: "h"}))
		done := make(chan struct{})
		go func() {
			defer close(done)
			upstream.Read(make([]byte, 1<<10))
			fmt.Fprintf(upstream, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", told)
			upstream.Write(pattern(sent))
			if !c.write {
				io.CopyN(io.Discard, peer, sent)
			}
			c.after(upstream, peer)
		}()
		w := newResponse()
		must(t, cl.ReadResponse(w))
		got, err := s.WriteResponse(w)
		var source *SourceError
		if errors.As(err, &source) == c.write || err == nil || c.cause != nil && !errors.Is(err, c.cause) || s.KeepAlive() || cl.Reusable() {
			t.Errorf("%s: %v", c.name, err)
		}
		if !c.write && got != sent {
			t.Errorf("%s: %d bytes were sent", c.name, got)
		}
		upstream.Close()
		peer.Close()
		<-done
	}
}
