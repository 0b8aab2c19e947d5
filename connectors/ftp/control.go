package ftp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// maxControl bounds what a server may say on the control connection.
const maxControl = 1 << 20

// control is a control connection as the library gets it: greeted, and
// encrypted where that is asked for. Both are done here, because the library
// waits for foreign servers, mistakes a refusal of TLS for one of the login
// and leaves the handshake for later. It also watches the replies, of which
// the library hands on only some.
type control struct {
	net.Conn // reads come from in
	in       io.Reader
	secure   bool
	greeting reply
	last     reply // the latest complete one
	loggedIn bool
	line     []byte
}

// reply is an answer of the server, RFC 959 section 4.2.
type reply struct {
	code int
	text string
}

// String is the reply as shown to people.
func (r reply) String() string { return clip(fmt.Sprintf("%d %s", r.code, r.text), 200) }

// dialControl connects, reads the greeting and encrypts as configured.
func dialControl(ctx context.Context, p *connectors.Probe, c connectors.Config, cfg *tls.Config) (*control, error) {
	implicit := cfg != nil && c.String("tls_mode") == tlsImplicit
	raw, err := p.Dial(ctx, "tcp", address(c))
	if err != nil {
		return nil, err
	}
	var conn net.Conn = &bounded{Conn: raw, left: maxControl}
	if implicit {
		if conn, err = p.Handshake(ctx, conn, cfg); err != nil {
			return nil, withPortHint(err)
		}
	}
	ctl := &control{secure: implicit}
	start, err := expect(conn, "an FTP", ftpBanner)
	if err != nil {
		return nil, withModeHint(err, implicit)
	}
	if ctl.greeting, err = readGreeting(start); err != nil {
		return nil, err
	}
	p.Note(func(r *connectors.Report) { r.ServerVersion = clip(ctl.greeting.text, 120) })
	conn = start
	if cfg != nil && !implicit {
		if conn, err = authTLS(ctx, p, start, cfg); err != nil {
			return nil, err
		}
		ctl.secure = true
	}
	ctl.Conn = conn
	// The library wants to read a greeting first.
	ctl.in = io.MultiReader(strings.NewReader("220 ready\r\n"), conn)
	return ctl, nil
}

func readGreeting(conn *buffered) (reply, error) {
	code, text, err := textproto.NewReader(conn.in).ReadResponse(0)
	var malformed textproto.ProtocolError
	switch r := (reply{code, text}); {
	case errors.As(err, &malformed):
		return r, connectors.Mismatch("an FTP", []byte(malformed))
	case err != nil:
		return r, err
	case code == 220:
		return r, nil
	case mentionsTLS(text):
		return r, tlsRequired(r)
	case code/100 == 5 && !crowded(text):
		return r, connectors.Fail(connectors.PermissionDenied, nil, "the server turns this client away: %s", r)
	default:
		return r, connectors.Fail(connectors.ServerBusy, nil, "%s", r)
	}
}

// authTLS encrypts the connection, RFC 4217 section 4.
func authTLS(ctx context.Context, p *connectors.Probe, conn *buffered, cfg *tls.Config) (net.Conn, error) {
	p.Enter(connectors.StageTLS)
	if _, err := io.WriteString(conn, "AUTH TLS\r\n"); err != nil {
		return nil, err
	}
	code, text, err := textproto.NewReader(conn.in).ReadResponse(0)
	switch r := (reply{code, text}); {
	case err != nil:
		return nil, err
	case code == 421:
		return nil, connectors.Fail(connectors.ServerBusy, nil, "%s", r)
	case code != 234:
		return nil, connectors.Fail(connectors.TLSNotSupported, nil, "%s", r)
	case conn.in.Buffered() > 0:
		// Anything sent before the handshake could come from someone else.
		return nil, connectors.Fail(connectors.TLSHandshake, nil, "data before the handshake")
	}
	return p.Handshake(ctx, conn, cfg)
}

// Read hands on what the server says and takes note of it.
func (c *control) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	c.note(b[:n])
	return n, err
}

func (c *control) note(b []byte) {
	for _, ch := range b {
		switch {
		case ch == '\n':
			c.noteLine(strings.TrimRight(string(c.line), "\r"))
			c.line = c.line[:0]
		case len(c.line) < 512:
			c.line = append(c.line, ch)
		}
	}
}

func (c *control) noteLine(line string) {
	if len(line) == 3 {
		line += " "
	}
	if !ftpBanner([]byte(line)) || line[3] != ' ' {
		return // inside a reply of several lines
	}
	code, _ := strconv.Atoi(line[:3])
	c.last = reply{code, line[4:]}
	if code == 230 || code == 232 {
		c.loggedIn = true
	}
}

// bounded is a connection that ends after so many bytes.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, io.EOF
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
