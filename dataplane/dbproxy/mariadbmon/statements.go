package mariadbmon

import (
	"fmt"
	"strconv"
	"strings"
)

// quote writes a text as a literal of MariaDB's SQL; sessions of the monitor
// have no sql_mode that would read it differently.
func quote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\x00", `\0`).Replace(text) + "'"
}

// quoteName writes the name of a thing.
func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// onLink is a statement about one replication connection. The one without a
// name is the ordinary one.
func onLink(statement, name, rest string) string {
	if name != "" {
		statement += " " + quote(name)
	}
	return statement + rest
}

func stopSlave(name string) string  { return onLink("STOP SLAVE", name, "") }
func startSlave(name string) string { return onLink("START SLAVE", name, "") }

// resetSlave forgets the relay log, with all the connection itself.
func resetSlave(name string, all bool) string {
	if all {
		return onLink("RESET SLAVE", name, " ALL")
	}
	return onLink("RESET SLAVE", name, "")
}

// source is what a replica is told of its master.
type source struct {
	host           string
	port           int
	user, password string
	useGTID        string // slave_pos or current_pos
	demoted        bool   // the replica was a master itself
	ssl            bool
	custom         string
}

// changeMaster directs a replication connection. The password comes before what
// administrators wrote, as a complaint of the server quotes from where it is on.
func changeMaster(name string, s source) string {
	var b strings.Builder
	fmt.Fprintf(&b, " TO MASTER_HOST=%s, MASTER_PORT=%d, MASTER_USER=%s, MASTER_PASSWORD=%s, MASTER_USE_GTID=%s",
		quote(s.host), s.port, quote(s.user), quote(s.password), s.useGTID)
	if s.demoted {
		b.WriteString(", MASTER_DEMOTE_TO_SLAVE=1")
	}
	if s.ssl {
		b.WriteString(", MASTER_SSL=1")
	}
	if s.custom != "" {
		b.WriteString(", " + s.custom)
	}
	return onLink("CHANGE MASTER", name, b.String())
}

// canDemote tells whether a server knows how to take over its own binary log
// as its position as a replica (MASTER_DEMOTE_TO_SLAVE, MariaDB 10.10).
func canDemote(version string) bool {
	parts := strings.SplitN(version, ".", 3)
	if len(parts) < 3 {
		return false
	}
	major, err1 := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (major > 10 || major == 10 && minor >= 10)
}

// sqlLines are the statements of a file: one a line, without empty lines and
// those that begin with #.
func sqlLines(text string) (statements []string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			statements = append(statements, line)
		}
	}
	return statements
}
