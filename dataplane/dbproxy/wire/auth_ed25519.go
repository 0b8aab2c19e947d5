package wire

import (
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"fmt"

	"filippo.io/edwards25519"
)

// Ed25519ScrambleSize is the length of the challenge of client_ed25519.
const Ed25519ScrambleSize = 32

// Ed25519Stored is the public key that a server stores for a password
// (Knowledge Base, "Authentication Plugin - ed25519").
type Ed25519Stored [ed25519.PublicKeySize]byte

// Format hides the key, because passwords can be guessed by it.
func (Ed25519Stored) Format(f fmt.State, _ rune) { hide(f) }

// ParseEd25519Stored reads what a server's table of accounts has: the key in
// base64 without padding.
func ParseEd25519Stored(text string) (s Ed25519Stored, err error) {
	b, err := base64.RawStdEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != len(s) {
		return s, ErrMalformed
	}
	return Ed25519Stored(b), nil
}

// HashEd25519 makes the public key of a password.
func HashEd25519(password string) Ed25519Stored {
	_, secret := ed25519Secret(password)
	return Ed25519Stored(new(edwards25519.Point).ScalarBaseMult(secret).Bytes())
}

// Verify checks a client's answer to the scramble. Nothing can be recovered
// from it.
func (s Ed25519Stored) Verify(scramble, token []byte) bool {
	return len(token) == ed25519.SignatureSize && ed25519.Verify(s[:], scramble, token)
}

// ed25519Secret hashes the password where Ed25519 (RFC 8032, section 5.1.5)
// hashes a seed of 32 bytes; that is why crypto/ed25519 cannot sign.
func ed25519Secret(password string) (hash [sha512.Size]byte, secret *edwards25519.Scalar) {
	hash = sha512.Sum512([]byte(password))
	secret, err := edwards25519.NewScalar().SetBytesWithClamping(hash[:32])
	if err != nil {
		panic("wire: edwards25519 refuses 32 bytes") // it does so for other lengths only
	}
	return hash, secret
}

// SignEd25519 answers a server's scramble (RFC 8032, section 5.1.6).
func SignEd25519(password string, scramble []byte) []byte {
	hash, secret := ed25519Secret(password)
	public := new(edwards25519.Point).ScalarBaseMult(secret).Bytes()
	nonce := hashScalar(hash[32:], scramble)
	commitment := new(edwards25519.Point).ScalarBaseMult(nonce).Bytes()
	challenge := hashScalar(commitment, public, scramble)
	proof := challenge.MultiplyAdd(challenge, secret, nonce)
	return append(commitment, proof.Bytes()...)
}

func hashScalar(parts ...[]byte) *edwards25519.Scalar {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	s, err := edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
	if err != nil {
		panic("wire: edwards25519 refuses 64 bytes") // it does so for other lengths only
	}
	return s
}
