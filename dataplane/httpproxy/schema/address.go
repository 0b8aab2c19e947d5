package schema

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Address is a host with an optional port, as targets, hosts and services name
// them.
type Address struct {
	Host string // a name, an IPv4 address, or an IPv6 address without brackets
	IP   netip.Addr
	Port int // -1 for none
}

var errPort = errors.New("invalid port number")

// ParseAddress reads "host", "host:port", "[v6]:port" or "v6".
func ParseAddress(s string) (Address, error) {
	a := Address{Port: -1}
	host, port, bracketed := s, "", false
	switch colons := strings.Count(s, ":"); {
	case strings.HasPrefix(s, "["):
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return a, fmt.Errorf("invalid ipv6 address: %s", s)
		}
		bracketed = true
		host, port = s[1:end], s[end+1:]
		if port != "" && port[0] != ':' {
			return a, fmt.Errorf("invalid ipv6 address: %s", s)
		}
	case colons == 1:
		i := strings.IndexByte(s, ':')
		host, port = s[:i], s[i:]
	}
	a.Host = host
	if err := a.read(bracketed); err != nil {
		return a, err
	}
	if port == "" {
		return a, nil
	}
	n, err := strconv.ParseUint(port[1:], 10, 16)
	if err != nil {
		return a, errPort
	}
	a.Port = int(n)
	return a, nil
}

func (a *Address) read(bracketed bool) error {
	s := a.Host
	switch {
	case bracketed || strings.Contains(s, ":"):
		ip, err := netip.ParseAddr(s)
		if err != nil || !ip.Is6() || ip.Zone() != "" {
			return fmt.Errorf("invalid ipv6 address: %s", s)
		}
		a.IP = ip
	case strings.Trim(s, "0123456789./") == "":
		ip, err := netip.ParseAddr(s)
		if err != nil {
			return fmt.Errorf("invalid ipv4 address: %s", s)
		}
		a.IP = ip
	case !isHostName(s):
		return fmt.Errorf("invalid hostname: %s", s)
	}
	return nil
}

// String is the address with its port, IPv6 expanded and in brackets.
func (a Address) String() string {
	host := a.Host
	if a.IP.Is6() {
		host = "[" + expand(a.IP) + "]"
	}
	if a.Port < 0 {
		return host
	}
	return host + ":" + strconv.Itoa(a.Port)
}

func expand(ip netip.Addr) string {
	b := ip.As16()
	groups := make([]string, 8)
	for i := range groups {
		groups[i] = hex.EncodeToString(b[2*i : 2*i+2])
	}
	return strings.Join(groups, ":")
}

func isHostName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !alphanumeric(c) && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
