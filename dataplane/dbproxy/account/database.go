package account

import "strings"

// Verdict says whether an account may use a database.
type Verdict uint8

// The verdicts.
const (
	Allowed    Verdict = iota
	NoAccess           // error 1044: no right there
	NoDatabase         // error 1049: there is no such database
)

// String says it in words.
func (v Verdict) String() string {
	switch v {
	case Allowed:
		return "allowed"
	case NoAccess:
		return "no access to the database"
	}
	return "no such database"
}

// AllowsDatabase tells whether who was found may use a database: by a global
// privilege, a grant, or one of these of a default role or of PUBLIC. As with
// servers only who has a right learns that a database does not exist. With
// stripEscapes (strip_db_esc) the database of a grant on a table, column or
// routine may be written with the escapes of a pattern.
//
// Where the table does not hold all there is to know, the answer is Allowed
// and the backend decides.
func (t *Table) AllowsDatabase(m Match, database string, stripEscapes bool) Verdict {
	if m.Account == nil {
		return NoAccess
	}
	if strings.EqualFold(database, "information_schema") {
		return Allowed
	}
	if t.data.Product == MySQL && strings.EqualFold(database, "performance_schema") {
		return Allowed
	}
	if !t.mayUse(m, t.folded(m, database), stripEscapes) {
		return NoAccess
	}
	if t.data.Complete && !t.exists(m, database) {
		return NoDatabase
	}
	return Allowed
}

// folded is fold, also where it is the client's listener that wants it.
func (t *Table) folded(m Match, name string) string {
	if m.fold {
		return strings.ToLower(name)
	}
	return t.fold(name)
}

func (t *Table) exists(m Match, database string) bool {
	if _, exists := t.databases[t.fold(database)]; exists || !m.fold {
		return exists
	}
	for name := range t.databases {
		if strings.EqualFold(name, database) {
			return true
		}
	}
	return false
}

func (t *Table) mayUse(m Match, database string, stripEscapes bool) bool {
	a := m.Account
	if a.Privileges&onDatabases != 0 || len(t.data.Unread) > 0 {
		return true
	}
	if t.becomes[a.Name] && a.external() {
		return true // who it becomes is known when the login is done
	}
	own := func(g *grant) bool {
		if g.Host == "" && t.roles[g.Name] != nil {
			return false // of a role that is called like the user
		}
		return g.Host == a.Host || (m.from != nil && g.host.matches(m.from))
	}
	if t.granted(m, a.User, database, stripEscapes, own) {
		return true
	}
	// Grants on databases, unlike others, can be for users of any name.
	anyone := func(g *grant) bool { return !g.Literal && own(g) }
	if a.User != "" && t.granted(m, "", database, stripEscapes, anyone) {
		return true
	}
	for _, role := range t.activeRoles(a) {
		if r := t.roles[role]; r != nil && r.Privileges&onDatabases != 0 {
			return true
		}
		if t.granted(m, role.User, database, stripEscapes, func(g *grant) bool { return g.Name == role }) {
			return true
		}
	}
	return false
}

// granted tells whether one of the grants of a user that count is for a
// database.
func (t *Table) granted(m Match, user, database string, stripEscapes bool, counts func(*grant) bool) bool {
	list := t.grants[user]
	for i := range list {
		g := &list[i]
		name := t.folded(m, g.Database)
		hit := false
		switch {
		case !g.Literal:
			hit = like(name, database)
		case stripEscapes:
			hit = name == database || unescape(name) == database
		default:
			hit = name == database
		}
		if hit && counts(g) {
			return true
		}
	}
	return false
}

// activeRoles are the roles that a login of a switches on, with the roles that
// these have: the default roles, as far as they are granted, and PUBLIC.
func (t *Table) activeRoles(a *Account) []Name {
	var todo []Name
	for _, role := range a.DefaultRoles {
		for _, has := range t.members[a.Name] {
			if has == role {
				todo = append(todo, role)
				break
			}
		}
	}
	if t.data.Product == MariaDB {
		todo = append(todo, public)
	}
	seen := map[Name]bool{}
	var active []Name
	for len(todo) > 0 {
		role := todo[0]
		todo = todo[1:]
		if seen[role] {
			continue
		}
		seen[role] = true
		active = append(active, role)
		todo = append(todo, t.members[role]...)
	}
	return active
}
