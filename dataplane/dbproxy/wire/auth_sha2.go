package wire

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the protocol's padding
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/pem"
	"fmt"
)

// Single bytes of caching_sha2_password (MySQL source code documentation,
// "Caching SHA-2 pluggable authentication").
const (
	SHA2RequestKey = 2 // client: send the RSA key
	SHA2FastOK     = 3 // server: the token was right; OK follows
	SHA2Full       = 4 // server: the password itself is wanted, encrypted
)

const (
	minRSABytes = 128  // 1024 bits
	maxRSABytes = 2048 // 16384 bits: what a peer may make us compute with
	maxPassword = 256  // bytes; servers take no longer ones by this plugin
)

// SHA2Hash is SHA256(password): who has it can log in by
// caching_sha2_password, as long as the server has the password cached. It is
// a secret.
type SHA2Hash [sha256.Size]byte

// SHA2Cached is SHA256(SHA256(password)), which a server keeps in memory to
// check logins without the password.
type SHA2Cached [sha256.Size]byte

// Format hides the hash.
func (SHA2Hash) Format(f fmt.State, _ rune) { hide(f) }

// Format hides the hash.
func (SHA2Cached) Format(f fmt.State, _ rune) { hide(f) }

// HashSHA2 makes the hash of a password.
func HashSHA2(password string) SHA2Hash { return sha256.Sum256([]byte(password)) }

// Cached is what a server keeps for the same password.
func (h SHA2Hash) Cached() SHA2Cached { return sha256.Sum256(h[:]) }

// mask is SHA256(SHA256(SHA256(password)), scramble).
func (s SHA2Cached) mask(scramble []byte) [sha256.Size]byte {
	var room [64]byte
	return sha256.Sum256(append(append(room[:0], s[:]...), scramble...))
}

// Token answers a server's scramble.
func (h SHA2Hash) Token(scramble []byte) []byte {
	mask := h.Cached().mask(scramble)
	subtle.XORBytes(mask[:], mask[:], h[:])
	return mask[:]
}

// Verify checks a client's answer to the scramble and recovers the hash. An
// empty password has an empty answer, which is never verified here.
func (s SHA2Cached) Verify(scramble, token []byte) (hash SHA2Hash, ok bool) {
	if len(token) != sha256.Size {
		return SHA2Hash{}, false
	}
	hash = s.mask(scramble)
	subtle.XORBytes(hash[:], hash[:], token)
	again := hash.Cached()
	if subtle.ConstantTimeCompare(again[:], s[:]) != 1 {
		return SHA2Hash{}, false
	}
	return hash, true
}

// EncryptPassword encrypts a password for the server's key, with the scramble
// laid over it, so that it can be sent in the open.
func EncryptPassword(password string, scramble []byte, key *rsa.PublicKey) ([]byte, error) {
	if len(scramble) != ScrambleSize || key.Size() < minRSABytes || key.Size() > maxRSABytes {
		return nil, ErrMalformed
	}
	out, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key, overlay(AppendClear(nil, password), scramble), nil)
	if err != nil {
		return nil, ErrMalformed
	}
	return out, nil
}

// DecryptPassword is the server's side of EncryptPassword.
func DecryptPassword(encrypted, scramble []byte, key *rsa.PrivateKey) (string, error) {
	if len(scramble) != ScrambleSize || len(encrypted) != key.Size() {
		return "", ErrMalformed
	}
	out, err := rsa.DecryptOAEP(sha1.New(), nil, key, encrypted, nil)
	if err != nil {
		return "", ErrMalformed
	}
	return ParseClear(overlay(out, scramble))
}

func overlay(b, scramble []byte) []byte {
	for i := range b {
		b[i] ^= scramble[i%len(scramble)]
	}
	return b
}

// AppendPublicKey adds a key as the server sends it.
func AppendPublicKey(b []byte, key *rsa.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	return append(b, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})...), nil
}

// ParsePublicKey reads a server's key.
func ParsePublicKey(text []byte) (*rsa.PublicKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, ErrMalformed
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, ErrMalformed
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, ErrMalformed
	}
	return key, nil
}
