package h1

import (
	"net/http"
	"strconv"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

// check tells whether the head of a response can be written.
func (r *Response) check() error {
	if r.Status != 101 && (r.Status < 200 || r.Status > 999) {
		return errStatus
	}
	if !header.ValidValue(r.Reason) {
		return &FieldError{"reason"}
	}
	if !header.ValidValue(r.Upgrade) {
		return &FieldError{"Upgrade"}
	}
	return checkFields(r.Header)
}

// form is how the body is written, and what length is told of it, -1 if none
// is.
func (r *Response) form(head bool, minor int) (form, int64) {
	switch {
	case r.Status < 200 || r.Status == 204:
		return formNone, -1
	case head || r.Status == 304:
		return formNone, r.ContentLength
	case r.Body == nil:
		return formNone, 0
	case r.ContentLength >= 0:
		return formLength, r.ContentLength
	case minor > 0:
		return formChunked, -1
	}
	return formClose, -1
}

func appendStatus(b []byte, status int, reason string) []byte {
	if status == 200 && (reason == "" || reason == "OK") {
		return append(b, "HTTP/1.1 200 OK\r\n"...)
	}
	if reason == "" {
		reason = http.StatusText(status)
	}
	b = append(b, "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, ' ')
	b = append(b, reason...)
	return append(b, "\r\n"...)
}

// parseStatus reads the first line of a response.
func (r *Response) parseStatus(s string) error {
	const start = len(version11)
	if len(s) < start+4 || s[start] != ' ' || len(s) > start+4 && s[start+4] != ' ' {
		return bad("an invalid first line of a response")
	}
	switch s[:start] {
	case version11:
		r.ProtoMajor, r.ProtoMinor = 1, 1
	case version10:
		r.ProtoMajor, r.ProtoMinor = 1, 0
	default:
		return bad("an invalid version of HTTP")
	}
	digits := s[start+1 : start+4]
	if !digit(digits[0]) || digits[0] == '0' || !digit(digits[1]) || !digit(digits[2]) {
		return bad("an invalid status")
	}
	r.Status = int(digits[0]-'0')*100 + int(digits[1]-'0')*10 + int(digits[2]-'0')
	r.Reason = ""
	if len(s) > start+4 {
		r.Reason = s[start+5:]
	}
	if !header.ValidValue(r.Reason) {
		return bad("a control character in the first line")
	}
	return nil
}

// frameBody finds out how long the body is (RFC 9112, 6.3).
func (r *Response) frameBody(f *framing, head bool) (form, error) {
	r.ContentLength = f.length
	switch {
	case f.chunked && f.length >= 0:
		return formNone, bad("Content-Length with Transfer-Encoding")
	case f.chunked && r.ProtoMinor == 0:
		return formNone, bad("Transfer-Encoding in HTTP/1.0")
	case r.Status < 200 || r.Status == 204:
		// There may be none of these; what follows would be taken for the
		// next response.
		r.Close = r.Close || f.chunked || f.length > 0
		r.ContentLength = 0
		return formNone, nil
	case head || r.Status == 304:
		return formNone, nil
	case f.chunked:
		return formChunked, nil
	case f.length >= 0:
		return formLength, nil
	}
	r.Close = true
	return formClose, nil
}
