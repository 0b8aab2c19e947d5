package mysql

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// protocolVersion is the only one in use since MySQL 3.21.
const protocolVersion = 10

// Capabilities.
const (
	capLongPassword  = 1 << 0
	capLongFlag      = 1 << 2
	capConnectWithDB = 1 << 3
	capProtocol41    = 1 << 9
	capSSL           = 1 << 11
	capTransactions  = 1 << 13
	capSecureConn    = 1 << 15
	capPluginAuth    = 1 << 19
)

// greeting is the server's first packet.
type greeting struct {
	version string
	caps    uint32
	salt    []byte
	plugin  string // login plugin that the server proposes; "" for none
}

// parseGreeting reads a HandshakeV10 packet.
func parseGreeting(b []byte) (greeting, error) {
	var g greeting
	if len(b) < 1 || b[0] != protocolVersion {
		return g, errMalformed
	}
	version, rest, ok := bytes.Cut(b[1:], []byte{0})
	// thread id 4, salt 8, filler 1, capabilities 2
	if !ok || len(rest) < 15 {
		return g, errMalformed
	}
	g.version = strings.ToValidUTF8(string(version), "?")
	g.salt = append(g.salt, rest[4:12]...)
	g.caps = uint32(binary.LittleEndian.Uint16(rest[13:15]))
	rest = rest[15:]
	if g.caps&capProtocol41 == 0 || g.caps&capSecureConn == 0 {
		return g, errTooOld
	}
	// charset 1, status 2, capabilities 2, salt length 1, reserved 10
	if len(rest) < 16 {
		return g, errMalformed
	}
	g.caps |= uint32(binary.LittleEndian.Uint16(rest[3:5])) << 16
	saltSize := int(rest[5])
	rest = rest[16:]
	// The second part of the salt has 13 bytes at least, the last of them NUL.
	second := max(13, saltSize-8)
	if len(rest) < second {
		if len(rest) < 12 {
			return g, errMalformed
		}
		second = len(rest)
	}
	g.salt = append(g.salt, rest[:12]...)
	if g.caps&capPluginAuth != 0 {
		name, _, _ := bytes.Cut(rest[second:], []byte{0})
		g.plugin = string(name)
	}
	return g, nil
}

// caps are the capabilities to announce. LOCAL INFILE and several statements
// in one are never among them.
func (s *session) caps(withTLS bool) uint32 {
	caps := uint32(capLongPassword | capLongFlag | capConnectWithDB | capProtocol41 | capTransactions | capSecureConn)
	caps |= s.greeting.caps & capPluginAuth
	if withTLS {
		caps |= capSSL
	}
	return caps
}

// header is the beginning of the login packet: of the test, or of the client
// that the session is opened for.
func (s *session) header(withTLS bool) []byte {
	if s.hello == nil {
		return loginHeader(s.caps(withTLS))
	}
	b := bytes.Clone(s.hello)
	if withTLS {
		binary.LittleEndian.PutUint32(b, binary.LittleEndian.Uint32(b)|capSSL)
	}
	return b
}

// loginHeader is the beginning of the login packet, and by itself the request
// for TLS.
func loginHeader(caps uint32) []byte {
	const utf8mb4 = 45
	b := binary.LittleEndian.AppendUint32(nil, caps)
	b = binary.LittleEndian.AppendUint32(b, maxPacket)
	b = append(b, utf8mb4)
	return append(b, make([]byte, 23)...)
}
