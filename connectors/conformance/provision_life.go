package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/testbed"
)

// lifeCases tell how databases and logins come, change and go.
func lifeCases() []provisionerCase {
	return []provisionerCase{
		{"the rules are sound", soundRules},
		{"an administrator lacks nothing", lacksNothing},
		{"a new database is usable with the password given", usable},
		{"a service for a login connects", service},
		{"every change twice is the same as once", twice},
		{"what is gone may be dropped", dropGone},
		{"a new password replaces the old one and leaves sessions open", newPassword},
		{"any password works", anyPassword},
		{"cutting sessions ends those of the login alone", cut},
		{"a dropped login is out at once and for good", dropLogin},
		{"what a dropped owner made stays with the other owner", inherit},
		{"two owners that take turns have the same rights", rotate},
		{"a database with open sessions can be dropped", dropOpen},
		{"a database made again is empty", madeAgain},
		{"the size grows", size},
		{"the inventory lists what was made", inventory},
		{"a login cannot be taken over for another database", takeOver},
	}
}

func soundRules(x *trial) {
	r := x.s.Provisioner.Rules()
	if r.EngineType == "" || r.Format == "" {
		x.Errorf("the rules name no engine or no format: %+v", r)
	}
	const template = "<user>:<password>"
	end := x.s.Provisioner.Endpoint(x.admin(nil), "shop")
	if !containsAll(end, template, "://") || !x.s.SharedEndpoint && !containsAll(end, "shop") {
		x.Errorf("endpoint %q", end)
	}
	for _, secret := range x.s.Provisioner.Spec().Secrets(x.admin(nil)) {
		if containsAll(end, secret) {
			x.Errorf("endpoint %q shows a secret", end)
		}
	}
}

func lacksNothing(x *trial) {
	facts, err := x.server.About(x.ctx)
	x.good("about", err)
	if facts.Version == "" || len(facts.Lacks) != 0 {
		x.Errorf("got %+v", facts)
	}
}

func usable(x *trial) {
	db := x.database()
	s := x.enter(x.login(db, connectors.Owner))
	x.keep(s, "goods", "tea", "green")
	x.holds(s, "goods", "tea", "green")
	x.good("replace", s.Put(x.ctx, "goods", "tea", "black"))
	x.holds(s, "goods", "tea", "black")
	if n, err := s.Count(x.ctx, "goods"); err != nil || n != 1 {
		x.Errorf("count %d, %v", n, err)
	}
	x.good("alter", s.Alter(x.ctx, "goods"))
	x.good("delete", s.Delete(x.ctx, "goods", "tea"))
	x.holds(s, "goods", "tea", "")
	x.good("drop", s.Drop(x.ctx, "goods"))
}

// service tests the configuration with which a database is put into the
// catalogue.
func service(x *trial) {
	l := x.login(x.database(), connectors.Owner)
	admin := x.admin(nil)
	c, err := x.s.Provisioner.ConfigFor(admin, l)
	x.good("make a configuration", err)
	spec := x.s.Provisioner.Spec()
	valid, faults := spec.Validate(c, x.s.Env)
	if len(faults) > 0 {
		x.Fatalf("the configuration is refused: %+v", faults)
	}
	if _, f := connectors.Run(x.ctx, x.s.Provisioner, valid, x.s.Env, 0); f != nil {
		x.Fatalf("it does not connect: %v", f)
	}
	for _, secret := range spec.Secrets(admin) {
		if slices.Contains(spec.Secrets(valid), secret) {
			x.Error("it holds a secret of the administrator")
		}
	}
	if again := x.admin(nil); !maps.Equal(textOf(admin), textOf(again)) {
		x.Error("the administrator's configuration was changed")
	}
}

func textOf(c connectors.Config) map[string]string {
	out := map[string]string{}
	for k, v := range c {
		out[k] = fmt.Sprint(v)
	}
	return out
}

func twice(x *trial) {
	db := x.database()
	l := x.login(db, connectors.Owner)
	s := x.enter(l)
	x.keep(s, "goods", "tea", "green")
	x.good("create again", x.server.CreateDatabase(x.ctx, db))
	x.put(l)
	x.holds(s, "goods", "tea", "green")
	x.holds(x.enter(l), "goods", "tea", "green")
	x.good("write after all", s.Put(x.ctx, "goods", "coffee", "black"))
	for range 2 {
		x.good("cut", x.server.CutSessions(x.ctx, db, l.User))
		x.good("drop the login", x.server.DropLogin(x.ctx, db, l.User))
		x.has(db, l.User, true, false)
	}
	for range 2 {
		x.good("drop", x.server.DropDatabase(x.ctx, db))
		x.has(db, l.User, false, false)
	}
}

// has checks what the server says of a database and a login.
func (x *trial) has(db, user string, database, login bool) {
	x.Helper()
	got, err := x.server.HasDatabase(x.ctx, db)
	x.good("ask for the database", err)
	if got != database {
		x.Errorf("HasDatabase %q: %t", db, got)
	}
	got, err = x.server.HasLogin(x.ctx, db, user)
	x.good("ask for the login", err)
	if got != login {
		x.Errorf("HasLogin %q: %t", user, got)
	}
}

func dropGone(x *trial) {
	x.has("nowhere", "u_nobody", false, false)
	x.good("drop a login of no database", x.server.DropLogin(x.ctx, "nowhere", "u_nobody"))
	x.good("cut nobody", x.server.CutSessions(x.ctx, "nowhere", "u_nobody"))
	x.good("drop no database", x.server.DropDatabase(x.ctx, "nowhere"))
	db := x.database()
	l := x.login(db, connectors.Owner)
	x.good("drop the database first", x.server.DropDatabase(x.ctx, db))
	x.good("then its login", x.server.DropLogin(x.ctx, db, l.User))
	x.has(db, l.User, false, false)
}

func newPassword(x *trial) {
	old := x.login(x.database(), connectors.Owner)
	s := x.enter(old)
	x.keep(s, "goods", "tea", "green")
	changed := old
	changed.Password = x.name("Other-")
	x.put(changed)
	x.shut("the old password", old)
	x.good("write in the session that was open", s.Put(x.ctx, "goods", "tea", "black"))
	x.holds(x.enter(changed), "goods", "tea", "black")
}

func anyPassword(x *trial) {
	l := x.login(x.database(), connectors.Owner)
	for _, password := range []string{testbed.NastyPassword, `'; DROP DATABASE postgres; --`, `\`, `\'`, `''`, `"x"`, `$1 :p ?`, `%s%d%%`, `>nopass #x <y`, "пароль密碼", "key 🔑", "a b  c"} {
		l.Password = password
		if err := x.server.PutLogin(x.ctx, l); err != nil && strings.Contains(password, "🔑") {
			x.clearRefusal("password", password, err) // RFC 4013 knows no characters that are so new
			continue
		}
		x.put(l)
		x.enter(l)
		wrong := l
		wrong.Password += "x"
		x.shut("a wrong password", wrong)
	}
}

func cut(x *trial) {
	db := x.database()
	cutOff, other := x.login(db, connectors.Owner), x.login(db, connectors.Owner)
	a, b, stays := x.enter(cutOff), x.enter(cutOff), x.enter(other)
	x.keep(stays, "goods", "tea", "green")
	x.good("cut", x.server.CutSessions(x.ctx, db, cutOff.User))
	for _, s := range []Session{a, b} {
		x.ended(s)
	}
	x.holds(stays, "goods", "tea", "green")
	x.holds(x.enter(cutOff), "goods", "tea", "green")
}

// ended fails the case when a session still reads.
func (x *trial) ended(s Session) {
	x.Helper()
	if x.s.SessionsOutliveLogin {
		return
	}
	if _, err := s.Get(x.ctx, "goods", "tea"); err == nil {
		x.Error("the session goes on")
	} else if x.s.Refused(err) {
		x.Errorf("the session goes on without rights: %v", err)
	}
}

func dropLogin(x *trial) {
	db := x.database()
	l, other := x.login(db, connectors.Owner), x.login(db, connectors.ReadWrite)
	s, stays := x.enter(l), x.enter(other)
	x.keep(s, "goods", "tea", "green")
	x.good("drop the login", x.server.DropLogin(x.ctx, db, l.User))
	x.ended(s)
	x.shut("a dropped login", l)
	x.has(db, l.User, true, false)
	x.holds(stays, "goods", "tea", "green")
}

func inherit(x *trial) {
	db := x.database()
	first := x.login(db, connectors.Owner)
	x.keep(x.enter(first), "goods", "tea", "green")
	second := x.login(db, connectors.Owner)
	reader := x.login(db, connectors.ReadOnly)
	x.good("drop the first owner", x.server.DropLogin(x.ctx, db, first.User))
	s := x.enter(second)
	x.holds(s, "goods", "tea", "green")
	x.holds(x.enter(reader), "goods", "tea", "green")
	x.good("alter", s.Alter(x.ctx, "goods"))
	x.good("write", s.Put(x.ctx, "goods", "tea", "black"))
	x.good("drop", s.Drop(x.ctx, "goods"))
}

func rotate(x *trial) {
	db := x.database()
	a, b := x.login(db, connectors.Owner), x.login(db, connectors.Owner)
	x.keep(x.enter(a), "one", "tea", "green")
	x.keep(x.enter(b), "two", "tea", "black")
	for range 3 {
		a, b = b, a
		a.Password = x.name("Turn-")
		x.put(a)
		s := x.enter(a)
		for _, place := range []string{"one", "two"} {
			x.good("write", s.Put(x.ctx, place, "by", a.User))
			x.holds(x.enter(b), place, "by", a.User)
		}
	}
	x.good("alter what the other made", x.enter(a).Alter(x.ctx, "two"))
	x.good("alter what the other made", x.enter(b).Alter(x.ctx, "one"))
	x.good("drop what the other made", x.enter(a).Drop(x.ctx, "two"))
	x.good("drop what the other made", x.enter(b).Drop(x.ctx, "one"))
}

func dropOpen(x *trial) {
	db := x.database()
	l, reader := x.login(db, connectors.Owner), x.login(db, connectors.ReadOnly)
	s := x.enter(l)
	x.keep(s, "goods", "tea", "green")
	r := x.enter(reader)
	x.holds(r, "goods", "tea", "green")
	x.good("drop", x.server.DropDatabase(x.ctx, db))
	got, err := x.server.HasDatabase(x.ctx, db)
	x.good("ask", err)
	if got {
		x.Error("the database is still there")
	}
	if v, err := r.Get(x.ctx, "goods", "tea"); err == nil && v != "" {
		x.Errorf("a session still reads %q", v)
	}
	x.good("drop the login", x.server.DropLogin(x.ctx, db, l.User))
	x.good("drop the reader", x.server.DropLogin(x.ctx, db, reader.User))
	x.has(db, l.User, false, false)
}

func madeAgain(x *trial) {
	db := x.database()
	first := x.login(db, connectors.Owner)
	x.keep(x.enter(first), "goods", "tea", "green")
	x.good("drop the login", x.server.DropLogin(x.ctx, db, first.User))
	x.good("drop", x.server.DropDatabase(x.ctx, db))
	x.good("create again", x.server.CreateDatabase(x.ctx, db))
	x.shut("a login of the database that was", first)
	s := x.enter(x.login(db, connectors.Owner))
	x.good("make", s.Make(x.ctx, "goods"))
	x.holds(s, "goods", "tea", "")
}

func size(x *trial) {
	if n, exists, err := x.server.Size(x.ctx, "nowhere"); err != nil || exists || n != 0 {
		x.Errorf("size of no database: %d, %t, %v", n, exists, err)
	}
	db := x.database()
	before, exists, err := x.server.Size(x.ctx, db)
	x.good("size", err)
	if !exists || before < 0 {
		x.Errorf("size of an empty database: %d, %t", before, exists)
	}
	s := x.enter(x.login(db, connectors.Owner))
	x.good("make", s.Make(x.ctx, "goods"))
	const pieces, piece = 8, 256 << 10
	for i := range pieces {
		x.good("write", s.Put(x.ctx, "goods", numbered("key", i), noise(int64(i), piece)))
	}
	after, exists, err := x.server.Size(x.ctx, db)
	x.good("size", err)
	if grown := after - before; !exists || grown < pieces*piece/2 {
		x.Errorf("size grew from %d to %d with %d bytes written", before, after, pieces*piece)
	}
}

func inventory(x *trial) {
	before := x.inventory()
	db := x.database()
	owner, reader := x.login(db, connectors.Owner), x.login(db, connectors.ReadOnly)
	other := x.database()
	x.keep(x.enter(owner), "goods", "tea", "green")

	want := connectors.Inventory{Databases: append(slices.Clone(before.Databases), db, other), Logins: slices.Clone(before.Logins)}
	scope := ""
	if x.s.Provisioner.Rules().UsersPerDatabase {
		scope = db
	}
	for _, l := range []connectors.Login{owner, reader} {
		want.Logins = append(want.Logins, connectors.LoginName{Database: scope, User: l.User})
	}
	x.same(x.inventory(), want)

	for _, l := range []connectors.Login{owner, reader} {
		x.good("drop the login", x.server.DropLogin(x.ctx, db, l.User))
	}
	x.good("drop", x.server.DropDatabase(x.ctx, db))
	x.good("drop", x.server.DropDatabase(x.ctx, other))
	x.same(x.inventory(), before)
}

func (x *trial) inventory() connectors.Inventory {
	x.Helper()
	inv, err := x.server.Inventory(x.ctx)
	x.good("inventory", err)
	return inv
}

func (x *trial) same(got, want connectors.Inventory) {
	x.Helper()
	for _, inv := range []*connectors.Inventory{&got, &want} {
		slices.Sort(inv.Databases)
		slices.SortFunc(inv.Logins, compareLogins)
	}
	if !slices.Equal(got.Databases, want.Databases) {
		x.Errorf("databases %q, want %q", got.Databases, want.Databases)
	}
	if !slices.Equal(got.Logins, want.Logins) {
		x.Errorf("logins %q, want %q", got.Logins, want.Logins)
	}
}

// takeOver tries to put a login that is another database's already.
func takeOver(x *trial) {
	if x.s.Provisioner.Rules().UsersPerDatabase {
		sameUserTwice(x)
		return
	}
	first, second := x.database(), x.database()
	l := x.login(first, connectors.Owner)
	x.keep(x.enter(l), "goods", "tea", "green")
	thief := l
	thief.Database, thief.Password = second, x.name("Stolen-")
	if err := x.server.PutLogin(x.ctx, thief); err == nil {
		x.Error("a login of another database was taken over")
	} else if !isExists(err) {
		x.Errorf("want ErrExists, got %v", err)
	}
	x.holds(x.enter(l), "goods", "tea", "green")
}

// sameUserTwice gives two databases a login of the same name.
func sameUserTwice(x *trial) {
	first, second := x.database(), x.database()
	a := x.login(first, connectors.Owner)
	b := a
	b.Database, b.Password = second, x.name("Own-")
	x.put(b)
	x.keep(x.enter(a), "goods", "tea", "green")
	x.keep(x.enter(b), "goods", "tea", "black")
	x.holds(x.enter(a), "goods", "tea", "green")
	crossed := a
	crossed.Database = second
	x.shut("the password of the other database's login", crossed)
	x.good("drop the second", x.server.DropLogin(x.ctx, second, b.User))
	x.holds(x.enter(a), "goods", "tea", "green")
}
