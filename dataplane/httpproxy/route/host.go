package route

import (
	"strconv"
	"strings"
)

// host is an entry of a route's hosts.
type host struct {
	name string // lower case, without the wildcard
	wild wildcard
	port int // 0 is any
}

// A wildcard tells where a name has its "*".
type wildcard uint8

const (
	none  wildcard = iota
	front          // *.rest
	back           // rest.*
)

func parseHost(s string) host {
	name, port := splitHost(s)
	h := host{name: lower(name), port: max(port, 0)}
	if rest, ok := strings.CutPrefix(h.name, "*"); ok {
		h.name, h.wild = reverse(rest), front
	} else if rest, ok := strings.CutSuffix(h.name, "*"); ok {
		h.name, h.wild = rest, back
	}
	return h
}

// splitHost takes an authority apart: the port is 0 if there is none, and -1
// if it is not a port. IPv6 addresses are given back without brackets.
func splitHost(s string) (name string, port int) {
	if strings.HasPrefix(s, "[") {
		if end := strings.IndexByte(s, ']'); end >= 0 {
			name, s = s[1:end], s[end+1:]
			if s == "" || s == ":" {
				return name, 0
			}
			if s[0] != ':' {
				return name, -1
			}
			return name, parsePort(s[1:])
		}
	}
	i := strings.IndexByte(s, ':')
	if i < 0 || strings.IndexByte(s[i+1:], ':') >= 0 { // an IPv6 address without brackets
		return s, 0
	}
	if i == len(s)-1 {
		return s[:i], 0
	}
	return s[:i], parsePort(s[i+1:])
}

func parsePort(s string) int {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return -1
	}
	return int(n)
}

func reverse(s string) string {
	b := make([]byte, len(s))
	for i := range len(s) {
		b[len(s)-1-i] = s[i]
	}
	return string(b)
}
