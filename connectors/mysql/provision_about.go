package mysql

import (
	"context"
	"strings"

	"github.com/backplane/backplane/connectors"
)

// About reads the version, and the rights from the grants of this session.
func (s *server) About(ctx context.Context) (connectors.ServerFacts, error) {
	lines, err := s.list(ctx, "SHOW GRANTS")
	if err != nil {
		return connectors.ServerFacts{}, s.failure(ctx, err)
	}
	return connectors.ServerFacts{Version: s.version, Lacks: lacks(lines)}, nil
}

// need is a right that an administrator needs on the whole server, with the
// names under which versions know it.
type need []string

// needs are the rights, the ones that logins are given included: nobody can
// give what he has not.
func needs() []need {
	list := []need{
		{"CREATE USER"},
		{"PROCESS"}, // to see the sessions of others
		{"CONNECTION ADMIN", "CONNECTION_ADMIN", "SUPER"},       // to end them
		{"SET USER", "SET_USER_ID", "SET_ANY_DEFINER", "SUPER"}, // to give routines to another login
	}
	for _, p := range databasePrivileges() {
		list = append(list, need{p})
	}
	return list
}

// databasePrivileges are the rights on a database that all versions know.
func databasePrivileges() []string {
	return []string{
		"SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER", "CREATE TEMPORARY TABLES",
		"LOCK TABLES", "EXECUTE", "CREATE VIEW", "SHOW VIEW", "CREATE ROUTINE", "ALTER ROUTINE", "EVENT", "TRIGGER",
	}
}

// lacks names the rights that grants do not give.
func lacks(lines []string) []string {
	has := map[string]bool{}
	for _, line := range lines {
		rights, found := strings.CutPrefix(line, "GRANT ")
		rights, rest, global := strings.Cut(rights, " ON *.* TO ")
		if !found || !global {
			continue
		}
		for _, r := range strings.Split(rights, ",") { // MySQL writes some without a space
			has[strings.TrimSpace(r)] = true
		}
		if strings.Contains(rest, " WITH GRANT OPTION") {
			has["GRANT OPTION"] = true
		}
	}
	var out []string
	for _, n := range append(needs(), need{"GRANT OPTION"}) {
		if !n.met(has) {
			out = append(out, n[0])
		}
	}
	return out
}

func (n need) met(has map[string]bool) bool {
	if has["ALL PRIVILEGES"] && n[0] != "GRANT OPTION" {
		return true
	}
	for _, name := range n {
		if has[name] {
			return true
		}
	}
	return false
}
