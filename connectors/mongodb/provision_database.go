package mongodb

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/backplane/backplane/connectors"
)

// dummy is a collection that every database has from its beginning: MongoDB
// knows databases by what is in them alone.
const dummy = "dbaas.dummy"

// databases are the names of all databases but the server's own.
func (s *server) databases(ctx context.Context) ([]string, error) {
	var answer struct {
		Databases []struct {
			Name string `bson:"name"`
		} `bson:"databases"`
	}
	if err := s.run(ctx, "admin", bson.D{{Key: "listDatabases", Value: 1}, {Key: "nameOnly", Value: true}}, &answer); err != nil {
		return nil, err
	}
	var names []string
	for _, d := range answer.Databases {
		if !slices.Contains(own(), d.Name) {
			names = append(names, d.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func (s *server) has(ctx context.Context, name string) (bool, error) {
	names, err := s.databases(ctx)
	return slices.Contains(names, name), err
}

// HasDatabase reports whether there is anything in a database.
func (s *server) HasDatabase(ctx context.Context, name string) (bool, error) {
	has, err := s.has(ctx, name)
	return has, s.failure(err)
}

// CreateDatabase makes the first collection. Names that differ in the case of
// their letters alone cannot be on one server.
func (s *server) CreateDatabase(ctx context.Context, name string) error {
	if err := checkNames(name, "x"); err != nil {
		return err
	}
	names, err := s.databases(ctx)
	if err != nil {
		return s.failure(err)
	}
	if i := slices.IndexFunc(names, func(n string) bool { return n != name && strings.EqualFold(n, name) }); i >= 0 {
		return &connectors.Failure{
			Code: connectors.Internal, Phrase: fmt.Sprintf("Database %q exists already", names[i]),
			Detail: "MongoDB takes no other whose name differs in the case of letters alone", Err: connectors.ErrExists,
		}
	}
	return s.failure(s.makeDummy(ctx, name))
}

func (s *server) makeDummy(ctx context.Context, name string) error {
	err := s.run(ctx, name, bson.D{{Key: "create", Value: dummy}}, nil)
	if hasCode(err, codeNamespaceExists) {
		return nil
	}
	return err
}

// DropDatabase removes the users first: whoever is left with rights could make
// the database again by writing to it.
func (s *server) DropDatabase(ctx context.Context, name string) error {
	if err := checkNames(name, "x"); err != nil {
		return err
	}
	users, err := s.users(ctx, name)
	if err != nil {
		return s.failure(err)
	}
	if len(users) > 0 {
		if err := s.run(ctx, name, bson.D{{Key: "dropAllUsersFromDatabase", Value: 1}}, nil); err != nil {
			return s.failure(err)
		}
	}
	if err := s.kill(ctx, users...); err != nil {
		return s.failure(err)
	}
	for _, u := range users {
		delete(s.put, u)
	}
	return s.failure(s.run(ctx, name, bson.D{{Key: "dropDatabase", Value: 1}}, nil))
}

// Size is what the database takes on disk, or of its content where the server
// does not know that.
func (s *server) Size(ctx context.Context, name string) (int64, bool, error) {
	has, err := s.has(ctx, name)
	if err != nil || !has {
		return 0, false, s.failure(err)
	}
	var stats struct {
		Storage float64 `bson:"storageSize"`
		Data    float64 `bson:"dataSize"`
		Index   float64 `bson:"indexSize"`
	}
	if err := s.run(ctx, name, bson.D{{Key: "dbStats", Value: 1}}, &stats); err != nil {
		return 0, false, s.failure(err)
	}
	if stats.Storage > 0 {
		return int64(stats.Storage), true, nil
	}
	return int64(stats.Data + stats.Index), true, nil
}
