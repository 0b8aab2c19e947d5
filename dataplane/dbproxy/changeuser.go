package dbproxy

import (
	"bytes"
	"errors"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// changeUser takes a COM_CHANGE_USER of the client: it proves who it is now,
// and the session is that user's from here on. What servers think of it is to
// be found out with ChangeUser on each connection. refused is for the client,
// and ends the session.
func (s *Session) changeUser(r *Request) (refused *wire.ServerError, err error) {
	if r.Streamed() {
		return badHandshake(nil), nil
	}
	u, err := wire.ParseChangeUser(r.Packet, s.caps)
	if err != nil {
		return badHandshake(nil), nil
	}
	// The exchange takes the place of the packet in the buffer.
	r.Packet = bytes.Clone(r.Packet)
	r.Head = r.Packet
	rules := s.listener.config.Load().login
	x := &exchange{session: s, rules: rules, begins: wire.PluginNative, switchable: s.caps.Has(wire.CapPluginAuth)}
	if x.switchable {
		// Which challenge clients answer here differs; a new one settles it.
		x.empty = true
	} else {
		x.told(wire.PluginNative, s.scramble[:], u.Token)
	}
	c := claim{user: u.User, database: u.Database}
	a, denied, err := s.examine(s.ctx, x, c)
	if e := s.client.SetReadDeadline(time.Time{}); err == nil {
		err = e
	}
	switch {
	case errors.As(err, &refused):
		denied = &denial{tell: refused, reason: refused.Message}
	case errors.Is(err, errClear):
		denied = &denial{tell: s.accessDenied(x, c), reason: err.Error()}
	case err != nil:
		return nil, err
	}
	if denied != nil {
		s.noteDenied(x, c, denied)
		return denied.tell, nil
	}
	attributes := s.attributes
	if len(u.Attributes) > 0 {
		attributes = u.Attributes
	}
	s.become(a, narrow(u.Charset, s.charset), attributes, rules)
	return nil, nil
}

// narrow is a character set as logins have room for it. Collations with higher
// numbers are all of Unicode; a client that names none keeps what it has.
func narrow(charset uint16, now byte) byte {
	switch {
	case charset == 0:
		return now
	case charset > 255:
		return wire.CharsetUTF8MB4
	}
	return byte(charset)
}

// ChangeUser makes the connection one of the session's present identity, with
// its default database, and otherwise like a new one. Reply has the server's
// answer then. What the server refuses is a *wire.ServerError, after which the
// connection is of no use, as after any other error.
func (b *Backend) ChangeUser() error {
	s := b.session
	o, err := s.loginOptions(b.server)
	if err != nil {
		b.broken = true
		return err
	}
	b.begin(wire.ComChangeUser)
	_, err = wire.LoginAgain(b.Conn, o, b.negotiated, func(packet []byte) error {
		if _, err := b.Reply.Feed(packet, len(packet)); err != nil {
			return &wire.ConnError{Conn: b.Conn, Op: "read", Err: err}
		}
		if b.Reply.AwaitsClient() {
			b.Reply.ClientSent()
		}
		return nil
	})
	b.end()
	b.used = s.now()
	if err != nil {
		s.signedIn(b.server, err)
		b.broken = true
	}
	return b.failed(err)
}
