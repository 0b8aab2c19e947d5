// Package urlpath has the normal form of the paths of URLs.
package urlpath

import "strings"

// Normalize brings the path of a target into normal form: %-escapes of what
// is not reserved are decoded, the digits of the others are upper case, "." and
// ".." segments and repeated slashes are gone. It is not ok if there is a "%"
// without two digits, a NUL, "?" or "#", or no slash at the start of anything
// but "*".
func Normalize(raw string) (path string, ok bool) {
	if raw == "" {
		return "/", true
	}
	if raw[0] != '/' {
		return raw, raw == "*"
	}
	if strings.ContainsAny(raw, "?#\x00") {
		return raw, false
	}
	if strings.IndexByte(raw, '%') >= 0 {
		if raw, ok = decode(raw); !ok {
			return raw, false
		}
	}
	if strings.Contains(raw, "//") || strings.Contains(raw, "/.") {
		raw = resolve(raw)
	}
	return raw, true
}

// decode takes the escapes out that need not be. What is left of them is
// reserved characters, "%" among them, so that nothing is decoded twice.
func decode(raw string) (string, bool) {
	b := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c != '%' {
			b = append(b, c)
			continue
		}
		if i+2 >= len(raw) || !isHex(raw[i+1]) || !isHex(raw[i+2]) {
			return raw, false
		}
		c = unhex(raw[i+1])<<4 | unhex(raw[i+2])
		i += 2
		switch {
		case c == 0:
			return raw, false
		case isReserved(c):
			b = appendEscape(b, c)
		default:
			b = append(b, c)
		}
	}
	return string(b), true
}

// resolve takes out dot segments (RFC 3986, 5.2.4) and empty ones: what is
// above the root is the root.
func resolve(path string) string {
	b := make([]byte, 0, len(path))
	for rest := path; rest != ""; {
		// rest begins with a slash, and b has neither it nor one at its end.
		rest = rest[1:]
		segment := rest
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			segment, rest = rest[:i], rest[i:]
		} else {
			rest = ""
		}
		switch segment {
		case "", ".":
		case "..":
			i := len(b) - 1
			for i >= 0 && b[i] != '/' {
				i--
			}
			b = b[:max(i, 0)]
		default:
			b = append(append(b, '/'), segment...)
			continue
		}
		if rest == "" {
			b = append(b, '/')
		}
	}
	return string(b)
}

// Escape makes of a path in normal form what may be sent: all but reserved and
// unreserved characters is escaped. Normalize takes it back.
func Escape(path string) string {
	n := 0
	for i := range len(path) {
		if !isPlain(path[i]) {
			n++
		}
	}
	if n == 0 {
		return path
	}
	b := make([]byte, 0, len(path)+2*n)
	for i := range len(path) {
		if c := path[i]; isPlain(c) {
			b = append(b, c)
		} else {
			b = appendEscape(b, c)
		}
	}
	return string(b)
}

// isReserved tells of the reserved characters (RFC 3986, 2.2) and "%".
func isReserved(c byte) bool { return strings.IndexByte("!#$%&'()*+,/:;=?@[]", c) >= 0 }

// isPlain tells what Escape leaves: "%" is one of an escape.
func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("-._~!$%&'()*+,/:;=@[]", c) >= 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

func appendEscape(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(b, '%', digits[c>>4], digits[c&15])
}
