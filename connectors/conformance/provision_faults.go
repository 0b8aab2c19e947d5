package conformance

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/testbed"
)

// faultCases tell what happens when the server or the caller does not play
// along. The server is stopped by the last of them.
func faultCases() []provisionerCase {
	return []provisionerCase{
		{"a wrong password is told as such", wrongPassword},
		{"a closed port may pass", closedPort},
		{"a silent server ends with the context and may pass", silentServer},
		{"a denied address is not reached", deniedAddress},
		{"calls end when the context has ended", endedContext},
		{"a load ends with its context", loadCancelled},
		{"a dump ends with its context", dumpCancelled},
		{"errors show no secret", noSecretShown},
		{"a server that is down may pass, and works again when it is back", downAndUp},
	}
}

func (x *trial) openWith(change Config) error {
	x.Helper()
	server, err := x.s.Provisioner.Open(x.ctx, x.s.Env, x.admin(change))
	if err != nil {
		return err
	}
	defer server.Close()
	_, err = server.About(x.ctx)
	return err
}

func (x *trial) code(err error) connectors.Code {
	x.Helper()
	var f *connectors.Failure
	if !errors.As(err, &f) {
		x.Errorf("%v is no Failure", err)
		return ""
	}
	return f.Code
}

func wrongPassword(x *trial) {
	err := x.openWith(x.s.WrongPassword)
	if got := x.code(err); got != connectors.AuthFailed || connectors.MayPass(err) {
		x.Errorf("got %s, %v", got, err)
	}
}

func closedPort(x *trial) {
	err := x.openWith(x.s.At("127.0.0.1", testbed.ClosedPort(x.T)))
	if got := x.code(err); got != connectors.Refused || !connectors.MayPass(err) {
		x.Errorf("got %s, %v", got, err)
	}
}

func silentServer(x *trial) {
	change := x.s.At("127.0.0.1", testbed.SilentPeer(x.T))
	ctx, cancel := context.WithTimeout(x.ctx, time.Second)
	defer cancel()
	server, err := x.s.Provisioner.Open(ctx, x.s.Env, x.admin(change))
	if err == nil {
		_, err = server.About(ctx)
		server.Close() //nolint:errcheck
	}
	if !connectors.MayPass(err) {
		x.Errorf("got %v", err)
	}
}

func deniedAddress(x *trial) {
	env := x.s.Env
	env.Deny = append(slices.Clone(env.Deny), netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	server, err := x.s.Provisioner.Open(x.ctx, env, x.admin(nil))
	if err == nil {
		_, err = server.About(x.ctx)
		server.Close() //nolint:errcheck
	}
	if got := x.code(err); got != connectors.TargetDenied || connectors.MayPass(err) {
		x.Errorf("got %s, %v", got, err)
	}
}

// call is a method with arguments.
type call struct {
	name string
	run  func(ctx context.Context, s connectors.DatabaseServer) error
}

// calls are all methods but Close, on a database and a login.
func calls(db, user string) []call {
	l := connectors.Login{Database: db, User: user, Password: "Secret-1", Privilege: connectors.Owner}
	return []call{
		{"About", func(ctx context.Context, s connectors.DatabaseServer) error { _, err := s.About(ctx); return err }},
		{"HasDatabase", func(ctx context.Context, s connectors.DatabaseServer) error {
			_, err := s.HasDatabase(ctx, db)
			return err
		}},
		{"CreateDatabase", func(ctx context.Context, s connectors.DatabaseServer) error { return s.CreateDatabase(ctx, db) }},
		{"Size", func(ctx context.Context, s connectors.DatabaseServer) error { _, _, err := s.Size(ctx, db); return err }},
		{"HasLogin", func(ctx context.Context, s connectors.DatabaseServer) error {
			_, err := s.HasLogin(ctx, db, user)
			return err
		}},
		{"PutLogin", func(ctx context.Context, s connectors.DatabaseServer) error { return s.PutLogin(ctx, l) }},
		{"CutSessions", func(ctx context.Context, s connectors.DatabaseServer) error { return s.CutSessions(ctx, db, user) }},
		{"Inventory", func(ctx context.Context, s connectors.DatabaseServer) error { _, err := s.Inventory(ctx); return err }},
		{"Dump", func(ctx context.Context, s connectors.DatabaseServer) error { return s.Dump(ctx, db, io.Discard) }},
		{"Load", func(ctx context.Context, s connectors.DatabaseServer) error {
			return s.Load(ctx, db, strings.NewReader("x"))
		}},
		{"DropLogin", func(ctx context.Context, s connectors.DatabaseServer) error { return s.DropLogin(ctx, db, user) }},
		{"DropDatabase", func(ctx context.Context, s connectors.DatabaseServer) error { return s.DropDatabase(ctx, db) }},
	}
}

func endedContext(x *trial) {
	db := x.database()
	l := x.login(db, connectors.Owner)
	ctx, cancel := context.WithCancel(x.ctx)
	cancel()
	for _, c := range calls(db, l.User) {
		server := x.open()
		if err := c.run(ctx, server); !errors.Is(err, context.Canceled) {
			x.Errorf("%s with an ended context: %v", c.name, err)
		}
		server.Close() //nolint:errcheck
	}
	x.enter(l)
}

// loadCancelled loads from a source that says nothing.
func loadCancelled(x *trial) {
	db := x.database()
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancel(x.ctx)
	asked := make(chan struct{})
	done := make(chan error, 1)
	go func() { done <- x.server.Load(ctx, db, &told{r: r, asked: asked}) }()
	<-asked
	cancel()
	x.ends(done)
	x.keep(x.enter(x.login(db, connectors.Owner)), "goods", "tea", "green")
}

// dumpCancelled dumps to a reader that takes no more after the beginning.
func dumpCancelled(x *trial) {
	db := x.database()
	s := x.enter(x.login(db, connectors.Owner))
	x.good("make", s.Make(x.ctx, "goods"))
	for i := range 8 {
		x.good("write", s.Put(x.ctx, "goods", numbered("key", i), noise(int64(i), 1<<20)))
	}
	r, w := io.Pipe()
	defer r.Close()
	ctx, cancel := context.WithCancel(x.ctx)
	done := make(chan error, 1)
	go func() { done <- x.server.Dump(ctx, db, w) }()
	if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
		x.Fatal(err)
	}
	cancel()
	x.ends(done)
}

// ends waits for a cancelled call.
func (x *trial) ends(done <-chan error) {
	x.Helper()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			x.Errorf("the cancelled call returned %v", err)
		}
	case <-time.After(20 * time.Second):
		x.Fatal("the cancelled call goes on")
	}
}

// told tells that somebody reads.
type told struct {
	r     io.Reader
	asked chan struct{}
	once  bool
}

func (t *told) Read(p []byte) (int, error) {
	if !t.once {
		t.once = true
		close(t.asked)
	}
	return t.r.Read(p)
}

// noSecretShown makes calls fail and reads what they say.
func noSecretShown(x *trial) {
	db := x.database()
	l := x.login(db, connectors.Owner)
	l.Password = "Precious-Secret'\"-1"
	l.User = "with\x00zero"
	secrets := append(x.s.Provisioner.Spec().Secrets(x.admin(nil)), l.Password)
	ended, cancel := context.WithCancel(x.ctx)
	cancel()
	errs := []error{x.server.PutLogin(x.ctx, l), x.server.PutLogin(ended, l), x.openWith(x.s.WrongPassword)}
	l.User, l.Database = x.name("u_"), "nowhere"
	other := x.open()
	errs = append(errs, other.PutLogin(x.ctx, l), other.Load(x.ctx, "nowhere", strings.NewReader("x")), other.Dump(x.ctx, "nowhere", io.Discard))
	for _, err := range errs {
		for ; err != nil; err = errors.Unwrap(err) {
			text := err.Error()
			var f *connectors.Failure
			if errors.As(err, &f) {
				text += f.Hint
			}
			for _, s := range secrets {
				if strings.Contains(text, s) {
					x.Errorf("a secret shows in %s", text)
				}
			}
		}
	}
}

func downAndUp(x *trial) {
	db := x.database()
	l := x.login(db, connectors.Owner)
	x.keep(x.enter(l), "goods", "tea", "green")
	list := calls(db, l.User)
	servers := make([]connectors.DatabaseServer, len(list))
	for i := range list {
		servers[i] = x.open()
	}
	x.s.Stop()
	up := false
	back := func() {
		if !up {
			up = true
			x.s.Start(x.suite)
		}
	}
	defer back()
	for i, c := range list {
		ctx, cancel := context.WithTimeout(x.ctx, 20*time.Second)
		if err := c.run(ctx, servers[i]); !connectors.MayPass(err) {
			x.Errorf("%s with the server down: %v", c.name, err)
		}
		cancel()
	}
	if err := x.openWith(nil); !connectors.MayPass(err) {
		x.Errorf("open with the server down: %v", err)
	}
	back()
	x.server = x.open()
	x.has(db, l.User, true, true)
	x.holds(x.enter(l), "goods", "tea", "green")
}
