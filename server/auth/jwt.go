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

	// signedUsually is how long a signed token is valid, signedMax how long it
	// can be, and signedAsked the most seconds that are not ignored.
	signedUsually = 8 * time.Hour
	signedMax     = 24 * time.Hour
	signedAsked   = 1<<31 - 2
)

// SignedFor is how long a signed token is to be valid when seconds are asked
// for; not asked when there are none, or a number that is ignored.
func SignedFor(seconds uint32) (valid time.Duration, asked bool) {
	if seconds == 0 || seconds > signedAsked {
		return signedUsually, false
	}
	return min(time.Duration(seconds)*time.Second, signedMax), true
}

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
// tokens expect it, the stamp of the password and the era: with another one of
// these, the token ends. The audience is the bare text that it may be when there
// is one.
type claims struct {
	jwt.RegisteredClaims
	Audience string `json:"aud"`
	Account  string `json:"account,omitempty"`
	Stamp    string `json:"stamp,omitempty"`
	Era      uint64 `json:"era,omitempty"`
}

// GetAudience implements jwt.Claims.
func (c claims) GetAudience() (jwt.ClaimStrings, error) { return jwt.ClaimStrings{c.Audience}, nil }

// Sign makes a token for the caller that is valid for a time; see
// Authenticator.Sign.
func (s *Signer) Sign(id Identity, valid time.Duration) (string, error) {
	account := "basic"
	if id.Can(Admin, "") {
		account = "admin"
	}
	return s.sign(claims{
		RegisteredClaims: jwt.RegisteredClaims{Subject: id.Username, Issuer: jwtIssuer},
		Audience:         jwtAudience, Account: account, Stamp: id.stamp, Era: id.era,
	}, valid)
}

// SignFor makes a token of another issuer for one thing, its audience and
// subject. It is no login.
func (s *Signer) SignFor(issuer, thing string, valid time.Duration) (string, error) {
	return s.sign(claims{RegisteredClaims: jwt.RegisteredClaims{Subject: thing, Issuer: issuer}, Audience: thing}, valid)
}

func (s *Signer) sign(c claims, valid time.Duration) (string, error) {
	now := time.Now()
	c.IssuedAt, c.ExpiresAt = jwt.NewNumericDate(now), jwt.NewNumericDate(now.Add(valid))
	return jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(s.key)
}

// Verify returns what a token says: the user it was made for, the stamp of the
// password, the era, and when it ends.
func (s *Signer) Verify(text string) (Identity, error) {
	c, err := s.verify(text, jwtIssuer, jwtAudience)
	if err != nil {
		return Identity{}, err
	}
	if c.Subject == "" {
		return Identity{}, errors.New("token: no subject")
	}
	return Identity{Username: c.Subject, stamp: c.Stamp, era: c.Era, until: c.ExpiresAt.Time}, nil
}

// VerifyFor checks a token that SignFor has made for a thing.
func (s *Signer) VerifyFor(issuer, thing, text string) error {
	c, err := s.verify(text, issuer, thing)
	if err == nil && c.Subject != thing {
		err = errors.New("token: of another subject")
	}
	return err
}

func (s *Signer) verify(text, issuer, audience string) (claims, error) {
	var c claims
	_, err := jwt.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return s.key, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}),
		jwt.WithIssuer(issuer), jwt.WithAudience(audience), jwt.WithExpirationRequired())
	if err != nil {
		return c, fmt.Errorf("token: %w", err)
	}
	return c, nil
}
