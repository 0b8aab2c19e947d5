package mysql

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // the server's login method
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"

	"filippo.io/edwards25519"

	"github.com/backplane/backplane/connectors"
)

// The login plugins that a test supports.
const (
	pluginNative      = "mysql_native_password"
	pluginCachingSHA2 = "caching_sha2_password"
	pluginSHA256      = "sha256_password"
	pluginEd25519     = "client_ed25519"
	pluginClear       = "mysql_clear_password"
)

// The sizes of salts.
const (
	saltSize        = 20
	ed25519SaltSize = 32
)

func (a *authenticator) known() bool {
	switch a.plugin {
	case pluginNative, pluginCachingSHA2:
		return true
	}
	return false
}

// first is the plugin's answer to its salt.
func (a *authenticator) first() ([]byte, error) {
	switch a.plugin {
	case pluginNative, pluginCachingSHA2:
		if len(a.salt) < saltSize {
			return nil, errMalformed
		}
		if a.password == "" {
			return nil, nil
		}
		if a.plugin == pluginNative {
			return scrambleNative(a.password, a.salt[:saltSize]), nil
		}
		return scrambleSHA256(a.password, a.salt[:saltSize]), nil
	case pluginSHA256:
		if a.password == "" || a.encrypted {
			return a.clear(), nil
		}
		a.keyAsked = true
		return []byte{1}, nil
	case pluginEd25519:
		if len(a.salt) < ed25519SaltSize {
			return nil, errMalformed
		}
		return signEd25519(a.password, a.salt[:ed25519SaltSize])
	case pluginClear:
		if !a.encrypted {
			return nil, &connectors.Failure{Code: connectors.AuthUnsupported, Detail: "the server asks for the password in clear",
				Hint: "This login is possible under TLS only: set use_ssl."}
		}
		return a.clear(), nil
	}
	return nil, unsupported(a.plugin)
}

// scrambleNative is SHA1(password) XOR SHA1(salt, SHA1(SHA1(password))).
func scrambleNative(password string, salt []byte) []byte {
	once := sha1.Sum([]byte(password)) //nolint:gosec // the server's login method
	twice := sha1.Sum(once[:])         //nolint:gosec // the server's login method
	mask := sha1.Sum(append(append([]byte(nil), salt...), twice[:]...))
	subtle.XORBytes(once[:], once[:], mask[:])
	return once[:]
}

// scrambleSHA256 is SHA256(password) XOR SHA256(SHA256(SHA256(password)), salt).
func scrambleSHA256(password string, salt []byte) []byte {
	once := sha256.Sum256([]byte(password))
	twice := sha256.Sum256(once[:])
	mask := sha256.Sum256(append(twice[:], salt...))
	subtle.XORBytes(once[:], once[:], mask[:])
	return once[:]
}

// encryptPassword encrypts the password, with the salt laid over it, for the
// server's key.
func encryptPassword(clear, salt []byte, key *rsa.PublicKey) ([]byte, error) {
	for i := range clear {
		clear[i] ^= salt[i%len(salt)]
	}
	out, err := rsa.EncryptOAEP(sha1.New(), rand.Reader, key, clear, nil)
	if err != nil {
		return nil, errMalformed
	}
	return out, nil
}

// signEd25519 signs the salt as Ed25519 (RFC 8032, section 5.1.6) does, with
// the password instead of a 32-byte seed; hence the arithmetic by hand.
func signEd25519(password string, salt []byte) ([]byte, error) {
	seed := sha512.Sum512([]byte(password))
	secret, err := edwards25519.NewScalar().SetBytesWithClamping(seed[:32])
	if err != nil {
		return nil, err
	}
	public := new(edwards25519.Point).ScalarBaseMult(secret).Bytes()
	nonce, err := hashScalar(seed[32:], salt)
	if err != nil {
		return nil, err
	}
	commitment := new(edwards25519.Point).ScalarBaseMult(nonce).Bytes()
	challenge, err := hashScalar(commitment, public, salt)
	if err != nil {
		return nil, err
	}
	proof := challenge.MultiplyAdd(challenge, secret, nonce)
	return append(commitment, proof.Bytes()...), nil
}

func hashScalar(parts ...[]byte) (*edwards25519.Scalar, error) {
	h := sha512.New()
	for _, p := range parts {
		h.Write(p)
	}
	return edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
}
