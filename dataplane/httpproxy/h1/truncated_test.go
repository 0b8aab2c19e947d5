package h1

import (
	"errors"
	"io"
	"net"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

// TestTruncatedChunks is that a body in chunks that ends without its last one
// is not whole, however it is read.
func TestTruncatedChunks(t *testing.T) {
	for name, read := range map[string]func(io.Reader) error{
		"Read":    func(r io.Reader) error { _, err := io.Copy(io.Discard, struct{ io.Reader }{r}); return err },
		"WriteTo": func(r io.Reader) error { _, err := r.(io.WriterTo).WriteTo(io.Discard); return err },
	} {
		for _, part := range []string{"4\r\nabcd\r\n", "4\r\nabcd", "4\r\nab", "4", ""} {
			ours, theirs := net.Pipe()
			go func() {
				_, _ = io.ReadFull(theirs, make([]byte, len("GET / HTTP/1.1\r\nHost: a\r\n\r\n")))
				_, _ = io.WriteString(theirs, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
				if part != "" {
					_, _ = io.WriteString(theirs, part)
				}
				_ = theirs.Close()
			}()
			c := NewClient(ours, Options{})
			if err := c.WriteRequest(&Request{Method: "GET", Path: "/", Host: "a", Header: &header.Header{}}); err != nil {
				t.Fatal(err)
			}
			r := Response{Header: &header.Header{}}
			if err := c.ReadResponse(&r); err != nil {
				t.Fatal(err)
			}
			if err := read(r.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s after %q: %v", name, part, err)
			}
			if c.Reusable() {
				t.Errorf("%s after %q: the connection can be used again", name, part)
			}
			_ = c.Close()
		}
	}
}
