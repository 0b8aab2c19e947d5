package mongodb

import (
	"context"
	"slices"
	"strings"

	"github.com/xdg-go/stringprep"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/backplane/backplane/connectors"
)

// users are the logins that a database has.
func (s *server) users(ctx context.Context, database string) ([]connectors.LoginName, error) {
	return s.usersInfo(ctx, database, 1)
}

func (s *server) usersInfo(ctx context.Context, database string, which any) ([]connectors.LoginName, error) {
	var answer struct {
		Users []struct {
			User string `bson:"user"`
			DB   string `bson:"db"`
		} `bson:"users"`
	}
	if err := s.run(ctx, database, bson.D{{Key: "usersInfo", Value: which}}, &answer); err != nil {
		return nil, err
	}
	names := make([]connectors.LoginName, len(answer.Users))
	for i, u := range answer.Users {
		names[i] = connectors.LoginName{Database: u.DB, User: u.User}
	}
	return names, nil
}

func (s *server) hasLogin(ctx context.Context, database, user string) (bool, error) {
	found, err := s.usersInfo(ctx, database, bson.D{{Key: "user", Value: user}, {Key: "db", Value: database}})
	return len(found) > 0, err
}

// HasLogin reports whether the database has a user of the name.
func (s *server) HasLogin(ctx context.Context, database, user string) (bool, error) {
	has, err := s.hasLogin(ctx, database, user)
	return has, s.failure(err)
}

// roles are the built-in roles that make up a login's privilege.
func roles(l connectors.Login) bson.A {
	role := func(name string) bson.D { return bson.D{{Key: "role", Value: name}, {Key: "db", Value: l.Database}} }
	switch {
	case l.Frozen, l.Privilege == connectors.ReadOnly:
		return bson.A{role("read")}
	case l.Privilege == connectors.Owner:
		return bson.A{role("readWrite"), role("dbAdmin")}
	}
	return bson.A{role("readWrite")}
}

// PutLogin makes a user in its database, or gives it password and roles.
func (s *server) PutLogin(ctx context.Context, l connectors.Login) error {
	if err := checkNames(l.Database, l.User); err != nil {
		return err
	}
	if _, err := stringprep.SASLprep.Prepare(l.Password); err != nil || l.Password == "" {
		// The text of the error would show part of it.
		return &connectors.Failure{
			Code: connectors.InvalidConfig, Phrase: "Password not allowed", Detail: "it is empty or has characters with which no client can log in (RFC 4013)",
		}
	}
	exists, err := s.hasLogin(ctx, l.Database, l.User)
	if err != nil {
		return s.failure(err)
	}
	if !exists {
		if there, err := s.has(ctx, l.Database); err != nil || !there {
			if err == nil {
				err = missing(l.Database)
			}
			return s.failure(err)
		}
	}
	// Another may make or drop the user between the question and the change.
	for range 2 {
		if err = s.write(ctx, exists, l); !hasCode(err, codeUserAlreadyExists) && !hasCode(err, codeDuplicateKey) && !hasCode(err, codeUserNotFound) {
			break
		}
		exists = !exists
	}
	if err == nil {
		s.put[connectors.LoginName{Database: l.Database, User: l.User}] = l
	}
	return s.withoutPassword(err, l)
}

// withoutPassword is failure for a command that has a login's password in it: a
// server, or what is in front of it, may say back what it was told.
func (s *server) withoutPassword(err error, l connectors.Login) error {
	return connectors.Classify(s.failure(err), s.uri.hosts[0], l.Password)
}

func (s *server) write(ctx context.Context, exists bool, l connectors.Login) error {
	command := "createUser"
	if exists {
		command = "updateUser"
	}
	return s.run(ctx, l.Database, bson.D{
		{Key: command, Value: l.User}, {Key: "pwd", Value: l.Password}, {Key: "roles", Value: roles(l)},
	}, nil)
}

// DropLogin removes a user. Its open connections have no rights from then on.
func (s *server) DropLogin(ctx context.Context, database, user string) error {
	if err := s.drop(ctx, database, user); err != nil {
		return s.failure(err)
	}
	name := connectors.LoginName{Database: database, User: user}
	delete(s.put, name)
	return s.failure(s.kill(ctx, name))
}

func (s *server) drop(ctx context.Context, database, user string) error {
	err := s.run(ctx, database, bson.D{{Key: "dropUser", Value: user}}, nil)
	if hasCode(err, codeUserNotFound) {
		return nil
	}
	return err
}

// CutSessions ends what a user has running. MongoDB has no command that closes
// connections by their user, and a connection stays logged in when the password
// changes; but one whose user was dropped is logged out, also when there is a
// user of that name again. So a login that was put here, whose password is
// known, is dropped and made again. When that breaks off half-way the login is
// gone, and whoever makes the change again puts it first.
func (s *server) CutSessions(ctx context.Context, database, user string) error {
	name := connectors.LoginName{Database: database, User: user}
	if l, ok := s.put[name]; ok {
		if err := s.drop(ctx, database, user); err != nil {
			return s.failure(err)
		}
		if err := s.write(ctx, false, l); err != nil {
			return s.withoutPassword(err, l)
		}
	}
	return s.failure(s.kill(ctx, name))
}

// kill ends operations, cursors and transactions of users.
func (s *server) kill(ctx context.Context, names ...connectors.LoginName) error {
	users := bson.A{}
	for _, n := range names {
		users = append(users, bson.D{{Key: "user", Value: n.User}, {Key: "db", Value: n.Database}})
	}
	if len(users) == 0 {
		return nil // an empty list would mean everybody
	}
	err := s.run(ctx, "admin", bson.D{{Key: "killAllSessions", Value: users}}, nil)
	if hasCode(err, codeCommandNotFound) {
		return nil
	}
	return err
}

// Inventory lists databases and their users.
func (s *server) Inventory(ctx context.Context) (connectors.Inventory, error) {
	var inv connectors.Inventory
	names, err := s.databases(ctx)
	if err != nil {
		return inv, s.failure(err)
	}
	users, err := s.usersInfo(ctx, "admin", bson.D{{Key: "forAllDBs", Value: true}})
	if err == nil && len(users) == 0 {
		// Not even the administrator: the server does not know the question.
		for _, name := range names {
			list, err := s.users(ctx, name)
			if err != nil {
				return inv, s.failure(err)
			}
			users = append(users, list...)
		}
	}
	if err != nil {
		return inv, s.failure(err)
	}
	inv.Databases = names
	for _, u := range users {
		if !slices.Contains(append(own(), "$external"), u.Database) {
			inv.Logins = append(inv.Logins, u)
		}
	}
	slices.SortFunc(inv.Logins, func(a, b connectors.LoginName) int {
		if n := strings.Compare(a.Database, b.Database); n != 0 {
			return n
		}
		return strings.Compare(a.User, b.User)
	})
	return inv, nil
}
