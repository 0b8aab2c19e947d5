package wire

import "encoding/binary"

// maxAttributes bounds how many connection attributes are kept of a login.
const maxAttributes = 128

// Attribute is something that a client tells about itself when it connects.
type Attribute struct{ Name, Value string }

// HandshakeResponse is a client's login (Knowledge Base, "Connection", section
// "Handshake Response Packet").
type HandshakeResponse struct {
	Capabilities Capability
	MaxPacket    uint32
	Charset      byte
	User         string
	Token        []byte // the plugin's answer to the scramble
	Database     string
	Plugin       string
	Attributes   []Attribute
}

const sslRequestSize = 32

// Append adds the packet's payload to b.
func (h *HandshakeResponse) Append(b []byte) []byte {
	caps := h.Capabilities
	b = h.AppendSSLRequest(b)
	b = appendNul(b, h.User)
	b = appendToken(b, h.Token, caps)
	if caps.Has(CapConnectWithDB) {
		b = appendNul(b, h.Database)
	}
	if caps.Has(CapPluginAuth) {
		b = appendNul(b, h.Plugin)
	}
	if caps.Has(CapConnectAttrs) {
		b = appendAttributes(b, h.Attributes)
	}
	return b
}

// AppendSSLRequest adds the payload of the request for TLS, which is how the
// login itself begins (Knowledge Base, "Connection", section "SSLRequest
// Packet").
func (h *HandshakeResponse) AppendSSLRequest(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(h.Capabilities))
	b = binary.LittleEndian.AppendUint32(b, h.MaxPacket)
	b = append(b, h.Charset)
	b = append(b, make([]byte, 19)...)
	if h.Capabilities.Has(CapMySQL) {
		return append(b, 0, 0, 0, 0)
	}
	return binary.LittleEndian.AppendUint32(b, uint32(h.Capabilities>>32))
}

// IsSSLRequest tells whether a client's first packet asks for TLS.
func IsSSLRequest(p []byte) bool {
	return len(p) == sslRequestSize && Capability(binary.LittleEndian.Uint16(p)).Has(CapSSL|CapProtocol41)
}

// ParseHandshakeResponse reads a client's login.
func ParseHandshakeResponse(p []byte) (*HandshakeResponse, error) {
	c := NewCursor(p)
	if len(p) >= 2 && !Capability(binary.LittleEndian.Uint16(p)).Has(CapProtocol41) {
		return nil, ErrOldProtocol
	}
	h := &HandshakeResponse{Capabilities: Capability(c.Uint32()), MaxPacket: c.Uint32(), Charset: c.Uint8()}
	c.Take(19)
	if extended := Capability(c.Uint32()); !h.Capabilities.Has(CapMySQL) {
		h.Capabilities |= extended << 32
	}
	h.User = string(c.NulString())
	h.Token = token(&c, h.Capabilities)
	if h.Capabilities.Has(CapConnectWithDB) {
		h.Database = string(optionalNul(&c))
	}
	if h.Capabilities.Has(CapPluginAuth) {
		h.Plugin = string(optionalNul(&c))
	}
	if h.Capabilities.Has(CapConnectAttrs) && c.Len() > 0 {
		h.Attributes = attributes(&c)
	}
	return h, c.Err()
}

func appendToken(b, token []byte, caps Capability) []byte {
	switch {
	case caps.Has(CapPluginAuthLenenc):
		return AppendString(b, token)
	case caps.Has(CapSecureConnection):
		token = token[:min(len(token), 255)]
		return append(append(b, byte(len(token))), token...)
	}
	return appendNul(b, token)
}

func token(c *Cursor, caps Capability) []byte {
	var t []byte
	switch {
	case caps.Has(CapPluginAuthLenenc):
		t = c.Bytes()
	case caps.Has(CapSecureConnection):
		t = c.Take(int(c.Uint8()))
	default:
		t = c.NulString()
	}
	return append([]byte(nil), t...)
}

func appendAttributes(b []byte, list []Attribute) []byte {
	size := 0
	for _, a := range list {
		size += lenencSize(len(a.Name)) + len(a.Name) + lenencSize(len(a.Value)) + len(a.Value)
	}
	b = AppendLenenc(b, uint64(size))
	for _, a := range list {
		b = AppendString(AppendString(b, a.Name), a.Value)
	}
	return b
}

func lenencSize(n int) int {
	var room [9]byte
	return len(AppendLenenc(room[:0], uint64(n)))
}

func attributes(c *Cursor) []Attribute {
	in := NewCursor(c.Bytes())
	var list []Attribute
	for in.Len() > 0 {
		a := Attribute{Name: string(in.Bytes()), Value: string(in.Bytes())}
		if in.Err() != nil || len(list) == maxAttributes {
			c.bad = true
			return nil
		}
		list = append(list, a)
	}
	return list
}

// ChangeUser is a COM_CHANGE_USER (Knowledge Base, "COM_CHANGE_USER").
type ChangeUser struct {
	User       string
	Token      []byte
	Database   string
	Charset    uint16
	Plugin     string
	Attributes []Attribute
}

// Append adds the packet's payload, with the command, to b. The token has 255
// bytes at most.
func (u *ChangeUser) Append(b []byte, caps Capability) []byte {
	b = appendNul(append(b, byte(ComChangeUser)), u.User)
	b = appendToken(b, u.Token, caps&^CapPluginAuthLenenc)
	b = appendNul(b, u.Database)
	b = binary.LittleEndian.AppendUint16(b, u.Charset)
	if caps.Has(CapPluginAuth) {
		b = appendNul(b, u.Plugin)
	}
	if caps.Has(CapConnectAttrs) {
		b = appendAttributes(b, u.Attributes)
	}
	return b
}

// ParseChangeUser reads the packet, command included. Clients may end it after
// the database.
func ParseChangeUser(p []byte, caps Capability) (*ChangeUser, error) {
	c := NewCursor(p)
	if Command(c.Uint8()) != ComChangeUser {
		return nil, ErrMalformed
	}
	u := &ChangeUser{User: string(c.NulString())}
	u.Token = token(&c, caps&^CapPluginAuthLenenc)
	u.Database = string(optionalNul(&c))
	if c.Len() > 0 {
		u.Charset = c.Uint16()
	}
	if caps.Has(CapPluginAuth) && c.Len() > 0 {
		u.Plugin = string(optionalNul(&c))
	}
	if caps.Has(CapConnectAttrs) && c.Len() > 0 {
		u.Attributes = attributes(&c)
	}
	return u, c.Err()
}

// AuthSwitch asks the client to log in by another plugin (Knowledge Base,
// "Connection", section "Authentication Switch Request"). The client's answer
// is a packet with nothing but the token.
type AuthSwitch struct {
	Plugin string
	Data   []byte // as sent, with the NUL that some plugins end it with
}

// Append adds the packet's payload to b.
func (a *AuthSwitch) Append(b []byte) []byte {
	return append(appendNul(append(b, headEOF), a.Plugin), a.Data...)
}

// Scramble is the data without the NUL after it.
func (a *AuthSwitch) Scramble() []byte {
	if n := len(a.Data); n == ScrambleSize+1 && a.Data[n-1] == 0 {
		return a.Data[:n-1]
	}
	return a.Data
}

// ParseAuthSwitch reads the packet. A lone byte asks for the passwords from
// before MySQL 4.1.
func ParseAuthSwitch(p []byte) (*AuthSwitch, error) {
	if len(p) == 1 && p[0] == headEOF {
		return nil, ErrOldProtocol
	}
	c := NewCursor(p)
	if c.Uint8() != headEOF {
		return nil, ErrMalformed
	}
	a := &AuthSwitch{Plugin: string(c.NulString())}
	a.Data = append(a.Data, c.Rest()...)
	return a, c.Err()
}

// AppendAuthMore adds the payload of a packet with further data of a plugin.
func AppendAuthMore(b, data []byte) []byte { return append(append(b, headMoreData), data...) }

// ParseAuthMore returns the data, a part of p.
func ParseAuthMore(p []byte) ([]byte, error) {
	c := NewCursor(p)
	if c.Uint8() != headMoreData {
		return nil, ErrMalformed
	}
	return c.Rest(), c.Err()
}
