package h1

import (
	"net/netip"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

var (
	errConnect = &ProtocolError{Status: 405, Reason: "CONNECT is not done here"}

	errTarget = bad("an invalid target")
	errHost   = bad("an invalid Host")
)

// parseTarget takes the target and Host apart (RFC 9112, 3.2).
func (r *Request) parseTarget(f *framing) error {
	switch {
	case f.hosts > 1:
		return bad("more than one Host")
	case f.hosts == 0 && r.ProtoMinor > 0:
		return bad("no Host")
	case f.hosts > 0 && !validHost(f.host):
		return errHost
	}
	r.Host = f.host
	t := r.Target
	switch {
	case r.Method == "CONNECT":
		return errConnect
	case t[0] == '/':
		r.Path = t
	case t == "*" && r.Method == "OPTIONS":
		r.Path = t
		return nil
	default:
		if err := r.absolute(t, f.hosts > 0); err != nil {
			return err
		}
	}
	if !validPath(r.Path) {
		return errTarget
	}
	return nil
}

// CheckTarget tells whether a request that has come by another version of HTTP
// asks for something that a Server could be asked for: its target is a path with
// its query. The error is a ProtocolError.
func CheckTarget(method, target, host string) error {
	switch {
	case method == "CONNECT":
		return errConnect
	case !header.ValidName(method):
		return bad("an invalid method")
	case host != "" && !validHost(host):
		return errHost
	case target == "*" && method == "OPTIONS":
		return nil
	case target == "" || target[0] != '/' || !validTarget(target):
		return errTarget
	}
	return nil
}

// absolute reads a target in absolute form, which must not be at odds with
// Host.
func (r *Request) absolute(t string, hasHost bool) error {
	scheme, rest, ok := strings.Cut(t, "://")
	if !ok || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return errTarget
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority := rest[:end]
	if !validHost(authority) {
		return errTarget
	}
	if hasHost && !strings.EqualFold(authority, r.Host) {
		return bad("a target of another host than Host")
	}
	r.Host, r.Path = authority, rest[end:]
	if r.Path == "" || r.Path[0] != '/' {
		r.Path = "/" + r.Path
	}
	return nil
}

// validPath checks a path with its query, in which there are no control bytes
// nor spaces. There is no fragment in a target, and the path can be decoded
// and has no NUL. Bytes that are not ASCII are let pass.
func validPath(s string) bool {
	path := true
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '#':
			return false
		case '?':
			path = false
		case '%':
			if !path {
				continue
			}
			if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 || s[i+1] == '0' && s[i+2] == '0' {
				return false
			}
			i += 2
		}
	}
	return true
}

// validHost checks an authority without user: a name or an address, and
// perhaps a port.
func validHost(s string) bool {
	if s == "" {
		return false
	}
	i := 0
	if s[0] == '[' {
		i = strings.IndexByte(s, ']') + 1
		if i == 0 {
			return false
		}
		if a, err := netip.ParseAddr(s[1 : i-1]); err != nil || !a.Is6() || a.Zone() != "" {
			return false
		}
	} else {
		for i < len(s) && hostByte(s[i]) {
			i++
		}
		if i == 0 {
			return false
		}
	}
	return i == len(s) || s[i] == ':' && validPort(s[i+1:])
}

func validPort(s string) bool {
	n := 0
	for i := range len(s) {
		if !digit(s[i]) || n > 65535 {
			return false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n <= 65535
}

// hostByte tells whether a byte may be in a name (RFC 3986, 3.2.2). Escapes
// are not let pass: names that need them are not in use.
func hostByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', digit(c):
		return true
	}
	return strings.IndexByte("-._~!$&'()*+,;=", c) >= 0
}

// unhex is the value of a hexadecimal digit, -1 if it is none.
func unhex(c byte) int {
	switch {
	case digit(c):
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
