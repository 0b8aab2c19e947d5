package schema

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/backplane/backplane/dataplane/httpproxy/urlpath"
)

// The rules that many fields have, for Field.Check. A value that is no string
// passes: its type is checked elsewhere.

// Text makes a check of a rule for strings.
func Text(rule func(s string) error) func(v any) error {
	return func(v any) error {
		if s, ok := v.(string); ok {
			return rule(s)
		}
		return nil
	}
}

// HostName wants a host name or an address, without a port.
func HostName(v any) error {
	return Text(func(s string) error {
		switch a, err := ParseAddress(s); {
		case errors.Is(err, errPort) || err == nil && a.Port >= 0:
			return errors.New("must not have a port")
		case err != nil:
			return fmt.Errorf("invalid value: %s", s)
		}
		return nil
	})(v)
}

// HostPort wants a host name or an address, with or without a port.
func HostPort(v any) error {
	return Text(func(s string) error {
		_, err := ParseAddress(s)
		return err
	})(v)
}

// ServerName wants a host name that is no address, without a port.
func ServerName(v any) error {
	return Text(serverName)(v)
}

func serverName(s string) error {
	switch a, err := ParseAddress(s); {
	case errors.Is(err, errPort) || err == nil && a.Port >= 0 && !a.IP.IsValid():
		return errors.New("must not have a port")
	case err != nil:
		return fmt.Errorf("invalid value: %s", s)
	case a.IP.IsValid():
		return errors.New("must not be an IP")
	}
	return nil
}

// WildcardServerName is ServerName, where the first or the last character may
// be "*".
func WildcardServerName(v any) error {
	return Text(func(s string) error {
		switch i := strings.IndexByte(s, '*'); {
		case i >= 0 && i != 0 && i != len(s)-1:
			return errors.New("wildcard must be leftmost or rightmost character")
		case strings.Count(s, "*") > 1:
			return errors.New("only one wildcard must be specified")
		}
		return serverName(strings.Replace(s, "*", "wildcard", 1))
	})(v)
}

// WildcardHost wants a host name or an address with or without a port, of which
// the leftmost or the rightmost label may be "*".
func WildcardHost(v any) error {
	return Text(func(s string) error {
		name := s
		if i := strings.LastIndexByte(s, ':'); i >= 0 {
			name = s[:i]
		}
		switch n := strings.Count(s, "*"); {
		case n > 1:
			return errors.New("invalid wildcard: must have at most one wildcard")
		case n == 1 && !strings.HasPrefix(s, "*.") && !strings.HasSuffix(name, ".*"):
			return errors.New("invalid wildcard: must be placed at leftmost or rightmost label")
		}
		if _, err := ParseAddress(strings.Replace(s, "*", "abc", 1)); err != nil {
			if errors.Is(err, errPort) {
				return err
			}
			return fmt.Errorf("invalid hostname: %s", s)
		}
		return nil
	})(v)
}

// IP wants an address.
func IP(v any) error {
	return Text(func(s string) error {
		if ip, err := netip.ParseAddr(s); err != nil || ip.Zone() != "" {
			return fmt.Errorf("not an ip address: %s", s)
		}
		return nil
	})(v)
}

// IPOrCIDR wants an address or a range of them.
func IPOrCIDR(v any) error {
	return Text(func(s string) error {
		ip, err := netip.ParseAddr(s)
		if err == nil && ip.Zone() == "" {
			return nil
		}
		if _, err := netip.ParsePrefix(s); err == nil {
			return nil
		}
		return fmt.Errorf("invalid ip or cidr range: '%s'", s)
	})(v)
}

// Path wants a path as RFC 3986 has it, that begins with a slash and has no
// empty segments.
func Path(v any) error { return Text(path)(v) }

func path(s string) error {
	if !strings.HasPrefix(s, "/") {
		return errors.New("should start with: /")
	}
	if strings.Contains(s, "//") {
		return errors.New("must not have empty segments")
	}
	if !onlyOf(s, pathChars) {
		return fmt.Errorf("invalid path: '%s' (characters outside of the reserved list of RFC 3986 found)", s)
	}
	return percents(s)
}

const pathChars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789" +
	".-_~/%:@!$&'()*+,;="

func onlyOf(s, chars string) bool {
	for i := range len(s) {
		if strings.IndexByte(chars, s[i]) < 0 {
			return false
		}
	}
	return true
}

func percents(s string) error {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return fmt.Errorf("invalid url-encoded value: '%s'", s[i:min(i+3, len(s))])
			}
			i += 2
		}
	}
	return nil
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// RoutePath wants a path in its normal form, or "~" and a regular expression
// of paths.
func RoutePath(v any) error {
	return Text(func(s string) error {
		expr, isRegex := strings.CutPrefix(s, "~")
		switch {
		case !strings.HasPrefix(expr, "/"):
			return errors.New("should start with: / (fixed path) or ~/ (regex path)")
		case strings.Contains(s, "//"):
			return errors.New("must not have empty segments")
		case isRegex:
			if err := Regexp(expr); err != nil {
				return fmt.Errorf("invalid regex: '%s' (%w)", expr, err)
			}
			return nil
		}
		if err := percents(s); err != nil {
			return err
		}
		switch normal, ok := urlpath.Normalize(s); {
		case !ok:
			return fmt.Errorf("invalid path: '%s'", s)
		case normal != s:
			return fmt.Errorf("non-normalized path, consider use '%s' instead", normal)
		}
		return nil
	})(v)
}

// Regexp wants a regular expression of Go's syntax.
func Regexp(v any) error {
	return Text(func(s string) error {
		_, err := regexp.Compile(s)
		return err
	})(v)
}

// URL wants a URL with a scheme and a host.
func URL(v any) error {
	return Text(func(s string) error {
		switch u, err := url.Parse(s); {
		case err != nil:
			return errors.New("could not parse url")
		case u.Host == "":
			return errors.New("missing host in url")
		case u.Scheme == "":
			return errors.New("missing scheme in url")
		}
		return nil
	})(v)
}

// Name wants letters, digits, ". - _ ~", and what is beyond ASCII in UTF-8.
func Name(v any) error {
	return Text(func(s string) error {
		if err := UTF8(s); err != nil {
			return err
		}
		for i := range len(s) {
			if c := s[i]; c < utf8.RuneSelf && !alphanumeric(c) && !strings.ContainsRune(".-_~", rune(c)) {
				return fmt.Errorf("invalid value '%s': the only accepted ascii characters are alphanumerics or ., -, _, and ~", s)
			}
		}
		return nil
	})(v)
}

// UTF8 wants valid UTF-8.
func UTF8(v any) error {
	return Text(func(s string) error {
		for i, r := range s {
			if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
				return fmt.Errorf("invalid utf-8 character sequence detected at position %d", i+1)
			}
		}
		return nil
	})(v)
}

// Tag wants printable characters without a comma or a slash.
func Tag(v any) error {
	return Text(func(s string) error {
		if err := UTF8(s); err != nil {
			return err
		}
		if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == ',' || r == '/' }) {
			return fmt.Errorf("invalid tag '%s': expected printable ascii (except `,` and `/`) or valid utf-8 sequences", s)
		}
		return nil
	})(v)
}

// HeaderName wants the name of a header.
func HeaderName(v any) error { return token("header", v) }

// CookieName wants the name of a cookie.
func CookieName(v any) error { return token("cookie", v) }

func token(what string, v any) error {
	return Text(func(s string) error {
		for i := range len(s) {
			if c := s[i]; !alphanumeric(c) && c != '-' && c != '_' {
				return fmt.Errorf("bad %s name '%s', allowed characters are A-Z, a-z, 0-9, '_', and '-'", what, s)
			}
		}
		return nil
	})(v)
}

// Method wants an HTTP method in upper case.
func Method(v any) error {
	return Text(func(s string) error {
		for i := range len(s) {
			if s[i] < 'A' || s[i] > 'Z' {
				return fmt.Errorf("invalid value: %s", s)
			}
		}
		return nil
	})(v)
}
