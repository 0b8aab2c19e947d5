package secret

import (
	"errors"
	"fmt"
	"os"
)

// Sealer seals and opens values under one master key, without data keys.
type Sealer struct{ box box }

// NewSealer makes a Sealer from a master key of KeySize bytes.
func NewSealer(key []byte) (*Sealer, error) {
	m, err := NewMasterKey(key)
	if err != nil {
		return nil, err
	}
	return &Sealer{box: m.box}, nil
}

// Seal encrypts a value.
func (s *Sealer) Seal(value []byte, place string) []byte { return s.box.seal(value, place) }

// Open decrypts a value. It returns ErrWrongKey or ErrDamaged.
func (s *Sealer) Open(sealed []byte, place string) ([]byte, error) {
	id, err := KeyOf(sealed)
	if err != nil {
		return nil, err
	}
	if id != s.box.id {
		return nil, ErrWrongKey
	}
	return s.box.open(sealed, place)
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
		return nil, errors.Join(fmt.Errorf("master key in %s", path), err)
	}
	return key, nil
}
