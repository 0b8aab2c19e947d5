// Package secret seals what must not be read from the store. It is an envelope
// in two layers, both AES-256-GCM: values are sealed under data keys, which a
// Keyring holds, and data keys are wrapped under a MasterKey, which is kept
// apart from the store. So the master key can be changed by wrapping a few keys
// anew, and data keys can be changed value by value.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
)

// KeySize is the length of every key in bytes.
const KeySize = 32

const (
	format    = 1
	keyIDSize = 8
	headSize  = 1 + keyIDSize
)

// Errors of Open and Unwrap. What they are wrapped in names the key and the
// place, and never the value.
var (
	ErrWrongKey = errors.New("sealed under another key")
	ErrDamaged  = errors.New("sealed value is damaged or was moved from another place")
)

// KeyID names a key. It is not secret.
type KeyID [keyIDSize]byte

// String is the id as hexadecimal digits.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// ParseKeyID reads what String wrote.
func ParseKeyID(text string) (KeyID, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != keyIDSize {
		return KeyID{}, fmt.Errorf("%q is not the id of a key", text)
	}
	return KeyID(raw), nil
}

// DataKey is a key that values are sealed with. Printed in any way it shows its
// id alone.
type DataKey struct {
	id      KeyID
	raw     [KeySize]byte
	earlier bool
}

// NewDataKey makes a random key with a random id.
func NewDataKey() *DataKey {
	k := &DataKey{}
	rand.Read(k.id[:])  //nolint:errcheck // crypto/rand.Read never fails
	rand.Read(k.raw[:]) //nolint:errcheck // crypto/rand.Read never fails
	return k
}

// ID names the key.
func (k *DataKey) ID() KeyID { return k.id }

// Earlier reports whether the key was wrapped when the store had no key of the
// audit trail. What wraps it anew says that there is one.
func (k *DataKey) Earlier() bool { return k.earlier }

// Format hides the key from every verb of package fmt.
func (k DataKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "data key %s", k.id) }

// LogValue hides the key from logs.
func (k DataKey) LogValue() slog.Value { return slog.StringValue(k.id.String()) }

// box seals under one key. What it makes is: one byte format, eight bytes key
// id, nonce, ciphertext with tag. The first nine bytes are bound to the rest.
type box struct {
	id   KeyID
	aead cipher.AEAD
}

func newBox(id KeyID, key []byte) (box, error) {
	if len(key) != KeySize {
		return box{}, fmt.Errorf("key has %d bytes, need %d", len(key), KeySize)
	}
	blockCipher, err := aes.NewCipher(key)
	if err != nil {
		return box{}, err
	}
	aead, err := cipher.NewGCM(blockCipher)
	return box{id: id, aead: aead}, err
}

func (b box) seal(value []byte, place string) []byte {
	out := make([]byte, headSize+b.aead.NonceSize(), headSize+b.aead.NonceSize()+len(value)+b.aead.Overhead())
	out[0] = format
	copy(out[1:headSize], b.id[:])
	nonce := out[headSize:]
	rand.Read(nonce) //nolint:errcheck // crypto/rand.Read never fails
	return b.aead.Seal(out, nonce, value, append(out[:headSize:headSize], place...))
}

func (b box) open(sealed []byte, place string) ([]byte, error) {
	rest := headSize + b.aead.NonceSize()
	if len(sealed) < rest {
		return nil, ErrDamaged
	}
	value, err := b.aead.Open(nil, sealed[headSize:rest], sealed[rest:], append(sealed[:headSize:headSize], place...))
	if err != nil {
		return nil, ErrDamaged
	}
	return value, nil
}

// KeyOf reads which key a value was sealed under. It fails with ErrDamaged when
// that cannot be a sealed value.
func KeyOf(sealed []byte) (KeyID, error) {
	if len(sealed) < headSize || sealed[0] != format {
		return KeyID{}, ErrDamaged
	}
	return KeyID(sealed[1:headSize]), nil
}
