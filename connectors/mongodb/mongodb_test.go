package mongodb_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/mongodb"
	"github.com/backplane/backplane/testbed"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type cfg = conformance.Config

func at(port int) cfg { return cfg{"port": float64(port)} }

// over lays several changes over each other.
func over(changes ...cfg) cfg {
	out := cfg{}
	for _, c := range changes {
		for k, v := range c {
			out[k] = v
		}
	}
	return out
}

// byURI replaces the fields of the host form by a connection string.
func byURI(uri string) cfg {
	return cfg{"uri": uri, "host": nil, "port": nil, "username": nil, "password": nil}
}

func TestConformance(t *testing.T) {
	ca := testbed.NewCA(t)
	cert := ca.Issue(t, "127.0.0.1")
	main := testbed.StartMongoDB(t, testbed.MongoDBOptions{Cert: &cert})
	fill(t, main)
	conformance.Run(t, conformance.Backend{
		Connector: mongodb.New(),
		Good: cfg{"host": "127.0.0.1", "port": float64(main.Port), "username": main.Username, "password": main.Password,
			"database": "shop"},
		At:      func(host string, port int) cfg { return cfg{"host": host, "port": float64(port)} },
		Cases:   append(append(loginCases(t, main), tlsCases(t, ca, main)...), topologyCases(t)...),
		Invalid: append(invalidForms(), invalidURIs()...),
	})
}

// fill makes the database shop with a collection, and a user of its own.
func fill(t *testing.T, s *testbed.MongoDB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := mongo.Connect(options.Client().SetHosts([]string{testbed.Addr(s.Port)}).
		SetAuth(options.Credential{Username: s.Username, Password: s.Password}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Disconnect(ctx) //nolint:errcheck // the test has what it needs
	shop := c.Database("shop")
	if err := shop.CreateCollection(ctx, "orders"); err != nil {
		t.Fatal(err)
	}
	if err := shop.RunCommand(ctx, bson.D{{Key: "createUser", Value: "clerk"}, {Key: "pwd", Value: testbed.NastyPassword}, {Key: "roles", Value: bson.A{}}}).Err(); err != nil {
		t.Fatal(err)
	}
}

func loginCases(t *testing.T, main *testbed.MongoDB) []conformance.Case {
	addr, escaped := testbed.Addr(main.Port), url.PathEscape(main.Password)
	escaped = strings.NewReplacer("@", "%40", ":", "%3A").Replace(escaped)
	login := "mongodb://" + main.Username + ":" + escaped + "@" + addr
	return []conformance.Case{
		{Name: "version is told", Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
			if r.ServerVersion == "" || r.TLS.Used || len(r.Warnings) > 0 || len(r.Peers) != 1 {
				t.Errorf("report %+v", r)
			}
		}},
		{Name: "wrong password", Change: cfg{"password": "wrong"}, Want: connectors.AuthFailed, Stage: connectors.StageAuth, Contain: "auth_source"},
		{Name: "unknown user", Change: cfg{"username": "nobody"}, Want: connectors.AuthFailed},
		{Name: "user of another database", Change: cfg{"auth_source": "shop"}, Want: connectors.AuthFailed},
		{Name: "no login", Change: cfg{"username": nil, "password": nil}, Want: connectors.AuthRequired, Stage: connectors.StageAuth},
		{Name: "database that does not exist", Change: cfg{"database": "missing"}, Warning: "database_empty"},
		{Name: "direct connection", Change: cfg{"direct_connection": true}},
		{Name: "name of a set that there is not", Change: cfg{"replica_set": "rs0"}, Want: connectors.InvalidConfig, Contain: "in no replica set"},
		{Name: "URI", Change: byURI(login)},
		{Name: "URI with database", Change: byURI(login + "/admin?retryWrites=true&w=majority")},
		{Name: "URI with wrong password", Change: byURI("mongodb://backplane:wrong-one@" + addr), Want: connectors.AuthFailed},
		{Name: "URI with the wrong database for the login", Change: byURI(login + "/shop"), Want: connectors.AuthFailed},
		{Name: "URI with authSource", Change: byURI(login + "/shop?authSource=admin")},
		{Name: "URI without login", Change: byURI("mongodb://" + addr), Want: connectors.AuthRequired},
		{Name: "URI with dead seeds alone", Change: byURI("mongodb://" + testbed.Addr(testbed.ClosedPort(t)) + ",no-such-host.invalid"),
			Want: connectors.Refused, Stage: connectors.StageConnect, Contain: "none of 2 servers"},
	}
}

func tlsCases(t *testing.T, ca *testbed.CA, main *testbed.MongoDB) []conformance.Case {
	trust := cfg{"use_tls": true, "tls_ca": ca.PEM}
	otherAt := at(testbed.TLSPeer(t, ca.Issue(t, "other.example")))
	expiredAt := at(testbed.TLSPeer(t, ca.IssueExpired(t, "127.0.0.1")))
	silentAt := at(testbed.TLSPeer(t, ca.Issue(t, "127.0.0.1")))
	return []conformance.Case{
		{Name: "TLS", Change: over(trust, at(main.TLSPort)), Check: func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
			if !r.TLS.Used || !r.TLS.Verified || len(r.Warnings) > 0 {
				t.Errorf("report %+v", r)
			}
		}},
		{Name: "TLS by URI", Change: over(byURI(fmt.Sprintf("mongodb://127.0.0.1:%d/?tls=true", main.TLSPort)), cfg{"tls_ca": ca.PEM}), Want: connectors.AuthRequired},
		{Name: "TLS by URI, unverified", Change: byURI(fmt.Sprintf("mongodb://127.0.0.1:%d/?ssl=true&tlsInsecure=true", main.TLSPort)), Want: connectors.AuthRequired, Warning: "tls_unverified"},
		{Name: "TLS untrusted", Change: over(at(main.TLSPort), cfg{"use_tls": true}), Want: connectors.TLSUntrusted, Stage: connectors.StageTLS},
		{Name: "TLS unverified", Change: over(at(main.TLSPort), cfg{"use_tls": true, "tls_skip_verify": true}), Warning: "tls_unverified"},
		{Name: "TLS wrong name", Change: over(trust, otherAt), Want: connectors.TLSHostname, Stage: connectors.StageTLS, Contain: "other.example"},
		{Name: "TLS expired", Change: over(trust, expiredAt), Want: connectors.TLSExpired, Stage: connectors.StageTLS},
		{Name: "TLS to a plain port", Change: trust, Want: connectors.TLSHandshake, OneOf: []connectors.Code{connectors.Timeout}, Stage: connectors.StageTLS, Contain: "plain text", Timeout: time.Second},
		{Name: "plain to a TLS port", Change: at(main.TLSPort), Want: connectors.TLSRequired, OneOf: []connectors.Code{connectors.Closed}, Contain: "use_tls"},
		{Name: "silence behind TLS", Change: over(trust, silentAt), Want: connectors.Timeout, Timeout: time.Second},
	}
}

func invalidForms() []conformance.Invalid {
	return []conformance.Invalid{
		{Name: "no form", Change: cfg{"host": nil, "port": nil, "username": nil, "password": nil}, Fields: []string{"uri"}},
		{Name: "both forms", Change: cfg{"uri": "mongodb://localhost"}, Fields: []string{"host", "port", "username", "password"}},
		{Name: "a uri with the fields of the other form", Change: over(byURI("mongodb://localhost"), cfg{"use_tls": false, "direct_connection": false, "auth_source": "admin", "replica_set": "rs0"}),
			Fields: []string{"use_tls", "direct_connection", "auth_source", "replica_set"}},
		{Name: "a user without password", Change: cfg{"password": nil}, Fields: []string{"password"}},
		{Name: "a password without user", Change: cfg{"username": nil}, Fields: []string{"username"}},
		{Name: "a database with a slash", Change: cfg{"database": "a/b"}, Fields: []string{"database"}},
		{Name: "a long database", Change: cfg{"database": fmt.Sprintf("%064d", 0)}, Fields: []string{"database"}},
		{Name: "pool sizes that cross", Change: cfg{"min_pool_size": float64(20)}, Fields: []string{"min_pool_size"}},
		{Name: "half a client certificate", Change: cfg{"tls_client_cert": "x"}, Fields: []string{"tls_client_cert"}},
	}
}

func invalidURIs() []conformance.Invalid {
	var out []conformance.Invalid
	for _, uri := range []string{
		"", "http://localhost", "mongodb://", "mongodb:///db", "mongodb://user:p@ss@localhost", "mongodb://user:p/ss@localhost", "mongodb://user:p:ss@localhost",
		"mongodb://user:p%zz@localhost", "mongodb://user:****@localhost", "mongodb://:x@localhost", "mongodb://localhost:0", "mongodb://localhost:x", "mongodb://a,,b",
		"mongodb://localhost?tls=true", "mongodb://localhost/a b", "mongodb://localhost/%zz", "mongodb://localhost/?tsl=true", "mongodb://localhost/?tls=yes",
		"mongodb://localhost/?tls", "mongodb://localhost/?tls=true&ssl=true", "mongodb://localhost/?tlsCAFile=/etc/passwd", "mongodb://localhost/?authMechanism=GSSAPI",
		"mongodb://localhost/?authMechanism=MONGODB-AWS", "mongodb://localhost/?authMechanismProperties=a:b", "mongodb://localhost/?srvMaxHosts=1",
		"mongodb://a,b/?directConnection=true", "mongodb://localhost/?readPreference=never", "mongodb+srv://localhost", "mongodb+srv://a.example.com:27017",
		"mongodb+srv://a.example.com,b.example.com", "mongodb+srv://a.example.com/?directConnection=true", "mongodb+srv://a.example.com/?connect=direct",
		"mongodb+srv://a.example.com/?srvMaxHosts=x", "mongodb://[::1", "mongodb://localhost/?x=%zz",
	} {
		out = append(out, conformance.Invalid{Name: "uri " + uri, Change: byURI(uri), Fields: []string{"uri"}})
	}
	return out
}
