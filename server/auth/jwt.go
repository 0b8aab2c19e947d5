package auth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	jwtIssuer   = "backplane"
	jwtAudience = "backplane"
	jwtKeySize  = 32
)

// Signer makes and checks short-lived tokens (JSON Web Tokens, RFC 7519,
// signed with HS256).
type Signer struct{ key []byte }

// NewSigner makes a Signer from a key of any length of 32 bytes or more.
func NewSigner(key []byte) (*Signer, error) {
	if len(key) < jwtKeySize {
		return nil, fmt.Errorf("signing key has %d bytes, need %d", len(key), jwtKeySize)
	}
	return &Signer{key: key}, nil
}

// NewSigningKey makes a random key for a Signer.
func NewSigningKey() []byte {
	key := make([]byte, jwtKeySize)
	rand.Read(key) //nolint:errcheck // crypto/rand.Read never fails
	return key
}

// claims are the registered ones, the kind of account, as readers of these
// tokens expect it, and the stamp of the password: with another one, the token
// ends.
type claims struct {
	jwt.RegisteredClaims
	Account string `json:"account"`
	Stamp   string `json:"stamp"`
}

// Sign makes a token for the caller that is valid for a time.
func (s *Signer) Sign(id Identity, valid time.Duration) (string, error) {
	now := time.Now()
	account := "basic"
	if id.Can(Admin, "") {
		account = "admin"
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: id.Username, Issuer: jwtIssuer, Audience: jwt.ClaimStrings{jwtAudience},
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(valid)),
		},
		Account: account, Stamp: id.stamp,
	}).SignedString(s.key)
}

// Verify returns what a token says: the user it was made for, the stamp of the
// password, and when it ends.
func (s *Signer) Verify(text string) (Identity, error) {
	var c claims
	_, err := jwt.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return s.key, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(jwtIssuer), jwt.WithAudience(jwtAudience), jwt.WithExpirationRequired())
	if err != nil {
		return Identity{}, fmt.Errorf("token: %w", err)
	}
	if c.Subject == "" {
		return Identity{}, errors.New("token: no subject")
	}
	return Identity{Username: c.Subject, stamp: c.Stamp, until: c.ExpiresAt.Time}, nil
}
