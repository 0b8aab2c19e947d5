package conformance

import (
	"context"
	"errors"
	"testing"

	"github.com/backplane/backplane/connectors"
)

// rightsCases tell what each privilege may do in its own database.
func rightsCases() []provisionerCase {
	return []provisionerCase{
		{"an owner reaches what other owners make", ownersShare},
		{"read-write changes data but not structure", readWrite},
		{"read-only reads and nothing else", readOnly},
		{"what owners make later is reached by logins made before", laterPlaces},
		{"a privilege can be changed", changePrivilege},
		{"a frozen owner reads but cannot write until thawed", func(x *trial) { freeze(x, connectors.Owner) }},
		{"a frozen read-write login reads but cannot write until thawed", func(x *trial) { freeze(x, connectors.ReadWrite) }},
		{"a login may be made frozen", madeFrozen},
		{"what a frozen owner made stays usable", frozenBelongings},
	}
}

func ownersShare(x *trial) {
	db := x.database()
	before := x.enter(x.login(db, connectors.Owner))
	x.keep(before, "goods", "tea", "green")
	after := x.enter(x.login(db, connectors.Owner))
	x.keep(after, "later", "tea", "white")
	for _, s := range []Session{before, after} {
		for _, place := range []string{"goods", "later"} {
			x.good("write", s.Put(x.ctx, place, "coffee", "black"))
			x.holds(s, place, "coffee", "black")
			x.good("alter", s.Alter(x.ctx, place))
		}
	}
	x.good("drop what the other made", before.Drop(x.ctx, "later"))
	x.good("drop what the other made", after.Drop(x.ctx, "goods"))
}

func readWrite(x *trial) {
	db := x.database()
	owner := x.enter(x.login(db, connectors.Owner))
	x.keep(owner, "goods", "tea", "green")
	s := x.enter(x.login(db, connectors.ReadWrite))
	x.holds(s, "goods", "tea", "green")
	x.good("write", s.Put(x.ctx, "goods", "coffee", "black"))
	x.good("replace", s.Put(x.ctx, "goods", "tea", "white"))
	x.good("delete", s.Delete(x.ctx, "goods", "coffee"))
	x.holds(owner, "goods", "tea", "white")
	x.holds(owner, "goods", "coffee", "")
	if x.s.OwnersStructure {
		x.keepsStructure(s)
	}
}

// keepsStructure fails the case when a session makes, alters or drops places.
func (x *trial) keepsStructure(s Session) {
	x.Helper()
	x.refused("making a place", s.Make(x.ctx, "mine"))
	x.refused("altering a place", s.Alter(x.ctx, "goods"))
	x.refused("dropping a place", s.Drop(x.ctx, "goods"))
}

// onlyReads fails the case unless a session reads goods and cannot change it.
func (x *trial) onlyReads(s Session, key, want string) {
	x.Helper()
	x.holds(s, "goods", key, want)
	x.refused("writing", s.Put(x.ctx, "goods", "new", "x"))
	x.refused("replacing", s.Put(x.ctx, "goods", key, "x"))
	x.refused("deleting", s.Delete(x.ctx, "goods", key))
	x.holds(s, "goods", key, want)
	if x.s.OwnersStructure {
		x.keepsStructure(s)
	}
}

func readOnly(x *trial) {
	db := x.database()
	owner := x.enter(x.login(db, connectors.Owner))
	x.keep(owner, "goods", "tea", "green")
	s := x.enter(x.login(db, connectors.ReadOnly))
	x.onlyReads(s, "tea", "green")
	x.good("the owner writes", owner.Put(x.ctx, "goods", "tea", "white"))
	x.holds(s, "goods", "tea", "white")
}

func laterPlaces(x *trial) {
	db := x.database()
	reader, writer := x.enter(x.login(db, connectors.ReadOnly)), x.enter(x.login(db, connectors.ReadWrite))
	for i := range 2 { // the second owner comes last of all
		place := numbered("place", i)
		x.keep(x.enter(x.login(db, connectors.Owner)), place, "tea", "green")
		x.holds(reader, place, "tea", "green")
		x.refused("writing", reader.Put(x.ctx, place, "tea", "x"))
		x.good("write", writer.Put(x.ctx, place, "tea", "white"))
		x.holds(reader, place, "tea", "white")
	}
}

func changePrivilege(x *trial) {
	db := x.database()
	x.keep(x.enter(x.login(db, connectors.Owner)), "goods", "tea", "green")
	l := x.login(db, connectors.ReadOnly)
	x.onlyReads(x.enter(l), "tea", "green")

	l.Privilege = connectors.ReadWrite
	x.put(l)
	s := x.enter(l)
	x.good("write as read-write", s.Put(x.ctx, "goods", "tea", "white"))
	if x.s.OwnersStructure {
		x.keepsStructure(s)
	}

	l.Privilege = connectors.Owner
	x.put(l)
	s = x.enter(l)
	x.keep(s, "mine", "tea", "black")
	x.good("alter as owner", s.Alter(x.ctx, "goods"))

	l.Privilege = connectors.ReadOnly
	x.put(l)
	x.good("cut", x.server.CutSessions(x.ctx, db, l.User))
	s = x.enter(l)
	x.onlyReads(s, "tea", "white")
	x.holds(s, "mine", "tea", "black")
	x.refused("writing what it made itself", s.Put(x.ctx, "mine", "tea", "x"))
}

// freeze takes the right to write away and gives it back. Sessions that are
// open when a login freezes are cut by whoever freezes it.
func freeze(x *trial, p connectors.Privilege) {
	db := x.database()
	keeper := x.enter(x.login(db, connectors.Owner))
	x.keep(keeper, "goods", "tea", "green")
	l := x.login(db, p)
	open := x.enter(l)
	x.holds(open, "goods", "tea", "green")

	for range 2 {
		l.Frozen = true
		x.put(l)
		x.good("cut", x.server.CutSessions(x.ctx, db, l.User))
		x.ended(open)
		s := x.enter(l)
		x.onlyReads(s, "tea", "green")
		x.good("an owner that is not frozen writes", keeper.Put(x.ctx, "goods", "tea", "green"))

		l.Frozen = false
		x.put(l)
		open = x.enter(l)
		x.good("write after the thaw", open.Put(x.ctx, "goods", "coffee", "black"))
		if p == connectors.Owner {
			x.good("alter after the thaw", open.Alter(x.ctx, "goods"))
		}
	}
}

func madeFrozen(x *trial) {
	db := x.database()
	x.keep(x.enter(x.login(db, connectors.Owner)), "goods", "tea", "green")
	l := connectors.Login{Database: db, User: x.name("u_"), Password: x.name("Secret-"), Privilege: connectors.Owner, Frozen: true}
	x.put(l)
	x.onlyReads(x.enter(l), "tea", "green")
	x.good("drop the login", x.server.DropLogin(x.ctx, db, l.User))
}

func frozenBelongings(x *trial) {
	db := x.database()
	l := x.login(db, connectors.Owner)
	x.keep(x.enter(l), "goods", "tea", "green")
	l.Frozen = true
	x.put(l)
	other := x.enter(x.login(db, connectors.Owner))
	x.good("write", other.Put(x.ctx, "goods", "tea", "white"))
	x.good("alter", other.Alter(x.ctx, "goods"))
	x.good("drop the frozen login", x.server.DropLogin(x.ctx, db, l.User))
	x.good("drop what it made", other.Drop(x.ctx, "goods"))
}

// escapeCases are those that every engine has, and the engine's own.
func escapeCases(s ProvisionerSubject) []provisionerCase {
	return []provisionerCase{
		{"a tenant cannot enter another's database", trespass},
		{"a tenant cannot escape", func(x *trial) { escape(x, s.Escapes) }},
	}
}

// scene is a victim with a value to keep, and an intruder's own database.
type scene struct {
	victim     connectors.Login
	keeper     Session
	ownDB      string
	place, key string
}

const precious = "what the victim keeps to itself"

func newScene(x *trial) scene {
	victim := x.login(x.database(), connectors.Owner)
	s := scene{victim: victim, keeper: x.enter(victim), ownDB: x.database(), place: "goods", key: "tea"}
	x.keep(s.keeper, s.place, s.key, precious)
	return s
}

// unharmed fails the case when the victim noticed anything.
func (s scene) unharmed(x *trial) {
	x.Helper()
	x.holds(s.keeper, s.place, s.key, precious)
	x.good("the victim writes", s.keeper.Put(x.ctx, s.place, "after", "x"))
	x.holds(x.enter(s.victim), s.place, s.key, precious)
	if n, err := s.keeper.Count(x.ctx, s.place); err != nil || n != 2 {
		x.Errorf("the victim has %d values, %v", n, err)
	}
}

func trespass(x *trial) {
	sc := newScene(x)
	for _, p := range connectors.Privileges() {
		l := x.login(sc.ownDB, p)
		l.Database = sc.victim.Database
		s, err := x.s.LogIn(x.ctx, l)
		if err != nil {
			continue
		}
		// The server asks for rights later than at login.
		_, err = s.Get(x.ctx, sc.place, sc.key)
		x.refused(string(p)+" reading another's value", err)
		x.refused(string(p)+" writing another's value", s.Put(x.ctx, sc.place, sc.key, "x"))
		_, err = s.Count(x.ctx, sc.place)
		x.refused(string(p)+" counting another's values", err)
		x.refused(string(p)+" dropping another's place", s.Drop(x.ctx, sc.place))
		s.Close() //nolint:errcheck
	}
	sc.unharmed(x)
}

// escape lets logins of each privilege try everything, and looks after each
// attempt whether anybody was harmed.
func escape(x *trial, list []Escape) {
	sc := newScene(x)
	var logins []connectors.Login
	for _, p := range connectors.Privileges() {
		logins = append(logins, x.login(sc.ownDB, p))
	}
	victim := sc.victim
	victim.Password = ""
	admin := x.admin(nil)
	for _, f := range x.s.Provisioner.Spec().Fields {
		if f.Sealed() {
			delete(admin, f.Name)
		}
	}
	before := x.inventory()
	for _, e := range list {
		x.Run("to "+e.Name, func(t *testing.T) {
			x := x.within(t)
			for _, self := range logins {
				err := e.Try(x.ctx, Attack{Session: x.enter(self), Self: self, Victim: victim, Place: sc.place, Key: sc.key, Admin: admin, LogIn: x.logInOnce})
				if !errors.Is(err, ErrNothing) {
					x.refused("with "+string(self.Privilege)+": to "+e.Name, err)
				}
			}
			x.same(x.inventory(), before)
			sc.unharmed(x)
			x.good("the administrator logs in", x.openWith(nil))
		})
	}
}

// logInOnce opens a session for an escape, until the case ends.
func (x *trial) logInOnce(ctx context.Context, l connectors.Login) (Session, error) {
	s, err := x.s.LogIn(ctx, l)
	if err == nil {
		x.Cleanup(func() { s.Close() }) //nolint:errcheck
	}
	return s, err
}
