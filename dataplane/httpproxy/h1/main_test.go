package h1

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tcpPair is a connection on the loopback interface, and its other end.
func tcpPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	a, err = net.Dial("tcp", l.Addr().String())
	must(t, err)
	b, err = l.Accept()
	must(t, err)
	for _, c := range []net.Conn{a, b} {
		t.Cleanup(func() { c.Close() })
	}
	return a, b
}

// script is a connection of which the peer says prepared bytes, in pieces, and
// then closes. What is written to it is kept.
type script struct {
	net.Conn
	said    string
	piece   int // 0: as much as is asked for
	written strings.Builder
	writes  int
}

func (s *script) Read(b []byte) (int, error) {
	if s.said == "" {
		return 0, io.EOF
	}
	n := copy(b, s.said)
	if s.piece > 0 {
		n = min(n, s.piece)
	}
	s.said = s.said[n:]
	return n, nil
}

func (s *script) Write(b []byte) (int, error) {
	s.writes++
	return s.written.Write(b)
}

func (*script) Close() error                     { return nil }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetReadDeadline(time.Time) error  { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

func newRequest() *Request { return &Request{Header: &header.Header{}, Trailer: &header.Header{}} }

func newResponse() *Response { return &Response{Header: &header.Header{}, Trailer: &header.Header{}} }

// fields is a header in one line.
func fields(h *header.Header) string {
	var all []string
	for _, f := range h.Fields() {
		all = append(all, f.Name+"="+f.Value)
	}
	return strings.Join(all, "|")
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until something is so.
func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("it did not happen")
		}
	}
}
