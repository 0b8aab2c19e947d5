package dbproxy

import (
	"net"
	"net/netip"
	"testing"

	"github.com/pires/go-proxyproto"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

func TestNetworks(t *testing.T) {
	n, err := parseNetworks(" 10.0.0.0/8, 192.0.2.7 ,2001:db8::/32,::ffff:198.51.100.0/120,")
	if err != nil {
		t.Fatal(err)
	}
	for addr, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "11.0.0.1": false, "192.0.2.7": true, "192.0.2.8": false,
		"2001:db8:1::1": true, "2001:db9::1": false, "198.51.100.9": true, "198.51.101.9": false,
	} {
		if got := n.contain(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if n.contain(netip.Addr{}) {
		t.Error("a local socket is in a network")
	}
	for text, want := range map[string]bool{"*": true, "localhost": true, "": false} {
		if n, err := parseNetworks(text); err != nil || n.contain(netip.Addr{}) != want {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, bad := range []string{"10.0.0.0/33", "example.org", "10.0.0.1-10.0.0.9", "fe80::1%eth0"} {
		if _, err := parseNetworks(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// headers are PROXY headers of all kinds.
func headers(t testing.TB) map[string][]byte {
	t.Helper()
	binary := func(h *proxyproto.Header) []byte {
		text, err := h.Format()
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	tcp := func(addr string) net.Addr { return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(addr)) }
	long := proxyproto.HeaderProxyFromAddrs(2, tcp("192.0.2.7:9"), tcp("192.0.2.1:2"))
	if err := long.SetTLVs([]proxyproto.TLV{{Type: proxyproto.PP2_TYPE_NOOP, Value: make([]byte, 3000)}}); err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"":                 []byte("PROXY UNKNOWN\r\n"),
		"ignored":          []byte("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"),
		"192.0.2.7:9":      []byte("PROXY TCP4 192.0.2.7 192.0.2.1 9 2\r\n"),
		"[2001:db8::7]:9":  []byte("PROXY TCP6 2001:db8::7 2001:db8::1 9 2\r\n"),
		"192.0.2.7:10":     binary(proxyproto.HeaderProxyFromAddrs(2, tcp("192.0.2.7:10"), tcp("192.0.2.1:2"))),
		"[2001:db8::7]:10": binary(proxyproto.HeaderProxyFromAddrs(2, tcp("[2001:db8::7]:10"), tcp("[2001:db8::1]:2"))),
		"long":             binary(long),
		"local":            binary(&proxyproto.Header{Version: 2, Command: proxyproto.LOCAL, TransportProtocol: proxyproto.UNSPEC}),
		"unix":             binary(proxyproto.HeaderProxyFromAddrs(2, &net.UnixAddr{Net: "unix", Name: "/a"}, &net.UnixAddr{Net: "unix", Name: "/b"})),
	}
}

func TestProxyHeaders(t *testing.T) {
	h := newHouse(t, map[string]any{"proxy_protocol_networks": "127.0.0.0/8"}, nil, nil)
	for want, header := range headers(t) {
		user := "app"
		switch {
		case want == "long", len(want) > 0 && want[0] == '1':
			user = "remote"
		case len(want) > 0 && want[0] == '[':
			user = "six"
		}
		c, _, err := h.loginVia(t, string(header), wire.LoginOptions{User: user, Credentials: secret})
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		ping(t, c)
		remote := h.only(t).Remote()
		switch want {
		case "", "ignored", "local":
			if remote.Addr().String() != "127.0.0.1" {
				t.Errorf("%s: %s", want, remote)
			}
		case "unix":
			if remote.IsValid() {
				t.Errorf("%s: %s", want, remote)
			}
		case "long":
			want = "192.0.2.7:9"
			fallthrough
		default:
			if remote.String() != want {
				t.Errorf("%s: %s", want, remote)
			}
		}
		c.Close()
		waitFor(t, func() bool { return len(h.Sessions()) == 0 })
	}
	for _, bad := range []string{
		"PROXY TCP4 192.0.2.7\r\n", "PROXY TCP4 192.0.2.777 192.0.2.1 9 2\r\n", "PROXY " + string(make([]byte, 200)),
		"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff", "\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c0123456789ab",
	} {
		if _, _, err := h.loginVia(t, bad, wire.LoginOptions{User: "app", Credentials: secret}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	elsewhere := newHouse(t, map[string]any{"proxy_protocol_networks": "192.0.2.0/24"}, nil, nil)
	if _, _, err := elsewhere.loginVia(t, "PROXY TCP4 192.0.2.7 192.0.2.1 9 2\r\n", wire.LoginOptions{User: "remote", Credentials: secret}); err == nil {
		t.Error("a header from anywhere is taken")
	}
	if _, _, err := elsewhere.login(t, wire.LoginOptions{User: "app", Credentials: secret}); err != nil {
		t.Errorf("from another network, without a header: %v", err)
	}
}

// FuzzProxyHeader: of whatever comes at most one header is taken, and nothing
// after it.
func FuzzProxyHeader(f *testing.F) {
	for _, h := range headers(f) {
		f.Add(h)
	}
	f.Add([]byte("PROXY TCP4 1.1.1.1 2.2.2.2 1 99999\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		near, far := net.Pipe()
		defer near.Close()
		go func() {
			far.Write(append(data, "rest!"...)) //nolint:errcheck // the reader may have enough
			far.Close()
		}()
		c := wire.NewConn(near, wire.PeerClient)
		h, err := readProxyHeader(c)
		if err != nil {
			return
		}
		if h != nil {
			clientOf(h)
			return
		}
		if p, err := c.PeekRaw(5); err != nil || len(data) >= 5 && string(p) != string(data[:5]) {
			t.Fatalf("%q, %v", p, err)
		}
	})
}
