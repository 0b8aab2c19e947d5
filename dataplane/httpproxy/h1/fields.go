package h1

import (
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

var (
	errLine = &ProtocolError{Status: 414, Reason: "the first line is too long"}
	errHead = &ProtocolError{Status: 431, Reason: "the head is too large"}
)

func tokenByte(c byte) bool { return header.TokenByte(c) }

// kind is what a field is to the connection.
type kind uint8

const (
	endToEnd kind = iota
	hopByHop      // of no other meaning here
	fieldHost
	fieldLength
	fieldEncoding
	fieldConnection
	fieldUpgrade
	fieldTE
	fieldExpect
	fieldTrailer // end to end as well
)

// kindOf classifies the name of a field, which is a token.
func kindOf(name string) kind {
	var want string
	var k kind
	switch len(name) {
	case 2:
		want, k = "te", fieldTE
	case 4:
		want, k = "host", fieldHost
	case 5:
		want, k = "proxy", hopByHop // taken for HTTP_PROXY by what runs CGI
	case 6:
		want, k = "expect", fieldExpect
	case 7:
		want, k = "upgrade", fieldUpgrade
		if name[0]|0x20 == 't' {
			want, k = "trailer", fieldTrailer
		}
	case 10:
		want, k = "connection", fieldConnection
		if name[0]|0x20 == 'k' {
			want, k = "keep-alive", hopByHop
		}
	case 14:
		want, k = "content-length", fieldLength
		if name[0]|0x20 == 'h' {
			want, k = "http2-settings", hopByHop
		}
	case 16:
		want, k = "proxy-connection", hopByHop
	case 17:
		want, k = "transfer-encoding", fieldEncoding
	default:
		return endToEnd
	}
	if is(name, want) {
		return k
	}
	return endToEnd
}

// is compares a token with one in lower case. None of the bytes that the bit
// makes the same as another may be in a token beside it.
func is(token, lower string) bool {
	if len(token) != len(lower) {
		return false
	}
	for i := range len(lower) {
		if token[i]|0x20 != lower[i] {
			return false
		}
	}
	return true
}

// framing is what the fields of a head say of the connection and of the body.
type framing struct {
	host         string
	hosts        int
	length       int64 // -1 if there is none
	chunked      bool
	close        bool
	keepAlive    bool
	upgrades     bool // Connection names Upgrade
	upgrade      string
	trailers     bool
	continues    bool
	expectsOther bool
}

// parseFields reads the fields of a head. All its lines end in CR LF, and
// there is no other line feed in it.
func (c *conn) parseFields(s string, h *header.Header, f *framing) error {
	c.named = c.named[:0]
	f.length = -1
	for s != "" {
		name, value, rest, err := cutField(s)
		if err != nil {
			return err
		}
		s = rest
		switch k := kindOf(name); k {
		case endToEnd:
			h.Add(name, value)
		default:
			if err := c.frame(k, name, value, h, f); err != nil {
				return err
			}
		}
	}
	if len(c.named) > 0 {
		h.DeleteFunc(func(f header.Field) bool {
			for _, n := range c.named {
				if header.EqualName(n, f.Name) {
					return true
				}
			}
			return false
		})
		clear(c.named)
	}
	if !f.upgrades {
		f.upgrade = ""
	}
	return nil
}

// cutField cuts the first field off.
func cutField(s string) (name, value, rest string, err error) {
	i := 0
	for tokenByte(s[i]) {
		i++
	}
	if i == 0 || s[i] != ':' {
		return "", "", "", badName(s, i)
	}
	name = s[:i]
	for i++; s[i] == ' ' || s[i] == '\t'; {
		i++
	}
	from := i
	for header.ValueByte(s[i]) {
		i++
	}
	if s[i] != '\r' || s[i+1] != '\n' {
		return "", "", "", bad("a control character in a field")
	}
	to := i
	for to > from && (s[to-1] == ' ' || s[to-1] == '\t') {
		to--
	}
	return name, s[from:to], s[i+2:], nil
}

func badName(s string, i int) error {
	switch {
	case i == 0 && (s[0] == ' ' || s[0] == '\t'):
		return bad("a folded field")
	case i > 0 && (s[i] == ' ' || s[i] == '\t'):
		return bad("a space after the name of a field")
	}
	return bad("a field without a valid name")
}

// frame takes in a field that is of the connection.
func (c *conn) frame(k kind, name, value string, h *header.Header, f *framing) (err error) {
	switch k {
	case fieldHost:
		f.host = value
		f.hosts++
	case fieldLength:
		if f.length >= 0 {
			return bad("more than one Content-Length")
		}
		f.length, err = parseLength(value)
		return err
	case fieldEncoding:
		if f.chunked || len(value) != len("chunked") || !is(value, "chunked") {
			return bad("a Transfer-Encoding that is not chunked")
		}
		f.chunked = true
	case fieldConnection:
		return c.connection(value, f)
	case fieldUpgrade:
		if f.upgrade != "" {
			value = f.upgrade + ", " + value
		}
		f.upgrade = value
	case fieldTE:
		for v := range strings.SplitSeq(value, ",") {
			f.trailers = f.trailers || header.EqualName(strings.Trim(v, " \t"), "trailers")
		}
	case fieldExpect:
		if header.EqualName(value, "100-continue") {
			f.continues = true
		} else if value != "" {
			f.expectsOther = true
		}
	case fieldTrailer:
		for v := range strings.SplitSeq(value, ",") {
			if forbidden(strings.Trim(v, " \t")) {
				return bad("a trailer that cannot be one")
			}
		}
		h.Add(name, value)
	}
	return nil
}

// forbidden tells whether a field cannot be in trailers (RFC 9110, 6.5.1).
func forbidden(name string) bool { return kindOf(name) != endToEnd }

// maxNamed bounds how many fields a head may name as those of the connection.
const maxNamed = 32

func (c *conn) connection(value string, f *framing) error {
	for v := range strings.SplitSeq(value, ",") {
		switch v = strings.Trim(v, " \t"); {
		case v == "":
		case header.EqualName(v, "close"):
			f.close = true
		case header.EqualName(v, "keep-alive"):
			f.keepAlive = true
		case header.EqualName(v, "upgrade"):
			f.upgrades = true
		case kindOf(v) != endToEnd: // gone already
		case len(c.named) == maxNamed:
			return bad("too many names in Connection")
		default:
			c.named = append(c.named, v)
		}
	}
	return nil
}

// parseLength reads a Content-Length: digits and nothing else.
func parseLength(s string) (int64, error) {
	var n int64
	for i := range len(s) {
		d := int64(s[i]) - '0'
		if d < 0 || d > 9 || n > (1<<63-1-d)/10 {
			return 0, bad("an invalid Content-Length")
		}
		n = n*10 + d
	}
	if s == "" {
		return 0, bad("an invalid Content-Length")
	}
	return n, nil
}
