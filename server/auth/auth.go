package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc/metadata"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/user"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/internal/telemetry"
	"github.com/backplane/backplane/server/intercept"
)

const (
	// rememberFor is how long a verified login costs no password hash.
	rememberFor = time.Minute
	// rememberMax bounds the memory of verified logins.
	rememberMax = 10_000
	// hashesAtOnce bounds the memory that password hashing takes.
	hashesAtOnce = 2
)

// Identity is who is calling.
type Identity struct{ Username string }

type identityKey struct{}

// FromContext returns the caller; the zero Identity on a public method.
func FromContext(ctx context.Context) Identity {
	id, _ := ctx.Value(identityKey{}).(Identity)
	return id
}

// Authenticator checks logins. It is safe for concurrent use.
type Authenticator struct {
	users   *ent.UserClient
	metrics *telemetry.Metrics
	public  map[string]bool
	hashing *semaphore.Weighted
	decoy   string // a hash that no password matches, so that unknown users cost the same
	salt    []byte // of the digests that logins are remembered by

	mu    sync.RWMutex
	known map[[sha256.Size]byte]remembered
}

type remembered struct {
	id    Identity
	until time.Time
}

// New makes an Authenticator on the users of the store. public lists the full
// method names that need no login; an entry that ends in "/" stands for a
// whole service.
func New(users *ent.UserClient, m *telemetry.Metrics, public ...string) *Authenticator {
	a := &Authenticator{
		users: users, metrics: m, public: map[string]bool{}, hashing: semaphore.NewWeighted(hashesAtOnce),
		decoy: decoyHash(), salt: []byte(rand.Text()), known: map[[sha256.Size]byte]remembered{},
	}
	for _, p := range public {
		a.public[p] = true
	}
	return a
}

// Intercept lets only known users through, and public methods. A caller that
// WithIdentity has let through is not checked again.
func (a *Authenticator) Intercept(ctx context.Context, method string, next intercept.Handler) error {
	if FromContext(ctx) != (Identity{}) {
		return next(ctx)
	}
	service := method[:strings.LastIndexByte(method, '/')+1]
	if a.public[method] || a.public[service] {
		return next(ctx)
	}
	header := ""
	if v := metadata.ValueFromIncomingContext(ctx, "authorization"); len(v) > 0 {
		header = v[0]
	}
	ctx, err := a.WithIdentity(ctx, header)
	if err != nil {
		return err
	}
	return next(ctx)
}

// WithIdentity checks the value of an Authorization header and returns a
// context that knows the caller.
func (a *Authenticator) WithIdentity(ctx context.Context, header string) (context.Context, error) {
	id, err := a.Authenticate(ctx, header)
	if err != nil {
		return nil, err
	}
	return context.WithValue(ctx, identityKey{}, id), nil
}

// Authenticate checks the value of an Authorization header.
func (a *Authenticator) Authenticate(ctx context.Context, header string) (Identity, error) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "basic") {
		return Identity{}, refused()
	}
	key := a.keyOf(encoded)
	if id, ok := a.recall(key); ok {
		return id, nil
	}
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return Identity{}, refused()
	}
	username, password, _ := strings.Cut(string(plain), ":")
	id, ok, err := a.verify(ctx, username, password)
	if err != nil {
		return Identity{}, err
	}
	if !ok {
		a.metrics.Logins.WithLabelValues("refused").Inc()
		return Identity{}, refused()
	}
	a.metrics.Logins.WithLabelValues("verified").Inc()
	a.remember(key, id)
	return id, nil
}

func refused() error {
	return errs.New(errs.Unauthenticated, "Log in with HTTP Basic authentication: a known user name and its password")
}

// keyOf is what a login is remembered by: a digest that only this process can
// make, because credentials are not to be kept in memory.
func (a *Authenticator) keyOf(encoded string) [sha256.Size]byte {
	var buf [256]byte
	return sha256.Sum256(append(append(buf[:0], a.salt...), encoded...))
}

func (a *Authenticator) verify(ctx context.Context, username, password string) (Identity, bool, error) {
	hash := a.decoy
	u, err := a.users.Query().Where(user.Username(username)).Only(ctx)
	switch {
	case err == nil:
		hash = u.PasswordHash
	case !ent.IsNotFound(err):
		return Identity{}, false, fmt.Errorf("find user: %w", err)
	}
	if err := a.hashing.Acquire(ctx, 1); err != nil {
		return Identity{}, false, err
	}
	defer a.hashing.Release(1)
	ok, err := checkPassword(password, hash)
	if err != nil {
		return Identity{}, false, fmt.Errorf("user %q: %w", username, err)
	}
	return Identity{Username: username}, ok && u != nil, nil
}

func (a *Authenticator) recall(key [sha256.Size]byte) (Identity, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	r, ok := a.known[key]
	return r.id, ok && time.Now().Before(r.until)
}

func (a *Authenticator) remember(key [sha256.Size]byte, id Identity) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.known) >= rememberMax {
		clear(a.known)
	}
	a.known[key] = remembered{id, time.Now().Add(rememberFor)}
}
