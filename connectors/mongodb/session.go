package mongodb

import (
	"context"
	"strings"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"github.com/backplane/backplane/connectors"
)

// session is one test's use of the driver.
type session struct {
	p      *connectors.Probe
	c      connectors.Config
	uri    *uri
	watch  *watch
	client *mongo.Client
	pref   *readpref.ReadPref
	cancel context.CancelFunc
}

// open starts the driver, which begins to look for servers.
func (s *session) open(ctx context.Context) error {
	opts, err := s.uri.client()
	if err != nil {
		return connectors.Fail(connectors.InvalidConfig, err, "the driver refuses the settings")
	}
	s.pref = readpref.Primary()
	if opts.ReadPreference != nil {
		s.pref = opts.ReadPreference
	}
	s.watch = newWatch(s.pref.Mode() != readpref.PrimaryMode)
	ctx, s.cancel = context.WithCancel(ctx)
	budget := connectors.MaxTimeout
	if deadline, ok := ctx.Deadline(); ok {
		budget = max(time.Until(deadline), time.Millisecond)
	}
	opts.SetDialer(&dialer{ctx: ctx, p: s.p, c: s.c, uri: s.uri}).
		SetServerMonitor(s.watch.monitor()).SetServerMonitoringMode("poll").
		SetConnectTimeout(budget).SetServerSelectionTimeout(budget).
		SetRetryReads(false).SetRetryWrites(false).SetMaxAdaptiveRetries(0).
		SetMinPoolSize(0).SetMaxPoolSize(1).SetAppName("Backplane")
	if s.client, err = mongo.Connect(opts); err != nil {
		s.cancel()
		return connectors.Fail(connectors.InvalidConfig, err, "the driver refuses the settings")
	}
	return nil
}

// close ends the driver with its goroutines. Its goodbye to the server has a
// second of its own.
func (s *session) close() {
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	_ = s.client.Disconnect(ctx) // what a test found out does not depend on it
	s.cancel()
}

// settle waits until the driver has found a server, or none.
func (s *session) settle(ctx context.Context) error {
	select {
	case <-s.watch.done:
	case <-ctx.Done():
	}
	state := s.watch.state()
	if state.usable && state.tooOld == nil {
		return nil
	}
	if err := ctx.Err(); err != nil && len(state.failed) == 0 {
		return err
	}
	return state.failure(s.uri.hosts, s.explain)
}

// login sends the first command: the connection it opens logs in.
func (s *session) login(ctx context.Context) error {
	s.p.Enter(connectors.StageAuth)
	if s.uri.hasUser && !s.uri.tls() && strings.EqualFold(s.uri.get("authMechanism"), "PLAIN") {
		s.p.WarnPlaintext()
	}
	if err := s.client.Ping(ctx, s.pref); err != nil {
		return s.explain(err)
	}
	return nil
}

// list asks for one collection of the database.
func (s *session) list(ctx context.Context) error {
	s.p.Enter(connectors.StageSelect)
	command := bson.D{
		{Key: "listCollections", Value: 1}, {Key: "nameOnly", Value: true}, {Key: "authorizedCollections", Value: true},
		{Key: "cursor", Value: bson.D{{Key: "batchSize", Value: 1}}},
	}
	cursor, err := s.client.Database(s.c.String("database")).RunCommandCursor(ctx, command, options.RunCmd().SetReadPreference(s.pref))
	if err != nil {
		return s.explain(err)
	}
	s.p.Verified()
	if cursor.RemainingBatchLength() == 0 {
		s.p.Warn("database_empty", "The database has no collections, or does not exist yet: MongoDB makes it with the first document.")
	}
	_ = cursor.Close(ctx)
	return nil
}

// describe reports version and topology, as far as the server tells.
func (s *session) describe(ctx context.Context) {
	s.p.Enter(connectors.StageVerify)
	var info struct {
		Version string `bson:"version"`
	}
	opts := options.RunCmd().SetReadPreference(s.pref)
	_ = s.client.Database("admin").RunCommand(ctx, bson.D{{Key: "buildInfo", Value: 1}}, opts).Decode(&info)
	state := s.watch.state()
	version := info.Version
	if state.set != "" {
		version = strings.TrimPrefix(version+", replica set "+state.set, ", ")
	}
	if state.kind == "Sharded" {
		version = strings.TrimPrefix(version+", sharded cluster", ", ")
	}
	if state.secondly {
		s.p.Warn("read_only", "This server is a secondary: it refuses writes.")
	}
	s.p.Note(func(r *connectors.Report) {
		r.ServerVersion = version
		for _, server := range state.servers {
			peer := connectors.Peer{Address: string(server.Addr), Version: server.Kind}
			if err := state.failed[peer.Address]; err != nil {
				peer.Error = "not reached"
			}
			r.Peers = append(r.Peers, peer)
		}
	})
}
