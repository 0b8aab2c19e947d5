package auth

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

type inProcess struct{}

func (inProcess) AuthType() string { return "inproc" }

func TestCallerAddress(t *testing.T) {
	tcp := func(ip string, zone string) net.Addr {
		return &net.TCPAddr{IP: net.ParseIP(ip), Port: 4711, Zone: zone}
	}
	for _, c := range []struct {
		name string
		addr net.Addr
		info credentials.AuthInfo
		want string
	}{
		{"IPv4", &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7).To4(), Port: 1}, nil, "192.0.2.7"},
		{"IPv4 on a socket of IPv6", tcp("192.0.2.7", ""), nil, "192.0.2.7"},
		{"IPv6", tcp("2001:db8::7", ""), nil, "2001:db8::7"},
		{"IPv6 with a zone", tcp("fe80::7", "eth0"), nil, "fe80::7%eth0"},
		{"no IP address", &net.TCPAddr{Port: 1}, nil, ""},
		{"a path", &net.UnixAddr{Name: "/run/b.sock", Net: "unix"}, nil, "/run/b.sock"},
		{"over REST", tcp("127.0.0.1", ""), inProcess{}, "198.51.100.9"},
	} {
		ctx := metadata.NewIncomingContext(t.Context(), metadata.Pairs(AddressKey, "198.51.100.9"))
		if got := callerAddress(peer.NewContext(ctx, &peer.Peer{Addr: c.addr, AuthInfo: c.info})); got != c.want {
			t.Errorf("%s: the address is %q, want %q", c.name, got, c.want)
		}
	}
	if got := callerAddress(context.Background()); got != "" {
		t.Errorf("without a peer the address is %q", got)
	}
}
