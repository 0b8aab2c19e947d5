// Package secret seals what must not be read from the store: AES-256-GCM under
// one master key, bound to the place where the value is kept.
package secret

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// KeySize is the length of a master key in bytes.
const KeySize = 32

const (
	format    = 1
	keyIDSize = 8
)

// Errors of Open.
var (
	ErrWrongKey = errors.New("sealed under another master key")
	ErrDamaged  = errors.New("sealed value is damaged or was moved from another place")
)

// Sealer seals and opens values. It is safe for concurrent use.
//
// A sealed value is: one byte format, eight bytes key id, nonce, ciphertext
// with tag. The key id lets keys be changed while old values remain.
type Sealer struct {
	aead cipher.AEAD
	id   [keyIDSize]byte
}

// NewSealer makes a Sealer from a master key of KeySize bytes.
func NewSealer(key []byte) (*Sealer, error) {
	if len(key) != KeySize {
		return nil, fmt.Errorf("master key has %d bytes, need %d", len(key), KeySize)
	}
	blockCipher, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	aead, err := cipher.NewGCM(blockCipher)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	s := &Sealer{aead: aead}
	sum := sha256.Sum256(append([]byte("backplane master key id\x00"), key...))
	copy(s.id[:], sum[:])
	return s, nil
}

// Seal encrypts a value; place names where it is kept and must be the same
// when it is opened.
func (s *Sealer) Seal(value []byte, place string) []byte {
	out := append([]byte{format}, s.id[:]...)
	nonce := make([]byte, s.aead.NonceSize())
	rand.Read(nonce) //nolint:errcheck // crypto/rand.Read never fails
	out = append(out, nonce...)
	return s.aead.Seal(out, nonce, value, []byte(place))
}

// Open decrypts a value. It returns ErrWrongKey or ErrDamaged.
func (s *Sealer) Open(sealed []byte, place string) ([]byte, error) {
	head := 1 + keyIDSize
	if len(sealed) < head+s.aead.NonceSize() || sealed[0] != format {
		return nil, ErrDamaged
	}
	if [keyIDSize]byte(sealed[1:head]) != s.id {
		return nil, ErrWrongKey
	}
	nonce := sealed[head : head+s.aead.NonceSize()]
	value, err := s.aead.Open(nil, nonce, sealed[head+s.aead.NonceSize():], []byte(place))
	if err != nil {
		return nil, ErrDamaged
	}
	return value, nil
}

// ParseKey reads a master key written as 64 hexadecimal digits or as base64.
// Its error never repeats the text.
func ParseKey(text string) ([]byte, error) {
	text = strings.TrimSpace(text)
	for _, decode := range []func(string) ([]byte, error){
		hex.DecodeString, base64.StdEncoding.DecodeString, base64.RawURLEncoding.DecodeString,
	} {
		if key, err := decode(text); err == nil && len(key) == KeySize {
			return key, nil
		}
	}
	return nil, fmt.Errorf("must be %d bytes as 64 hexadecimal digits or as base64", KeySize)
}

// ReadKeyFile reads a master key from a file. The error is fs.ErrNotExist when
// there is none.
func ReadKeyFile(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	key, err := ParseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("master key in %s %w", path, err)
	}
	return key, nil
}

// CreateKeyFile makes a random master key and writes it to a new file that
// only the owner can read. It never overwrites.
func CreateKeyFile(path string) ([]byte, error) {
	key := make([]byte, KeySize)
	rand.Read(key) //nolint:errcheck // crypto/rand.Read never fails
	if err := WriteFile(path, []byte(hex.EncodeToString(key)+"\n")); err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return key, nil
}

// WriteFile writes a new file with mode 0600 and syncs it to disk. It fails
// with fs.ErrExist when the file is there.
func WriteFile(path string, content []byte) (err error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(content); err != nil {
		return err
	}
	return f.Sync()
}

// IsMissing reports whether a key file does not exist.
func IsMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
