package h1

import (
	"net"
	"strings"
	"testing"
)

const browserHead = "GET /api/v1/users/42?fields=name,mail HTTP/1.1\r\n" +
	"Host: api.example.com\r\nConnection: keep-alive\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36\r\n" +
	"Accept: application/json,text/html;q=0.9,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n" +
	"Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJlIG9mIHRoZSB0b2tlbg\r\n" +
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nCache-Control: no-cache\r\n\r\n"

// loop is a connection of which the peer says the same over and over.
type loop struct {
	script
	what string
	at   int
}

func (l *loop) Read(b []byte) (int, error) {
	n := copy(b, l.what[l.at:])
	l.at = (l.at + n) % len(l.what)
	return n, nil
}

func (l *loop) Write(b []byte) (int, error) { return len(b), nil }

func BenchmarkReadRequest(b *testing.B) {
	for _, c := range []struct{ name, head string }{
		{"short", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n\r\n"},
		{"browser", browserHead},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := NewServer(&loop{what: c.head}, Options{})
			r, w := newRequest(), &Response{Status: 204}
			b.ReportAllocs()
			for b.Loop() {
				must(b, s.ReadRequest(r))
				_, err := s.WriteResponse(w)
				must(b, err)
			}
		})
	}
}

// relay serves a connection from a request to an upstream and back until it
// ends.
func relay(client *Server, upstream *Client) {
	defer upstream.Close()
	defer client.Close()
	r, w := newRequest(), newResponse()
	rest := make(chan error, 1)
	for client.ReadRequest(r) == nil {
		switch err := upstream.WriteRequest(r); err {
		case nil:
			rest <- nil
		case ErrBodyPending:
			go func() { rest <- upstream.WriteRest() }()
		default:
			return
		}
		if upstream.ReadResponse(w) != nil {
			return
		}
		if _, err := client.WriteResponse(w); err != nil || <-rest != nil {
			return
		}
	}
}

// answer says the same to every request without a body.
func answer(nc net.Conn, said []byte) {
	defer nc.Close()
	b := make([]byte, 16<<10)
	for {
		if _, err := nc.Read(b); err != nil {
			return
		}
		if _, err := nc.Write(said); err != nil {
			return
		}
	}
}

// BenchmarkRelay is a request and its response through two connections, with
// both ends of them.
func BenchmarkRelay(b *testing.B) {
	for _, c := range []struct {
		name    string
		size    int
		chunked bool
	}{{"0B", 0, false}, {"1KiB", 1 << 10, false}, {"1MiB", 1 << 20, false}, {"1MiB-chunked", 1 << 20, true}} {
		b.Run(c.name, func(b *testing.B) {
			peer, front := tcpPair(b)
			back, upstream := tcpPair(b)
			w := &Response{Status: 200, ContentLength: int64(c.size), Body: strings.NewReader(strings.Repeat("a", c.size))}
			if c.chunked {
				w.ContentLength = -1
			}
			said := &script{said: "GET / HTTP/1.1\r\nHost: h\r\n\r\n"}
			s := NewServer(said, Options{})
			must(b, s.ReadRequest(newRequest()))
			_, err := s.WriteResponse(w)
			must(b, err)
			go answer(upstream, []byte(said.written.String()))
			go relay(NewServer(front, Options{}), NewClient(back, Options{}))

			in := NewClient(peer, Options{})
			defer in.Close()
			r, got := newRequest(), newResponse()
			r.Method, r.Path, r.Host = "GET", "/", "h"
			b.ReportAllocs()
			b.SetBytes(int64(c.size))
			for b.Loop() {
				must(b, in.WriteRequest(r))
				must(b, in.ReadResponse(got))
				for err = nil; err == nil; {
					var buf []byte
					buf, _, err = got.Body.(*body).lend(0, largeSize)
					give(buf)
				}
				if !in.Reusable() {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestAllocations(t *testing.T) {
	s := NewServer(&loop{what: browserHead}, Options{})
	c := NewClient(&loop{what: "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 3\r\n\r\nabc"}, Options{})
	r, w := newRequest(), newResponse()
	got := testing.AllocsPerRun(100, func() {
		must(t, s.ReadRequest(r))
		must(t, c.WriteRequest(r))
		must(t, c.ReadResponse(w))
		_, err := s.WriteResponse(w)
		must(t, err)
	})
	if want := 2.0; !raced && got > want {
		t.Errorf("%v allocations for a request and its response, not %v", got, want)
	}
}
