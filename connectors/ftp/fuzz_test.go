package ftp

import (
	"bufio"
	"bytes"
	"net"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzControl lets a server greet and answer in any way: what is shown of it
// must be fit to show, and notes must keep to their bounds.
func FuzzControl(f *testing.F) {
	for _, seed := range []string{"220 a\r\n", "220-a\r\n b\r\n220 c\r\n230 d\r\n", "530 TLS only\r\n", "421\r\n", "SSH-2.0-x\r\n", "\xff\xfb\x01", "999-\n", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := &buffered{in: bufio.NewReader(bytes.NewReader(data))}
		if first, _ := b.in.Peek(4); ftpBanner(first) {
			r, err := readGreeting(b)
			fit(t, r.String())
			if err != nil {
				fit(t, err.Error())
			}
		}
		c := &control{}
		c.note(data)
		fit(t, c.last.String())
		if len(c.line) > 512 {
			t.Errorf("kept %d bytes of a line", len(c.line))
		}
	})
}

func fit(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) || strings.ContainsAny(text, "\r\n\x00") {
		t.Errorf("unfit to show: %q", text)
	}
}

// FuzzBanner looks at the first bytes of any server.
func FuzzBanner(f *testing.F) {
	for _, seed := range []string{"SSH-2.0-x\r\n", "220 x\r\n", "Exceeded MaxStartups\r\n", "Not", "\x00", "HTTP/1.1 400\r\n", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for want, known := range map[string]func([]byte) bool{"an FTP": ftpBanner, "an SSH": sshBanner} {
			client, server := net.Pipe()
			go func() {
				server.Write(data)
				server.Close()
			}()
			conn, err := expect(client, want, known)
			if (conn == nil) == (err == nil) {
				t.Errorf("neither a connection nor an error for %q", data)
			}
			client.Close()
		}
	})
}

// FuzzPins reads host keys as configured.
func FuzzPins(f *testing.F) {
	for _, seed := range []string{
		"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", "SHA256:", "# a\n\n",
		"h ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8q5pQ0Cm0kZHjWJqkU1k1p0jXwPz1u3m5r3o9o2c2V", "@revoked * ssh-rsa AAAA", "|1|a|b ssh-rsa AAAA",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		pins, err := parsePins(s)
		if (len(pins) == 0) == (err == nil) {
			t.Errorf("%d pins and error %v for %q", len(pins), err, s)
		}
		h := &hostKeys{pins: pins}
		h.algorithms()
	})
}
