package account

import (
	"cmp"
	"slices"
)

// Listed is an account as it is shown to administrators.
type Listed struct {
	Name
	Plugin      string // of its first method
	TLS         bool   // demanded
	Super       bool
	Global      bool // has a privilege on all databases
	Proxy       bool // can become another account
	DefaultRole string
}

// List shows all accounts but roles, by name.
func (t *Table) List() []Listed {
	list := make([]Listed, 0, len(t.data.Accounts))
	for i := range t.data.Accounts {
		a := &t.data.Accounts[i]
		if a.Role {
			continue
		}
		l := Listed{
			Name: a.Name, TLS: a.TLS.Required, Super: a.Privileges&Super != 0, Global: a.Privileges&onDatabases != 0,
			Proxy: t.becomes[a.Name],
		}
		if len(a.Methods) > 0 {
			l.Plugin = a.Methods[0].Plugin
		}
		if len(a.DefaultRoles) > 0 {
			l.DefaultRole = a.DefaultRoles[0].User
		}
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b Listed) int { return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Host, b.Host)) })
	return list
}

// Product is what kind of server the accounts are of.
func (t *Table) Product() Product { return t.data.Product }
