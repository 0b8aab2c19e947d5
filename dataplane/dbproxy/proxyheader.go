package dbproxy

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/pires/go-proxyproto"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// networks are where PROXY headers are taken from (proxy_protocol_networks).
type networks struct {
	all, local bool // local is Unix sockets
	prefixes   []netip.Prefix
}

func parseNetworks(text string) (n networks, err error) {
	for part := range strings.SplitSeq(text, ",") {
		switch part = strings.TrimSpace(part); part {
		case "":
		case "*":
			n.all = true
		case "localhost":
			n.local = true
		default:
			prefix, err := parseNetwork(part)
			if err != nil {
				return networks{}, err
			}
			n.prefixes = append(n.prefixes, prefix)
		}
	}
	return n, nil
}

func parseNetwork(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("holds %q, which is neither an address nor a network", text)
	}
	if addr, bits := prefix.Addr(), prefix.Bits(); addr.Is4In6() && bits >= 96 {
		prefix = netip.PrefixFrom(addr.Unmap(), bits-96)
	}
	return prefix.Masked(), nil
}

// contain tells whether headers of a client are to be believed; an address
// that is not valid is that of a Unix socket.
func (n *networks) contain(addr netip.Addr) bool {
	if n.all {
		return true
	}
	if !addr.IsValid() {
		return n.local
	}
	addr = addr.Unmap().WithZone("")
	for _, p := range n.prefixes {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// maxHeaderV1 is the length of the longest text header with its line feed,
// and prefixV2 how long the part of a binary one is that tells the length of
// the rest ("The PROXY protocol", sections 2.1 and 2.2).
const (
	maxHeaderV1 = 107
	prefixV2    = 16
)

var errProxyHeader = errors.New("malformed PROXY header")

// readProxyHeader takes a PROXY header off a client's connection, if there is
// one. Whoever is between client and proxy sends it without waiting for the
// greeting, so that the client's first packet comes after it; the number of
// that packet tells it from a header.
func readProxyHeader(c *wire.Conn) (*proxyproto.Header, error) {
	start, err := c.PeekRaw(len(proxyproto.SIGV1))
	if err != nil {
		return nil, err
	}
	var size int
	switch {
	case bytes.Equal(start, proxyproto.SIGV1):
		size, err = sizeV1(c)
	case bytes.Equal(start, proxyproto.SIGV2[:len(start)]):
		size, err = sizeV2(c)
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	raw, err := c.PeekRaw(size)
	if err != nil {
		return nil, err
	}
	header, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errProxyHeader, err)
	}
	c.DiscardRaw(size)
	return header, nil
}

// sizeV1 is the length of a text header.
func sizeV1(c *wire.Conn) (int, error) {
	for n := len("PROXY UNKNOWN\r\n"); n <= maxHeaderV1; n++ {
		text, err := c.PeekRaw(n)
		if err != nil {
			return 0, err
		}
		if end := bytes.Index(text, []byte("\r\n")); end >= 0 {
			return end + 2, nil
		}
	}
	return 0, errProxyHeader
}

// sizeV2 is the length of a binary header.
func sizeV2(c *wire.Conn) (int, error) {
	prefix, err := c.PeekRaw(prefixV2)
	if err != nil {
		return 0, err
	}
	size := prefixV2 + int(binary.BigEndian.Uint16(prefix[prefixV2-2:]))
	if size > prefixV2+int(proxyproto.MaxV2HeaderSize) || size > wire.MaxPeek {
		return 0, errProxyHeader
	}
	return size, nil
}

// clientOf is the client that a header speaks of. ok is false when it speaks
// of none, as when who sends it has connected on its own behalf.
func clientOf(h *proxyproto.Header) (client netip.AddrPort, ok bool) {
	if h == nil || h.Command != proxyproto.PROXY {
		return netip.AddrPort{}, false
	}
	switch a := h.SourceAddr.(type) {
	case *net.TCPAddr:
		ap := a.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()), ap.Addr().IsValid()
	case *net.UnixAddr:
		return netip.AddrPort{}, true
	}
	return netip.AddrPort{}, false
}
