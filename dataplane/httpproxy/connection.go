package httpproxy

import (
	"bytes"
	"crypto/tls"
	"net"
	"net/netip"
	"strconv"

	"github.com/backplane/backplane/internal/evloop"
)

// connection is what the requests of one connection have in common.
type connection struct {
	peer, local        netip.AddrPort
	peerText, portText string               // the peer's address, and the port that was listened at
	tls                *tls.ConnectionState // nil without TLS
	port               int
	task               *evloop.Task // that the connection is; nil where it has a goroutine
	events             *evloop.Conn // beneath; nil where there is no task
	client             *departure   // nil where it cannot be noticed so, or is otherwise
}

func newConnection(nc net.Conn) *connection {
	c := &connection{peer: addrPort(nc.RemoteAddr()), local: addrPort(nc.LocalAddr())}
	c.peerText, c.port = c.peer.Addr().String(), int(c.local.Port())
	c.portText = strconv.Itoa(c.port)
	if tc, ok := nc.(*tls.Conn); ok {
		state := tc.ConnectionState()
		c.tls = &state
	}
	return c
}

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

func (c *connection) scheme() string {
	if c.tls != nil {
		return "https"
	}
	return "http"
}

// prefixedConn is a connection of which something was read already.
type prefixedConn struct {
	net.Conn
	read *bytes.Reader
}

func (c *prefixedConn) Read(p []byte) (int, error) {
	if c.read.Len() > 0 {
		return c.read.Read(p)
	}
	return c.Conn.Read(p)
}
