package redis

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// HasLogin reports whether the server has a user of the name.
func (s *server) HasLogin(ctx context.Context, _, user string) (bool, error) {
	v, err := s.client.do(ctx, "ACL", "GETUSER", user)
	return !v.null && err == nil, s.failure(err)
}

// PutLogin makes an ACL user for the database, or makes one anew in a single
// step. Sessions stay open.
func (s *server) PutLogin(ctx context.Context, l connectors.Login) error {
	if err := s.checkLogin(l); err != nil {
		return err
	}
	if err := s.learn(ctx); err != nil {
		return s.failure(err)
	}
	found, err := s.client.all(ctx, []string{"HEXISTS", registry, l.Database}, []string{"ACL", "GETUSER", l.User})
	if err != nil {
		return s.failure(err)
	}
	for _, v := range found {
		if err := v.err(); err != nil {
			return s.failure(err)
		}
	}
	if found[0].int() == 0 {
		return missing(l.Database)
	}
	if keys := keysOf(found[1]); len(keys) > 0 && !slices.Equal(keys, []string{pattern(l.Database)}) {
		return &connectors.Failure{
			Code: connectors.Internal, Phrase: fmt.Sprintf("Login %q exists already", l.User), Detail: "it is for other keys",
			Err: connectors.ErrExists,
		}
	}
	rules := append([]string{"ACL", "SETUSER", l.User}, aclRules(l, s.version, s.knows)...)
	if _, err := s.client.do(ctx, rules...); err != nil {
		return s.failure(err)
	}
	return s.failure(s.persist(ctx))
}

func (s *server) checkLogin(l connectors.Login) error {
	if err := checkDatabase(l.Database); err != nil {
		return err
	}
	if err := checkName("login", l.User, ""); err != nil {
		return err
	}
	return s.checkOthers(l.User)
}

// checkOthers keeps hands off the users that the server and Backplane need.
func (s *server) checkOthers(user string) error {
	if user != "default" && user != s.c.String("username") {
		return nil
	}
	return &connectors.Failure{
		Code: connectors.Internal, Phrase: fmt.Sprintf("Login %q exists already", user), Detail: "it belongs to the server",
		Err: connectors.ErrExists,
	}
}

// keysOf are the patterns in the answer to ACL GETUSER: an array before version
// 7, with selectors' own beside them since.
func keysOf(user value) []string {
	var keys []string
	for i := 0; i+1 < len(user.list); i += 2 {
		content := user.list[i+1]
		switch user.list[i].text {
		case "keys":
			for _, k := range append(content.texts(), strings.Fields(content.text)...) {
				keys = append(keys, strings.TrimPrefix(k, "~"))
			}
		case "selectors":
			for range content.list {
				keys = append(keys, "") // none of ours
			}
		}
	}
	return keys
}

// learn finds out once what rules the server takes.
func (s *server) learn(ctx context.Context) error {
	if s.known != nil {
		return nil
	}
	if _, err := s.info(ctx); err != nil {
		return err
	}
	v, err := s.client.do(ctx, "COMMAND")
	if err != nil {
		return err
	}
	s.known = commandNames(v)
	return nil
}

// persist makes users outlive a restart of the server: in its file of users, or
// else in its configuration. A server that has neither, or does not let itself
// be told to write, forgets logins when it restarts; who compares what should
// be with what is puts them back.
func (s *server) persist(ctx context.Context) error {
	if !s.asked {
		v, err := s.client.do(ctx, "CONFIG", "GET", "aclfile")
		switch {
		case err == nil && len(v.list) == 2 && v.list[1].text != "":
			s.keep = []string{"ACL", "SAVE"}
		case err == nil:
			s.keep = []string{"CONFIG", "REWRITE"}
		case !isRefusal(err):
			return err
		}
		s.asked = true
	}
	if s.keep == nil {
		return nil
	}
	if _, err := s.client.do(ctx, s.keep...); err != nil && !isRefusal(err) {
		return err
	}
	return nil
}

// DropLogin removes a user; the server closes its connections.
func (s *server) DropLogin(ctx context.Context, _, user string) error {
	if err := s.checkOthers(user); err != nil {
		return err
	}
	v, err := s.client.do(ctx, "ACL", "DELUSER", user)
	if err != nil || v.int() == 0 {
		return s.failure(err)
	}
	return s.failure(s.persist(ctx))
}

// CutSessions closes the connections of a user.
func (s *server) CutSessions(ctx context.Context, _, user string) error {
	if err := s.checkOthers(user); err != nil {
		return err
	}
	_, err := s.client.do(ctx, "CLIENT", "KILL", "USER", user)
	if isRefusal(err) && strings.Contains(err.Error(), "No such user") {
		return nil
	}
	return s.failure(err)
}

// Inventory lists the databases in the registry, and all users but the
// server's own and the administrator's.
func (s *server) Inventory(ctx context.Context) (connectors.Inventory, error) {
	var inv connectors.Inventory
	answers, err := s.client.all(ctx, []string{"HKEYS", registry}, []string{"ACL", "USERS"})
	if err != nil {
		return inv, s.failure(err)
	}
	for _, a := range answers {
		if err := a.err(); err != nil {
			return inv, s.failure(err)
		}
	}
	inv.Databases = answers[0].texts()
	slices.Sort(inv.Databases)
	for _, user := range answers[1].texts() {
		if s.checkOthers(user) == nil {
			inv.Logins = append(inv.Logins, connectors.LoginName{User: user})
		}
	}
	slices.SortFunc(inv.Logins, func(a, b connectors.LoginName) int { return strings.Compare(a.User, b.User) })
	return inv, nil
}
