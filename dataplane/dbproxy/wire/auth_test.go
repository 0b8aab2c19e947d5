package wire

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"strings"
	"testing"
)

func TestNative(t *testing.T) {
	// SELECT PASSWORD('secret')
	stored, err := ParseNativeStored("*14E65567ABDB5135D0CFD9A70B3032C179A49EE7")
	if err != nil || stored != HashNative("secret").Stored() {
		t.Fatal(err)
	}
	scramble := NewScramble()
	token := HashNative("secret").Token(scramble[:])
	hash, ok := stored.Verify(scramble[:], token)
	if !ok || hash != HashNative("secret") {
		t.Error("the right password is refused, or not recovered")
	}
	// What was recovered logs in elsewhere.
	elsewhere := NewScramble()
	again, _ := hash.Credentials().Token(PluginNative, elsewhere[:])
	if _, ok := stored.Verify(elsewhere[:], again); !ok {
		t.Error("the recovered hash is of no use")
	}
	for name, bad := range map[string][]byte{
		"wrong password": HashNative("Secret").Token(scramble[:]), "other scramble": HashNative("secret").Token(elsewhere[:]),
		"empty": nil, "short": token[:19], "long": append(token[:20:20], 0),
	} {
		if _, ok := stored.Verify(scramble[:], bad); ok {
			t.Errorf("%s is taken", name)
		}
	}
	if _, ok := HashNative("").Stored().Verify(scramble[:], nil); ok {
		t.Error("an empty answer is taken")
	}
	for _, bad := range []string{"", "*", strings.Repeat("0", 41), "*" + strings.Repeat("g", 40), "*14E65567ABDB5135D0CFD9A70B3032C179A49EE"} {
		if _, err := ParseNativeStored(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestSHA2(t *testing.T) {
	scramble := NewScramble()
	cached := HashSHA2("secret").Cached()
	token := HashSHA2("secret").Token(scramble[:])
	hash, ok := cached.Verify(scramble[:], token)
	if !ok || hash != HashSHA2("secret") {
		t.Error("the right password is refused, or not recovered")
	}
	for name, bad := range map[string][]byte{"wrong password": HashSHA2("Secret").Token(scramble[:]), "empty": nil, "short": token[:31]} {
		if _, ok := cached.Verify(scramble[:], bad); ok {
			t.Errorf("%s is taken", name)
		}
	}

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text, err := AppendPublicKey(nil, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ParsePublicKey(text)
	if err != nil || !public.Equal(&key.PublicKey) {
		t.Fatal("the key is not read back", err)
	}
	encrypted, err := EncryptPassword("p@ss", scramble[:], public)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := DecryptPassword(encrypted, scramble[:], key); err != nil || p != "p@ss" {
		t.Error("not decrypted", err)
	}
	other := NewScramble()
	if p, err := DecryptPassword(encrypted, other[:], key); err == nil && p == "p@ss" {
		t.Error("decrypted with another scramble")
	}
	if _, err := DecryptPassword(encrypted[1:], scramble[:], key); err == nil {
		t.Error("cut, yet decrypted")
	}
	if _, err := ParsePublicKey([]byte("no key")); err == nil {
		t.Error("no key, yet taken")
	}
}

// The digests are what `openssl passwd -5` makes of the same passwords.
func TestSHA2Stored(t *testing.T) {
	for _, c := range []struct {
		salt   string
		rounds int
		pw     string
		want   string
	}{
		{"saltstring", 5000, "Hello world!", "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5"},
		{"saltstringsaltst", 10000, "Hello world!", "3xv.VbSHBb41AL9AvLeujZkZRBAwqFMz2.opqey6IcA"},
		{"shortsalt01234", 5000, "we have a short salt string but not a short password", "04iOTx/0.p58OYIAH29qvn8R3muTjt9aYH.Ibi8Eqs2"},
		{"abcdefgh", 5000, strings.Repeat("x", 100), ".wvAZFRM3qcOyii0UxLpCnmG9xkhWx4Yxd4UqvBYIa7"},
	} {
		if got := string(sha256Crypt([]byte(c.pw), []byte(c.salt), c.rounds)); got != c.want {
			t.Errorf("%s: %s", c.salt, got)
		}
	}
	// HEX(authentication_string) of an account made by MySQL 8.0 IDENTIFIED BY
	// 'foobar'.
	foobar := unhex(t, `24412430303524031A69251C34295C4B35167C7F1E5A7B630913495039
		74624D34504B5A424679354856336868686F52485A736E4A733368786E427575516C73446469496537`)
	if !VerifySHA2Stored(string(foobar), "foobar") || VerifySHA2Stored(string(foobar), "foobaz") {
		t.Error("not as MySQL checks it")
	}
	salt := string(pattern(20))
	stored := fmt.Sprintf("$A$005$%s%s", salt, sha256Crypt([]byte("secret"), []byte(salt), 5000))
	if !VerifySHA2Stored(stored, "secret") {
		t.Error("the right password is refused")
	}
	for _, bad := range []struct{ stored, password string }{
		{stored, "Secret"}, {stored, ""}, {stored[:69], "secret"}, {"", ""}, {"$A$000" + stored[6:], "secret"},
		{"$A$zzz" + stored[6:], "secret"}, {"$B" + stored[2:], "secret"}, {stored, strings.Repeat("x", 257)},
	} {
		if VerifySHA2Stored(bad.stored, bad.password) {
			t.Errorf("%q for %q is taken", bad.password, bad.stored)
		}
	}
}

func TestEd25519(t *testing.T) {
	// Knowledge Base, "Authentication Plugin - ed25519": the key of 'secret'.
	stored, err := ParseEd25519Stored("ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY")
	if err != nil || stored != HashEd25519("secret") {
		t.Fatal("another key", err)
	}
	scramble := pattern(Ed25519ScrambleSize)
	token := SignEd25519("secret", scramble)
	if len(token) != ed25519.SignatureSize || !stored.Verify(scramble, token) {
		t.Error("the right password is refused")
	}
	if stored.Verify(scramble, SignEd25519("Secret", scramble)) || stored.Verify(pattern(33)[1:], token) || stored.Verify(scramble, token[:63]) || stored.Verify(scramble, nil) {
		t.Error("a wrong answer is taken")
	}
	for _, bad := range []string{"", "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJ", "ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY="} {
		if _, err := ParseEd25519Stored(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

func TestClear(t *testing.T) {
	if p, err := ParseClear(AppendClear(nil, "secret")); err != nil || p != "secret" {
		t.Error(err)
	}
	for _, bad := range []string{"", "secret", "a\x00b\x00"} {
		if _, err := ParseClear([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// Whatever way they are printed, secrets do not show.
func TestSecretsDoNotPrint(t *testing.T) {
	secrets := []any{
		Password("secret"), HashNative("secret"), HashNative("secret").Stored(), HashSHA2("secret"), HashSHA2("secret").Cached(),
		HashEd25519("secret"), HashNative("secret").Credentials(), HashSHA2("secret").Credentials(),
	}
	for _, s := range secrets {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if got := fmt.Sprintf(verb, s); !strings.Contains(got, "redacted") && !strings.Contains(got, fmt.Sprintf("%x", "[redacted]")) {
				t.Errorf("%T by %s: %s", s, verb, got)
			}
		}
	}
}
