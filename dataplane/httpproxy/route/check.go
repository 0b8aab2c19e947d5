package route

import (
	"regexp"
	"slices"
	"strings"
)

// checks are what is asked of a request that was found by host, path and keys.
type checks struct {
	otherMethods []string
	headers      []header
	snis         []string
}

// header is a field of which one value must fit.
type header struct {
	name    string
	values  []string // lower case
	regexps []*regexp.Regexp
}

var commonMethods = [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}

// methodBit is the bit of a method, 0 if it is not common.
func methodBit(method string) uint16 {
	for i, m := range commonMethods {
		if m == method {
			return 1 << i
		}
	}
	return 0
}

// splitMethods are the bits of methods, and those that are not common.
func splitMethods(methods []string) (common uint16, others []string) {
	for _, m := range methods {
		if bit := methodBit(m); bit != 0 {
			common |= bit
		} else {
			others = append(others, m)
		}
	}
	return common, others
}

func (c *checks) none() bool {
	return len(c.otherMethods) == 0 && len(c.headers) == 0 && len(c.snis) == 0
}

// fit tells whether a request fits a rule that was found by host, path and
// keys; bit is that of its method.
func (r *rule[V]) fit(in *Input, bit uint16) bool {
	fits := r.brief.flags&anyMethod != 0 || r.brief.methods&bit != 0
	if r.brief.flags&(checked|expression) == 0 {
		return fits
	}
	if r.brief.flags&checked != 0 {
		c := r.rest.checks
		if !(fits || bit == 0 && slices.Contains(c.otherMethods, in.Method)) || !c.fit(in) {
			return false
		}
	} else if !fits {
		return false
	}
	return r.rest.re == nil || r.rest.re.MatchString(in.Path)
}

// fit tells whether a request fits but for its method.
func (c *checks) fit(in *Input) bool {
	for i := range c.headers {
		if !c.headers[i].fit(in.Header) {
			return false
		}
	}
	return len(c.snis) == 0 || !in.TLS || fitName(c.snis, in.SNI)
}

func (h *header) fit(fields Header) bool {
	if fields == nil {
		return false
	}
	for v, at := fields.Next(h.name, 0); at >= 0; v, at = fields.Next(h.name, at) {
		for _, want := range h.values {
			if equalLower(v, want) {
				return true
			}
		}
		for _, re := range h.regexps {
			if re.MatchString(v) {
				return true
			}
		}
	}
	return false
}

// fitName tells whether a server name is one of those, which are lower case and
// may have "*" at one end.
func fitName(names []string, name string) bool {
	for _, n := range names {
		if rest, ok := strings.CutPrefix(n, "*"); ok {
			if len(name) >= len(rest) && equalLower(name[len(name)-len(rest):], rest) {
				return true
			}
		} else if rest, ok := strings.CutSuffix(n, "*"); ok {
			if len(name) >= len(rest) && equalLower(name[:len(rest)], rest) {
				return true
			}
		} else if equalLower(name, n) {
			return true
		}
	}
	return false
}

// equalLower tells whether s in lower case is l, which is.
func equalLower(s, l string) bool {
	if len(s) != len(l) {
		return false
	}
	for i := range len(s) {
		if lowerByte(s[i]) != l[i] {
			return false
		}
	}
	return true
}

// lowerByte is a letter of ASCII in lower case, and any other byte as it is.
func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func lower(s string) string {
	b := make([]byte, len(s))
	for i := range len(s) {
		b[i] = lowerByte(s[i])
	}
	return string(b)
}
