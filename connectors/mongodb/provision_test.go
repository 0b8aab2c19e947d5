package mongodb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/mongodb"
	"github.com/backplane/backplane/testbed"
)

func TestProvisioner(t *testing.T) {
	server := testbed.StartMongoDBWithRoles(t)
	conformance.Provisioner(t, conformance.ProvisionerSubject{
		Provisioner: mongodb.New(),
		Admin:       adminOf(server),
		At:          func(host string, port int) cfg { return cfg{"host": host, "port": float64(port)} },
		LogIn: func(ctx context.Context, l connectors.Login) (conformance.Session, error) {
			return logIn(ctx, server.Port, l)
		},
		Refused: refused,
		Escapes: escapes(),
		// Read-write may make and drop collections, as MongoDB's role does.
		OwnersStructure: false,
		// A connection of this server keeps the roles that its user had when it
		// logged in, also when the user is dropped. MongoDB's own loses them
		// with the next command.
		SessionsOutliveLogin: true,
		Stop:                 server.Stop,
		Start:                func(t *testing.T) { server.Restart(t) },
	})
}

// TestProvisionerWithoutRoles makes databases on a server whose users reach all
// of them: it says so, and what has nothing to do with users works.
func TestProvisionerWithoutRoles(t *testing.T) {
	server := testbed.StartMongoDB(t, testbed.MongoDBOptions{})
	s := open(t, cfg{"host": "127.0.0.1", "port": float64(server.Port), "username": server.Username, "password": server.Password})
	ctx := t.Context()
	facts, err := s.About(ctx)
	if err != nil || facts.Version == "" || len(facts.Lacks) != 1 || !strings.Contains(facts.Lacks[0], "root") {
		t.Errorf("about: %+v, %v", facts, err)
	}
	for range 2 {
		if err := errors.Join(s.CreateDatabase(ctx, "from"), s.CreateDatabase(ctx, "to")); err != nil {
			t.Fatal(err)
		}
	}
	c := clientOf(t, server.Port, server.Username, server.Password)
	if _, err := c.Database("from").Collection("goods").InsertOne(ctx, d("_id", 1, "name", "tea")); err != nil {
		t.Fatal(err)
	}
	if n, exists, err := s.Size(ctx, "from"); err != nil || !exists || n <= 0 {
		t.Errorf("size %d, %t, %v", n, exists, err)
	}
	copied(t, s, "from", "to")
	if n, err := c.Database("to").Collection("goods").CountDocuments(ctx, d("name", "tea")); err != nil || n != 1 {
		t.Errorf("%d documents, %v", n, err)
	}
	for range 2 {
		if err := s.DropDatabase(ctx, "from"); err != nil {
			t.Error(err)
		}
	}
	inv, err := s.Inventory(ctx)
	if err != nil || !slices.Equal(inv.Databases, []string{"to"}) || len(inv.Logins) != 0 {
		t.Errorf("inventory %+v, %v", inv, err)
	}
}

func TestProvisionerOverTLS(t *testing.T) {
	ca := testbed.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	server := testbed.StartMongoDB(t, testbed.MongoDBOptions{Cert: &cert})
	c := cfg{"host": "127.0.0.1", "port": float64(server.TLSPort), "username": server.Username, "password": server.Password, "use_tls": true, "tls_ca": ca.PEM}
	if has, err := open(t, c).HasDatabase(t.Context(), "shop"); has || err != nil {
		t.Errorf("got %t, %v", has, err)
	}
	delete(c, "tls_ca")
	config, _ := mongodb.New().Spec().Validate(c, connectors.Env{})
	var f *connectors.Failure
	if _, err := mongodb.New().Open(t.Context(), connectors.Env{}, config); !errors.As(err, &f) || f.Code != connectors.TLSUntrusted {
		t.Errorf("without the authority: %v", err)
	}
}

// open logs the administrator of a server in.
func open(t *testing.T, c cfg) connectors.DatabaseServer {
	t.Helper()
	if c["database"] == nil {
		c["database"] = "admin"
	}
	config, faults := mongodb.New().Spec().Validate(c, connectors.Env{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	s, err := mongodb.New().Open(t.Context(), connectors.Env{}, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// clientOf is the driver logged in as the administrator.
func clientOf(t *testing.T, port int, user, password string) *mongo.Client {
	t.Helper()
	c, err := mongo.Connect(options.Client().SetHosts([]string{testbed.Addr(port)}).SetDirect(true).
		SetAuth(options.Credential{Username: user, Password: password}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Disconnect(context.Background()) }) //nolint:errcheck // the test is over
	return c
}

// copied dumps a database and loads it into another.
func copied(t *testing.T, s connectors.DatabaseServer, from, to string) []byte {
	t.Helper()
	var dump bytes.Buffer
	if err := s.Dump(t.Context(), from, &dump); err != nil {
		t.Fatal("dump:", err)
	}
	if err := s.Load(t.Context(), to, bytes.NewReader(dump.Bytes())); err != nil {
		t.Fatal("load:", err)
	}
	return dump.Bytes()
}

// TestDatabases is what the suite does not ask of all engines.
func TestDatabases(t *testing.T) {
	server := testbed.StartMongoDBWithRoles(t)
	for _, c := range []struct {
		name string
		run  func(*testing.T, *testbed.MongoDBWithRoles)
	}{
		{"a dump keeps the structure", dumpKeepsStructure},
		{"names differ in more than case", namesThatDifferInCase},
		{"logins of an emptied database", loginsOfAnEmptiedDatabase},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, server) })
	}
}

// dumpKeepsStructure compares options, indexes and documents of a database and
// its copy, over what was in the copy before.
func dumpKeepsStructure(t *testing.T, server *testbed.MongoDBWithRoles) {
	s := open(t, adminOf(server))
	c := clientOf(t, server.Port, server.Username, server.Password)
	ctx := t.Context()
	from, to := c.Database("from"), c.Database("to")
	if err := errors.Join(s.CreateDatabase(ctx, "from"), s.CreateDatabase(ctx, "to")); err != nil {
		t.Fatal(err)
	}
	many := bson.A{}
	for i := range 1500 {
		many = append(many, d("_id", i, "text", strings.Repeat("x", i)))
	}
	for _, command := range []bson.D{
		d("create", "capped", "capped", true, "size", 4096, "max", 5),
		d("create", "checked", "validator", d("x", d("$gt", 1)), "validationLevel", "moderate"),
		d("create", "sorted", "collation", d("locale", "fr")),
		d("create", "measured", "timeseries", d("timeField", "t", "metaField", "m")),
		d("create", "a view", "viewOn", "checked", "pipeline", bson.A{d("$match", d("x", 0))}),
		d("createIndexes", "checked", "indexes", bson.A{d("key", d("x", 1), "name", "of x", "unique", true, "partialFilterExpression", d("x", d("$gt", 5)))}),
		d("createIndexes", "sorted", "indexes", bson.A{d("key", d("at", -1), "name", "old go", "expireAfterSeconds", 3600)}),
		d("insert", "checked", "documents", bson.A{d("_id", 1, "x", 0)}, "bypassDocumentValidation", true),
		d("insert", "capped", "documents", bson.A{d("_id", 3), d("_id", 1), d("_id", 2)}),
		d("insert", "many", "documents", many),
		d("insert", "dbaas.dummy", "documents", bson.A{d("_id", "kept")}),
	} {
		if err := from.RunCommand(ctx, command).Err(); err != nil {
			t.Fatalf("%v: %v", command[0], err)
		}
	}
	for _, name := range []string{"rest", "dbaas.dummy"} {
		if _, err := to.Collection(name).InsertOne(ctx, d("_id", "before")); err != nil {
			t.Fatal(err)
		}
	}
	dump := copied(t, s, "from", "to")
	if want, got := described(t, from), described(t, to); want != got {
		t.Errorf("the copy differs:\n%s\nwant:\n%s", got, want)
	}
	for cut := 0; cut < len(dump); cut += 1 + len(dump)/8 {
		if err := s.Load(ctx, "to", bytes.NewReader(dump[:cut])); err == nil || connectors.MayPass(err) {
			t.Errorf("%d of %d bytes: %v", cut, len(dump), err)
		}
	}
}

// described is all that a dump should keep, as text.
func described(t *testing.T, db *mongo.Database) string {
	t.Helper()
	ctx := t.Context()
	list, err := db.ListCollectionSpecifications(ctx, bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b mongo.CollectionSpecification) int { return strings.Compare(a.Name, b.Name) })
	var out strings.Builder
	for _, c := range list {
		fmt.Fprintf(&out, "%s %s %s\n", c.Type, c.Name, c.Options)
		if c.Type != "view" {
			var indexes []bson.Raw
			cursor, err := db.Collection(c.Name).Indexes().List(ctx)
			if err == nil {
				err = cursor.All(ctx, &indexes)
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range indexes {
				fmt.Fprintf(&out, "\t%s\n", i)
			}
		}
		var docs []bson.Raw
		cursor, err := db.Collection(c.Name).Find(ctx, bson.D{})
		if err == nil {
			err = cursor.All(ctx, &docs)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range docs {
			fmt.Fprintf(&out, "\t\t%s\n", d)
		}
	}
	return out.String()
}

// Names of databases must differ in more than the case of their letters.
func namesThatDifferInCase(t *testing.T, server *testbed.MongoDBWithRoles) {
	s := open(t, adminOf(server))
	if err := s.CreateDatabase(t.Context(), "Shop"); err != nil {
		t.Fatal(err)
	}
	err := s.CreateDatabase(t.Context(), "sHOP")
	if !errors.Is(err, connectors.ErrExists) || connectors.MayPass(err) || !strings.Contains(err.Error(), `"Shop"`) {
		t.Errorf("got %v", err)
	}
	if has, err := s.HasDatabase(t.Context(), "sHOP"); has || err != nil {
		t.Errorf("has: %t, %v", has, err)
	}
}

// A tenant who drops all its collections has an empty database, not none: its
// logins can still be changed.
func loginsOfAnEmptiedDatabase(t *testing.T, server *testbed.MongoDBWithRoles) {
	s := open(t, adminOf(server))
	ctx := t.Context()
	l := connectors.Login{Database: "emptied", User: "u_emptied", Password: "Secret-1", Privilege: connectors.Owner}
	if err := errors.Join(s.CreateDatabase(ctx, "emptied"), s.PutLogin(ctx, l)); err != nil {
		t.Fatal(err)
	}
	if err := clientOf(t, server.Port, server.Username, server.Password).Database("emptied").Drop(ctx); err != nil {
		t.Fatal(err)
	}
	l.Password = "Secret-2"
	if err := s.PutLogin(ctx, l); err != nil {
		t.Fatal(err)
	}
	// The login as a service that can be tested like any other.
	admin, _ := mongodb.New().Spec().Validate(adminOf(server), connectors.Env{})
	config, err := mongodb.New().ConfigFor(admin, l)
	if err != nil {
		t.Fatal(err)
	}
	if _, f := connectors.Run(ctx, mongodb.New(), config, connectors.Env{}, 0); f != nil {
		t.Errorf("as a service: %v", f)
	}
	session, err := logIn(ctx, server.Port, l)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	if err := session.Put(ctx, "goods", "tea", "green"); err != nil {
		t.Error(err)
	}
}

func adminOf(s *testbed.MongoDBWithRoles) cfg {
	return cfg{"host": "127.0.0.1", "port": float64(s.Port), "username": s.Username, "password": s.Password, "database": "admin"}
}

// refused knows the server's "not authorized".
func refused(err error) bool {
	var e mongo.ServerError
	return errors.As(err, &e) && e.HasErrorCode(13)
}

// tenant keeps values in documents, with their keys as _id.
type tenant struct {
	client *mongo.Client
	db     *mongo.Database
}

// logIn makes one connection, in the database that knows the login.
func logIn(ctx context.Context, port int, l connectors.Login) (*tenant, error) {
	c, err := mongo.Connect(options.Client().SetHosts([]string{testbed.Addr(port)}).SetDirect(true).SetMaxPoolSize(1).
		SetRetryReads(false).SetRetryWrites(false).
		SetAuth(options.Credential{Username: l.User, Password: l.Password, AuthSource: l.Database, PasswordSet: true}))
	if err != nil {
		return nil, err
	}
	s := &tenant{client: c, db: c.Database(l.Database)}
	if err := c.Ping(ctx, nil); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *tenant) Make(ctx context.Context, place string) error {
	return s.db.CreateCollection(ctx, place)
}

func (s *tenant) Alter(ctx context.Context, place string) error {
	_, err := s.db.Collection(place).Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "value", Value: 1}}})
	return err
}

func (s *tenant) Drop(ctx context.Context, place string) error {
	return s.db.Collection(place).Drop(ctx)
}

func (s *tenant) Put(ctx context.Context, place, key, value string) error {
	_, err := s.db.Collection(place).ReplaceOne(ctx, bson.D{{Key: "_id", Value: key}}, bson.D{{Key: "value", Value: value}}, options.Replace().SetUpsert(true))
	return err
}

func (s *tenant) Get(ctx context.Context, place, key string) (string, error) {
	var doc struct {
		Value string `bson:"value"`
	}
	err := s.db.Collection(place).FindOne(ctx, bson.D{{Key: "_id", Value: key}}).Decode(&doc)
	if errors.Is(err, mongo.ErrNoDocuments) {
		err = nil
	}
	return doc.Value, err
}

func (s *tenant) Delete(ctx context.Context, place, key string) error {
	_, err := s.db.Collection(place).DeleteOne(ctx, bson.D{{Key: "_id", Value: key}})
	return err
}

func (s *tenant) Count(ctx context.Context, place string) (int, error) {
	n, err := s.db.Collection(place).CountDocuments(ctx, bson.D{})
	return int(n), err
}

func (s *tenant) Close() error { return s.client.Disconnect(context.Background()) }
