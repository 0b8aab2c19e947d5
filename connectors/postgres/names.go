package postgres

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/backplane/backplane/connectors"
)

// longestName is what the server keeps of a name, in bytes.
const longestName = 63

// Comments on roles tell what they are for: a word, and the database.
const (
	groupMark = "Backplane group of "
	loginMark = "Backplane login of "
	toolMark  = "Backplane tool on "
)

// roles are the groups of a database.
type roles struct{ database, owner, writer, reader string }

func rolesOf(database string) roles {
	return roles{database, derived("o_", database), derived("w_", database), derived("r_", database)}
}

func (r roles) all() []string { return []string{r.owner, r.writer, r.reader} }

// of is the group that gives a login its rights.
func (r roles) of(l connectors.Login) string {
	switch {
	case l.Frozen || l.Privilege == connectors.ReadOnly:
		return r.reader
	case l.Privilege == connectors.ReadWrite:
		return r.writer
	}
	return r.owner
}

// derived puts a prefix before a name. What would be too long ends in a hash of
// the whole.
func derived(prefix, name string) string {
	if len(prefix)+len(name) <= longestName {
		return prefix + name
	}
	sum := sha256.Sum256([]byte(name))
	hash := "_" + hex.EncodeToString(sum[:8])
	cut := name[:longestName-len(prefix)-len(hash)]
	for !utf8.ValidString(cut) {
		cut = cut[:len(cut)-1]
	}
	return prefix + cut + hash
}

// sayable reports whether a name can stand in a statement at all, and is not
// shortened to another by the server.
func sayable(name string) bool {
	return name != "" && len(name) <= longestName && utf8.ValidString(name) && !strings.ContainsFunc(name, unicode.IsControl)
}

// checkDatabase refuses names that no database can have here.
func checkDatabase(name string) error {
	return checkName("database", name, New().Rules().Reserved)
}

// checkUser refuses names that no login can have.
func checkUser(name string) error {
	if strings.HasPrefix(name, "pg_") {
		return badName("login", "names that begin with pg_ are the server's")
	}
	return checkName("login", name, New().Rules().ReservedUsers)
}

func checkName(what, name string, reserved []string) error {
	if !sayable(name) {
		return badName(what, fmt.Sprintf("it must be 1 to %d bytes of text without control characters", longestName))
	}
	for _, r := range reserved {
		if name == r {
			return badName(what, fmt.Sprintf("%q is reserved", name))
		}
	}
	return nil
}

func badName(what, why string) error {
	return &connectors.Failure{Code: connectors.InvalidConfig, Phrase: "Not a name for a " + what, Detail: why}
}

// taken is the failure of a change that met what is not its own.
func taken(what, name string) error {
	return &connectors.Failure{Code: connectors.InvalidConfig, Phrase: fmt.Sprintf("A %s %q exists already", what, name),
		Hint: "It was not made for this. Take another name, or remove it by hand.", Err: connectors.ErrExists}
}

// picture is what the server has of a database and, when one is asked for, a
// login.
type picture struct {
	roles
	exists bool
	holder string            // role that the database belongs to
	marks  map[string]string // comment of each role that is there: groups, tools, the login
	tools  []string          // roles that ran tools on the database
	stale  []string          // those of them that a crash left behind
	groups map[string]string // groups of the database that the login is a member of → who granted that
	owning []string          // the login and its fellows, as far as they own something in the database
	opened bool              // the login has default privileges in the database
	places []string          // databases in which something depends on the login
}

// emptyPicture is that of a database that was just made.
func emptyPicture(database string) *picture {
	p := &picture{roles: rolesOf(database), exists: true, marks: map[string]string{}, groups: map[string]string{}}
	p.holder = p.owner
	for _, role := range p.all() {
		p.marks[role] = groupMark + database
	}
	return p
}

// look takes the picture in one query. user may be "".
func (s *server) look(ctx context.Context, database, user string) (*picture, error) {
	p := &picture{roles: rolesOf(database), marks: map[string]string{}, groups: map[string]string{}}
	names := make([]string, 0, 4)
	for _, n := range append(p.all(), user) {
		names = append(names, literal(n))
	}
	groups := strings.Join(names[:3], ", ")
	query := `WITH d AS (SELECT oid, datdba FROM pg_database WHERE datname = ` + literal(database) + `),
		r AS (SELECT oid, rolname, rolvaliduntil, coalesce(shobj_description(oid, 'pg_authid'), '') AS mark FROM pg_roles),
		u AS (SELECT oid FROM r WHERE rolname = ` + names[3] + `),
		o AS (SELECT oid FROM r WHERE rolname = ` + names[0] + `)
	SELECT 'database', pg_get_userbyid(datdba)::text, '' FROM d
	UNION ALL SELECT 'role', rolname, mark FROM r WHERE rolname IN (` + groups + `, ` + names[3] + `)
	UNION ALL SELECT 'tool', rolname, (rolvaliduntil < now() AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = rolname))::text
		FROM r WHERE mark = ` + literal(toolMark+database)
	if user != "" {
		query += `
	UNION ALL SELECT 'member', g.rolname, pg_get_userbyid(m.grantor)::text FROM pg_auth_members m
		JOIN r g ON g.oid = m.roleid WHERE m.member IN (SELECT oid FROM u) AND g.rolname IN (` + groups + `)
	UNION ALL SELECT 'owning', r.rolname, '' FROM r WHERE r.mark = ` + literal(loginMark+database) + ` AND EXISTS (
		SELECT FROM pg_shdepend s JOIN d ON s.dbid = d.oid
		WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid = r.oid AND s.deptype = 'o' AND s.classid <> 'pg_default_acl'::regclass)
	UNION ALL SELECT DISTINCT CASE WHEN s.classid = 'pg_default_acl'::regclass THEN 'opened' ELSE 'place' END, b.datname, ''
		FROM pg_shdepend s JOIN pg_database b ON b.oid = s.dbid
		WHERE s.refclassid = 'pg_authid'::regclass AND s.refobjid IN (SELECT oid FROM u)
	UNION ALL SELECT 'place', ` + literal(database) + `, '' FROM pg_shdepend s, d
		WHERE s.dbid = 0 AND s.refclassid = 'pg_authid'::regclass AND s.refobjid IN (SELECT oid FROM u)`
	}
	return p, s.main.rows(ctx, query, func(r *sql.Rows) error {
		var kind, name, more string
		if err := r.Scan(&kind, &name, &more); err != nil {
			return err
		}
		p.add(kind, name, more)
		return nil
	})
}

// add takes one row of what look asks for.
func (p *picture) add(kind, name, more string) {
	switch kind {
	case "database":
		p.exists, p.holder = true, name
	case "role":
		p.marks[name] = more
	case "tool":
		p.tools = append(p.tools, name)
		if more == "true" {
			p.stale = append(p.stale, name)
		}
	case "member":
		p.groups[name] = more
	case "owning":
		p.owning = append(p.owning, name)
	case "opened":
		p.opened = p.opened || name == p.database
		p.place(name)
	case "place":
		p.place(name)
	}
}

// place remembers a database once.
func (p *picture) place(name string) {
	for _, known := range p.places {
		if known == name {
			return
		}
	}
	p.places = append(p.places, name)
}

// ours reports whether the database was made here.
func (p *picture) ours() bool { return p.exists && p.holder == p.owner && p.isGroup(p.owner) }

func (p *picture) isGroup(role string) bool { return p.marks[role] == groupMark+p.database }
func (p *picture) isLogin(role string) bool { return p.marks[role] == loginMark+p.database }

// has reports whether there is a role of the name.
func (p *picture) has(role string) bool { _, ok := p.marks[role]; return ok }
