package account

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Data is what a server knows of its accounts, in rows.
type Data struct {
	Product Product
	Version string
	// LowerCase is lower_case_table_names: how names of databases compare.
	LowerCase   int
	Accounts    []Account
	Grants      []Grant
	Memberships []Membership
	Proxies     []Proxy
	Databases   []string
	// Complete is set when Databases are all there are; the server shows an
	// account only those in which it has some right.
	Complete bool
	// Unread are the grant tables that could not be read. The server knows more
	// grants then than are here.
	Unread []string
}

// entry is an account with its host ready to be compared.
type entry struct {
	account *Account
	host    hostPattern
	order   int
}

type grant struct {
	Grant
	host hostPattern
}

// Table is an immutable snapshot of the accounts of a server, or of several.
// Its methods may be called at the same time.
type Table struct {
	data      Data
	loaded    bool
	file      bool               // of a user_accounts_file, which knows no databases
	users     map[string][]entry // without roles; the most specific host first
	roles     map[Name]*Account
	members   map[Name][]Name // the roles of an account or role
	grants    map[string][]grant
	becomes   map[Name]bool // accounts that can become others
	databases map[string]struct{}
}

// Empty is a table without accounts, for before there is a real one.
func Empty() *Table { return &Table{} }

// New makes a table. It keeps d, which must not change afterwards.
func New(d Data) *Table {
	t := &Table{
		data: d, loaded: true,
		users: map[string][]entry{}, roles: map[Name]*Account{}, members: map[Name][]Name{},
		grants: map[string][]grant{}, becomes: map[Name]bool{}, databases: map[string]struct{}{},
	}
	var logins []entry
	for i := range d.Accounts {
		a := &d.Accounts[i]
		if a.Role || d.Product == MySQL {
			t.roles[a.Name] = a
		}
		if !a.Role {
			logins = append(logins, entry{account: a, host: compileHost(a.Host, d.Product)})
		}
	}
	slices.SortStableFunc(logins, compareEntries)
	for i, e := range logins {
		e.order = i
		t.users[e.account.User] = append(t.users[e.account.User], e)
	}
	for _, m := range d.Memberships {
		t.members[m.Member] = append(t.members[m.Member], m.Role)
	}
	for _, g := range d.Grants {
		t.grants[g.User] = append(t.grants[g.User], grant{Grant: g, host: compileHost(g.Host, d.Product)})
	}
	for _, p := range d.Proxies {
		t.becomes[p.Name] = true
	}
	for _, name := range d.Databases {
		t.databases[t.fold(name)] = struct{}{}
	}
	return t
}

// compareEntries sorts as the server does, which then takes the first match:
// by host, for one host a user before the anonymous one.
func compareEntries(a, b entry) int {
	return cmp.Or(
		a.host.rank.compare(b.host.rank),
		cmp.Compare(min(1, len(b.account.User)), min(1, len(a.account.User))),
		cmp.Compare(b.host.text, a.host.text),
	)
}

// Loaded tells whether the table was made of anything.
func (t *Table) Loaded() bool { return t.loaded }

// Accounts is how many accounts there are, with roles.
func (t *Table) Accounts() int { return len(t.data.Accounts) }

// Version is that of the server.
func (t *Table) Version() string { return t.data.Version }

// String says how much there is, and nothing of what is secret.
func (t *Table) String() string {
	return fmt.Sprintf("%d accounts of version %q", len(t.data.Accounts), t.data.Version)
}

// GoString is String.
func (t *Table) GoString() string { return t.String() }

// Unread are the grant tables that could not be read.
func (t *Table) Unread() []string { return slices.Clone(t.data.Unread) }

// fold makes names of databases comparable.
func (t *Table) fold(name string) string {
	if t.data.LowerCase == 0 {
		return name
	}
	return strings.ToLower(name)
}

// Merge is the union of tables. Where two know the same account, the first
// one's counts, and so do its product and settings; grants add up.
func Merge(tables ...*Table) *Table {
	tables = slices.DeleteFunc(slices.Clone(tables), func(t *Table) bool { return t == nil || !t.loaded })
	switch len(tables) {
	case 0:
		return Empty()
	case 1:
		return tables[0]
	}
	first := tables[0].data
	out := Data{Product: first.Product, Version: first.Version, LowerCase: first.LowerCase, Complete: true}
	known := map[Name]bool{}
	databases, unread := map[string]bool{}, map[string]bool{}
	for _, t := range tables {
		added := map[Name]bool{}
		for _, a := range t.data.Accounts {
			if !known[a.Name] {
				out.Accounts = append(out.Accounts, a)
				added[a.Name] = true
			}
		}
		maps.Copy(known, added)
		out.Grants = append(out.Grants, t.data.Grants...)
		out.Memberships = append(out.Memberships, t.data.Memberships...)
		out.Proxies = append(out.Proxies, t.data.Proxies...)
		for _, name := range t.data.Databases {
			databases[name] = true
		}
		for _, name := range t.data.Unread {
			unread[name] = true
		}
		out.Complete = out.Complete && (t.data.Complete || (t.file && !tables[0].file))
	}
	out.Grants, out.Memberships, out.Proxies = unique(out.Grants), unique(out.Memberships), unique(out.Proxies)
	out.Databases = slices.Sorted(maps.Keys(databases))
	out.Unread = slices.Sorted(maps.Keys(unread))
	return New(out)
}

// unique keeps the first of equal values.
func unique[T comparable](list []T) []T {
	seen := make(map[T]bool, len(list))
	return slices.DeleteFunc(list, func(v T) bool {
		was := seen[v]
		seen[v] = true
		return was
	})
}
