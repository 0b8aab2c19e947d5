package mysql

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/backplane/backplane/connectors"
)

// The connection has sql_mode NO_BACKSLASH_ESCAPES and the character set
// utf8mb4: then a quote that is doubled is all that a literal or a name needs,
// and no character holds the byte of a quote.

// quoteName writes an identifier.
func quoteName(s string) string { return "`" + strings.ReplaceAll(s, "`", "``") + "`" }

// quoteText writes a string literal.
func quoteText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// account writes the account of a login, which may come from anywhere.
func account(user string) string { return quoteText(user) + "@'%'" }

// definer is how information_schema writes the account of a login.
func definer(user string) string { return user + "@%" }

// pattern is a database as grants name it: GRANT takes _ and % for wildcards,
// so that rights on my_db would be rights on myxdb too.
func pattern(database string) string {
	return strings.NewReplacer(`\`, `\\`, `_`, `\_`, `%`, `\%`).Replace(database)
}

// mostPattern is how many characters of a database's name the tables of grants
// hold, escapes included.
const mostPattern = 64

func checkDatabase(name string) error {
	if err := checkName("database", name); err != nil {
		return err
	}
	if n := utf8.RuneCountInString(pattern(name)); n > mostPattern {
		return invalid("The name of a database may have %d characters, with _ counted twice; %.20q… has %d", mostPattern, name, n)
	}
	return nil
}

func checkName(what, name string) error {
	switch {
	case name == "":
		return invalid("The name of a %s may not be empty", what)
	case strings.TrimSpace(name) != name: // the server's tables of rights cut them off
		return invalid("The name of a %s may not begin or end with a space", what)
	case strings.ContainsRune(name, 0) || !utf8.ValidString(name):
		return invalid("The name of a %s must be text", what)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return &connectors.Failure{Code: connectors.InvalidConfig, Phrase: fmt.Sprintf(format, args...)}
}

// cutLast is strings.Cut at the last separator.
func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// matches reports whether a pattern of grants is for a database.
func matches(pattern, database string) bool {
	var b strings.Builder
	b.WriteString("(?is)^")
	escaped := false
	for _, r := range pattern {
		switch {
		case r == '\\' && !escaped:
			escaped = true
			continue
		case r == '%' && !escaped:
			b.WriteString(".*")
		case r == '_' && !escaped:
			b.WriteString(".")
		default:
			b.WriteString(regexp.QuoteMeta(string(r)))
		}
		escaped = false
	}
	return regexp.MustCompile(b.String() + "$").MatchString(database)
}
