package ftp

import (
	"bufio"
	"bytes"
	"net"

	"github.com/backplane/backplane/connectors"
)

// buffered is a connection whose first bytes were looked at.
type buffered struct {
	net.Conn
	in *bufio.Reader
}

func (b *buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

// expect looks at the first bytes a server says and refuses a foreign one at
// once. The libraries would wait for a line that never comes.
func expect(conn net.Conn, want string, known func([]byte) bool) (*buffered, error) {
	b := &buffered{Conn: conn, in: bufio.NewReader(conn)}
	first, err := b.in.Peek(4)
	if err != nil && len(first) == 0 {
		conn.Close()
		return nil, err
	}
	if known(first) {
		return b, nil
	}
	conn.Close()
	first, _ = b.in.Peek(b.in.Buffered())
	if busy := refusal(first); busy != "" {
		return nil, connectors.Fail(connectors.ServerBusy, nil, "%s", busy)
	}
	return nil, connectors.Mismatch(want, first)
}

// refusal recognises, from its first bytes, what OpenSSH says instead of its
// version to clients it has no time for.
func refusal(first []byte) string {
	for _, text := range []string{"Exceeded MaxStartups", "Not allowed at this time"} {
		if n := min(len(text), len(first)); string(first[:n]) == text[:n] {
			return text
		}
	}
	return ""
}

// sshBanner accepts a version, and any line of text that is no known
// protocol's: a server may say some before (RFC 4253 section 4.2).
func sshBanner(first []byte) bool {
	switch {
	case bytes.HasPrefix(first, []byte("SSH-")):
		return true
	case ftpBanner(first), refusal(first) != "", bytes.HasPrefix(first, []byte("HTTP")), bytes.ContainsAny(first[:1], "-+*"):
		return false
	}
	return !bytes.ContainsFunc(first, func(r rune) bool { return r != '\t' && r != '\r' && r != '\n' && (r < ' ' || r > '~') })
}

// ftpBanner accepts a reply with a code of three digits.
func ftpBanner(first []byte) bool {
	if len(first) < 4 || first[3] != ' ' && first[3] != '-' {
		return false
	}
	for _, c := range first[:3] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
