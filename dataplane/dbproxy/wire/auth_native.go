package wire

import (
	"crypto/sha1" //nolint:gosec // the protocol's login method
	"crypto/subtle"
	"encoding/hex"
	"fmt"
	"io"
)

// The login plugins, by the names that clients know.
const (
	PluginNative  = "mysql_native_password"
	PluginSHA2    = "caching_sha2_password"
	PluginEd25519 = "client_ed25519"
	PluginClear   = "mysql_clear_password"
	PluginDialog  = "dialog"
)

// NativeHash is SHA1(password): who has it can log in by
// mysql_native_password without the password. It is a secret.
type NativeHash [sha1.Size]byte

// NativeStored is SHA1(SHA1(password)), which a server stores. It is enough to
// check a login, not to log in.
type NativeStored [sha1.Size]byte

// Format hides the hash.
func (NativeHash) Format(f fmt.State, _ rune) { hide(f) }

// Format hides the hash, because passwords can be guessed by it.
func (NativeStored) Format(f fmt.State, _ rune) { hide(f) }

func hide(f fmt.State) { io.WriteString(f, "[redacted]") }

// HashNative makes the hash of a password.
func HashNative(password string) NativeHash {
	return sha1.Sum([]byte(password)) //nolint:gosec // the protocol's login method
}

// Stored is what a server stores for the same password.
func (h NativeHash) Stored() NativeStored {
	return sha1.Sum(h[:]) //nolint:gosec // the protocol's login method
}

// mask is SHA1(scramble, stored), laid over the hash on the wire.
func (s NativeStored) mask(scramble []byte) (m [sha1.Size]byte) {
	var room [64]byte
	b := append(append(room[:0], scramble...), s[:]...)
	return sha1.Sum(b) //nolint:gosec // the protocol's login method
}

// Token answers a server's scramble (Knowledge Base, "Authentication Plugin -
// mysql_native_password").
func (h NativeHash) Token(scramble []byte) []byte {
	mask := h.Stored().mask(scramble)
	subtle.XORBytes(mask[:], mask[:], h[:])
	return mask[:]
}

// Verify checks a client's answer to the scramble and recovers the hash, with
// which one can log in elsewhere for the client. An empty password has an
// empty answer, and no hash: it is never verified here.
func (s NativeStored) Verify(scramble, token []byte) (hash NativeHash, ok bool) {
	if len(token) != sha1.Size {
		return NativeHash{}, false
	}
	hash = s.mask(scramble)
	subtle.XORBytes(hash[:], hash[:], token)
	again := hash.Stored()
	if subtle.ConstantTimeCompare(again[:], s[:]) != 1 {
		return NativeHash{}, false
	}
	return hash, true
}

// ParseNativeStored reads what a server's table of accounts has: '*' and 40
// hexadecimal digits.
func ParseNativeStored(text string) (s NativeStored, err error) {
	if len(text) != 1+2*sha1.Size || text[0] != '*' {
		return s, ErrMalformed
	}
	if _, err := hex.Decode(s[:], []byte(text[1:])); err != nil {
		return NativeStored{}, ErrMalformed // without the text, which is in err
	}
	return s, nil
}
