package account

import "net/netip"

// Reason says how looking for an account ended. It is for the log: a client
// that is refused learns no more than that.
type Reason uint8

// The reasons.
const (
	AsFound          Reason = iota // there is an account
	NotLoaded                      // no accounts were loaded so far
	RootRefused                    // root may not log in here
	NoUser                         // no account of that name
	NoHost                         // accounts of that name, none for that host
	IsLocked                       // the account is locked
	NeedsTLS                       // the account demands TLS
	NeedsCertificate               // the account demands a valid certificate
	WrongCipher                    // the account demands another cipher
	WrongCertificate               // the account demands another issuer or subject
)

var reasons = [...]string{
	AsFound: "found", NotLoaded: "no accounts were loaded so far", RootRefused: "root may not log in here",
	NoUser: "no account of that name", NoHost: "no account of that name for that host",
	IsLocked: "the account is locked", NeedsTLS: "the account demands TLS",
	NeedsCertificate: "the account demands a valid client certificate",
	WrongCipher:      "the account demands another cipher",
	WrongCertificate: "the account demands another issuer or subject",
}

// String says it in words.
func (r Reason) String() string {
	if int(r) < len(reasons) {
		return reasons[r]
	}
	return "unknown reason"
}

// Options are the rules of a listener and its service. The zero value holds
// the defaults.
type Options struct {
	EnableRoot      bool // enable_root_user
	IgnoreHost      bool // match_host=false
	SkipNameResolve bool // skip_name_resolve
	// LocalExplicit is localhost_match_wildcard_host=false: clients on this
	// machine need an account for it, not just for a pattern or a network.
	LocalExplicit bool
	// FoldDatabases makes the case of names of databases mean nothing, even
	// if the server says otherwise.
	FoldDatabases bool
	TLS           ClientTLS
}

// Match is what was found for a client. It belongs to one session:
// AllowsDatabase may still ask for the name of the host, and keeps it here.
type Match struct {
	// Account is nil when there is none. With the Reasons from IsLocked on it
	// is the account that refuses: a server tells of a lock only who knows the
	// password.
	Account *Account
	Reason  Reason

	from *from
	fold bool
}

// OK tells whether the client may go on to prove who it is.
func (m Match) OK() bool { return m.Reason == AsFound && m.Account != nil }

// Find chooses the account that the server would choose for a user from
// client, the zero Addr standing for a Unix socket. hostname tells the name of
// the client's host, "" if it has none; it is called at most once, and only if
// an account is for hosts with names.
func (t *Table) Find(user string, client netip.Addr, hostname func() string, o Options) Match {
	m := Match{from: comingFrom(client, hostname, o.SkipNameResolve), fold: o.FoldDatabases}
	switch {
	case !t.loaded:
		m.Reason = NotLoaded
		return m
	case user == "root" && !o.EnableRoot:
		m.Reason = RootRefused
		return m
	}
	m.Account, m.Reason = t.choose(user, m.from, o)
	if m.Account == nil {
		return m
	}
	if m.Account.Locked {
		m.Reason = IsLocked
	} else {
		m.Reason = m.Account.TLS.unmet(o.TLS)
	}
	return m
}

// choose walks the accounts of the user and the anonymous ones together, in
// the server's order.
func (t *Table) choose(user string, client *from, o Options) (*Account, Reason) {
	named, anonymous := t.users[user], t.users[""]
	if user == "" {
		named = nil
	}
	if len(named)+len(anonymous) == 0 {
		return nil, NoUser
	}
	if o.IgnoreHost {
		if len(named) > 0 {
			return named[0].account, AsFound
		}
		return anonymous[0].account, AsFound
	}
	for len(named)+len(anonymous) > 0 {
		next := &named
		if len(named) == 0 || (len(anonymous) > 0 && anonymous[0].order < named[0].order) {
			next = &anonymous
		}
		e := &(*next)[0]
		*next = (*next)[1:]
		if o.LocalExplicit && client.local && !e.host.literal {
			continue
		}
		if e.host.matches(client) {
			return e.account, AsFound
		}
	}
	return nil, NoHost
}
