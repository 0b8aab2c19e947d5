package dbaas

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/ent/login"
	"github.com/backplane/backplane/ent/service"
)

// loginKey names a login on a server; scope is as loginScope says.
type loginKey struct{ scope, user string }

func (k loginKey) compare(other loginKey) int {
	return cmp.Or(strings.Compare(k.scope, other.scope), strings.Compare(k.user, other.user))
}

// inventory is what is on a server.
type inventory struct {
	databases map[string]bool
	logins    map[loginKey]bool
}

// inventory asks a server what is on it.
func (a *Admin) inventory(ctx context.Context, id uuid.UUID) (b backend, out inventory, err error) {
	err = a.onServer(ctx, id, func(on backend, s connectors.DatabaseServer) error {
		list, err := s.Inventory(ctx)
		if err != nil {
			return err
		}
		b, out = on, inventory{map[string]bool{}, map[loginKey]bool{}}
		for _, name := range list.Databases {
			out.databases[name] = true
		}
		for _, l := range list.Logins {
			out.logins[loginKey{l.Database, l.User}] = true
		}
		return nil
	})
	return b, out, err
}

// knowledge is what the store knows to be on a server, or to become.
type knowledge struct {
	databases map[string]*ent.Database // by name, with their credentials
	logins    map[loginKey]bool        // also former and future ones
}

func (a *Admin) knownOn(ctx context.Context, id uuid.UUID) (knowledge, error) {
	k := knowledge{map[string]*ent.Database{}, map[loginKey]bool{}}
	rows, err := a.Store.Database.Query().Where(database.ServiceID(id)).
		WithCredentials(func(q *ent.CredentialQuery) { q.Order(credential.ByUser()) }).All(ctx)
	if err != nil {
		return k, err
	}
	for _, row := range rows {
		k.databases[row.Name] = row
	}
	logins, err := a.Store.Login.Query().Where(login.ServiceID(id)).All(ctx)
	for _, l := range logins {
		k.logins[loginKey{l.Scope, l.User}] = true
	}
	return k, err
}

// spare marks what is unknown on a server but has another use that Backplane
// knows of: it keeps its own store in it, a service of the catalogue uses it,
// or it is known on another service, which may be the same server by another
// name.
func (a *Admin) spare(ctx context.Context, b backend, list []finding) error {
	if len(list) == 0 {
		return nil
	}
	names, users := map[string]string{}, map[string]string{}
	if err := a.knownElsewhere(ctx, b.row, names, users); err != nil {
		return err
	}
	rows, err := a.Store.Service.Query().Where(service.ServiceType(b.row.ServiceType)).Order(service.ByCreatedAt(), service.ByID()).All(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		uses := fmt.Sprintf("the service %q of the catalogue uses it", row.Name)
		for key, in := range map[string]map[string]string{"database": names, "username": users} {
			if name, _ := row.Config[key].(string); name != "" {
				in[name] = uses
			}
		}
	}
	const own = "it is that of Backplane's own store"
	names[a.OwnDatabase], users[a.OwnUser] = own, own
	for i, f := range list {
		if list[i].spared = users[f.user]; f.kind == databaseUnknown {
			list[i].spared = names[f.database]
		}
	}
	return nil
}

// knownElsewhere adds the databases and logins of other services of a type.
func (a *Admin) knownElsewhere(ctx context.Context, on *ent.Service, names, users map[string]string) error {
	others, err := a.Store.Service.Query().
		Where(service.ServiceType(on.ServiceType), service.IDNEQ(on.ID), service.HasDatabases()).
		Order(service.ByCreatedAt(), service.ByID()).All(ctx)
	if err != nil {
		return err
	}
	for _, other := range others {
		k, err := a.knownOn(ctx, other.ID)
		if err != nil {
			return err
		}
		known := fmt.Sprintf("one of this name is known on the service %q", other.Name)
		for name := range k.databases {
			names[name] = known
		}
		for l := range k.logins {
			users[l.user] = known
		}
	}
	return nil
}
