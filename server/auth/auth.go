// Package auth says who is calling and what they may do: it checks passwords and
// tokens, slows down guessing, and holds the table of which role each RPC needs.
package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/ent/token"
	"github.com/backplane/backplane/ent/user"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/internal/telemetry"
)

const (
	// rememberFor is how long a verified login costs no password hash.
	rememberFor = time.Minute
	// rememberMax bounds the memory of verified logins.
	rememberMax = 10_000
	// hashesAtOnce bounds the memory that password hashing takes.
	hashesAtOnce = 2
)

// Credentials are what a caller presents, and from where.
type Credentials struct {
	Authorization string // value of that header: Basic or Bearer
	KongToken     string // value of Kong-Admin-Token
	Address       string // the caller's, without port
}

func (c Credentials) empty() bool { return c.Authorization == "" && c.KongToken == "" }

// Options are what an Authenticator needs.
type Options struct {
	Store   *ent.Client
	Metrics *telemetry.Metrics
	Log     *slog.Logger
	Signer  *Signer
}

// Authenticator checks logins. It is safe for concurrent use.
type Authenticator struct {
	Options
	hashing *semaphore.Weighted
	decoy   string // a hash that no password matches, so that unknown users cost the same
	salt    []byte // of the digests that logins are remembered by
	backoff *backoff

	mu         sync.RWMutex
	generation uint64 // moves on with Forget, so that a slow check cannot put an old right back
	known      map[[sha256.Size]byte]remembered
}

type remembered struct {
	id    Identity
	until time.Time // the login is to be checked again then
}

// New makes an Authenticator on the users of the store.
func New(o Options) *Authenticator {
	return &Authenticator{
		Options: o, hashing: semaphore.NewWeighted(hashesAtOnce), backoff: newBackoff(),
		decoy: decoyHash(), salt: []byte(rand.Text()), known: map[[sha256.Size]byte]remembered{},
	}
}

// Forget drops every remembered login: the next call of each caller is checked
// against the store again. It is called when a user, token or role changes.
func (a *Authenticator) Forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.generation++
	clear(a.known)
}

// ErrNoLogin is the cause of a refusal where no login of a known kind was
// presented.
var ErrNoLogin = errors.New("no login was presented")

// MalformedBasic is the cause of a refusal where HTTP Basic authentication
// cannot be read: what is wrong with it.
type MalformedBasic string

// Error says what is wrong.
func (m MalformedBasic) Error() string { return string(m) }

func refused() error { return refusedFor(nil) }

func refusedFor(cause error) error {
	return &errs.Error{
		Reason: errs.Unauthenticated, Err: cause,
		Message: "Log in with HTTP Basic authentication, or with a token as Authorization: Bearer",
	}
}

// Authenticate says who presents the credentials. It fails with
// Unauthenticated, or with TooManyLogins while a guesser has to wait.
func (a *Authenticator) Authenticate(ctx context.Context, c Credentials) (Identity, error) {
	if c.empty() {
		return Identity{}, refusedFor(ErrNoLogin)
	}
	key := a.keyOf(c)
	id, generation, ok := a.recall(key)
	if ok {
		return id, nil
	}
	id, err := a.verify(ctx, c)
	if err != nil {
		if errs.Convert(err).Reason == errs.Unauthenticated {
			a.Metrics.Logins.WithLabelValues("refused").Inc()
		}
		return Identity{}, err
	}
	a.Metrics.Logins.WithLabelValues("verified").Inc()
	a.remember(key, id, generation)
	return id, nil
}

// keyOf is what a login is remembered by: a digest that only this process can
// make, because credentials are not to be kept in memory.
func (a *Authenticator) keyOf(c Credentials) [sha256.Size]byte {
	var buf [256]byte
	text := append(append(buf[:0], a.salt...), c.Authorization...)
	return sha256.Sum256(append(append(text, 0), c.KongToken...))
}

// verify checks credentials against the store.
func (a *Authenticator) verify(ctx context.Context, c Credentials) (Identity, error) {
	scheme, value, _ := strings.Cut(c.Authorization, " ")
	value = strings.TrimSpace(value)
	switch {
	case strings.EqualFold(scheme, "basic"):
		plain, err := base64.StdEncoding.DecodeString(value)
		switch {
		case value == "":
			return Identity{}, refusedFor(MalformedBasic("No credentials provided."))
		case strings.Contains(value, " "):
			return Identity{}, refusedFor(MalformedBasic("Credentials string should not contain spaces."))
		case err != nil:
			return Identity{}, refusedFor(MalformedBasic("Credentials not correctly base64 encoded"))
		}
		username, password, _ := strings.Cut(string(plain), ":")
		return a.password(ctx, username, password, c.Address)
	case strings.EqualFold(scheme, "bearer") && !strings.HasPrefix(value, TokenPrefix):
		return a.signed(ctx, value)
	case strings.EqualFold(scheme, "bearer"):
		return a.token(ctx, value)
	case c.Authorization == "" && c.KongToken != "":
		return a.token(ctx, c.KongToken)
	}
	return Identity{}, refusedFor(ErrNoLogin)
}

func (a *Authenticator) password(ctx context.Context, username, password, address string) (Identity, error) {
	if err := a.mayGuess(username, address); err != nil {
		return Identity{}, err
	}
	hash := a.decoy
	u, err := a.Store.User.Query().Where(user.Username(username)).Only(ctx)
	switch {
	case err == nil:
		hash = u.PasswordHash
	case !ent.IsNotFound(err):
		return Identity{}, fmt.Errorf("find user: %w", err)
	}
	if err := a.hashing.Acquire(ctx, 1); err != nil {
		return Identity{}, err
	}
	defer a.hashing.Release(1)
	// Again, because guesses that arrived together have waited together.
	if err := a.mayGuess(username, address); err != nil {
		return Identity{}, err
	}
	ok, err := checkPassword(password, hash)
	if err != nil {
		return Identity{}, fmt.Errorf("user %q: %w", username, err)
	}
	if !ok || u == nil || !u.Enabled {
		a.backoff.failed(username, address)
		return Identity{}, refused()
	}
	a.backoff.succeeded(username, address)
	// Logins are remembered for a minute, so this writes once a minute at most.
	if err := u.Update().SetLastLoginAt(time.Now().UnixMicro()).Exec(ctx); err != nil && !ent.IsNotFound(err) {
		a.Log.WarnContext(ctx, "note a login", "error", err)
	}
	return Identity{Username: username, Roles: u.Roles, stamp: stampOf(u.PasswordHash)}, nil
}

func (a *Authenticator) mayGuess(username, address string) error {
	wait := a.backoff.wait(username, address)
	if wait <= 0 {
		return nil
	}
	return &errs.Error{
		Reason: errs.TooManyLogins, RetryAfter: wait,
		Message: "Too many wrong passwords; wait before you try again",
	}
}

// owner is a user with its present roles.
func (a *Authenticator) owner(ctx context.Context, username string) (Identity, error) {
	u, err := a.Store.User.Query().Where(user.Username(username)).Only(ctx)
	if ent.IsNotFound(err) || err == nil && !u.Enabled {
		return Identity{}, refused()
	}
	if err != nil {
		return Identity{}, fmt.Errorf("find user: %w", err)
	}
	return Identity{Username: username, Roles: u.Roles, stamp: stampOf(u.PasswordHash)}, nil
}

func (a *Authenticator) token(ctx context.Context, text string) (Identity, error) {
	t, err := a.Store.Token.Query().Where(token.Digest(Digest(text))).Only(ctx)
	if ent.IsNotFound(err) {
		return Identity{}, refused()
	}
	if err != nil {
		return Identity{}, fmt.Errorf("find token: %w", err)
	}
	id, err := a.bearer(ctx, t)
	if err != nil {
		return Identity{}, err
	}
	// Logins are remembered for a minute, so this writes once a minute at most.
	if err := t.Update().SetLastUsedAt(time.Now().UnixMicro()).Exec(ctx); err != nil && !ent.IsNotFound(err) {
		a.Log.WarnContext(ctx, "note the use of a token", "error", err)
	}
	return id, nil
}

// bearer is the identity that a token gives at present.
func (a *Authenticator) bearer(ctx context.Context, t *ent.Token) (Identity, error) {
	until := time.Time{}
	if t.ExpiresAt > 0 {
		if until = time.UnixMicro(t.ExpiresAt); !time.Now().Before(until) {
			return Identity{}, refused()
		}
	}
	id, err := a.owner(ctx, t.Username)
	if err != nil {
		return Identity{}, err
	}
	id.TokenID, id.until = t.ID.String(), until
	id.stamp = "" // a token outlives the password that it was made with
	if len(t.Roles) > 0 {
		// A token never has more than its owner's rights.
		owned := id
		id.Roles = slices.DeleteFunc(slices.Clone(t.Roles), func(b schema.RoleBinding) bool { return !owned.Can(Role(b.Role), b.Project) })
	}
	return id, nil
}

func (a *Authenticator) signed(ctx context.Context, text string) (Identity, error) {
	said, err := a.Signer.Verify(text)
	if err != nil {
		return Identity{}, refused()
	}
	id, err := a.owner(ctx, said.Username)
	if err != nil {
		return Identity{}, err
	}
	if id.stamp != said.stamp {
		return Identity{}, refused() // made with another password, or for an earlier user of that name
	}
	id.Signed, id.until, id.era = true, said.until, said.era
	return id, a.ofThisEra(ctx, id)
}

// ofThisEra refuses a signed token that has been ended.
func (a *Authenticator) ofThisEra(ctx context.Context, id Identity) error {
	now, err := era(ctx, a.Store.Setting)
	if err == nil && id.Signed && id.era != now {
		err = refused()
	}
	return err
}

// stampOf changes with the password and tells nothing of it.
func stampOf(passwordHash string) string {
	sum := sha256.Sum256([]byte(passwordHash))
	return hex.EncodeToString(sum[:8])
}

// now is what an identity that was authenticated earlier is worth at present.
func (a *Authenticator) now(ctx context.Context, was Identity) (Identity, error) {
	if was.TokenID == "" {
		id, err := a.owner(ctx, was.Username)
		if err == nil && id.stamp != was.stamp {
			err = refused()
		}
		if err == nil && was.Signed {
			err = a.ofThisEra(ctx, was)
		}
		return id, err
	}
	key, err := uuid.Parse(was.TokenID)
	if err != nil {
		return Identity{}, fmt.Errorf("token %q: %w", was.TokenID, err)
	}
	t, err := a.Store.Token.Get(ctx, key)
	if ent.IsNotFound(err) {
		return Identity{}, refused()
	}
	if err != nil {
		return Identity{}, fmt.Errorf("find token: %w", err)
	}
	return a.bearer(ctx, t)
}

func (a *Authenticator) recall(key [sha256.Size]byte) (Identity, uint64, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	r, ok := a.known[key]
	return r.id, a.generation, ok && time.Now().Before(r.until)
}

func (a *Authenticator) remember(key [sha256.Size]byte, id Identity, generation uint64) {
	end := time.Now().Add(rememberFor)
	if !id.until.IsZero() && id.until.Before(end) {
		end = id.until
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if generation != a.generation {
		return
	}
	if len(a.known) >= rememberMax {
		clear(a.known)
	}
	a.known[key] = remembered{id, end}
}

// TokenPrefix begins every token, so that people and scanners recognise one.
const TokenPrefix = "bp_"

// NewToken makes a random token of 160 bits.
func NewToken() string { return TokenPrefix + rand.Text() + rand.Text()[:6] }

// Digest is how a token is stored.
func Digest(tokenText string) string {
	sum := sha256.Sum256([]byte(tokenText))
	return hex.EncodeToString(sum[:])
}
