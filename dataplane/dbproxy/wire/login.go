package wire

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"time"
)

const (
	// maxSteps bounds how often a server may ask again during a login.
	maxSteps = 16
	// maxLoginPacket bounds the packets of a login.
	maxLoginPacket = 64 << 10
)

// LoginOptions say how to log in to a server.
type LoginOptions struct {
	User        string
	Database    string // "" for none
	Credentials Credentials
	// Capabilities are those wanted; what the server lacks of them is left
	// away. What the login itself needs is added.
	Capabilities Capability
	// Required are capabilities without which the login fails.
	Required   Capability
	Charset    byte   // CharsetUTF8MB4 when 0
	MaxPacket  uint32 // 1 GiB when 0, the most that servers take
	Attributes []Attribute
	// TLS switches it on; a server without TLS is then refused.
	TLS *tls.Config
	// ServerKey is the RSA key with which passwords are encrypted for
	// caching_sha2_password on connections in clear. AskServerKey asks the
	// server for it, which an attacker on the way can answer as well.
	ServerKey    *rsa.PublicKey
	AskServerKey bool
	// AllowClear lets a server ask for the password itself by
	// mysql_clear_password or dialog, on private connections.
	AllowClear bool
	// Greeted is told how the server greets, also when the login fails after
	// that. It may be nil.
	Greeted func(*Greeting)
}

// LoginResult is what a login has settled.
type LoginResult struct {
	Greeting     *Greeting
	Capabilities Capability // in force on the connection
	Plugin       string     // that the server has checked the credentials by
	OK           OK
}

// Login logs in to the server at the other end of c, up to its OK packet. When
// ctx ends the connection fails; after an error it is of no use and to be
// closed. What the server refuses is a *ServerError.
func Login(ctx context.Context, c *Conn, o LoginOptions) (*LoginResult, error) {
	if deadline, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(deadline); err != nil {
			return nil, c.fail("read", err)
		}
	}
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	limit := c.limit
	c.limit = maxLoginPacket
	result, err := (&login{conn: c, options: o}).run(ctx)
	c.limit = limit
	if !stop() && ctx.Err() != nil {
		return nil, fmt.Errorf("login: %w", context.Cause(ctx))
	}
	if err != nil {
		return nil, err
	}
	if err := c.SetDeadline(time.Time{}); err != nil {
		return nil, c.fail("read", err)
	}
	return result, nil
}

type login struct {
	conn     *Conn
	options  LoginOptions
	greeting *Greeting
	caps     Capability
	plugin   string
	scramble []byte
	keyAsked bool
	unable   error // the last plugin could not be answered
}

func (l *login) run(ctx context.Context) (*LoginResult, error) {
	l.conn.SetSequence(0)
	packet, err := l.conn.ReadPacket()
	if err != nil {
		return nil, err
	}
	if l.greeting, err = ParseGreeting(packet); err != nil {
		return nil, err
	}
	if l.options.Greeted != nil {
		l.options.Greeted(l.greeting)
	}
	if err := l.negotiate(); err != nil {
		return nil, err
	}
	if err := l.respond(ctx); err != nil {
		return nil, err
	}
	ok, err := l.prove(nil)
	if err != nil {
		return nil, err
	}
	return &LoginResult{Greeting: l.greeting, Capabilities: l.caps, Plugin: l.plugin, OK: ok}, nil
}

// prove answers what the server asks, up to its OK packet. Each packet of the
// server is shown to seen, which may be nil.
func (l *login) prove(seen func(packet []byte) error) (OK, error) {
	ok, err := l.answer(seen)
	if err != nil && l.unable != nil {
		err = fmt.Errorf("%w (%w)", err, l.unable)
	}
	return ok, err
}

func (l *login) answer(seen func(packet []byte) error) (OK, error) {
	for range maxSteps {
		packet, err := l.conn.ReadPacket()
		if err != nil {
			return OK{}, err
		}
		if len(packet) == 0 {
			return OK{}, ErrMalformed
		}
		if seen != nil {
			if err := seen(packet); err != nil {
				return OK{}, err
			}
		}
		switch packet[0] {
		case headOK:
			return ParseOK(append([]byte(nil), packet...), l.caps)
		case headError:
			return OK{}, ParseError(packet)
		case headEOF:
			err = l.change(packet)
		case headMoreData:
			err = l.more(packet[1:])
		default:
			err = ErrMalformed
		}
		if err != nil {
			return OK{}, err
		}
	}
	return OK{}, ErrMalformed
}

// negotiate settles the capabilities.
func (l *login) negotiate() error {
	o := &l.options
	// CapMySQL is left away if the server leaves it away: then both are of
	// MariaDB, and send their extended capabilities.
	wanted := (o.Capabilities|o.Required)&^capOfTheConnection | CapMySQL | CapTransactions | CapLongFlag | capNeeded | CapPluginAuth | CapPluginAuthLenenc | CapConnectAttrs
	if o.Database != "" {
		wanted |= CapConnectWithDB
	}
	if o.TLS != nil {
		wanted |= CapSSL
		if !l.greeting.Capabilities.Has(CapSSL) {
			return ErrNoTLS
		}
	}
	l.caps = wanted & l.greeting.Capabilities
	if missing := o.Required &^ l.caps &^ CapMySQL; missing != 0 {
		return fmt.Errorf("%w %#x", ErrCapabilities, uint64(missing))
	}
	return nil
}

// respond sends the login, under TLS if wanted.
func (l *login) respond(ctx context.Context) error {
	o := &l.options
	l.plugin, l.scramble = l.greeting.Plugin, l.greeting.Scramble
	h := HandshakeResponse{
		Capabilities: l.caps, MaxPacket: o.MaxPacket, Charset: o.charset(), User: o.User, Database: o.Database, Attributes: o.Attributes,
	}
	if h.MaxPacket == 0 {
		h.MaxPacket = 1 << 30
	}
	if o.TLS != nil {
		if err := l.conn.WritePacket(h.AppendSSLRequest(nil)); err != nil {
			return err
		}
		if err := l.conn.StartTLSClient(ctx, o.TLS); err != nil {
			return err
		}
	}
	token, err := l.token()
	if err != nil || l.plugin == PluginClear || l.plugin == PluginDialog {
		// What the server begins with need not suit the account: it will ask
		// for what does.
		l.plugin, token = PluginNative, nil
		if t, ok := o.Credentials.Token(PluginNative, l.scramble[:min(len(l.scramble), ScrambleSize)]); ok {
			token = t
		}
	}
	h.Plugin, h.Token = l.plugin, token
	return l.send(h.Append(nil))
}

func (l *login) send(payload []byte) error {
	if err := l.conn.WritePacket(payload); err != nil {
		return err
	}
	return l.conn.Flush()
}

// token is the first answer to the plugin.
func (l *login) token() ([]byte, error) {
	size := ScrambleSize
	switch l.plugin {
	case PluginClear, PluginDialog:
		password, ok := l.options.Credentials.Clear()
		if !ok || !l.options.AllowClear || !l.conn.Private() {
			return nil, l.unsuited()
		}
		return AppendClear(nil, password), nil
	case PluginEd25519:
		size = Ed25519ScrambleSize
	}
	if len(l.scramble) < size {
		return nil, ErrMalformed
	}
	token, ok := l.options.Credentials.Token(l.plugin, l.scramble[:size])
	if !ok {
		return nil, l.unsuited()
	}
	return token, nil
}

// unsuited says that the credentials, or the connection, do not allow what the
// plugin wants.
func (l *login) unsuited() error { return fmt.Errorf("%w: %.64q", ErrPlugin, l.plugin) }

// change follows the server's switch to another plugin.
func (l *login) change(packet []byte) error {
	s, err := ParseAuthSwitch(packet)
	if err != nil {
		return err
	}
	l.plugin, l.keyAsked, l.unable = s.Plugin, false, nil
	if len(s.Data) > 0 {
		l.scramble = s.Scramble()
	}
	// An account may have several plugins: after a wrong answer the server
	// goes on to the next one.
	token, err := l.token()
	if errors.Is(err, ErrPlugin) {
		l.unable, token = err, nil
	} else if err != nil {
		return err
	}
	return l.send(token)
}

// more answers further data of caching_sha2_password; other plugins have none.
func (l *login) more(data []byte) error {
	if l.plugin != PluginSHA2 {
		return ErrMalformed
	}
	if l.keyAsked {
		l.keyAsked = false
		key, err := ParsePublicKey(data)
		if err != nil {
			return err
		}
		return l.sendEncrypted(key)
	}
	if len(data) != 1 || data[0] != SHA2FastOK && data[0] != SHA2Full {
		return ErrMalformed
	}
	if data[0] == SHA2FastOK {
		return nil
	}
	password, ok := l.options.Credentials.Clear()
	switch {
	case !ok:
		return l.unsuited()
	case l.conn.Private():
		return l.send(AppendClear(nil, password))
	case l.options.ServerKey != nil:
		return l.sendEncrypted(l.options.ServerKey)
	case l.options.AskServerKey:
		l.keyAsked = true
		return l.send([]byte{SHA2RequestKey})
	}
	return l.unsuited()
}

func (l *login) sendEncrypted(key *rsa.PublicKey) error {
	password, ok := l.options.Credentials.Clear()
	if !ok {
		return l.unsuited()
	}
	encrypted, err := EncryptPassword(password, l.scramble[:min(len(l.scramble), ScrambleSize)], key)
	if err != nil {
		return err
	}
	return l.send(encrypted)
}
