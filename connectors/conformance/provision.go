package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backplane/backplane/connectors"
)

// ProvisionerSubject describes an engine on which databases are made, and its
// real server. No other test may make databases or logins on that server while
// the suite runs.
type ProvisionerSubject struct {
	Provisioner connectors.Provisioner
	Env         connectors.Env
	// Admin is the configuration of an administrator on a running server, as
	// decoded from JSON.
	Admin Config
	// WrongPassword lies over Admin; {"password": "wrong"} when nil.
	WrongPassword Config
	// At is Admin aimed at another address, to lie over it.
	At func(host string, port int) Config
	// LogIn opens one session of a login on its database, with the client that
	// the engine's users have. The session lives until it is closed.
	LogIn func(ctx context.Context, l connectors.Login) (Session, error)
	// Refused reports whether an error of a Session says that the login lacks
	// the right: not that the statement is wrong or the connection broken.
	Refused func(err error) bool
	// OwnersStructure is set where only owners may make, alter and drop places.
	OwnersStructure bool
	// SharedEndpoint is set where the endpoint is the same for all databases of
	// a server.
	SharedEndpoint bool
	// Escapes are what a login of one tenant tries against others and the
	// server. The suite itself tries the other's database.
	Escapes []Escape
	// SessionsOutliveLogin is set where the server at hand cannot show that open
	// sessions end when their login is cut or dropped.
	SessionsOutliveLogin bool
	// Stop takes the server down, Start brings it back with its data and lets
	// it run until t ends.
	Stop  func()
	Start func(t *testing.T)
	// Skip names cases that the engine cannot have, with the reason.
	Skip map[string]string
}

// Session is one connection of a login. A place holds values by key: it is a
// table, a collection, or a prefix of keys, and its name is a plain word.
type Session interface {
	// Make makes a place; nothing to do where keys need none. A place that is
	// there already is an error where the engine has places.
	Make(ctx context.Context, place string) error
	// Alter changes the structure of a place, such as adding a column or an
	// index; nothing to do where there is no structure.
	Alter(ctx context.Context, place string) error
	// Drop removes a place with what it holds.
	Drop(ctx context.Context, place string) error
	// Put sets the value of a key, new or not.
	Put(ctx context.Context, place, key, value string) error
	// Get returns the value of a key, "" for a key that is not there.
	Get(ctx context.Context, place, key string) (string, error)
	// Delete removes a key.
	Delete(ctx context.Context, place, key string) error
	// Count is how many keys a place has.
	Count(ctx context.Context, place string) (int, error)
	Close() error
}

// Escape is something that a tenant must not get through with.
type Escape struct {
	Name string
	// Try does it. It returns the server's refusal, for which Refused holds, or
	// ErrNothing when the server answered but gave and changed nothing. Nil
	// means that the tenant escaped; other errors, that the attempt is wrong.
	Try func(ctx context.Context, a Attack) error
}

// Attack is what an intruder has and knows.
type Attack struct {
	Session Session          // the intruder's, on its own database
	Self    connectors.Login // the intruder
	Victim  connectors.Login // an owner of another database; its password is not known
	// Place and Key are where the victim keeps a value.
	Place, Key string
	// Admin is the configuration of the administrator, without its secrets.
	Admin connectors.Config
	// LogIn opens further sessions.
	LogIn func(ctx context.Context, l connectors.Login) (Session, error)
}

// ErrNothing is what an Escape returns when the server answered, but nothing
// was to be had or done.
var ErrNothing = errors.New("the server answered, but gave nothing")

// provisionerCase is one promise of a Provisioner.
type provisionerCase struct {
	name string
	run  func(x *trial)
}

// Provisioner runs the suite that every engine passes on which databases are
// made.
func Provisioner(t *testing.T, s ProvisionerSubject) {
	t.Helper()
	if s.WrongPassword == nil {
		s.WrongPassword = Config{"password": "wrong"}
	}
	var cases []provisionerCase
	for _, list := range [][]provisionerCase{lifeCases(), rightsCases(), escapeCases(s), nameCases(), dumpCases(), faultCases()} {
		cases = append(cases, list...)
	}
	known := map[string]bool{}
	var count atomic.Int64
	for _, c := range cases {
		known[c.name] = true
		if _, skip := s.Skip[c.name]; !skip {
			t.Run(c.name, func(sub *testing.T) { c.run(newTrial(sub, t, s, &count)) })
		}
	}
	for name := range s.Skip {
		if !known[name] {
			t.Errorf("there is no case %q to skip", name)
		}
	}
}

// trialTimeout bounds a case: what takes longer hangs.
const trialTimeout = 2 * time.Minute

// trial is one case at work, with an administrator logged in.
type trial struct {
	*testing.T
	suite  *testing.T // what is started for it lives on after the case
	ctx    context.Context
	s      ProvisionerSubject
	server connectors.DatabaseServer
	count  *atomic.Int64
}

func newTrial(t, suite *testing.T, s ProvisionerSubject, count *atomic.Int64) *trial {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), trialTimeout)
	t.Cleanup(cancel)
	x := &trial{T: t, suite: suite, ctx: ctx, s: s, count: count}
	x.server = x.open()
	return x
}

// within is the same trial for a part of the case.
func (x *trial) within(t *testing.T) *trial {
	part := *x
	part.T = t
	return &part
}

// admin validates the administrator's configuration with a change.
func (x *trial) admin(change Config) connectors.Config {
	x.Helper()
	c, faults := x.s.Provisioner.Spec().Validate(With(x.s.Admin, change), x.s.Env)
	if len(faults) > 0 {
		x.Fatalf("configuration refused: %+v", faults)
	}
	return c
}

// open logs the administrator in until the case ends.
func (x *trial) open() connectors.DatabaseServer {
	x.Helper()
	server, err := x.s.Provisioner.Open(x.ctx, x.s.Env, x.admin(nil))
	x.good("open", err)
	x.Cleanup(func() { server.Close() }) //nolint:errcheck // a broken one is broken on purpose
	return server
}

// good fails the case when an error is none that it expects.
func (x *trial) good(what string, err error) {
	x.Helper()
	if err != nil {
		var f *connectors.Failure
		if errors.As(err, &f) {
			x.Fatalf("%s: %s: %v (hint %q, cause %v)", what, f.Code, err, f.Hint, f.Err)
		}
		x.Fatalf("%s: %v", what, err)
	}
}

// refused fails the case unless the server says that the right is lacking.
func (x *trial) refused(what string, err error) {
	x.Helper()
	if err == nil {
		x.Errorf("%s was allowed", what)
	} else if !x.s.Refused(err) {
		x.Errorf("%s failed, but not for the lack of a right: %v", what, err)
	}
}

// name is a name that no other case uses.
func (x *trial) name(stem string) string { return fmt.Sprintf("%s%d", stem, x.count.Add(1)) }

// database makes a database of its own for the case.
func (x *trial) database() string {
	x.Helper()
	name := x.name("shop")
	x.good("create the database", x.server.CreateDatabase(x.ctx, name))
	x.dropLater(name)
	return name
}

// dropLater removes a database and its logins when the case has ended, over a
// connection of its own: that of the case may be broken.
func (x *trial) dropLater(name string, users ...string) {
	x.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), trialTimeout)
		defer cancel()
		server, err := x.s.Provisioner.Open(ctx, x.s.Env, x.admin(nil))
		x.good("open to clean up", err)
		defer server.Close()
		for _, u := range users {
			x.good("drop the login", server.DropLogin(ctx, name, u))
		}
		x.good("drop the database", server.DropDatabase(ctx, name))
	})
}

// login makes a login on a database.
func (x *trial) login(database string, p connectors.Privilege) connectors.Login {
	x.Helper()
	l := connectors.Login{Database: database, User: x.name("u_"), Password: x.name("Secret-"), Privilege: p}
	x.put(l)
	x.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), trialTimeout)
		defer cancel()
		server, err := x.s.Provisioner.Open(ctx, x.s.Env, x.admin(nil))
		x.good("open to clean up", err)
		defer server.Close()
		x.good("drop the login", server.DropLogin(ctx, l.Database, l.User))
	})
	return l
}

func (x *trial) put(l connectors.Login) {
	x.Helper()
	x.good("put the login "+l.User, x.server.PutLogin(x.ctx, l))
}

// enter logs a login in until the case ends.
func (x *trial) enter(l connectors.Login) Session {
	x.Helper()
	s, err := x.s.LogIn(x.ctx, l)
	x.good("log in as "+string(l.Privilege)+" "+l.User, err)
	x.Cleanup(func() { s.Close() }) //nolint:errcheck // may have been cut
	return s
}

// shut fails the case when a login gets in. A server that asks for the
// database after the login is asked for a value.
func (x *trial) shut(what string, l connectors.Login) {
	x.Helper()
	s, err := x.s.LogIn(x.ctx, l)
	if err == nil {
		s.Close() //nolint:errcheck
		x.Errorf("%s gets in", what)
	}
}

// holds fails the case unless a session reads a value.
func (x *trial) holds(s Session, place, key, want string) {
	x.Helper()
	got, err := s.Get(x.ctx, place, key)
	x.good("read "+key, err)
	if got != want {
		x.Errorf("%s in %s is %.60q, want %.60q", key, place, got, want)
	}
}

// keep makes a place with one value in it.
func (x *trial) keep(s Session, place, key, value string) {
	x.Helper()
	x.good("make "+place, s.Make(x.ctx, place))
	x.good("write "+key, s.Put(x.ctx, place, key, value))
}
