package wire

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tcpPair is a connection on the loopback interface, and its other end.
func tcpPair(t testing.TB) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []net.Conn{a, b} {
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(time.Minute))
	}
	return a, b
}

// script is a connection of which the peer says prepared bytes, in pieces of
// random length, and then closes. What is written to it is kept.
type script struct {
	net.Conn
	said    []byte
	rng     *rand.Rand // nil: as much as is asked for
	written []byte
	reads   int
}

func (s *script) Read(b []byte) (int, error) {
	s.reads++
	if len(s.said) == 0 {
		return 0, io.EOF
	}
	n := min(len(b), len(s.said))
	if s.rng != nil && n > 1 {
		n = 1 + s.rng.IntN(n)
	}
	copy(b, s.said[:n])
	s.said = s.said[n:]
	return n, nil
}

func (s *script) Write(b []byte) (int, error) {
	s.written = append(s.written, b...)
	return len(b), nil
}

func (*script) Close() error                     { return nil }
func (*script) SetDeadline(time.Time) error      { return nil }
func (*script) SetWriteDeadline(time.Time) error { return nil }

// frame puts payloads into packets, numbered from seq on.
func frame(seq byte, payloads ...[]byte) (stream []byte) {
	for _, p := range payloads {
		for {
			n := min(len(p), MaxPayload)
			stream = append(stream, byte(n), byte(n>>8), byte(n>>16), seq)
			stream = append(stream, p[:n]...)
			seq++
			if p = p[n:]; n < MaxPayload {
				break
			}
		}
	}
	return stream
}

// pattern is n bytes in which what is moved, lost or repeated shows.
func pattern(n int) []byte {
	const period = 10_007 // fits no buffer evenly
	b := make([]byte, n)
	for i := range min(n, period) {
		b[i] = byte(i) ^ byte(i>>8)*31
	}
	for done := period; done < n; done *= 2 {
		copy(b[done:], b[:done])
	}
	return b
}

func isAbout(err error, c *Conn, cause error) bool {
	var e *ConnError
	return errors.As(err, &e) && e.Conn == c && errors.Is(err, cause)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
