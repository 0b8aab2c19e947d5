package h1

import (
	"errors"
	"io"
	"strings"
	"testing"
)

const (
	get  = "GET / HTTP/1.1\r\nHost: h\r\n"
	post = "POST / HTTP/1.1\r\nHost: h\r\n"
	te   = "Transfer-Encoding: chunked\r\n"
	zero = "0\r\n\r\n"
)

// smugglings are requests that two parties may read differently, and the
// status that they are refused with; 0 where it is the body that is refused.
var smugglings = []struct {
	name, said string
	status     int
}{
	// Content-Length and Transfer-Encoding.
	{"CL.TE", post + "Content-Length: 6\r\n" + te + "\r\n0\r\n\r\nG", 400},
	{"TE.CL", post + te + "Content-Length: 4\r\n\r\n5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n", 400},
	{"CL.TE with no length", post + "Content-Length: 0\r\n" + te + "\r\n" + zero, 400},
	{"CL.CL", post + "Content-Length: 6\r\nContent-Length: 5\r\n\r\n12345G", 400},
	{"CL.CL, the same", post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n12345", 400},
	{"CL.CL, case", post + "Content-Length: 6\r\ncontent-length: 5\r\n\r\n12345G", 400},
	{"CL in a list", post + "Content-Length: 5, 6\r\n\r\n12345G", 400},
	{"CL in a list, the same", post + "Content-Length: 5, 5\r\n\r\n12345", 400},
	{"CL with a plus", post + "Content-Length: +5\r\n\r\n12345", 400},
	{"CL with a minus", post + "Content-Length: -5\r\n\r\n12345", 400},
	{"CL in hex", post + "Content-Length: 0x5\r\n\r\n12345", 400},
	{"CL with a space", post + "Content-Length: 1 5\r\n\r\n12345", 400},
	{"CL with an underscore", post + "Content-Length: 1_0\r\n\r\n12345", 400},
	{"CL with a fraction", post + "Content-Length: 5.0\r\n\r\n12345", 400},
	{"CL with an exponent", post + "Content-Length: 1e1\r\n\r\n12345", 400},
	{"CL empty", post + "Content-Length:\r\n\r\n", 400},
	{"CL that overflows 63 bits", post + "Content-Length: 9223372036854775808\r\n\r\n", 400},
	{"CL that overflows 64 bits", post + "Content-Length: 18446744073709551621\r\n\r\n12345", 400},
	{"CL in wide digits", post + "Content-Length: \uff15\r\n\r\n12345", 400},
	{"CL with a vertical tab", post + "Content-Length: \v5\r\n\r\n12345", 400},
	{"CL with a no-break space", post + "Content-Length: \u00a05\r\n\r\n12345", 400},
	{"CL with a NUL", post + "Content-Length: 5\x00\r\n\r\n12345", 400},

	// Transfer-Encoding.
	{"TE.TE", post + te + "Transfer-Encoding: x\r\n\r\n" + zero, 400},
	{"TE.TE, other first", post + "Transfer-Encoding: identity\r\n" + te + "\r\n" + zero, 400},
	{"TE.TE, the same", post + te + te + "\r\n" + zero, 400},
	{"TE in a list", post + "Transfer-Encoding: chunked, chunked\r\n\r\n" + zero, 400},
	{"TE in a list with identity", post + "Transfer-Encoding: chunked, identity\r\n\r\n" + zero, 400},
	{"TE of gzip", post + "Transfer-Encoding: gzip, chunked\r\n\r\n" + zero, 400},
	{"TE of identity", post + "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", 400},
	{"TE with x", post + "Transfer-Encoding: xchunked\r\n\r\n" + zero, 400},
	{"TE with a parameter", post + "Transfer-Encoding: chunked;q=1\r\n\r\n" + zero, 400},
	{"TE quoted", post + "Transfer-Encoding: \"chunked\"\r\n\r\n" + zero, 400},
	{"TE with a comma", post + "Transfer-Encoding: ,chunked\r\n\r\n" + zero, 400},
	{"TE empty", post + "Transfer-Encoding:\r\n\r\n" + zero, 400},
	{"TE with a space before the colon", post + "Transfer-Encoding : chunked\r\n\r\n" + zero, 400},
	{"TE with a tab before the colon", post + "Transfer-Encoding\t: chunked\r\n\r\n" + zero, 400},
	{"TE with a vertical tab", post + "Transfer-Encoding: \vchunked\r\n\r\n" + zero, 400},
	{"TE with a form feed", post + "Transfer-Encoding: chunked\f\r\n\r\n" + zero, 400},
	{"TE with a no-break space", post + "Transfer-Encoding: \u00a0chunked\r\n\r\n" + zero, 400},
	{"TE with a NUL", post + "Transfer-Encoding: chunked\x00\r\n\r\n" + zero, 400},
	{"TE folded", post + "Transfer-Encoding:\r\n chunked\r\n\r\n" + zero, 400},
	{"TE in a folded line", post + "X: y\r\n Transfer-Encoding: chunked\r\n\r\n" + zero, 400},
	{"TE after a tab", post + "\tTransfer-Encoding: chunked\r\n\r\n" + zero, 400},
	{"TE after a bare LF", post + "X: y\nTransfer-Encoding: chunked\r\n\r\n" + zero, 400},
	{"TE after a bare CR", post + "X: y\rTransfer-Encoding: chunked\r\n\r\n" + zero, 400},
	{"TE with a bare CR", post + "Transfer-Encoding: chunked\r\r\n\r\n" + zero, 400},
	{"TE in HTTP/1.0", "POST / HTTP/1.0\r\nHost: h\r\n" + te + "\r\n" + zero, 400},
	{"TE in HTTP/1.0 with CL", "POST / HTTP/1.0\r\nHost: h\r\nContent-Length: 5\r\n" + te + "\r\n" + zero, 400},

	// Names of fields, and lines.
	{"no name", get + ": x\r\n\r\n", 400},
	{"no colon", get + "X\r\n\r\n", 400},
	{"space in a name", get + "X Y: z\r\n\r\n", 400},
	{"NUL in a name", get + "X\x00: z\r\n\r\n", 400},
	{"quote in a name", get + "\"X\": z\r\n\r\n", 400},
	{"not ASCII in a name", get + "\u00dc: z\r\n\r\n", 400},
	{"NUL in a value", get + "X: a\x00b\r\n\r\n", 400},
	{"escape in a value", get + "X: a\x1bb\r\n\r\n", 400},
	{"DEL in a value", get + "X: a\x7fb\r\n\r\n", 400},
	{"bare CR in a value", get + "X: a\rb\r\n\r\n", 400},
	{"bare LF after a value", get + "X: a\n\r\n", 400},
	{"bare LF at the end", get + "X: a\r\n\n", 400},
	{"bare LF after the line", "GET / HTTP/1.1\nHost: h\r\n\r\n", 400},
	{"folded", get + "X: a\r\n b\r\n\r\n", 400},
	{"folded first", "GET / HTTP/1.1\r\n X: a\r\nHost: h\r\n\r\n", 400},
	{"fields end in CR CR LF", get + "\r\r\n", 400},
	{"bare CR before", "\rGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"two empty lines before", "\r\n\r\n" + get + "\r\n", 400},
	{"bare LF before", "\n" + get + "\r\n", 400},

	// The first line.
	{"HTTP/0.9", "GET /\r\n", 400},
	{"HTTP/0.9 with a space", "GET / \r\n\r\n", 400},
	{"space before", " GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"two spaces", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"two spaces before the version", "GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"tab", "GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"space at the end", "GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400},
	{"space in the target", "GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"second version", "GET / HTTP/1.1 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"bad method", "G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"no method", "/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"not ASCII in the method", "G\u00cbT / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"version in lower case", "GET / http/1.1\r\nHost: h\r\n\r\n", 400},
	{"version of two digits", "GET / HTTP/1.10\r\nHost: h\r\n\r\n", 400},
	{"version of zeros", "GET / HTTP/01.1\r\nHost: h\r\n\r\n", 400},
	{"version 1.2", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505},
	{"version 2.0", "GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
	{"version 3", "GET / HTTP/3\r\nHost: h\r\n\r\n", 400},
	{"TLS", "\x16\x03\x01\x02\x00\x01", 400},
	{"CONNECT", "CONNECT h:80 HTTP/1.1\r\nHost: h:80\r\n\r\n", 405},

	// Targets.
	{"NUL in the target", "GET /\x00 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"tab in the target", "GET /\ta HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"fragment", "GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"escaped NUL", "GET /a%00 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"bad escape", "GET /a%g0 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"cut escape", "GET /a%0 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"no slash", "GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"asterisk for GET", "GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"other scheme", "GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"no scheme", "GET ://h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"no host in the target", "GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"user in the target", "GET http://u@h/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"target of another host", "GET http://x/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},
	{"target of another port", "GET http://h:81/ HTTP/1.1\r\nHost: h\r\n\r\n", 400},

	// Host.
	{"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
	{"no Host with an absolute target", "GET http://h/ HTTP/1.1\r\n\r\n", 400},
	{"two Hosts", get + "Host: x\r\n\r\n", 400},
	{"two Hosts, the same", get + "host: h\r\n\r\n", 400},
	{"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nHost: x\r\n\r\n", 400},
	{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
	{"Host with a path", "GET / HTTP/1.1\r\nHost: h/a\r\n\r\n", 400},
	{"Host with a user", "GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400},
	{"Host with a space", "GET / HTTP/1.1\r\nHost: h x\r\n\r\n", 400},
	{"Host with a comma", "GET / HTTP/1.1\r\nHost: h, x\r\n\r\n", 400},
	{"Host with a bad port", "GET / HTTP/1.1\r\nHost: h:80x\r\n\r\n", 400},
	{"Host with two ports", "GET / HTTP/1.1\r\nHost: h:80:81\r\n\r\n", 400},
	{"Host with a port too large", "GET / HTTP/1.1\r\nHost: h:65536\r\n\r\n", 400},
	{"Host with an open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
	{"Host that is not ASCII", "GET / HTTP/1.1\r\nHost: \u1e29\r\n\r\n", 400},
	{"Host with an escape", "GET / HTTP/1.1\r\nHost: a%2eb\r\n\r\n", 400},
	{"Host with no address in brackets", "GET / HTTP/1.1\r\nHost: [a:b]\r\n\r\n", 400},
	{"Host with a quote", "GET / HTTP/1.1\r\nHost: h\"\r\n\r\n", 400},
	{"Host with a backslash", "GET / HTTP/1.1\r\nHost: h\\x\r\n\r\n", 400},

	// Others of the head.
	{"expectation", get + "Expect: 200-ok\r\n\r\n", 417},
	{"Trailer of framing", post + te + "Trailer: Content-Length\r\n\r\n" + zero, 400},
	{"many names in Connection", get + "Connection: " + strings.Repeat("a, ", 33) + "\r\n\r\n", 400},
	{"many fields", get + strings.Repeat("A: b\r\n", 1000) + "\r\n", 431},
	{"long head", get + "A: " + strings.Repeat("b", 64<<10) + "\r\n\r\n", 431},
	{"long head without end", get + "A: " + strings.Repeat("b", 100<<10), 431},
	{"long line", "GET /" + strings.Repeat("a", 8<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n", 414},
	{"long line without end", "GET /" + strings.Repeat("a", 9<<10), 414},

	// Chunks.
	{"size with a plus", post + te + "\r\n+3\r\nabc\r\n" + zero, 0},
	{"size with a minus", post + te + "\r\n-3\r\nabc\r\n" + zero, 0},
	{"size with 0x", post + te + "\r\n0x3\r\nabc\r\n" + zero, 0},
	{"size with an underscore", post + te + "\r\n1_0\r\nabc\r\n" + zero, 0},
	{"size after a space", post + te + "\r\n 3\r\nabc\r\n" + zero, 0},
	{"size before a space", post + te + "\r\n3 \r\nabc\r\n" + zero, 0},
	{"size before a tab", post + te + "\r\n3\t\r\nabc\r\n" + zero, 0},
	{"space before an extension", post + te + "\r\n3 ;a\r\nabc\r\n" + zero, 0},
	{"no size", post + te + "\r\n\r\nabc\r\n" + zero, 0},
	{"only an extension", post + te + "\r\n;a\r\nabc\r\n" + zero, 0},
	{"size not in hex", post + te + "\r\n3g\r\nabc\r\n" + zero, 0},
	{"size that overflows 63 bits", post + te + "\r\n8000000000000000\r\nabc\r\n" + zero, 0},
	{"size that overflows 64 bits", post + te + "\r\n10000000000000003\r\nabc\r\n" + zero, 0},
	{"size of many zeros", post + te + "\r\n" + strings.Repeat("0", 17) + "3\r\nabc\r\n" + zero, 0},
	{"bare LF after the size", post + te + "\r\n3\nabc\r\n" + zero, 0},
	{"bare LF after the chunk", post + te + "\r\n3\r\nabc\n" + zero, 0},
	{"bare CR after the chunk", post + te + "\r\n3\r\nabc\r" + zero, 0},
	{"bare LF in an extension", post + te + "\r\n3;a\nabc\r\n" + zero, 0},
	{"bare CR in an extension", post + te + "\r\n3;a\rb\r\nabc\r\n" + zero, 0},
	{"NUL in an extension", post + te + "\r\n3;a\x00\r\nabc\r\n" + zero, 0},
	{"long extension", post + te + "\r\n3;" + strings.Repeat("a", 600) + "\r\nabc\r\n" + zero, 0},
	{"endless extension", post + te + "\r\n3;" + strings.Repeat("a", 600), 0},
	{"many extensions", post + te + "\r\n" + strings.Repeat("1;"+strings.Repeat("a", 500)+"\r\na\r\n", 20) + zero, 0},
	{"chunk longer than told", post + te + "\r\n3\r\nabcd\r\n" + zero, 0},
	{"chunk shorter than told", post + te + "\r\n4\r\nabc\r\n" + zero, 0},
	{"bare LF at the end of chunks", post + te + "\r\n0\r\n\n", 0},
	{"trailer of framing", post + te + "\r\n0\r\nContent-Length: 3\r\n\r\n", 0},
	{"trailer of Host", post + te + "\r\n0\r\nHost: x\r\n\r\n", 0},
	{"trailer with a space", post + te + "\r\n0\r\nA : b\r\n\r\n", 0},
	{"trailer folded", post + te + "\r\n0\r\nA: b\r\n c\r\n\r\n", 0},
	{"trailer with a bare LF", post + te + "\r\n0\r\nA: b\n\r\n", 0},
	{"many trailers", post + te + "\r\n0\r\n" + strings.Repeat("A: b\r\n", 1001) + "\r\n", 0},
	{"request in trailers", post + te + "\r\n0\r\nGET /x HTTP/1.1\r\n\r\n", 0},
}

// TestSmuggling sees to it as well that nothing is read after such a request.
func TestSmuggling(t *testing.T) {
	const next = "GET /admin HTTP/1.1\r\nHost: h\r\n\r\n"
	for _, c := range smugglings {
		for _, piece := range []int{0, 1} {
			s := NewServer(&script{said: c.said + next, piece: piece}, Options{})
			r := newRequest()
			err := s.ReadRequest(r)
			if c.status == 0 {
				must(t, err)
				_, err = io.ReadAll(r.Body)
			}
			var pe *ProtocolError
			if !errors.As(err, &pe) || c.status != 0 && pe.Status != c.status {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			if err := s.ReadRequest(r); !errors.Is(err, io.EOF) {
				t.Errorf("%s: another request is read: %v", c.name, err)
			}
		}
	}
}

func TestPreface(t *testing.T) {
	s := NewServer(&script{said: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}, Options{})
	if err := s.ReadRequest(newRequest()); !errors.Is(err, ErrHTTP2) {
		t.Error(err)
	}
}

// TestAccepted are requests that look odd and mean one thing.
func TestAccepted(t *testing.T) {
	for _, c := range []struct{ said, want string }{
		{"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / h: "},
		{"get /a%2Fb/%zz? HTTP/1.1\r\nHost: h\r\n\r\n", ""},
		{"get /a%2Fb?%zz?\"<>{} HTTP/1.1\r\nHost: h\r\n\r\n", "get /a%2Fb?%zz?\"<>{} h: "},
		{"GET /\xff\\//../; HTTP/1.1\r\nHost: h\r\n\r\n", "GET /\xff\\//../; h: "},
		{"GET HTTP://H:80 HTTP/1.1\r\nhost:h:80\t \r\n\r\n", "GET / H:80: "},
		{"GET http://h?x HTTP/1.1\r\nHost: h\r\n\r\n", "GET /?x h: "},
		{"OPTIONS * HTTP/1.1\r\nHost: [::1]:8000\r\n\r\n", "OPTIONS * [::1]:8000: "},
		{"GET / HTTP/1.0\r\n\r\n", "GET / : "},
		{"GET / HTTP/1.1\r\nHost: a_b.c:\r\nA: \r\nB:\tc d \r\nC: \xe9\r\n\r\n", "GET / a_b.c:: A=|B=c d|C=\xe9"},
		{"GET / HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nKeep-Alive: 3\r\nConnection: x-a, keep-alive\r\nProxy-Connection: x\r\nProxy: evil\r\nTE: trailers, gzip\r\nHTTP2-Settings: x\r\nUpgrade: h2c\r\nB: 2\r\n\r\n", "GET / h: B=2"},
	} {
		r := newRequest()
		err := NewServer(&script{said: c.said}, Options{}).ReadRequest(r)
		got := ""
		if err == nil {
			got = r.Method + " " + r.Path + " " + r.Host + ": " + fields(r.Header)
		}
		if got != c.want || (err != nil) != (c.want == "") || r.Upgrade != "" {
			t.Errorf("%q: %q, %v", c.said, got, err)
		}
	}
}
