package auth

import (
	"context"
	"errors"
	"fmt"
	"net"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/intercept"
	"github.com/backplane/backplane/server/store"
)

// AddressKey is the metadata in which the REST façade says where its caller
// is. It is believed from the in-process connection alone.
const AddressKey = "x-backplane-address"

// Gate lets calls through that the authorization table allows. It is safe for
// concurrent use.
type Gate struct {
	auth   *Authenticator
	table  map[string]Rule
	limits *limits
}

// NewGate makes a Gate. perSecond bounds the calls of one caller, 0 for no
// bound; atOnce those under way.
func NewGate(a *Authenticator, table map[string]Rule, perSecond float64, atOnce int) *Gate {
	return &Gate{auth: a, table: table, limits: newLimits(perSecond, atOnce)}
}

// Public reports whether a method needs no login.
func (g *Gate) Public(method string) bool {
	rule, ok := g.table[method]
	return ok && rule.Reach == Public
}

// admitted is a context that knows a caller, authenticated ahead of the call.
type admitted struct {
	context.Context
	id      Identity
	address string
}

type admittedKey struct{}

// Value implements context.Context.
func (a *admitted) Value(key any) any {
	if key == (admittedKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// Admit authenticates ahead of a call, so that the body of a stranger is not
// even read. The interceptor knows the caller from the context it returns.
func (g *Gate) Admit(ctx context.Context, c Credentials) (context.Context, error) {
	id, err := g.auth.Authenticate(ctx, c)
	if err != nil {
		return nil, err
	}
	return &admitted{ctx, id, c.Address}, nil
}

// caller says who calls, and from which address.
func (g *Gate) caller(ctx context.Context) (Identity, string, error) {
	if a, ok := ctx.Value(admittedKey{}).(*admitted); ok {
		return a.id, a.address, nil
	}
	c := credentialsFrom(ctx)
	id, err := g.auth.Authenticate(ctx, c)
	return id, c.Address, err
}

// Intercept authenticates and authorizes a call, and makes its changes be
// recorded as the caller's.
func (g *Gate) Intercept(ctx context.Context, method string, next intercept.Handler) error {
	rule, ok := g.table[method]
	if !ok {
		return errs.New(errs.PermissionDenied, "This method has no authorization rule")
	}
	if rule.Reach == Public {
		return next(ctx)
	}
	id, address, err := g.caller(ctx)
	if err != nil {
		return err
	}
	allowance, err := g.limits.enter(id.Username)
	if err != nil {
		return err
	}
	defer g.limits.leave(allowance)
	if rule.Reach == Everywhere && !id.Can(rule.Role, "") {
		return denied(rule.Role, "")
	}
	c := &call{Context: store.WithActor(ctx, store.Actor{
		Name: id.Username, TokenID: id.TokenID, Address: address, RequestID: intercept.RequestID(ctx),
	}), id: id, rule: rule, auth: g.auth}
	ctx = c
	if !id.until.IsZero() {
		// A watch ends with the login that it was opened with.
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, id.until, errExpired)
		defer cancel()
	}
	if err := next(ctx); err != nil {
		if errors.Is(context.Cause(ctx), errExpired) {
			return errExpired
		}
		return err
	}
	if rule.Reach == InProject && !c.decided.Load() {
		return fmt.Errorf("%s answered without asking for the caller's right to the project", method)
	}
	return nil
}

// errExpired is why a call ends that began while its login was valid.
var errExpired error = errs.New(errs.Unauthenticated, "Your login has expired; log in again")

func credentialsFrom(ctx context.Context) Credentials {
	return Credentials{
		Authorization: first(ctx, "authorization"),
		KongToken:     first(ctx, "kong-admin-token"),
		Address:       callerAddress(ctx),
	}
}

func first(ctx context.Context, key string) string {
	if v := metadata.ValueFromIncomingContext(ctx, key); len(v) > 0 {
		return v[0]
	}
	return ""
}

func callerAddress(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return ""
	}
	if p.AuthInfo != nil && p.AuthInfo.AuthType() == "inproc" {
		return first(ctx, AddressKey)
	}
	if tcp, ok := p.Addr.(*net.TCPAddr); ok && tcp.Zone == "" && len(tcp.IP) > 0 {
		return tcp.IP.String() // the same, several times as fast
	}
	return Host(p.Addr.String())
}

// Host is an address without its port.
func Host(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
