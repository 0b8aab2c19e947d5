package mongodb_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/mongodb"
	"github.com/backplane/backplane/testbed"
)

// played opens a server that gives special answers.
func played(t *testing.T, special map[string]bson.D) (*fake, connectors.DatabaseServer) {
	t.Helper()
	all := map[string]bson.D{
		"listDatabases": d("ok", 1, "databases", bson.A{d("name", "admin"), d("name", "config"), d("name", "local"), d("name", "shop")}),
		"usersInfo":     d("ok", 1, "users", bson.A{}),
	}
	maps.Copy(all, special)
	f := startFake(t, plays(standalone, all))
	return f, open(t, byURI("mongodb://boss:boss-secret@"+testbed.Addr(f.port)+"/?authMechanism=PLAIN"))
}

// A connection of MongoDB's loses its login when the user is dropped, also when
// it is made again; nothing else ends it.
func TestCutSessionsMakesTheUserAnew(t *testing.T) {
	f, s := played(t, nil)
	l := connectors.Login{Database: "shop", User: "u_shop", Password: "Secret-1", Privilege: connectors.Owner}
	if err := errors.Join(s.PutLogin(t.Context(), l), s.CutSessions(t.Context(), "shop", "u_shop")); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range f.commands() {
		names = append(names, c.Index(0).Key())
	}
	if want := []string{"usersInfo", "listDatabases", "createUser", "dropUser", "createUser", "killAllSessions"}; !slices.Equal(names, want) {
		t.Fatalf("commands %v, want %v", names, want)
	}
	commands := f.commands()
	for i, want := range map[int]map[string]string{
		3: {"dropUser": `"u_shop"`, "$db": `"shop"`},
		4: {"createUser": `"u_shop"`, "pwd": `"Secret-1"`, "$db": `"shop"`,
			"roles": `[{"role": "readWrite","db": "shop"},{"role": "dbAdmin","db": "shop"}]`},
		5: {"killAllSessions": `[{"user": "u_shop","db": "shop"}]`, "$db": `"admin"`},
	} {
		for key, text := range want {
			if got := commands[i].Lookup(key).String(); got != text {
				t.Errorf("%s of %s is %s, want %s", key, names[i], got, text)
			}
		}
	}

	// Whose password is not known keeps its connections, but nothing runs on.
	if err := s.CutSessions(t.Context(), "shop", "other"); err != nil {
		t.Fatal(err)
	}
	if rest := f.commands()[6:]; len(rest) != 1 || rest[0].Index(0).Key() != "killAllSessions" {
		t.Errorf("commands %v", rest)
	}
}

// Another may make or drop the user between the question and the change.
func TestPutLoginMeetsAnother(t *testing.T) {
	l := connectors.Login{Database: "shop", User: "u_shop", Password: "Secret-1", Privilege: connectors.ReadOnly, Frozen: true}
	for first, c := range map[string]struct {
		special map[string]bson.D
		last    string
	}{
		"createUser": {map[string]bson.D{"createUser": refuse(51003, "Location51003", "exists")}, "updateUser"},
		"updateUser": {map[string]bson.D{
			"updateUser": refuse(11, "UserNotFound", "no"), "usersInfo": d("ok", 1, "users", bson.A{d("user", "u_shop", "db", "shop")}),
		}, "createUser"},
	} {
		f, s := played(t, c.special)
		if err := s.PutLogin(t.Context(), l); err != nil {
			t.Errorf("%s first: %v", first, err)
		}
		commands := f.commands()
		last := commands[len(commands)-1]
		if last.Index(0).Key() != c.last || !strings.Contains(last.String(), `"read"`) || strings.Contains(last.String(), "readWrite") {
			t.Errorf("%s first: %v", first, last)
		}
	}
}

func TestInventoryOfAllDatabases(t *testing.T) {
	_, s := played(t, map[string]bson.D{"usersInfo": d("ok", 1, "users", bson.A{
		d("user", "boss", "db", "admin"), d("user", "b", "db", "shop"), d("user", "cn=x", "db", "$external"), d("user", "a", "db", "shop"), d("user", "left", "db", "gone"),
	})})
	inv, err := s.Inventory(t.Context())
	want := []connectors.LoginName{{Database: "gone", User: "left"}, {Database: "shop", User: "a"}, {Database: "shop", User: "b"}}
	if err != nil || !slices.Equal(inv.Logins, want) || !slices.Equal(inv.Databases, []string{"shop"}) {
		t.Errorf("got %+v, %v", inv, err)
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		answer bson.D
		code   connectors.Code
		passes bool
		exists bool
	}{
		{refuse(13, "Unauthorized", "not authorized on shop"), connectors.PermissionDenied, false, false},
		{refuse(13297, "DatabaseDifferCase", "db already exists with different case"), connectors.Internal, false, true},
		{refuse(10107, "NotWritablePrimary", "not primary"), connectors.ServerBusy, true, false},
		{refuse(91, "ShutdownInProgress", "shutting down"), connectors.ServerBusy, true, false},
		{refuse(73, "InvalidNamespace", "bad"), connectors.Internal, false, false},
		{refuse(8000, "AtlasError", "no"), connectors.Internal, false, false},
	} {
		_, s := played(t, map[string]bson.D{"create": c.answer})
		err := s.CreateDatabase(t.Context(), "shop")
		var f *connectors.Failure
		if !errors.As(err, &f) || f.Code != c.code || connectors.MayPass(err) != c.passes || errors.Is(err, connectors.ErrExists) != c.exists {
			t.Errorf("%v: got %v", c.answer, err)
		}
	}
}

func TestWhatAdministratorsLack(t *testing.T) {
	status := func(info bson.D) map[string]bson.D {
		return map[string]bson.D{"connectionStatus": d("ok", 1, "authInfo", info)}
	}
	role := func(db, name string) bson.D { return d("authenticatedUserRoles", bson.A{d("role", name, "db", db)}) }
	privileges := func(resource bson.D, actions ...string) bson.D {
		return d("resource", resource, "actions", actions)
	}
	everywhere := privileges(d("db", "", "collection", ""), "createUser", "dropUser", "grantRole", "revokeRole", "changePassword", "viewUser",
		"createCollection", "dropCollection", "dropDatabase", "dbStats", "listCollections", "listIndexes", "createIndex", "find", "insert", "bypassDocumentValidation")
	for name, c := range map[string]struct {
		info bson.D
		want []string
	}{
		"root":                  {role("admin", "root"), nil},
		"root of another place": {role("shop", "root"), []string{"root"}},
		"nothing listed":        {d(), []string{"root"}},
		"rights listed":         {d("authenticatedUserPrivileges", bson.A{everywhere, privileges(d("cluster", true), "listDatabases", "killAnySession")}), nil},
		"any resource":          {d("authenticatedUserPrivileges", bson.A{everywhere, privileges(d("anyResource", true), "listDatabases", "killAnySession")}), nil},
		"some missing":          {d("authenticatedUserPrivileges", bson.A{everywhere, privileges(d("cluster", true), "listDatabases")}), []string{"killAnySession"}},
		"one database": {d("authenticatedUserPrivileges", bson.A{privileges(d("db", "shop", "collection", ""), "createUser"), privileges(d("cluster", true), "listDatabases", "killAnySession")}),
			slices.Repeat([]string{"in any database"}, 16)},
	} {
		_, s := played(t, status(c.info))
		facts, err := s.About(t.Context())
		if err != nil || facts.Version != "7.0.5" || len(facts.Lacks) != len(c.want) {
			t.Errorf("%s: %+v, %v", name, facts, err)
			continue
		}
		for i, want := range c.want {
			if !strings.Contains(facts.Lacks[i], want) {
				t.Errorf("%s: lacks %q, want %s in it", name, facts.Lacks[i], want)
			}
		}
	}
	f := startFake(t, plays(standalone, nil))
	facts, err := open(t, byURI("mongodb://"+testbed.Addr(f.port))).About(t.Context())
	if err != nil || len(facts.Lacks) != 1 || !strings.Contains(facts.Lacks[0], "login") {
		t.Errorf("without a login: %+v, %v", facts, err)
	}
}

func TestEndpointAndConfiguration(t *testing.T) {
	l := connectors.Login{Database: "shop", User: "u/shop", Password: "p@:/ß"}
	for _, c := range []struct {
		change         cfg
		endpoint, test string
	}{
		{cfg{"host": "db", "username": "boss", "password": "x"}, "mongodb://<user>:<password>@db:27017/shop", ""},
		{cfg{"host": "::1", "port": float64(1), "replica_set": "rs 0", "use_tls": true, "direct_connection": true},
			"mongodb://<user>:<password>@[::1]:1/shop?replicaSet=rs+0&tls=true&directConnection=true", ""},
		{byURI("mongodb://boss:x@a:1,b/other?replicaSet=rs0&authSource=admin&appName=x&w=majority"),
			"mongodb://<user>:<password>@a:1,b:27017/shop?replicaSet=rs0", "mongodb://u%2Fshop:p%40%3A%2F%C3%9F@a:1,b:27017/shop?replicaSet=rs0&appName=x&w=majority"},
		{byURI("mongodb+srv://boss:x@cluster.example.com/?authMechanism=PLAIN&tls=true"),
			"mongodb+srv://<user>:<password>@cluster.example.com/shop?tls=true", "mongodb+srv://u%2Fshop:p%40%3A%2F%C3%9F@cluster.example.com/shop?tls=true"},
	} {
		raw := over(cfg{"database": "admin"}, c.change)
		for k, v := range raw {
			if v == nil {
				delete(raw, k)
			}
		}
		m := mongodb.New()
		config, faults := m.Spec().Validate(raw, connectors.Env{})
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		if got := m.Endpoint(config, "shop"); got != c.endpoint {
			t.Errorf("endpoint %s, want %s", got, c.endpoint)
		}
		got, err := m.ConfigFor(config, l)
		if err != nil || got["database"] != "shop" || got["uri"] != nil && got["uri"] != c.test {
			t.Errorf("configuration %v, %v, want %s", got, err, c.test)
		}
		if c.test == "" && (got["username"] != l.User || got["password"] != l.Password || got["auth_source"] != "shop") {
			t.Errorf("configuration %v", got)
		}
		again := map[string]any(got)
		if _, faults := m.Spec().Validate(again, connectors.Env{}); len(faults) > 0 {
			t.Errorf("it does not pass: %v", faults)
		}
		if config["database"] != "admin" {
			t.Error("the administrator's configuration changed")
		}
	}
}

// A server, or what is in front of it, may say back what it was told.
func TestPasswordsAreNotSaidBack(t *testing.T) {
	_, s := played(t, map[string]bson.D{
		"createUser": d("ok", 0, "code", 2, "codeName", "BadValue", "errmsg", `bad value in {pwd: "Secret-1"}`),
	})
	err := s.PutLogin(t.Context(), connectors.Login{Database: "shop", User: "u_shop", Password: "Secret-1", Privilege: connectors.Owner})
	if err == nil || strings.Contains(err.Error(), "Secret-1") || !strings.Contains(err.Error(), "***") {
		t.Errorf("got %v, want the password hidden in it", err)
	}
}
