package wire

// LoginAgain logs in anew on a connection with capabilities caps, which are
// those of its LoginResult, up to the server's OK packet (Knowledge Base,
// "COM_CHANGE_USER"). TLS and capabilities stay as they are. Each packet of the
// server is shown to seen, which may be nil. What the server refuses is a
// *ServerError; after any error the connection is of no use.
//
// Which scramble is in force on a connection depends on what has gone before,
// and servers differ. So the login begins with a plugin that no account has,
// and the server sends the scramble that it wants answered.
func LoginAgain(c *Conn, o LoginOptions, caps Capability, seen func(packet []byte) error) (OK, error) {
	limit := c.limit
	c.limit = maxLoginPacket
	defer func() { c.limit = limit }()
	u := ChangeUser{User: o.User, Database: o.Database, Charset: uint16(o.charset()), Plugin: "none", Attributes: o.Attributes}
	l := login{conn: c, options: o, caps: caps}
	c.SetSequence(0)
	if err := l.send(u.Append(nil, caps)); err != nil {
		return OK{}, err
	}
	return l.prove(seen)
}

func (o *LoginOptions) charset() byte {
	if o.Charset == 0 {
		return CharsetUTF8MB4
	}
	return o.Charset
}
