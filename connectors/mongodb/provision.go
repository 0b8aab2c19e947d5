package mongodb

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"

	"github.com/backplane/backplane/connectors"
)

var _ connectors.Provisioner = (*Connector)(nil)

const (
	// selectionTimeout bounds the search for a server that takes writes,
	// whatever the context allows.
	selectionTimeout = 5 * time.Second
	maxUser          = 256
)

// own are the databases of the server itself.
func own() []string { return []string{"admin", "config", "local"} }

// Rules are those of databases whose users are their own.
func (*Connector) Rules() connectors.EngineRules {
	return connectors.EngineRules{EngineType: "mongodb", Reserved: own(), UsersPerDatabase: true, Format: dumpFormat}
}

// Endpoint names the servers of the configuration, and what clients have to
// know of them. They are asked to know the user in the database that follows.
func (*Connector) Endpoint(c connectors.Config, database string) string {
	u, err := target(c)
	if err != nil {
		return "" // c has passed the same check
	}
	return u.forLogin("<user>:<password>", database, func(key string) bool {
		switch strings.ToLower(key) {
		case "replicaset", "tls", "ssl", "directconnection", "loadbalanced", "srvservicename", "srvmaxhosts":
			return true
		}
		return false
	})
}

// ConfigFor puts the login and its database in the administrator's place, in
// the form that c has.
func (*Connector) ConfigFor(c connectors.Config, l connectors.Login) (connectors.Config, error) {
	out := maps.Clone(c)
	out["database"] = l.Database
	if !c.Has("uri") {
		out["username"], out["password"], out["auth_source"] = l.User, l.Password, l.Database
		return out, nil
	}
	u, err := target(c)
	if err != nil {
		return nil, err
	}
	out["uri"] = u.forLogin(escape(l.User)+":"+escape(l.Password), l.Database, func(key string) bool {
		switch strings.ToLower(key) {
		case "authsource", "authmechanism": // the administrator's
			return false
		}
		return true
	})
	return out, nil
}

// forLogin is the connection string for another login and database, with those
// options that keep chooses.
func (u *uri) forLogin(login, database string, keep func(key string) bool) string {
	scheme := schemePlain
	if u.srv {
		scheme = schemeSRV
	}
	var b strings.Builder
	b.WriteString(scheme + login + "@" + strings.Join(u.hosts, ",") + "/" + url.PathEscape(database))
	sep := "?"
	for _, o := range u.options {
		if keep(o.key) {
			b.WriteString(sep + url.QueryEscape(o.key) + "=" + url.QueryEscape(o.value))
			sep = "&"
		}
	}
	return b.String()
}

// Open finds the deployment and logs in as the administrator.
func (m *Connector) Open(ctx context.Context, env connectors.Env, c connectors.Config) (connectors.DatabaseServer, error) {
	u, err := target(c)
	if err != nil {
		return nil, err
	}
	s := &server{env: env, c: c, uri: u, watch: newWatch(false), put: map[connectors.LoginName]connectors.Login{}}
	search, cancel := context.WithTimeout(ctx, selectionTimeout)
	defer cancel()
	if u.srv {
		if err := u.resolve(search, m.dns); err != nil {
			return nil, s.failure(err)
		}
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	if err := s.settle(search); err != nil {
		s.Close() //nolint:errcheck // there is something better to tell
		return nil, err
	}
	if err := s.client.Ping(search, readpref.Primary()); err != nil {
		s.Close() //nolint:errcheck
		return nil, s.failure(err)
	}
	return s, nil
}

// server makes databases on a MongoDB deployment.
type server struct {
	env    connectors.Env
	c      connectors.Config
	uri    *uri
	watch  *watch
	client *mongo.Client
	// put are the logins that were put here, for CutSessions.
	put map[connectors.LoginName]connectors.Login
}

// start gives the driver its settings; it begins to look for servers.
func (s *server) start() error {
	opts, err := s.uri.client()
	if err == nil {
		opts.SetDialer(s).SetServerMonitor(s.watch.monitor()).SetServerMonitoringMode("poll").
			SetReadPreference(readpref.Primary()).SetWriteConcern(nil).SetServerSelectionTimeout(selectionTimeout).SetConnectTimeout(selectionTimeout).
			SetMinPoolSize(0).SetMaxPoolSize(2).SetMaxAdaptiveRetries(0).SetAppName("Backplane")
		s.client, err = mongo.Connect(opts)
	}
	if err != nil {
		return connectors.Fail(connectors.InvalidConfig, err, "the driver refuses the settings")
	}
	return nil
}

// settle waits until the driver has found a server, or none.
func (s *server) settle(ctx context.Context) error {
	select {
	case <-s.watch.done:
	case <-ctx.Done():
	}
	state := s.watch.state()
	if state.usable && state.tooOld == nil {
		return nil
	}
	if err := ctx.Err(); err != nil && len(state.failed) == 0 {
		return s.failure(err)
	}
	return state.failure(s.uri.hosts, s.explain)
}

// DialContext makes server an options.ContextDialer: the driver knows nothing
// of denied networks, and nothing of TLS, for which it would fetch revocation
// lists on its own.
func (s *server) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := s.env.Dial(ctx, network, address)
	if err != nil || !s.uri.tls() {
		return raw, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		raw.Close()
		return nil, err
	}
	cfg, err := s.uri.encryption(s.c, host)
	if err != nil {
		raw.Close()
		return nil, err
	}
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return conn, nil
}

// Close ends the driver with its connections. Its goodbye to the server has a
// second.
func (s *server) Close() error {
	ctx, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	_ = s.client.Disconnect(ctx) // what was done does not depend on it
	return nil
}

// run sends a command that answers with one document.
func (s *server) run(ctx context.Context, database string, command bson.D, into any) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := s.client.Database(database).RunCommand(ctx, command, options.RunCmd().SetReadPreference(readpref.Primary()))
	if into == nil {
		return r.Err()
	}
	return r.Decode(into)
}

func badName(what, why string) error {
	return &connectors.Failure{Code: connectors.InvalidConfig, Phrase: "Name not allowed", Detail: fmt.Sprintf("a %s of MongoDB %s", what, why)}
}

// checkNames refuses what MongoDB refuses, on all platforms that it runs on,
// before it could mean something else in a connection string.
func checkNames(database, user string) error {
	odd := func(s string) bool { return !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) }
	switch {
	case slices.Contains(own(), strings.ToLower(database)):
		return badName("database", fmt.Sprintf("must not be called %q", database))
	case checkDatabase(database, connectors.Env{}) != nil || odd(database) || strings.ContainsFunc(database, unicode.IsSpace):
		return badName("database", `has a name of 1 to 63 bytes without spaces, control characters and /\."$*<>:|?`)
	case user == "" || len(user) > maxUser || odd(user):
		return badName("user", fmt.Sprintf("has a name of 1 to %d bytes without control characters", maxUser))
	}
	return nil
}

func missing(database string) error {
	return connectors.Missing(connectors.DatabaseMissing, "Database", database, nil)
}
