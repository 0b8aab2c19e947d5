package httpproxy_test

import (
	"bytes"
	"io"
	"net"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// BenchmarkExchange is one request on a kept connection, to an upstream that
// answers at once. The allocations are those of the gateway.
func BenchmarkExchange(b *testing.B) {
	const response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok"
	url := gatewaytest.ServeTCP(b, func(nc net.Conn) {
		buf := make([]byte, 4096)
		for n := 0; ; {
			m, err := nc.Read(buf[n:])
			if err != nil {
				return
			}
			if n += m; bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
				if _, err := io.WriteString(nc, response); err != nil {
					return
				}
				n = 0
			}
		}
	})
	s := gatewaytest.Service(url)
	g := gatewaytest.Start(b, httpproxy.Options{}, gatewaytest.All(s, gatewaytest.Route(s, "/api")))
	request := []byte("GET /api/users?id=1 HTTP/1.1\r\nHost: example.com\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		nc, err := net.Dial("tcp", g.Addr().String())
		if err != nil {
			b.Error(err)
			return
		}
		defer nc.Close()
		buf := make([]byte, 4096)
		for pb.Next() {
			if _, err := nc.Write(request); err != nil {
				b.Error(err)
				return
			}
			for n := 0; !bytes.HasSuffix(buf[:n], []byte("\r\n\r\nok")); {
				m, err := nc.Read(buf[n:])
				if err != nil {
					b.Error(err)
					return
				}
				n += m
			}
		}
	})
}
