package conformance

import (
	"errors"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// hostileNames break whatever is not quoted.
func hostileNames() []string {
	return []string{
		`a"; DROP ROLE x; --`, `тест`, "a`b", `it's`, `back\slash`, `with space`, `%s%d`, `a.b`, `a-b`, `*`, `~all`, `$1`,
		`select`, `user`, `order`, `database`, `public`, `UPPER`, `_under`, `per_cent`,
		strings.Repeat("n", 63), strings.Repeat("n", 62) + "m", strings.Repeat("n", 64), strings.Repeat("long", 50),
		`'; DROP DATABASE shop; --`, "a`; DROP DATABASE shop; -- ", `{"$ne":1}`, `../up`, "line\nbreak", "zero\x00byte", "",
	}
}

// nameCases tell what becomes of names that hurt.
func nameCases() []provisionerCase {
	return []provisionerCase{
		{"a hostile name of a database is quoted right or refused", hostileDatabases},
		{"a hostile name of a login is quoted right or refused", hostileLogins},
		{"names that differ in a wildcard do not share rights", wildcards},
	}
}

func hostileDatabases(x *trial) {
	guard := newScene(x)
	before := x.inventory()
	for _, name := range hostileNames() {
		err := x.server.CreateDatabase(x.ctx, name)
		if err != nil {
			x.clearRefusal("database", name, err)
			continue
		}
		x.good("create "+name+" again", x.server.CreateDatabase(x.ctx, name))
		l := connectors.Login{Database: name, User: x.name("u_"), Password: x.name("Secret-"), Privilege: connectors.Owner}
		x.put(l)
		x.livesIn(l)
		x.keep(x.enter(l), "goods", "tea", "green")
		r := connectors.Login{Database: name, User: x.name("u_"), Password: x.name("Secret-"), Privilege: connectors.ReadOnly}
		x.put(r)
		s := x.enter(r)
		x.holds(s, "goods", "tea", "green")
		x.refused("writing", s.Put(x.ctx, "goods", "tea", "x"))
		x.has(name, l.User, true, true)
		if _, exists, err := x.server.Size(x.ctx, name); err != nil || !exists {
			x.Errorf("size of %q: %t, %v", name, exists, err)
		}
		x.good("cut", x.server.CutSessions(x.ctx, name, l.User))
		x.good("drop the login", x.server.DropLogin(x.ctx, name, l.User))
		x.good("drop the login", x.server.DropLogin(x.ctx, name, r.User))
		x.good("drop", x.server.DropDatabase(x.ctx, name))
		x.has(name, l.User, false, false)
	}
	x.same(x.inventory(), before)
	guard.unharmed(x)
}

func hostileLogins(x *trial) {
	guard := newScene(x)
	db := x.database()
	x.keep(x.enter(x.login(db, connectors.Owner)), "goods", "tea", "green")
	before := x.inventory()
	for i, user := range hostileNames() {
		p := connectors.Privileges()[i%len(connectors.Privileges())]
		l := connectors.Login{Database: db, User: user, Password: x.name("Secret-"), Privilege: p}
		if err := x.server.PutLogin(x.ctx, l); err != nil {
			x.clearRefusal("login", user, err)
			continue
		}
		x.put(l)
		x.holds(x.enter(l), "goods", "tea", "green")
		l.Privilege = connectors.Owner
		x.put(l)
		x.livesIn(l)
		x.has(db, user, true, true)
		x.good("cut", x.server.CutSessions(x.ctx, db, user))
		x.good("drop the login", x.server.DropLogin(x.ctx, db, user))
		x.has(db, user, true, false)
	}
	x.same(x.inventory(), before)
	guard.unharmed(x)
}

// livesIn fails the case unless a login can use its database.
func (x *trial) livesIn(l connectors.Login) {
	x.Helper()
	s := x.enter(l)
	x.good("make", s.Make(x.ctx, "mine"))
	x.good("write as "+l.User+" in "+l.Database, s.Put(x.ctx, "mine", "tea", "green"))
	x.holds(s, "mine", "tea", "green")
	x.good("drop", s.Drop(x.ctx, "mine"))
}

// clearRefusal fails the case unless an error tells what is wrong with a name.
func (x *trial) clearRefusal(what, name string, err error) {
	x.Helper()
	var f *connectors.Failure
	if !errors.As(err, &f) || f.Code != connectors.InvalidConfig && !errors.Is(err, connectors.ErrExists) {
		x.Errorf("the %s %q is not refused clearly: %v", what, name, err)
	}
	if connectors.MayPass(err) {
		x.Errorf("the refusal of the %s %q looks as if it would pass: %v", what, name, err)
	}
}

// wildcards makes databases whose names would match one another where a server
// takes names of grants for patterns.
func wildcards(x *trial) {
	n := x.name("n")
	names := []string{n + "_b", n + "xb"}
	var logins []connectors.Login
	for i, name := range names {
		x.good("create", x.server.CreateDatabase(x.ctx, name))
		l := connectors.Login{Database: name, User: x.name("u_"), Password: x.name("Secret-"), Privilege: connectors.Owner}
		x.dropLater(name, l.User)
		x.put(l)
		x.keep(x.enter(l), "goods", "tea", numbered("own", i))
		logins = append(logins, l)
	}
	for i, l := range logins {
		l.Database = names[1-i]
		if s, err := x.s.LogIn(x.ctx, l); err == nil {
			_, err := s.Get(x.ctx, "goods", "tea")
			x.refused(l.User+" reading "+l.Database, err)
			s.Close() //nolint:errcheck
		}
	}
}
