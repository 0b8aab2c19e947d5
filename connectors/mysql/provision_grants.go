package mysql

import (
	"context"
	"slices"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// allPrivileges is how grants say all rights but GRANT OPTION.
const allPrivileges = "ALL PRIVILEGES"

// privileges are the rights of a login on its database.
//
// Who only reads may not EXECUTE: routines work with the rights of who defined
// them, and so may write. A frozen owner keeps REFERENCES, which alone allows
// nothing, so that it can be told from others: see heir.
func privileges(l connectors.Login) []string {
	switch {
	case l.Privilege == connectors.Owner && l.Frozen:
		return []string{"SELECT", "SHOW VIEW", "REFERENCES"}
	case l.Privilege == connectors.Owner:
		return []string{allPrivileges}
	case l.Privilege == connectors.ReadWrite && !l.Frozen:
		return []string{"SELECT", "INSERT", "UPDATE", "DELETE", "EXECUTE", "SHOW VIEW", "CREATE TEMPORARY TABLES", "LOCK TABLES"}
	default:
		return []string{"SELECT", "SHOW VIEW"}
	}
}

// grant is a line of SHOW GRANTS.
type grant struct {
	text   string   // without GRANT and TO …, to be revoked as it is
	rights []string // nil for a role
	object string   // such as `db`.*; "" for a role
	option bool     // with the right to hand it on
}

// parseGrant reads a line about a login; false for lines that grant nothing.
func parseGrant(line, user string) (grant, bool) {
	text, ok := strings.CutPrefix(line, "GRANT ")
	if !ok {
		return grant{}, false
	}
	// MySQL 5.7 writes accounts as texts.
	for _, who := range []string{quoteName(user) + "@" + quoteName("%"), account(user)} {
		if before, after, found := cutLast(text, " TO "+who); found {
			g := grant{text: before, option: strings.Contains(after, "WITH GRANT OPTION")}
			if rights, object, found := cutOn(before); found {
				g.rights, g.object = strings.Split(rights, ", "), object
			}
			return g, !g.empty()
		}
	}
	return grant{}, false
}

func (g grant) empty() bool { return len(g.rights) == 1 && g.rights[0] == "USAGE" && !g.option }

// cutOn cuts at the word ON outside of names.
func cutOn(s string) (rights, object string, found bool) {
	quoted := false
	for i := range len(s) {
		if s[i] == '`' {
			quoted = !quoted
		}
		if !quoted && strings.HasPrefix(s[i:], " ON ") {
			return s[:i], s[i+len(" ON "):], true
		}
	}
	return s, "", false
}

// on reports whether a grant is on a database or on something in it.
func (g grant) on(database string) bool {
	object := g.object
	for _, kind := range []string{"PROCEDURE ", "FUNCTION ", "PACKAGE BODY ", "PACKAGE "} {
		object = strings.TrimPrefix(object, kind)
	}
	return object == quoteName(pattern(database))+".*" || strings.HasPrefix(object, quoteName(database)+".")
}

// routine reports whether a grant is on a routine: the server gives it to who
// makes one.
func (g grant) routine() bool { return g.object != "" && g.object[0] != '`' && g.object[0] != '*' }

// grants reads what a login may do; false when there is no such login.
func (s *server) grants(ctx context.Context, user string) ([]grant, bool, error) {
	lines, err := s.list(ctx, "SHOW GRANTS FOR "+account(user))
	if isNumber(err, 1141) || isNumber(err, 1133) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var out []grant
	for _, line := range lines {
		if g, ok := parseGrant(line, user); ok {
			out = append(out, g)
		}
	}
	return out, true, nil
}

// foreign reports whether rights are of a login that is for something else than
// the database.
func foreign(list []grant, database string) bool {
	return len(list) > 0 && !slices.ContainsFunc(list, func(g grant) bool { return g.on(database) })
}

// settle brings the rights of a login to what it should have. What stays is
// never taken away meanwhile: its sessions are at work.
func (s *server) settle(ctx context.Context, l connectors.Login, list []grant) error {
	want := privileges(l)
	whole := quoteName(pattern(l.Database)) + ".*"
	var have []string
	for _, g := range list {
		if g.object == whole {
			have = g.rights
		}
	}
	if !same(have, want) {
		if err := s.exec(ctx, "GRANT "+strings.Join(want, ", ")+" ON "+whole+" TO "+account(l.User)); err != nil {
			return err
		}
	}
	for _, g := range list {
		take := g.text
		if g.object == whole {
			surplus, err := s.surplus(ctx, l, g.rights, want)
			if err != nil {
				return err
			}
			take = ""
			if len(surplus) > 0 {
				take = strings.Join(surplus, ", ") + " ON " + whole
			}
		} else if g.routine() && g.on(l.Database) && want[0] == allPrivileges {
			continue
		}
		if err := s.take(ctx, l.User, take, g); err != nil {
			return err
		}
	}
	return nil
}

// take revokes, and the right to hand on with it.
func (s *server) take(ctx context.Context, user, what string, g grant) error {
	var list []string
	if what != "" {
		list = append(list, what)
	}
	if g.option && g.object != "" {
		list = append(list, "GRANT OPTION ON "+g.object)
	}
	for _, what := range list {
		if err := s.exec(ctx, "REVOKE "+what+" FROM "+account(user)); err != nil && !isNumber(err, 1141) && !isNumber(err, 1147) && !isNumber(err, 1403) {
			return err
		}
	}
	return nil
}

// surplus are the rights on the database that a login has and should not have.
func (s *server) surplus(ctx context.Context, l connectors.Login, have, want []string) ([]string, error) {
	if want[0] == allPrivileges {
		return nil, nil
	}
	if slices.Contains(have, allPrivileges) {
		// Which these are differs between versions.
		var err error
		have, err = s.list(ctx, "SELECT PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES WHERE GRANTEE = "+
			quoteText("'"+l.User+"'@'%'")+" AND TABLE_SCHEMA = "+quoteText(pattern(l.Database)))
		if err != nil {
			return nil, err
		}
	}
	return slices.DeleteFunc(slices.Clone(have), func(p string) bool { return slices.Contains(want, p) }), nil
}

// same reports whether two lists hold the same rights.
func same(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}
