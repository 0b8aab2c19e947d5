package mongodb_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/testbed"
)

// fake answers the commands of a client with documents: it plays the replica
// sets and refusals that FerretDB does not have.
type fake struct {
	listener net.Listener
	port     int
	answers  func(self, command string) bson.D
	all      sync.WaitGroup
	mu       sync.Mutex
	conns    []net.Conn
	asked    []bson.Raw
}

// commands are what was asked so far, but for greetings and logins.
func (f *fake) commands() []bson.Raw {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.asked), func(r bson.Raw) bool {
		first, err := r.IndexErr(0)
		return err != nil || slices.Contains([]string{"hello", "isMaster", "ismaster", "saslStart", "ping", "endSessions"}, first.Key())
	})
}

func startFake(t *testing.T, answers func(self, command string) bson.D) *fake {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{listener: l, port: l.Addr().(*net.TCPAddr).Port, answers: answers}
	f.all.Go(f.accept)
	t.Cleanup(func() {
		l.Close()
		f.mu.Lock()
		for _, c := range f.conns {
			c.Close()
		}
		f.mu.Unlock()
		f.all.Wait()
	})
	return f
}

func (f *fake) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns = append(f.conns, c)
		f.mu.Unlock()
		f.all.Go(func() {
			defer c.Close()
			for f.serve(c) == nil {
			}
		})
	}
}

const (
	opReply = 1
	opQuery = 2004
	opMsg   = 2013
)

// serve reads one message and answers it
// (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/).
func (f *fake) serve(c net.Conn) error {
	var head [16]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return err
	}
	body := make([]byte, binary.LittleEndian.Uint32(head[:])-16)
	if _, err := io.ReadFull(c, body); err != nil {
		return err
	}
	op, skip := binary.LittleEndian.Uint32(head[12:]), 5 // flags and the kind of section
	if op == opQuery {
		skip = 4
		for body[skip] != 0 {
			skip++
		}
		skip += 9
	}
	elements, err := bson.Raw(body[skip:]).Elements()
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.asked = append(f.asked, bytes.Clone(body[skip:]))
	f.mu.Unlock()
	doc, err := bson.Marshal(f.answers(testbed.Addr(f.port), elements[0].Key()))
	if err != nil {
		return err
	}
	prefix, code := make([]byte, 5), uint32(opMsg)
	if op == opQuery {
		prefix, code = make([]byte, 20), opReply
		binary.LittleEndian.PutUint32(prefix[16:], 1)
	}
	out := binary.LittleEndian.AppendUint32(nil, uint32(16+len(prefix)+len(doc)))
	out = append(out, 0, 0, 0, 0)
	out = append(out, head[4:8]...)
	out = binary.LittleEndian.AppendUint32(out, code)
	_, err = c.Write(append(append(out, prefix...), doc...))
	return err
}

// hello is the answer to hello, with more fields.
func hello(more ...bson.E) bson.D {
	return append(bson.D{
		{Key: "helloOk", Value: true}, {Key: "maxBsonObjectSize", Value: 16 << 20}, {Key: "maxMessageSizeBytes", Value: 48 << 20},
		{Key: "maxWriteBatchSize", Value: 1000}, {Key: "minWireVersion", Value: 0}, {Key: "maxWireVersion", Value: 21}, {Key: "ok", Value: 1},
	}, more...)
}

func refuse(code int, name, message string) bson.D {
	return bson.D{{Key: "ok", Value: 0}, {Key: "code", Value: code}, {Key: "codeName", Value: name}, {Key: "errmsg", Value: message}}
}

// plays is a server with the given hello and special answers by command.
func plays(greeting func(self string) bson.D, special map[string]bson.D) func(self, command string) bson.D {
	return func(self, command string) bson.D {
		if d, ok := special[command]; ok {
			return d
		}
		switch command {
		case "hello", "isMaster", "ismaster":
			return greeting(self)
		case "saslStart":
			return bson.D{{Key: "ok", Value: 1}, {Key: "conversationId", Value: 1}, {Key: "done", Value: true}, {Key: "payload", Value: bson.Binary{}}}
		case "listCollections":
			return bson.D{{Key: "ok", Value: 1}, {Key: "cursor", Value: bson.D{
				{Key: "id", Value: int64(0)}, {Key: "ns", Value: "shop.$cmd.listCollections"},
				{Key: "firstBatch", Value: bson.A{bson.D{{Key: "name", Value: "orders"}, {Key: "type", Value: "collection"}}}},
			}}}
		case "buildInfo":
			return bson.D{{Key: "ok", Value: 1}, {Key: "version", Value: "7.0.5"}}
		}
		return bson.D{{Key: "ok", Value: 1}}
	}
}

// member is a member of the set rs0, whose other members are named.
func member(primary bool, others ...string) func(self string) bson.D {
	return func(self string) bson.D {
		hosts := bson.A{self}
		for _, o := range others {
			hosts = append(hosts, o)
		}
		d := hello(bson.E{Key: "isWritablePrimary", Value: primary}, bson.E{Key: "secondary", Value: !primary},
			bson.E{Key: "setName", Value: "rs0"}, bson.E{Key: "setVersion", Value: 1}, bson.E{Key: "hosts", Value: hosts}, bson.E{Key: "me", Value: self})
		if primary {
			d = append(d, bson.E{Key: "primary", Value: self})
		}
		return d
	}
}

func standalone(string) bson.D { return hello(bson.E{Key: "isWritablePrimary", Value: true}) }

func topologyCases(t *testing.T) []conformance.Case {
	none := cfg{"username": nil, "password": nil}
	start := func(greeting func(string) bson.D, special map[string]bson.D) int {
		return startFake(t, plays(greeting, special)).port
	}
	rs := func(change cfg, primary bool, others ...string) cfg {
		return over(none, at(start(member(primary, others...), nil)), change)
	}
	plain := func(special map[string]bson.D) cfg {
		return byURI("mongodb://app:app-secret@" + testbed.Addr(start(standalone, special)) + "/?authMechanism=PLAIN")
	}
	set, direct := cfg{"replica_set": "rs0"}, cfg{"direct_connection": true}
	version := func(want string) func(*testing.T, connectors.Report, *connectors.Failure) {
		return func(t *testing.T, r connectors.Report, _ *connectors.Failure) {
			if r.ServerVersion != want {
				t.Errorf("version %q, want %q", r.ServerVersion, want)
			}
		}
	}
	old := func(string) bson.D {
		return bson.D{{Key: "isWritablePrimary", Value: true}, {Key: "minWireVersion", Value: 0}, {Key: "maxWireVersion", Value: 4}, {Key: "ok", Value: 1}}
	}
	mongos := func(string) bson.D {
		return hello(bson.E{Key: "isWritablePrimary", Value: true}, bson.E{Key: "msg", Value: "isdbgrid"})
	}
	return []conformance.Case{
		{Name: "replica set", Change: rs(set, true), Check: version("7.0.5, replica set rs0")},
		{Name: "replica set with a member that is away", Change: rs(set, true, "no-such-host.invalid:27017")},
		{Name: "replica set of another name", Change: rs(cfg{"replica_set": "rs1"}, true), Want: connectors.InvalidConfig, Contain: "in the replica set rs0"},
		{Name: "replica set without primary", Change: rs(set, false), Want: connectors.ServerBusy, Contain: "rs0 has no primary"},
		{Name: "replica set of names that do not resolve", Change: rs(set, false, "no-such-host.invalid:27017"), Want: connectors.DNSFailure, Contain: "no-such-host.invalid:27017"},
		{Name: "replica set with a dead seed", Change: byURI("mongodb://" + testbed.Addr(testbed.ClosedPort(t)) + "," + testbed.Addr(start(member(true), nil)) + "/?replicaSet=rs0")},
		{Name: "secondary alone", Change: rs(direct, false), Warning: "read_only"},
		{Name: "secondary is good enough", Change: byURI("mongodb://" + testbed.Addr(start(member(false), nil)) + "/?replicaSet=rs0&readPreference=secondary")},
		{Name: "sharded cluster", Change: over(none, at(start(mongos, nil))), Check: version("7.0.5, sharded cluster")},
		{Name: "server that is too old", Change: over(none, at(start(old, nil))), Want: connectors.ProtocolMismatch, Contain: "version"},
		{Name: "PLAIN without TLS", Change: plain(nil), Warning: "plaintext_credentials"},
		{Name: "login refused by Atlas", Change: plain(map[string]bson.D{"saslStart": refuse(8000, "AtlasError", "bad auth")}), Want: connectors.AuthFailed},
		{Name: "mechanism refused", Change: plain(map[string]bson.D{"saslStart": refuse(334, "MechanismUnavailable", "Unsupported mechanism PLAIN")}), Want: connectors.AuthUnsupported, Contain: "PLAIN"},
		{Name: "limited rights", Change: plain(map[string]bson.D{"listCollections": refuse(13, "Unauthorized", "not authorized on shop")}), Want: connectors.PermissionDenied, Stage: connectors.StageSelect},
		{Name: "server that shuts down", Change: plain(map[string]bson.D{"listCollections": refuse(91, "ShutdownInProgress", "shutting down")}), Want: connectors.ServerBusy},
	}
}
