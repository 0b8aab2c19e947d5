package testbed

import (
	"context"
	"path/filepath"
	"strconv"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// MongoDBWithRoles is a running SecantusDB: it speaks MongoDB's protocol, keeps
// its data in WiredTiger as MongoDB does, and knows users with roles per
// database. Unlike MongoDB's, its connections keep the roles that their user
// had when it logged in.
type MongoDBWithRoles struct {
	*Running
	process  Process
	Port     int
	Username string // of the administrator, known to the database admin
	Password string
}

// StartMongoDBWithRoles starts SecantusDB until t ends.
func StartMongoDBWithRoles(t TB) *MongoDBWithRoles {
	t.Helper()
	dir := Folder(t, "")
	s := &MongoDBWithRoles{Port: FreePort(t), Username: "backplane", Password: NastyPassword}
	s.process = Process{
		Path: installed(t, "secantusdb", "secantusd-py"), Dir: dir, Ready: s.answers,
		Args: []string{
			"--host", "127.0.0.1", "--port", strconv.Itoa(s.Port), "--standalone", "--sync-on-commit", "--cache-size", "64M",
			"--log-level", "WARNING", "--storage-path", filepath.Join(dir, "data"),
		},
	}
	// Only a server that asks nobody for a password lets its first user be made.
	open := Start(t, s.process)
	s.makeAdministrator(t)
	open.Close()
	s.process.Args = append(s.process.Args, "--auth")
	s.Running = Start(t, s.process)
	return s
}

// Stop shuts the server down; its data and port stay reserved for Restart.
func (s *MongoDBWithRoles) Stop() { s.Close() }

// Restart stops the server if it runs and starts it again on the same data and
// port.
func (s *MongoDBWithRoles) Restart(t TB) {
	t.Helper()
	s.Close()
	s.Running = Start(t, s.process)
}

func (s *MongoDBWithRoles) connect() (*mongo.Client, error) {
	return mongo.Connect(options.Client().SetHosts([]string{Addr(s.Port)}).SetDirect(true).SetServerSelectionTimeout(5 * time.Second))
}

// answers waits for the port first, because the driver waits longer.
func (s *MongoDBWithRoles) answers(ctx context.Context) error {
	if err := Listening(s.Port)(ctx); err != nil {
		return err
	}
	c, err := s.connect()
	if err != nil {
		return err
	}
	defer c.Disconnect(context.WithoutCancel(ctx)) //nolint:errcheck // it has answered
	return c.Database("admin").RunCommand(ctx, bson.D{{Key: "hello", Value: 1}}).Err()
}

func (s *MongoDBWithRoles) makeAdministrator(t TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := s.connect()
	if err == nil {
		defer c.Disconnect(ctx) //nolint:errcheck // the user is made
		err = c.Database("admin").RunCommand(ctx, bson.D{
			{Key: "createUser", Value: s.Username}, {Key: "pwd", Value: s.Password}, {Key: "roles", Value: bson.A{"root"}},
		}).Err()
	}
	if err != nil {
		t.Fatalf("testbed: make the administrator: %v", err)
	}
}
