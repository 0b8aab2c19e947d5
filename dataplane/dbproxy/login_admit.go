package dbproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy/account"
	"github.com/backplane/backplane/dataplane/dbproxy/wire"
)

// claim is who a client says that it is, and where it wants to be.
type claim struct{ user, database string }

// admission is who a client was found to be.
type admission struct {
	claim
	identity identity
}

// denial is why a client is not admitted.
type denial struct {
	tell    *wire.ServerError
	reason  string // for the log
	guessed bool   // it may have been an attempt to guess
}

// errAccountLocked is the number that MariaDB refuses locked accounts with,
// and errMySQLLocked that of MySQL.
const (
	errAccountLocked = 4151
	errMySQLLocked   = 3118
)

// nameTime is how long the name of a client's host may take to be found.
const nameTime = 5 * time.Second

// admit lets the client prove its claim. A claim that fails is held against
// newer accounts, if there are any. What the client is refused for it has been
// told when admit returns.
func (s *Session) admit(ctx context.Context, x *exchange, c claim) (*admission, error) {
	a, denied, err := s.examine(ctx, x, c)
	if err == nil && denied == nil {
		return a, nil
	}
	if err == nil {
		return nil, s.deny(x, c, denied)
	}
	var told *wire.ServerError
	if errors.As(err, &told) {
		return nil, s.deny(x, c, &denial{tell: told, reason: told.Message})
	}
	if errors.Is(err, errClear) {
		return nil, s.deny(x, c, &denial{tell: s.accessDenied(x, c), reason: err.Error()})
	}
	return nil, err
}

// deny tells the client that it is refused.
func (s *Session) deny(x *exchange, c claim, d *denial) error {
	s.noteDenied(x, c, d)
	return s.refuse(d.tell)
}

// noteDenied counts and logs a failed login.
func (s *Session) noteDenied(x *exchange, c claim, d *denial) {
	s.service.failedLogins.Add(1)
	if d.guessed {
		s.proxy.blocker.Failed(s.remote.Addr())
	}
	if s.service.Params().Bool("log_auth_warnings") {
		s.service.log.Warn("login refused", "listener", s.listener.name, "user", clip(c.user), "host", s.host(), "database", clip(c.database),
			"password", x.used(), "reason", d.reason)
	}
}

// examine does the work of admit.
func (s *Session) examine(ctx context.Context, x *exchange, c claim) (*admission, *denial, error) {
	if s.proxy.blocker.Blocked(s.remote.Addr()) {
		return nil, &denial{tell: s.blocked(), reason: "the host is blocked after too many failures"}, nil
	}
	if x.rules.passthrough {
		return s.pass(x, c)
	}
	users := s.service.users
	for try := 0; ; try++ {
		table := users.Table()
		a, denied, err := s.judge(ctx, table, x, c)
		if err != nil || denied == nil {
			return a, nil, err
		}
		newer := false
		if try == 0 {
			s.Outside(func() { newer = users.AfterFailure(ctx, table) })
		}
		if !newer {
			return nil, denied, nil
		}
	}
}

// pass takes the password in clear and leaves it to the servers to check it.
func (s *Session) pass(x *exchange, c claim) (*admission, *denial, error) {
	if c.user == "root" && !s.service.Params().Bool("enable_root_user") {
		return nil, &denial{tell: s.accessDenied(x, c), reason: account.RootRefused.String(), guessed: true}, nil
	}
	password, err := x.inClear(wire.PluginClear)
	if err != nil {
		return nil, nil, err
	}
	return &admission{claim: c, identity: identity{user: c.user, credentials: password, unchecked: true}}, nil, nil
}

// judge holds a claim against the accounts of a table.
func (s *Session) judge(ctx context.Context, t *account.Table, x *exchange, c claim) (*admission, *denial, error) {
	params := s.service.Params()
	if x.rules.lowerCase == 1 {
		c.database = strings.ToLower(c.database)
	}
	o := account.Options{
		EnableRoot: params.Bool("enable_root_user"), IgnoreHost: x.rules.ignoreHost,
		SkipNameResolve: s.proxy.Config().Settings.Bool("skip_name_resolve"), LocalExplicit: !params.Bool("localhost_match_wildcard_host"),
		FoldDatabases: x.rules.lowerCase == 2,
	}
	if state, ok := s.client.TLS(); ok {
		o.TLS = account.TLSOf(state)
	}
	m := t.Find(c.user, s.remote.Addr(), func() string { return s.hostName(ctx) }, o)
	if m.Reason == account.NotLoaded {
		return nil, &denial{
			tell:   &wire.ServerError{Code: wire.ErrCodeUnknown, State: wire.StateGeneral, Message: "The accounts of the servers could not be loaded so far"},
			reason: m.Reason.String(),
		}, nil
	}
	if m.Account == nil {
		// The client is asked as if there were an account, so that it cannot
		// tell which ones there are.
		if _, err := x.answer(x.begins); err != nil {
			return nil, nil, err
		}
		return nil, s.accessDenial(x, c, m.Reason.String()), nil
	}
	a, denied, err := s.proved(x, c, m)
	if err != nil || denied != nil {
		return nil, denied, err
	}
	if denied := s.demands(x, c, t, m); denied != nil {
		return nil, denied, nil
	}
	if denied := s.inDatabase(a, t, m, params.Bool("strip_db_esc")); denied != nil {
		return nil, denied, nil
	}
	return a, nil, nil
}

// proved tries the methods of the account in turn.
func (s *Session) proved(x *exchange, c claim, m account.Match) (*admission, *denial, error) {
	reasons := "wrong password"
	for _, method := range m.Account.Methods {
		credentials, ok, reason, err := x.verify(m.Account, method)
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			if reason != "" {
				reasons = reason
			}
			continue
		}
		a := &admission{claim: c, identity: identity{user: c.user, credentials: credentials, unchecked: x.rules.skip || method.Plugin == "pam"}}
		if x.rules.mapping != nil {
			s.Outside(func() { a.identity.mapped(x.rules.mapping) })
		}
		if a.identity.credentials == nil {
			return nil, s.accessDenial(x, c, "the mapping file has no credentials for the user"), nil
		}
		return a, nil, nil
	}
	return nil, s.accessDenial(x, c, reasons), nil
}

// mapped makes an identity the one that the mapping wants.
func (id *identity) mapped(m *account.Mapping) {
	if m == nil {
		return
	}
	user := id.user
	if other, ok := m.User(user, func() []string { return groups(user) }); ok {
		id.user = other
		id.credentials = wire.Password("") // unless the file has something better
	}
	if c, ok := m.Credential(id.user); ok {
		id.credentials = wire.Password(c.Password)
	}
}

// demands checks what the account demands besides the proof.
func (s *Session) demands(x *exchange, c claim, t *account.Table, m account.Match) *denial {
	switch {
	case m.OK():
		return nil
	case m.Reason == account.IsLocked:
		code := uint16(errAccountLocked)
		message := "Access denied, this account is locked"
		if t.Product() == account.MySQL {
			code, message = errMySQLLocked, fmt.Sprintf("Access denied for user '%s'@'%s'. Account is locked.", clip(c.user), s.host())
		}
		return &denial{tell: &wire.ServerError{Code: code, State: wire.StateGeneral, Message: message}, reason: m.Reason.String()}
	}
	return &denial{tell: s.accessDenied(x, c), reason: m.Reason.String()}
}

// inDatabase checks the default database.
func (s *Session) inDatabase(a *admission, t *account.Table, m account.Match, strip bool) *denial {
	if a.database == "" || a.identity.user != a.user {
		return nil // what a mapped user may do the servers know
	}
	switch t.AllowsDatabase(m, a.database, strip) {
	case account.NoAccess:
		return &denial{tell: &wire.ServerError{
			Code: wire.ErrCodeDBAccessDenied, State: wire.StateSyntaxOrAccess,
			Message: fmt.Sprintf("Access denied for user '%s'@'%s' to database '%s'", clip(m.Account.User), clip(m.Account.Host), clip(a.database)),
		}, reason: account.NoAccess.String()}
	case account.NoDatabase:
		return &denial{tell: &wire.ServerError{
			Code: wire.ErrCodeBadDB, State: wire.StateSyntaxOrAccess, Message: fmt.Sprintf("Unknown database '%s'", clip(a.database)),
		}, reason: account.NoDatabase.String()}
	case account.Allowed:
	}
	return nil
}

func (s *Session) accessDenied(x *exchange, c claim) *wire.ServerError {
	return &wire.ServerError{
		Code: wire.ErrCodeAccessDenied, State: wire.StateAccessDenied,
		Message: fmt.Sprintf("Access denied for user '%s'@'%s' (using password: %s)", clip(c.user), s.host(), x.used()),
	}
}

func (s *Session) accessDenial(x *exchange, c claim, reason string) *denial {
	return &denial{tell: s.accessDenied(x, c), reason: reason, guessed: true}
}

// clip bounds what a client has made up before it goes into messages.
func clip(text string) string {
	const longest = 128
	if len(text) > longest {
		text = text[:longest]
	}
	return strings.ToValidUTF8(text, "?")
}

// hostName is the name of the client's host, "" if it has none.
func (s *Session) hostName(ctx context.Context) (name string) {
	if !s.remote.IsValid() {
		return "localhost"
	}
	var dns account.DNS = net.DefaultResolver
	if s.proxy.options.DNS != nil {
		dns = s.proxy.options.DNS
	}
	s.Outside(func() { name = account.HostName(ctx, dns, s.remote.Addr(), nameTime) })
	return name
}
