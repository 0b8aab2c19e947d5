package testbed

import (
	"crypto/tls"
	"net"
	"sync"
)

// SilentPeer accepts connections, reads, and never says a word.
func SilentPeer(t TB) int {
	return peer(t, func(c net.Conn) {
		buf := make([]byte, 4096)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	})
}

// ClosingPeer closes every connection at once.
func ClosingPeer(t TB) int { return peer(t, func(net.Conn) {}) }

// BannerPeer says the given bytes to whoever connects, whatever it reads, and
// goes on listening. "SSH-2.0-x\r\n" and an HTTP answer are typical.
func BannerPeer(t TB, banner string) int {
	return peer(t, func(c net.Conn) {
		if _, err := c.Write([]byte(banner)); err != nil {
			return
		}
		buf := make([]byte, 4096)
		for {
			if _, err := c.Read(buf); err != nil {
				return
			}
		}
	})
}

// TLSPeer completes a TLS handshake with the certificate and is then silent.
func TLSPeer(t TB, cert Cert) int {
	cfg := &tls.Config{Certificates: []tls.Certificate{cert.TLS(t)}}
	return peer(t, func(c net.Conn) {
		s := tls.Server(c, cfg)
		buf := make([]byte, 4096)
		for {
			if _, err := s.Read(buf); err != nil {
				return
			}
		}
	})
}

// ClosedPort is a loopback port on which nothing listens.
func ClosedPort(t TB) int { return FreePort(t) }

// Peer serves every connection with the given function, for answers that no
// real server can be brought to give. The connection is closed when it returns.
func Peer(t TB, serve func(net.Conn)) int { return peer(t, serve) }

func peer(t TB, serve func(net.Conn)) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	var (
		mu    sync.Mutex
		conns = map[net.Conn]bool{}
		all   sync.WaitGroup
	)
	all.Add(1)
	go func() {
		defer all.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns[c] = true
			mu.Unlock()
			all.Add(1)
			go func() {
				defer all.Done()
				serve(c)
				c.Close()
				mu.Lock()
				delete(conns, c)
				mu.Unlock()
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range conns {
			c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return l.Addr().(*net.TCPAddr).Port
}
