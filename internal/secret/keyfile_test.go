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

func TestParseKeys(t *testing.T) {
	t.Parallel()
	raw := bytes.Repeat([]byte{0xfb}, secret.KeySize)
	hexed := hex.EncodeToString(raw)
	for _, text := range []string{hexed, strings.ToUpper(hexed), " " + hexed + "\r\n", base64.StdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw)} {
		if got, err := secret.ParseKey(text); err != nil || !bytes.Equal(got, raw) {
			t.Errorf("%q: %x, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "sesame", hexed[1:], hexed + "00", hexed[:63] + "g"} {
		_, err := secret.ParseKey(text)
		if err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := secret.ParseMasterKeys(hexed + "\n" + text + "x"); err == nil {
			t.Errorf("%q as the second key is taken", text)
		}
	}
	keys, err := secret.ParseMasterKeys(hexed + "\n" + strings.Repeat("00", secret.KeySize) + "\n")
	if err != nil || len(keys) != 2 {
		t.Fatalf("two keys: %v, %v", keys, err)
	}
	if first, err := secret.NewMasterKey(raw); err != nil || keys[0].ID() != first.ID() {
		t.Errorf("the first key is %s, %v", keys[0].ID(), err)
	}
	if _, err := secret.ParseMasterKeys(" \n"); err == nil {
		t.Error("no key is taken for one")
	}
}

func TestKeyFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	if _, err := secret.ReadMasterKeys(path); !secret.IsMissing(err) {
		t.Errorf("no file: %v", err)
	}
	raw, err := secret.CreateKeyFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode is %v, %v", info.Mode(), err)
	}
	want, err := secret.NewMasterKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	if keys, err := secret.ReadMasterKeys(path); err != nil || len(keys) != 1 || keys[0].ID() != want.ID() {
		t.Errorf("read back: %v, %v", keys, err)
	}
	if _, err := secret.CreateKeyFile(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("an existing file: %v", err)
	}
	next := filepath.Join(dir, "next")
	if err := secret.WriteFile(next, []byte("sesame")); err != nil {
		t.Fatal(err)
	}
	if err := secret.ReplaceFile(next, path); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.ReadMasterKeys(path); err == nil || strings.Contains(err.Error(), "sesame") || !strings.Contains(err.Error(), path) {
		t.Errorf("a file that holds no key: %v", err)
	}
}
