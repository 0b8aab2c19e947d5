package secret_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/backplane/backplane/internal/secret"
)

func sealer(t *testing.T, fill byte) *secret.Sealer {
	t.Helper()
	s, err := secret.NewSealer(bytes.Repeat([]byte{fill}, secret.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	s := sealer(t, 1)
	for _, value := range []string{"", "word", strings.Repeat("long ", 10_000), "\x00\xff"} {
		sealed := s.Seal([]byte(value), "place")
		if value != "" && bytes.Contains(sealed, []byte(value)) {
			t.Errorf("%.10q is readable", value)
		}
		if got, err := s.Open(sealed, "place"); err != nil || string(got) != value {
			t.Errorf("%.10q comes back as %.10q, %v", value, got, err)
		}
		if bytes.Equal(sealed, s.Seal([]byte(value), "place")) {
			t.Error("sealing twice gives the same")
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	s := sealer(t, 1)
	sealed := s.Seal([]byte("word"), "place")
	if _, err := sealer(t, 2).Open(sealed, "place"); !errors.Is(err, secret.ErrWrongKey) {
		t.Errorf("another key: %v", err)
	}
	if _, err := s.Open(sealed, "another place"); !errors.Is(err, secret.ErrDamaged) {
		t.Errorf("another place: %v", err)
	}
	for i := range sealed {
		broken := bytes.Clone(sealed)
		broken[i] ^= 1
		if got, err := s.Open(broken, "place"); err == nil {
			t.Errorf("with byte %d changed it opens as %q", i, got)
		}
		if _, err := s.Open(sealed[:i], "place"); err == nil {
			t.Errorf("the first %d bytes open", i)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	if _, err := secret.NewSealer(make([]byte, 16)); err == nil {
		t.Error("a key of 16 bytes is taken")
	}
	key := bytes.Repeat([]byte{0xfb}, secret.KeySize)
	for _, text := range []string{
		hex.EncodeToString(key), strings.ToUpper(hex.EncodeToString(key)), base64.StdEncoding.EncodeToString(key),
		base64.RawURLEncoding.EncodeToString(key), "  " + hex.EncodeToString(key) + "\n",
	} {
		if got, err := secret.ParseKey(text); err != nil || !bytes.Equal(got, key) {
			t.Errorf("%q is read as %x, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "secret-text", hex.EncodeToString(key[1:]), hex.EncodeToString(key) + "00"} {
		if _, err := secret.ParseKey(text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v, want an error that does not repeat it", text, err)
		}
	}
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	if _, err := secret.ReadKeyFile(path); !secret.IsMissing(err) {
		t.Errorf("no file: %v", err)
	}
	made, err := secret.CreateKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info, err)
	}
	if read, err := secret.ReadKeyFile(path); err != nil || !bytes.Equal(read, made) {
		t.Errorf("read %x, %v, want %x", read, err, made)
	}
	if _, err := secret.CreateKeyFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a key is overwritten: %v", err)
	}
	if err := os.WriteFile(path, []byte("garbage-key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.ReadKeyFile(path); err == nil || secret.IsMissing(err) || strings.Contains(err.Error(), "garbage-key") {
		t.Errorf("a damaged file: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	s, err := secret.NewSealer(bytes.Repeat([]byte{1}, secret.KeySize))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Seal([]byte("word"), "place"))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, sealed []byte) {
		if got, err := s.Open(sealed, "place"); err == nil && string(got) != "word" {
			t.Errorf("%x, which nobody sealed, opens as %q", sealed, got)
		}
	})
}
