package mysql

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"regexp"
	"strings"

	driver "github.com/go-sql-driver/mysql"
)

// Views, routines, triggers and events work with the rights of their definer,
// and not at all when it is gone. So they are given to another owner of the
// database before a login goes, and those that nobody has any more to the next
// owner that comes.

// belonging is something with a definer.
type belonging struct{ kind, name, definer string }

// belongings lists what is in a database and has a definer for which a
// condition holds, written with DEFINER.
//
// Triggers of the same event on the same table are listed when one of them is:
// a trigger that is replaced becomes the last of them.
func (s *server) belongings(ctx context.Context, database, condition string) ([]belonging, error) {
	in := quoteText(database)
	rows, err := s.table(ctx, "SELECT 'VIEW', TABLE_NAME, DEFINER, 0 FROM information_schema.VIEWS WHERE TABLE_SCHEMA = "+in+" AND "+condition+
		" UNION ALL SELECT ROUTINE_TYPE, ROUTINE_NAME, DEFINER, 0 FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = "+in+" AND ROUTINE_TYPE IN ('PROCEDURE', 'FUNCTION') AND "+condition+
		" UNION ALL SELECT 'TRIGGER', TRIGGER_NAME, DEFINER, ACTION_ORDER FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = "+in+
		" AND (EVENT_OBJECT_TABLE, EVENT_MANIPULATION, ACTION_TIMING) IN (SELECT EVENT_OBJECT_TABLE, EVENT_MANIPULATION, ACTION_TIMING FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = "+in+" AND "+condition+")"+
		" UNION ALL SELECT 'EVENT', EVENT_NAME, DEFINER, 0 FROM information_schema.EVENTS WHERE EVENT_SCHEMA = "+in+" AND "+condition+
		" ORDER BY 1, 4, 2", 4)
	if err != nil {
		return nil, err
	}
	list := make([]belonging, len(rows))
	for i, r := range rows {
		list[i] = belonging{kind: r[0], name: r[1], definer: r[2]}
	}
	return list, nil
}

// bequeath gives what a login defined in its database to another owner, if
// there is one. It reports whether something that has an heir could not be
// given away and would be lost with the login.
func (s *server) bequeath(ctx context.Context, database, user string) (left bool, err error) {
	list, err := s.belongings(ctx, database, "DEFINER = "+quoteText(definer(user)))
	if err != nil || len(list) == 0 {
		return false, err
	}
	heir, err := s.heir(ctx, database, user)
	if err != nil || heir == "" {
		return false, err
	}
	return s.give(ctx, database, list, func(b belonging) bool { return b.definer == definer(user) }, heir)
}

// heir is the owner of a database, other than a login, that has the most
// rights; "" when there is none. Owners have the right REFERENCES, also frozen
// ones, and others have not.
func (s *server) heir(ctx context.Context, database, user string) (string, error) {
	list, err := s.list(ctx, "SELECT User FROM mysql.db WHERE Db = "+quoteText(pattern(database))+" AND Host = '%' AND References_priv = 'Y' AND User <> "+
		quoteText(user)+" AND User <> '' AND User <> "+quoteText(loader(database))+" ORDER BY Create_priv DESC, User LIMIT 1")
	if err != nil || len(list) == 0 {
		return "", err
	}
	return list[0], nil
}

// nobodys is the condition for a definer that is gone.
const nobodys = "CAST(DEFINER AS BINARY) NOT IN (SELECT CAST(CONCAT(User, '@', Host) AS BINARY) FROM mysql.user)"

// something is a condition that tells an empty database, at a tenth of the cost
// of listing what is in it.
func (s *server) something(database string) string {
	in := quoteText(database)
	routines, events := "information_schema.ROUTINES WHERE ROUTINE_SCHEMA = ", "information_schema.EVENTS WHERE EVENT_SCHEMA = "
	if s.maria {
		routines, events = "mysql.proc WHERE db = ", "mysql.event WHERE db = "
	}
	return "(EXISTS (SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = " + in + ") OR EXISTS (SELECT 1 FROM " + routines + in +
		") OR EXISTS (SELECT 1 FROM " + events + in + "))"
}

// adopt gives an owner what nobody has any more.
func (s *server) adopt(ctx context.Context, database, owner string) error {
	if some, err := s.is(ctx, "SELECT "+s.something(database)); err != nil || !some {
		return err
	}
	list, err := s.belongings(ctx, database, nobodys)
	if err != nil || len(list) == 0 {
		return err
	}
	accounts, err := s.list(ctx, "SELECT CONCAT(User, '@', Host) FROM mysql.user")
	if err != nil {
		return err
	}
	_, err = s.give(ctx, database, list, func(b belonging) bool { return !contains(accounts, b.definer) }, owner)
	return err
}

// give makes heir the definer of those of a list for which change holds.
//
// Only MariaDB can replace a routine or a trigger in one step. Where it would
// have to be dropped first, it could be lost, and stays as it is.
func (s *server) give(ctx context.Context, database string, list []belonging, change func(belonging) bool, heir string) (left bool, err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer discard(conn)
	if _, err := conn.ExecContext(ctx, "USE "+quoteName(database)); err != nil {
		return false, err
	}
	// A view may need another that comes later in the list. What the server goes
	// on to refuse, such as a view of a table that is gone, was of no use before,
	// and must not keep its login.
	for before := 0; len(list) != before; {
		before = len(list)
		var refused []belonging
		for _, b := range list {
			if !s.maria && b.kind != "VIEW" && b.kind != "EVENT" {
				left = left || change(b)
				continue
			}
			to := ""
			if change(b) {
				to = "DEFINER=" + quoteName(heir) + "@`%`"
			}
			var no *driver.MySQLError
			if err := b.redefine(ctx, conn, to); errors.As(err, &no) {
				refused = append(refused, b)
			} else if err != nil {
				return left, err
			}
		}
		list = refused
	}
	return left, nil
}

// discard closes a connection whose settings were changed.
func discard(conn *sql.Conn) {
	conn.Raw(func(any) error { return sqldriver.ErrBadConn }) //nolint:errcheck // what it returns
	conn.Close()                                              //nolint:errcheck
}

// quotedName is a name in quotes of any kind.
const quotedName = "(?:`(?:[^`]|``)*`|\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*')"

// defined is the beginning of a statement that makes something with a definer,
// as servers and their dump programs write it: the latter put parts into
// comments for certain versions.
var defined = regexp.MustCompile(`(?is)^(\s*(?:/\*M?!\d{5,6}\s*)?CREATE\b)(\s*(?:OR\s+REPLACE\s*)?(?:ALGORITHM\s*=\s*\w+\s*)?(?:\*/\s*)?(?:/\*M?!\d{5,6}\s*)?)(DEFINER\s*=\s*` +
	quotedName + `(?:\s*@\s*` + quotedName + `)?)`)

// redefine makes a belonging anew with another definer, or, with none, with the
// one that it has.
func (b belonging) redefine(ctx context.Context, conn *sql.Conn, to string) error {
	// The text comes as it was written, in the character set of its time.
	if err := run(ctx, conn, "SET character_set_client = utf8mb4, collation_connection = utf8mb4_general_ci, character_set_results = binary, sql_mode = ''"); err != nil {
		return err
	}
	made, err := show(ctx, conn, "SHOW CREATE "+b.kind+" "+quoteName(b.name))
	if err != nil {
		return err
	}
	text := made["text"]
	at := defined.FindStringSubmatchIndex(text)
	if at == nil {
		return fmt.Errorf("the definer of the %s is not found", strings.ToLower(b.kind))
	}
	if to == "" {
		to = text[at[6]:at[7]]
	}
	verb := "CREATE OR REPLACE"
	if b.kind == "EVENT" {
		verb = "ALTER"
	}
	// It means what it meant in the session that made it.
	settings := "SET character_set_client = " + quoteText(made["character_set_client"]) + ", collation_connection = " + quoteText(made["collation_connection"])
	for _, name := range []string{"sql_mode", "time_zone"} {
		if value, ok := made[name]; ok {
			settings += ", " + name + " = " + quoteText(value)
		}
	}
	if err := run(ctx, conn, settings); err != nil {
		return err
	}
	return run(ctx, conn, verb+text[at[4]:at[5]]+to+text[at[7]:])
}

func run(ctx context.Context, conn *sql.Conn, statement string) error {
	_, err := conn.ExecContext(ctx, statement)
	return err
}

// show reads the row of SHOW CREATE by the names of its columns, with the
// statement under "text".
func show(ctx context.Context, conn *sql.Conn, query string) (map[string]string, error) {
	rows, err := conn.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	if !rows.Next() {
		return nil, errors.Join(errors.New("no row"), rows.Err())
	}
	cells, into := make([]sql.NullString, len(names)), make([]any, len(names))
	for i := range cells {
		into[i] = &cells[i]
	}
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	made := map[string]string{}
	for i, n := range names {
		if strings.HasPrefix(n, "Create ") || n == "SQL Original Statement" {
			n = "text"
		}
		made[n] = cells[i].String
	}
	return made, rows.Err()
}
