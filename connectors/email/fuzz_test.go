package email

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/backplane/backplane/connectors"
)

// heard is a connection on which the server has said everything already.
type heard struct{ *bytes.Reader }

func (heard) Write(b []byte) (int, error)      { return len(b), nil }
func (heard) Close() error                     { return nil }
func (heard) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
func (heard) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25} }
func (heard) SetDeadline(time.Time) error      { return nil }
func (heard) SetReadDeadline(time.Time) error  { return nil }
func (heard) SetWriteDeadline(time.Time) error { return nil }

// FuzzSession lets a server say anything: the dialogue must end, and what it
// says about the server must be fit to show.
func FuzzSession(f *testing.F) {
	for _, seed := range []string{
		"220 a\r\n250-b\r\n250 AUTH PLAIN\r\n235 c\r\n250 d\r\n250 e\r\n221 f\r\n",
		"220-a\r\n220 b\r\n250-c\r\n250 AUTH CRAM-MD5\r\n334 PDE+\r\n535 5.7.8 d\r\n",
		"220 a\r\n250-b\r\n250 AUTH SCRAM-SHA-256\r\n334 \r\n334 cj0xLHM9YQ==\r\n334 dj0=\r\n235 c\r\n",
		"220 a\r\n250-b\r\n250 AUTH LOGIN\r\n334 \r\n334 \r\n334 \r\n334 \r\n",
		"220 a\r\n500 b\r\n500 c\r\n",
		"220 a\r\n502 b\r\n250 c\r\n550 d\r\n",
		"554 go away\r\n", "421-\r\n421\r\n", "SSH-2.0-x\r\n", "\xff\xfb\x01\r\n", "250-\r\n251 \r\n", "",
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, data []byte, secure bool) {
		s := newSession(heard{bytes.NewReader(data)}, &connectors.Probe{})
		s.secure = secure
		err := s.greet("")
		if err == nil {
			err = s.login(connectors.Config{"auth": authAuto, "username": "u", "password": "p", "allow_plaintext_auth": true})
		}
		if err == nil {
			err = s.mail("a@b", true)
		}
		if err == nil {
			s.leave()
			return
		}
		if text := err.Error(); !utf8.ValidString(text) || strings.ContainsAny(text, "\r\n\x00") {
			t.Errorf("unfit to show: %q", text)
		}
	})
}
