package jwt

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// token is a token that was taken apart, and not verified.
type token struct {
	header, claims map[string]any
	algorithm      string
	signed         string // header and claims as they were signed
	signature      []byte
}

// What is wrong with a token, as clients are told.
var (
	errJSON      = errors.New("invalid JSON")
	errType      = errors.New("invalid typ")
	errAlgorithm = errors.New("invalid alg")
	errClaims    = errors.New("invalid claims")
	errSignature = errors.New("invalid signature")
)

// parse takes a token apart (RFC 7515, 3.1).
func parse(raw string) (*token, error) {
	dot := strings.LastIndexByte(raw, '.')
	if dot < 0 {
		return nil, errJSON
	}
	t := &token{signed: raw[:dot]}
	header, claims, ok := strings.Cut(t.signed, ".")
	if !ok || decodeJSON(header, &t.header) != nil || decodeJSON(claims, &t.claims) != nil {
		return nil, errJSON
	}
	if t.header == nil {
		return nil, errJSON
	}
	if typ, ok := t.header["typ"]; ok && typ != nil {
		if s, ok := typ.(string); !ok || !strings.EqualFold(s, "JWT") {
			return nil, errType
		}
	}
	t.algorithm, _ = t.header["alg"].(string)
	if _, ok := methodOf(t.algorithm); !ok {
		return nil, errAlgorithm
	}
	if t.claims == nil {
		return nil, errClaims
	}
	var err error
	if t.signature, err = decodeBase64(raw[dot+1:]); err != nil || len(t.signature) == 0 {
		return nil, errSignature
	}
	return t, nil
}

func decodeJSON(encoded string, v any) error {
	b, err := decodeBase64(encoded)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// decodeBase64 reads the alphabet for URLs, with or without padding.
func decodeBase64(s string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
}

// methodOf is how an algorithm signs; "none" does not.
func methodOf(algorithm string) (jwt.SigningMethod, bool) {
	switch algorithm {
	case "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512",
		"PS256", "PS384", "PS512", "EdDSA":
		return jwt.GetSigningMethod(algorithm), true
	}
	return nil, false
}

// algorithm is what tokens of a credential are signed with.
func algorithm(c *entity.Credential) string {
	if c.Algorithm == "" {
		return "HS256"
	}
	return c.Algorithm
}

// verifier verifies the tokens of a credential.
type verifier struct {
	method jwt.SigningMethod
	key    any // nil if there is none that can be used
}

// errKey is that a credential has no key that can be used.
var errKey = errors.New("the credential has no usable key")

func newVerifier(c *entity.Credential, isBase64 bool) *verifier {
	v := &verifier{}
	var ok bool
	if v.method, ok = methodOf(algorithm(c)); !ok {
		return v
	}
	if _, symmetric := v.method.(*jwt.SigningMethodHMAC); symmetric {
		secret := []byte(c.Secret)
		if isBase64 {
			var err error
			if secret, err = decodeSecret(c.Secret); err != nil {
				return v
			}
		}
		if len(secret) > 0 {
			v.key = secret
		}
		return v
	}
	key, err := publicKey(c.RSAPublicKey)
	if err != nil {
		return v
	}
	if m, ok := v.method.(*jwt.SigningMethodECDSA); ok {
		if k, ok := key.(*ecdsa.PublicKey); !ok || k.Curve.Params().BitSize != m.CurveBits {
			return v
		}
	}
	v.key = key
	return v
}

func (v *verifier) verify(t *token) error {
	if v.key == nil {
		return errKey
	}
	err := v.method.Verify(t.signed, t.signature, v.key)
	if errors.Is(err, jwt.ErrInvalidKeyType) || errors.Is(err, jwt.ErrInvalidKey) {
		return errKey
	}
	return err
}

// decodeSecret reads both alphabets.
func decodeSecret(s string) ([]byte, error) {
	return decodeBase64(strings.NewReplacer("+", "-", "/", "_", "\n", "").Replace(s))
}

// publicKey reads a public key, or the one of a certificate.
func publicKey(text string) (any, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errKey
	}
	if key, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
		return key, nil
	}
	if key, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
		return key, nil
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, err
	}
	return c.PublicKey, nil
}
