package wire

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"strings"
)

const (
	protocolVersion = 10

	// ScrambleSize is the length of the random challenge in a greeting, and
	// of what mysql_native_password and caching_sha2_password use of it.
	ScrambleSize = 20

	scrambleFirst = 8 // bytes of it that come before the capabilities
)

// NewScramble makes a challenge. It holds neither NUL, which ends it on the
// wire, nor '$', which separates the fields of passwords stored by
// caching_sha2_password.
func NewScramble() [ScrambleSize]byte {
	var s [ScrambleSize]byte
	rand.Read(s[:]) // never fails
	for i := range s {
		s[i] &= 0x7f
		if s[i] == 0 || s[i] == '$' {
			s[i]++
		}
	}
	return s
}

// Greeting is the server's first packet (Knowledge Base, "Connection", section
// "Initial Handshake Packet").
type Greeting struct {
	Version      string
	ConnectionID uint32
	Scramble     []byte // without the NUL that ends it
	Capabilities Capability
	Charset      byte
	Status       Status
	Plugin       string // the login plugin that the server begins with
}

// MariaDB tells whether a server of the MariaDB family greets.
func (g *Greeting) MariaDB() bool {
	return !g.Capabilities.Has(CapMySQL) || strings.Contains(strings.ToLower(g.Version), "mariadb")
}

// Append adds the packet's payload to b. The scramble must be ScrambleSize
// long at least.
func (g *Greeting) Append(b []byte) []byte {
	caps := g.Capabilities
	b = appendNul(append(b, protocolVersion), g.Version)
	b = binary.LittleEndian.AppendUint32(b, g.ConnectionID)
	b = append(append(b, g.Scramble[:scrambleFirst]...), 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(caps))
	b = append(b, g.Charset)
	b = binary.LittleEndian.AppendUint16(b, uint16(g.Status))
	b = binary.LittleEndian.AppendUint16(b, uint16(caps>>16))
	if caps.Has(CapPluginAuth) {
		b = append(b, byte(len(g.Scramble)+1))
	} else {
		b = append(b, 0)
	}
	b = append(b, 0, 0, 0, 0, 0, 0)
	if caps.Has(CapMySQL) {
		b = append(b, 0, 0, 0, 0)
	} else {
		b = binary.LittleEndian.AppendUint32(b, uint32(caps>>32))
	}
	b = appendNul(b, g.Scramble[scrambleFirst:])
	if caps.Has(CapPluginAuth) {
		b = appendNul(b, g.Plugin)
	}
	return b
}

// ParseGreeting reads a server's first packet. An error packet in its place is
// returned as *ServerError.
func ParseGreeting(p []byte) (*Greeting, error) {
	if len(p) > 0 && p[0] == headError {
		return nil, ParseError(p)
	}
	c := NewCursor(p)
	if c.Uint8() != protocolVersion {
		return nil, ErrMalformed
	}
	g := &Greeting{Version: string(c.NulString()), ConnectionID: c.Uint32()}
	g.Scramble = append(g.Scramble, c.Take(scrambleFirst)...)
	c.Take(1)
	g.Capabilities = Capability(c.Uint16())
	if c.Err() == nil && c.Len() == 0 {
		return nil, ErrOldProtocol
	}
	g.Charset = c.Uint8()
	g.Status = Status(c.Uint16())
	g.Capabilities |= Capability(c.Uint16()) << 16
	size := int(c.Uint8())
	c.Take(6)
	extended := Capability(c.Uint32())
	if c.Err() == nil && !g.Capabilities.Has(capNeeded) {
		return nil, ErrOldProtocol
	}
	if !g.Capabilities.Has(CapMySQL) {
		g.Capabilities |= extended << 32
	}
	// The second part has 13 bytes at least, and ends with a NUL.
	second := c.Take(max(13, size-scrambleFirst))
	g.Scramble = append(g.Scramble, bytes.TrimSuffix(second, []byte{0})...)
	if g.Capabilities.Has(CapPluginAuth) {
		g.Plugin = string(optionalNul(&c))
	}
	return g, c.Err()
}

// optionalNul reads a string at the end of a packet, of which some programs
// leave away the NUL.
func optionalNul(c *Cursor) []byte {
	if bytes.IndexByte(c.b, 0) >= 0 {
		return c.NulString()
	}
	return c.Rest()
}
