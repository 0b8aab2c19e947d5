package secret

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

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

// ParseMasterKeys reads one or more master keys, separated by white space: the
// one to wrap with comes first, the others still unwrap. Its error never
// repeats the text.
func ParseMasterKeys(text string) ([]*MasterKey, error) {
	var keys []*MasterKey
	for _, word := range strings.Fields(text) {
		raw, err := ParseKey(word)
		if err != nil {
			return nil, err
		}
		key, err := NewMasterKey(raw)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("must not be empty")
	}
	return keys, nil
}

// ReadMasterKeys reads a file as ParseMasterKeys does. The error is
// fs.ErrNotExist when there is none.
func ReadMasterKeys(path string) ([]*MasterKey, error) {
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	keys, err := ParseMasterKeys(string(text))
	if err != nil {
		return nil, fmt.Errorf("master key in %s %w", path, err)
	}
	return keys, nil
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

// WriteFile writes a new file with mode 0600 and syncs it, and its place in the
// folder, to disk. It fails with fs.ErrExist when the file is there.
func WriteFile(path string, content []byte) error {
	path = filepath.Clean(path)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return syncFolder(path)
}

// ReplaceFile renames a file over another one in the same folder and syncs that
// to disk.
func ReplaceFile(from, to string) error {
	if err := os.Rename(filepath.Clean(from), filepath.Clean(to)); err != nil {
		return err
	}
	return syncFolder(to)
}

func syncFolder(path string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// IsMissing reports whether a key file does not exist.
func IsMissing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
