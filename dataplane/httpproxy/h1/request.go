package h1

import "strings"

const (
	version11 = "HTTP/1.1"
	version10 = "HTTP/1.0"
	preface   = "PRI * HTTP/2.0"
)

// cutLine cuts the first line off a head, of which every line ends in CR LF.
func cutLine(head string) (line, fields string) {
	i := strings.IndexByte(head, '\n')
	return head[:i-1], head[i+1:]
}

// parse reads a head into r.
func (c *Server) parse(head string, r *Request) error {
	line, fields := cutLine(head)
	if err := r.parseLine(line); err != nil {
		return err
	}
	var f framing
	if err := c.parseFields(fields, r.Header, &f); err != nil {
		return err
	}
	if err := r.frameBody(&f); err != nil {
		return err
	}
	if err := r.parseTarget(&f); err != nil {
		return err
	}
	r.Trailers = f.trailers
	r.Upgrade = ""
	r.Close = f.close
	if r.ProtoMinor == 0 {
		r.Close = f.close || !f.keepAlive
	} else {
		r.Upgrade = f.upgrade
	}
	r.ExpectContinue = f.continues && r.ProtoMinor > 0 && r.ContentLength != 0
	if f.expectsOther && r.ProtoMinor > 0 {
		return &ProtocolError{Status: 417, Reason: "an expectation that cannot be met"}
	}
	return nil
}

// parseLine reads the line of a request.
func (r *Request) parseLine(s string) error {
	if s == preface {
		return &ProtocolError{Status: 505, Reason: "HTTP/2 is not spoken here", Err: ErrHTTP2}
	}
	i := 0
	for i < len(s) && tokenByte(s[i]) {
		i++
	}
	if i == 0 || i == len(s) || s[i] != ' ' {
		return bad("an invalid method")
	}
	r.Method, s = s[:i], s[i+1:]
	i = 0
	for i < len(s) && s[i] > ' ' && s[i] != 0x7f {
		i++
	}
	if i == 0 || i == len(s) || s[i] != ' ' {
		return bad("an invalid target or no version")
	}
	r.Target, s = s[:i], s[i+1:]
	switch {
	case s == version11:
		r.ProtoMajor, r.ProtoMinor = 1, 1
	case s == version10:
		r.ProtoMajor, r.ProtoMinor = 1, 0
	case len(s) == len(version11) && s[:5] == "HTTP/" && digit(s[5]) && s[6] == '.' && digit(s[7]):
		return &ProtocolError{Status: 505, Reason: "a version of HTTP that is not spoken here"}
	default:
		return bad("an invalid version of HTTP")
	}
	return nil
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// frameBody finds out how long the body is (RFC 9112, 6.3).
func (r *Request) frameBody(f *framing) error {
	r.ContentLength = max(f.length, 0)
	if f.chunked {
		switch {
		case f.length >= 0:
			return bad("Content-Length with Transfer-Encoding")
		case r.ProtoMinor == 0:
			return bad("Transfer-Encoding in HTTP/1.0")
		}
		r.ContentLength = -1
	}
	return nil
}
