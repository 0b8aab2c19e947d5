package dbaas

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/ent/login"
	"github.com/backplane/backplane/ent/predicate"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

// createDatabase is the operation that makes a database and its first login.
func (a *Admin) createDatabase() operation.Kind {
	return operation.Kind{
		Name: kindCreate, Undo: true, Ended: a.forgetDatabase, Relevance: "CRITICAL", AsksFirst: true,
		Steps: a.creation(),
	}
}

// stepLogin is the step that makes the first login of a database.
const stepLogin = "create the login"

// creation are the steps that make an empty database with its first login.
func (a *Admin) creation() []operation.Step {
	return []operation.Step{
		{Name: "check that the name is free", Do: a.checkFree, Record: a.takeLogin},
		{Name: "create the database", Do: a.engineCreate, Undo: a.engineDrop, Joined: true},
		{Name: stepLogin, Do: a.firstLogin, Undo: a.dropLogins, Record: a.loginReady, Joined: true},
		{Name: "register", Do: a.register, Undo: a.unregister, Joined: true},
		{Name: "hand over", Do: a.measure, Record: a.handOver},
	}
}

// checkFree makes sure that what is about to be made does not exist: from then
// on, what exists is what was made. A login that was made by hand is evaded.
func (a *Admin) checkFree(ctx context.Context, w *operation.Work) error {
	cred, err := a.Store.Credential.Get(ctx, w.Int("credential"))
	if err != nil {
		return err
	}
	return a.withDatabase(ctx, w, func(row *ent.Database, b backend, s connectors.DatabaseServer) error {
		exists, err := s.HasDatabase(ctx, row.Name)
		if err != nil {
			return err
		}
		if exists {
			return fmt.Errorf("on the server the database %s %w", row.Name, connectors.ErrExists)
		}
		user, err := a.freeLogin(ctx, b, s, row, cred.User)
		w.Data["user"] = user
		return err
	})
}

// freeLogin is a login like user, which a credential of the database has
// reserved, that the server does not know.
func (a *Admin) freeLogin(ctx context.Context, b backend, s connectors.DatabaseServer, row *ent.Database, user string) (string, error) {
	rules := b.engine.Rules()
	return freeUser(user, func(name string) (bool, error) {
		if slices.Contains(rules.ReservedUsers, name) {
			return true, nil
		}
		if name != user {
			taken, err := a.Store.Login.Query().
				Where(login.ServiceID(row.ServiceID), login.Scope(loginScope(rules, row)), login.User(name)).Exist(ctx)
			if taken || err != nil {
				return true, err
			}
		}
		return s.HasLogin(ctx, row.Name, name)
	})
}

// takeLogin changes the first login to the one that was found free.
func (a *Admin) takeLogin(ctx context.Context, tx *store.Tx, w *operation.Work) error {
	user := w.String("user")
	cred, err := tx.Credential.Get(ctx, w.Int("credential"))
	if err != nil || cred.User == user {
		return err
	}
	if err := renameLogin(ctx, tx, cred.ID, cred.User, user); err != nil {
		return err
	}
	return tx.Credential.UpdateOne(cred).SetUser(user).SetBaseUser(user).Exec(ctx)
}

// renameLogin reserves another name in place of one that a credential has
// reserved.
func renameLogin(ctx context.Context, tx *store.Tx, credential int, from, to string) error {
	old, err := tx.Login.Query().Where(login.CredentialID(credential), login.User(from)).Only(ctx)
	if err != nil {
		return err
	}
	if err := tx.Login.DeleteOne(old).Exec(ctx); err != nil {
		return err
	}
	return tx.Login.Create().SetCredentialID(credential).SetServiceID(old.ServiceID).SetScope(old.Scope).SetUser(to).Exec(ctx)
}

func (a *Admin) engineCreate(ctx context.Context, w *operation.Work) error {
	return a.withDatabase(ctx, w, func(row *ent.Database, _ backend, s connectors.DatabaseServer) error {
		return s.CreateDatabase(ctx, row.Name)
	})
}

func (a *Admin) engineDrop(ctx context.Context, w *operation.Work) error {
	return a.withDatabase(ctx, w, func(row *ent.Database, _ backend, s connectors.DatabaseServer) error {
		return s.DropDatabase(ctx, row.Name)
	})
}

// recentDatabase is what worksOn is remembered as.
type recentDatabase struct{}

// worksOn is the database of an operation, as it was a moment ago. What others
// may change of a database that is locked concerns no step.
func (a *Admin) worksOn(ctx context.Context, w *operation.Work) (*ent.Database, error) {
	row, err := operation.Remember(w, recentDatabase{}, func() (*ent.Database, error) { return a.Store.Database.Get(ctx, w.Subject.ID) })
	if ent.IsNotFound(err) {
		return nil, missing()
	}
	if err != nil {
		return nil, err
	}
	own := *row // to do with as one likes
	return &own, nil
}

// withDatabase runs fn with the database of an operation and its server.
func (a *Admin) withDatabase(ctx context.Context, w *operation.Work, fn func(*ent.Database, backend, connectors.DatabaseServer) error) error {
	row, err := a.worksOn(ctx, w)
	if err != nil {
		return err
	}
	b, err := a.recentBackend(ctx, w, row.ServiceID)
	if err != nil {
		return err
	}
	return a.onBackend(ctx, b, func(b backend, s connectors.DatabaseServer) error { return fn(row, b, s) })
}

func (a *Admin) firstLogin(ctx context.Context, w *operation.Work) error {
	cred, err := a.Store.Credential.Get(ctx, w.Int("credential"))
	if err != nil {
		return err
	}
	return a.withDatabase(ctx, w, func(row *ent.Database, _ backend, s connectors.DatabaseServer) error {
		l, err := a.loginOf(row, cred)
		if err != nil {
			return err
		}
		return s.PutLogin(ctx, l)
	})
}

// loginOf is a credential's login as the engine shall have it.
func (a *Admin) loginOf(db *ent.Database, cred *ent.Credential) (connectors.Login, error) {
	password, err := a.Keys.Open(cred.Sealed, keys.CredentialPlace(cred.ID))
	if err != nil {
		return connectors.Login{}, fmt.Errorf("credential %d: %w", cred.ID, err)
	}
	return connectors.Login{
		Database: db.Name, User: cred.User, Password: string(password),
		Privilege: connectors.Privilege(cred.Privilege), Frozen: db.ReadOnly,
	}, nil
}

func (a *Admin) loginReady(ctx context.Context, tx *store.Tx, w *operation.Work) error {
	return tx.Credential.Update().Where(credential.ID(w.Int("credential"))).SetReady(true).Exec(ctx)
}

// dropLogins removes every login of a database from its server.
func (a *Admin) dropLogins(ctx context.Context, w *operation.Work) error {
	return a.dropLoginsOf(ctx, w, login.HasCredentialWith(credential.DatabaseID(w.Subject.ID)))
}

// dropLoginsOf removes logins that are for the database of an operation.
func (a *Admin) dropLoginsOf(ctx context.Context, w *operation.Work, which predicate.Login) error {
	names, err := a.Store.Login.Query().Where(which).Order(login.ByID()).All(ctx)
	if err != nil {
		return err
	}
	return a.withDatabase(ctx, w, func(row *ent.Database, _ backend, s connectors.DatabaseServer) error {
		for _, l := range names {
			if err := s.DropLogin(ctx, row.Name, l.User); err != nil {
				return err
			}
		}
		return nil
	})
}

// measure reads how big a database is.
func (a *Admin) measure(ctx context.Context, w *operation.Work) error {
	return a.withDatabase(ctx, w, func(row *ent.Database, b backend, s connectors.DatabaseServer) error {
		size, exists, err := s.Size(ctx, row.Name)
		w.Data["size"], w.Data["exists"], w.Data["endpoint"] = size, exists, b.endpoint(row.Name)
		return err
	})
}

// handOver ends the making of a database: it is its owner's from now on.
func (a *Admin) handOver(ctx context.Context, tx *store.Tx, w *operation.Work) error {
	return tx.Database.Update().Where(database.ID(w.Subject.ID)).SetState(stateAlive).SetOperationID(0).SetEndpoint(w.String("endpoint")).
		SetUsedSizeInBytes(int64(w.Int("size"))).SetMeasuredAt(time.Now().UnixMicro()).SetMissing(!w.Bool("exists")).Exec(ctx)
}

// forgetDatabase ends the making of a database that has failed.
func (a *Admin) forgetDatabase(ctx context.Context, tx *store.Tx, w *operation.Work, _ error) error {
	row, err := tx.Database.Get(ctx, w.Subject.ID)
	if err != nil {
		return err
	}
	tx.Audit(auditOfDatabase("UndoCreateDatabase", row, databaseFields(row), nil))
	return tx.Database.DeleteOneID(w.Subject.ID).Exec(ctx)
}
