package mysql

import (
	"cmp"
	"context"
	"strconv"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// HasLogin asks for an account of the name, from wherever it may log in: one
// for a certain host would be preferred to a login from there.
func (s *server) HasLogin(ctx context.Context, _, user string) (bool, error) {
	if checkName("login", user) != nil {
		return false, s.failure(ctx, ctx.Err())
	}
	yes, err := s.is(ctx, "SELECT COUNT(*) > 0 FROM "+s.accounts()+" WHERE User = "+quoteText(user)+s.unlocked())
	return yes, s.failure(ctx, err)
}

// accounts is the table of accounts. What MariaDB calls mysql.user since 10.4 is
// a view of it that takes several times as long.
func (s *server) accounts() string {
	major, rest, _ := strings.Cut(s.version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	m, errMajor := strconv.Atoi(major)
	n, errMinor := strconv.Atoi(minor)
	if s.maria && errMajor == nil && errMinor == nil && (m > 10 || m == 10 && n >= 4) {
		return "mysql.global_priv"
	}
	return "mysql.user"
}

// unlocked leaves out the accounts that DropLogin had to keep on MySQL.
func (s *server) unlocked() string {
	if s.maria {
		return ""
	}
	return " AND account_locked = 'N'"
}

// PutLogin makes the account or changes the one that is there. Rights on a
// database are looked at when a session chooses it: a session that is open keeps
// those it had, and must be cut to lose them.
func (s *server) PutLogin(ctx context.Context, l connectors.Login) error {
	return s.failure(ctx, s.put(ctx, l), l.Password)
}

func (s *server) put(ctx context.Context, l connectors.Login) error {
	if err := checkLogin(l); err != nil {
		return err
	}
	if err := s.mayChange(l.User); err != nil {
		return err
	}
	made := s.empty == l.Database // and so, most likely, the login is not there
	s.empty = ""
	if err := s.makeOrChange(ctx, l, made); err != nil || l.Privilege != connectors.Owner || made {
		return err
	}
	return s.adopt(ctx, l.Database, l.User)
}

// makeOrChange asks first whether there is such an account, unless it most
// likely is new.
func (s *server) makeOrChange(ctx context.Context, l connectors.Login, likelyNew bool) error {
	if !likelyNew {
		list, there, err := s.grants(ctx, l.User)
		if err != nil {
			return err
		}
		if there {
			return s.change(ctx, l, list)
		}
	}
	err := s.exec(ctx, "CREATE USER "+account(l.User)+" IDENTIFIED BY "+quoteText(l.Password))
	if isNumber(err, 1396) { // most likely it is there after all
		list, there, failed := s.grants(ctx, l.User)
		if failed != nil || !there {
			return cmp.Or(failed, err)
		}
		return s.change(ctx, l, list)
	}
	if err != nil {
		return err
	}
	return s.settle(ctx, l, nil)
}

func checkLogin(l connectors.Login) error {
	if err := checkDatabase(l.Database); err != nil {
		return err
	}
	if err := checkName("login", l.User); err != nil {
		return err
	}
	if !l.Privilege.Known() {
		return invalid("There is no privilege %q", l.Privilege)
	}
	if l.Password == "" { // would let everybody in
		return invalid("The password of a login may not be empty")
	}
	return nil
}

// change brings an account that is there to what was asked for.
func (s *server) change(ctx context.Context, l connectors.Login, list []grant) error {
	if foreign(list, l.Database) {
		return exists("Login", l.User)
	}
	if err := s.settle(ctx, l, list); err != nil {
		return err
	}
	return s.exec(ctx, "ALTER USER "+account(l.User)+" IDENTIFIED BY "+quoteText(l.Password)+" ACCOUNT UNLOCK")
}

// DropLogin removes an account unless it is that of something else. Sessions
// are ended when nobody can open another.
func (s *server) DropLogin(ctx context.Context, database, user string) error {
	if checkName("login", user) != nil || checkName("database", database) != nil {
		return s.failure(ctx, ctx.Err())
	}
	if err := s.mayChange(user); err != nil {
		return s.failure(ctx, err)
	}
	return s.failure(ctx, s.drop(ctx, database, user))
}

func (s *server) drop(ctx context.Context, database, user string) error {
	// The usual, in one question: it has rights on the database, in which there
	// is nothing or something.
	own, some, err := s.look(ctx, database, user)
	if err != nil {
		return err
	}
	if !own {
		list, _, err := s.grants(ctx, user)
		if err != nil || foreign(list, database) {
			return err
		}
	}
	left := false
	if some {
		if left, err = s.bequeath(ctx, database, user); err != nil {
			return err
		}
	}
	last := "DROP USER IF EXISTS " + account(user)
	if left {
		last = "ALTER USER " + account(user) + " ACCOUNT LOCK"
	}
	if err := s.exec(ctx, last); err != nil {
		return err
	}
	cut, err := s.kill(ctx, sessionsOf(user))
	if err == nil && cut {
		// What they made since.
		_, err = s.bequeath(ctx, database, user)
	}
	return err
}

// look reports whether a login has rights on its database, and whether there is
// anything in it.
func (s *server) look(ctx context.Context, database, user string) (own, some bool, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM mysql.db WHERE Host = '%' AND Db = "+quoteText(pattern(database))+" AND User = "+quoteText(user)+"), "+
		s.something(database)).Scan(&own, &some)
	return own, some, err
}

// CutSessions ends the sessions of a login; it may open others.
func (s *server) CutSessions(ctx context.Context, _, user string) error {
	if checkName("login", user) != nil {
		return s.failure(ctx, ctx.Err())
	}
	if err := s.mayChange(user); err != nil {
		return s.failure(ctx, err)
	}
	_, err := s.kill(ctx, sessionsOf(user))
	return s.failure(ctx, err)
}

func sessionsOf(user string) func(open) bool { return func(on open) bool { return on.user == user } }
