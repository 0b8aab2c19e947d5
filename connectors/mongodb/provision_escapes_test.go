package mongodb_test

import (
	"context"
	"errors"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
)

// d makes a document of keys and values.
func d(pairs ...any) bson.D {
	var out bson.D
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, bson.E{Key: pairs[i].(string), Value: pairs[i+1]})
	}
	return out
}

// escapes are commands that the server must refuse to every login. Ending the
// sessions of others is not among them: MongoDB refuses it, but the server at
// hand lets everybody.
func escapes() []conformance.Escape {
	type command = func(a conformance.Attack) (database string, command bson.D)
	admin := func(pairs ...any) command {
		return func(conformance.Attack) (string, bson.D) { return "admin", d(pairs...) }
	}
	victim := func(pairs ...any) command {
		return func(a conformance.Attack) (string, bson.D) { return a.Victim.Database, d(pairs...) }
	}
	self := func(pairs ...any) command {
		return func(a conformance.Attack) (string, bson.D) { return a.Self.Database, d(pairs...) }
	}
	aggregate := func(stages func(a conformance.Attack) bson.A) command {
		return func(a conformance.Attack) (string, bson.D) {
			return a.Self.Database, d("aggregate", "dbaas.dummy", "pipeline", stages(a), "cursor", d())
		}
	}
	role := func(db, name string) bson.D { return d("role", name, "db", db) }
	var list []conformance.Escape
	for _, e := range []struct {
		name string
		make command
	}{
		{"list another's collections", victim("listCollections", 1)},
		{"find in another's collection", victim("find", "goods")},
		{"insert into another's collection", victim("insert", "goods", "documents", bson.A{d("_id", "planted")})},
		{"update another's collection", victim("update", "goods", "updates", bson.A{d("q", d(), "u", d("$set", d("value", "x")))})},
		{"delete from another's collection", victim("delete", "goods", "deletes", bson.A{d("q", d(), "limit", 0)})},
		{"change a document and see it", victim("findAndModify", "goods", "query", d(), "update", d("value", "x"))},
		{"read distinct values of another", victim("distinct", "goods", "key", "value")},
		{"aggregate another's collection", victim("aggregate", "goods", "pipeline", bson.A{}, "cursor", d())},
		{"measure another's database", victim("dbStats", 1)},
		{"drop another's collection", victim("drop", "goods")},
		{"drop another's database", victim("dropDatabase", 1)},
		{"list another's users", victim("usersInfo", 1)},
		{"make a user of another's database", victim("createUser", "planted", "pwd", "x", "roles", bson.A{"readWrite"})},
		{"drop another's users", victim("dropAllUsersFromDatabase", 1)},
		{"make an index of another's", victim("createIndexes", "goods", "indexes", bson.A{d("key", d("x", 1), "name", "x")})},
		{"write the result into another's database", aggregate(func(a conformance.Attack) bson.A {
			return bson.A{d("$out", d("db", a.Victim.Database, "coll", "planted"))}
		})},
		{"merge the result into another's database", aggregate(func(a conformance.Attack) bson.A {
			return bson.A{d("$merge", d("into", d("db", a.Victim.Database, "coll", "goods")))}
		})},
		{"rename out of another's database", func(a conformance.Attack) (string, bson.D) {
			return "admin", d("renameCollection", a.Victim.Database+".goods", "to", a.Self.Database+".goods")
		}},
		{"make a user of its own database", self("createUser", "planted", "pwd", "x", "roles", bson.A{"dbOwner"})},
		{"make a role", self("createRole", "planted", "privileges", bson.A{}, "roles", bson.A{"dbOwner"})},
		{"grant itself more", func(a conformance.Attack) (string, bson.D) {
			return a.Self.Database, d("grantRolesToUser", a.Self.User, "roles", bson.A{role(a.Victim.Database, "readWrite")})
		}},
		{"update itself", func(a conformance.Attack) (string, bson.D) {
			return a.Self.Database, d("updateUser", a.Self.User, "roles", bson.A{role("admin", "root")})
		}},
		{"make an administrator", admin("createUser", "planted", "pwd", "x", "roles", bson.A{"root"})},
		{"list administrators", admin("usersInfo", 1)},
		{"read the users' passwords", admin("find", "system.users")},
		{"list the databases' log", func(conformance.Attack) (string, bson.D) { return "local", d("find", "oplog.rs") }},
		{"read the configuration", func(conformance.Attack) (string, bson.D) { return "config", d("find", "system.sessions") }},
		{"change a parameter", admin("setParameter", 1, "logLevel", 1)},
		{"shut the server down", admin("shutdown", 1, "force", true)},
		{"see what others do", admin("aggregate", 1, "pipeline", bson.A{d("$currentOp", d("allUsers", true))}, "cursor", d())},
		{"stop what others do", admin("killOp", 1, "op", 1)},
		{"read the log", admin("getLog", "global")},
		{"lock the server", admin("fsync", 1, "lock", true)},
	} {
		list = append(list, conformance.Escape{Name: e.name, Try: func(ctx context.Context, a conformance.Attack) error {
			database, command := e.make(a)
			err := a.Session.(*tenant).client.Database(database).RunCommand(ctx, command).Err()
			var e mongo.ServerError
			if errors.As(err, &e) && e.HasErrorCode(59) {
				return conformance.ErrNothing // there is no such command
			}
			return err
		}})
	}
	return append(list, conformance.Escape{Name: "see the names of other databases", Try: listDatabases},
		conformance.Escape{Name: "join another's collection", Try: lookup})
}

// listDatabases may be answered, with what the login reaches.
func listDatabases(ctx context.Context, a conformance.Attack) error {
	names, err := a.Session.(*tenant).client.ListDatabaseNames(ctx, bson.D{})
	if err != nil {
		return err
	}
	for _, n := range names {
		if n != a.Self.Database {
			return nil
		}
	}
	return conformance.ErrNothing
}

// lookup joins a collection of another database, which MongoDB knows for
// sharded catalogues alone.
func lookup(ctx context.Context, a conformance.Attack) error {
	own := a.Session.(*tenant)
	if a.Self.Privilege == connectors.Owner {
		if err := own.Put(ctx, "own", "x", "x"); err != nil {
			return err
		}
	}
	pipeline := bson.A{d("$lookup", d("from", d("db", a.Victim.Database, "coll", a.Place), "pipeline", bson.A{}, "as", "stolen")),
		d("$match", d("stolen", d("$ne", bson.A{})))}
	cursor, err := own.db.Collection("own").Aggregate(ctx, pipeline)
	if err != nil {
		if !refused(err) {
			return conformance.ErrNothing // not even understood
		}
		return err
	}
	defer cursor.Close(ctx)
	if !cursor.Next(ctx) {
		return conformance.ErrNothing
	}
	return cursor.Err()
}
