package memcached

import (
	"bufio"
	"strings"
	"testing"
)

func FuzzReadLine(f *testing.F) {
	for _, s := range []string{"VERSION 1.6.18\r\n", "CLIENT_ERROR unauthenticated\r\n", "STORED\r\n", "ERROR\r\n", "V\n", "SSH-2.0\r\n", "HTTP/1.1 400\r\n", "", "VERSION"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line, err := readLine(bufio.NewReaderSize(strings.NewReader(s), maxLine))
		if err == nil && (len(line) > maxLine || !strings.HasPrefix(s, line+"\r\n")) {
			t.Errorf("%q read as %q", s, line)
		}
	})
}

func FuzzReadResponse(f *testing.F) {
	good := request(opVersion, "", "1.6.18")
	good[0] = magicResponse
	f.Add(string(good))
	f.Add(string(good[:30]))
	f.Add(string(good[:10]))
	f.Add("HTTP/1.1 400 Bad Request\r\n\r\n")
	f.Add("\x81\x0b\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff")
	f.Fuzz(func(t *testing.T, s string) {
		value, err := readResponse(bufio.NewReaderSize(strings.NewReader(s), maxLine), opVersion)
		if err == nil && len(value) > maxBody {
			t.Errorf("a value of %d bytes", len(value))
		}
	})
}
