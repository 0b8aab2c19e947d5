package requesttransformer

import (
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/plugin/transform"
)

// arguments are those of a query or a form, in their order.
type arguments []argument

type argument struct {
	name, value string
	bare        bool // without "="
}

// parseArguments reads them; what is no escape stays as it is.
func parseArguments(s string) arguments {
	var all arguments
	for part := range strings.SplitSeq(s, "&") {
		if part == "" {
			continue
		}
		name, value, ok := strings.Cut(part, "=")
		all = append(all, argument{unescape(name), unescape(value), !ok})
	}
	return all
}

func unescape(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '+':
			b = append(b, ' ')
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b = append(b, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// encode writes them.
func (a arguments) encode() string {
	b := make([]byte, 0, 64)
	for i, arg := range a {
		if i > 0 {
			b = append(b, '&')
		}
		b = appendEscaped(b, arg.name)
		if !arg.bare {
			b = appendEscaped(append(b, '='), arg.value)
		}
	}
	return string(b)
}

func appendEscaped(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("-._~", c) >= 0 {
			b = append(b, c)
		} else {
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

func (a arguments) get(name string) (string, bool) {
	for _, arg := range a {
		if arg.name == name {
			if arg.bare {
				return "true", true
			}
			return arg.value, true
		}
	}
	return "", false
}

// Has implements transform.Target.
func (a *arguments) Has(name string) bool {
	_, ok := a.get(name)
	return ok
}

// Remove implements transform.Target.
func (a *arguments) Remove(name string) {
	*a = slices.DeleteFunc(*a, func(arg argument) bool { return arg.name == name })
}

// Rename implements transform.Target.
func (a *arguments) Rename(name, to string) {
	a.Remove(to)
	for i := range *a {
		if (*a)[i].name == name {
			(*a)[i].name = to
		}
	}
}

// Set implements transform.Target.
func (a *arguments) Set(e *transform.Edit) {
	i := slices.IndexFunc(*a, func(arg argument) bool { return arg.name == e.Name })
	if i < 0 {
		a.Append(e)
		return
	}
	(*a)[i] = argument{name: e.Name, value: e.Value}
	rest := arguments(slices.Clone((*a)[i+1:]))
	rest.Remove(e.Name)
	*a = append((*a)[:i+1], rest...)
}

// Append implements transform.Target.
func (a *arguments) Append(e *transform.Edit) {
	*a = append(*a, argument{name: e.Name, value: e.Value})
}
