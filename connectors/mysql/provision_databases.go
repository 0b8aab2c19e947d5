package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	driver "github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/connectors"
)

func contains(list []string, s string) bool { return slices.Contains(list, s) }

// HasDatabase asks for a schema.
func (s *server) HasDatabase(ctx context.Context, name string) (bool, error) {
	if checkName("database", name) != nil {
		return false, nil
	}
	yes, err := s.is(ctx, "SELECT COUNT(*) > 0 FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = "+quoteText(name))
	return yes, s.failure(ctx, err)
}

// CreateDatabase makes a database whose texts are utf8mb4.
func (s *server) CreateDatabase(ctx context.Context, name string) error {
	if err := checkDatabase(name); err != nil {
		return s.failure(ctx, err)
	}
	if contains(systemDatabases, strings.ToLower(name)) {
		return exists("Database", name)
	}
	if err := s.private(ctx, name); err != nil {
		return s.failure(ctx, err)
	}
	result, err := s.db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS "+quoteName(name)+" CHARACTER SET utf8mb4")
	if err != nil {
		return s.failure(ctx, err)
	}
	// MySQL counts a database that was there too.
	if n, err := result.RowsAffected(); err == nil && n == 1 && s.maria {
		s.empty = name
	}
	return nil
}

// private fails where everybody has rights on a database of this name. Servers
// come with such rights on `test\_%` for the user with an empty name: they count
// for all users.
func (s *server) private(ctx context.Context, name string) error {
	if s.everybodys == nil {
		list, err := s.list(ctx, "SELECT Db FROM mysql.db WHERE User = ''")
		if err != nil {
			return err
		}
		s.everybodys = append([]string{}, list...)
	}
	i := slices.IndexFunc(s.everybodys, func(p string) bool { return matches(p, name) })
	if i < 0 {
		return nil
	}
	return &connectors.Failure{Code: connectors.PermissionDenied, Phrase: fmt.Sprintf("Everybody on the server has rights on databases like %q", s.everybodys[i]),
		Hint: "Run mysql_secure_installation on the server, or revoke the rights of the user ''."}
}

// busyTries is how often a database is dropped whose clients come back at once.
const busyTries = 3

// DropDatabase ends the sessions in it first: each may hold what DROP waits for.
func (s *server) DropDatabase(ctx context.Context, name string) error {
	if err := checkName("database", name); err != nil {
		return s.failure(ctx, ctx.Err())
	}
	if contains(systemDatabases, strings.ToLower(name)) {
		return exists("Database", name)
	}
	grantees, err := s.grantees(ctx, name)
	for try := 0; err == nil && try < busyTries; try++ {
		if _, err = s.kill(ctx, func(on open) bool { return on.database == name || grantees.include(on.user) && on.user != s.admin }); err != nil {
			break
		}
		if err = s.exec(ctx, "DROP DATABASE IF EXISTS "+quoteName(name)); isNumber(err, 1205) && try < busyTries-1 {
			err = nil
			continue
		}
		break
	}
	if err == nil || isNumber(err, 1102) { // a name that no database can have
		err = s.forget(ctx, name, grantees)
	}
	return s.failure(ctx, err)
}

// grantee is an account with rights on a database.
type grantee struct{ user, host string }

type grantees []grantee

func (l grantees) include(user string) bool {
	return slices.ContainsFunc(l, func(g grantee) bool { return g.user == user })
}

func (s *server) grantees(ctx context.Context, database string) (grantees, error) {
	rows, err := s.table(ctx, "SELECT User, Host FROM mysql.db WHERE Db = "+quoteText(pattern(database)), 2)
	if err != nil {
		return nil, err
	}
	list := make(grantees, len(rows))
	for i, r := range rows {
		list[i] = grantee{r[0], r[1]}
	}
	return list, nil
}

// forget revokes the rights on a database that is gone: they would hold for the
// next one of the same name.
func (s *server) forget(ctx context.Context, database string, list grantees) error {
	for _, g := range list {
		who := quoteText(g.user) + "@" + quoteText(g.host)
		var err error
		if g.user == loader(database) {
			err = s.exec(ctx, "DROP USER IF EXISTS "+who)
		} else {
			err = s.exec(ctx, "REVOKE ALL PRIVILEGES ON "+quoteName(pattern(database))+".* FROM "+who)
		}
		if err != nil && !isNumber(err, 1141) { // revoked by somebody else
			return err
		}
		if err := s.release(ctx, g.user); err != nil {
			return err
		}
	}
	return nil
}

// release removes an account that DropLogin had to keep on MySQL, now that
// nothing of it is left.
func (s *server) release(ctx context.Context, user string) error {
	if s.maria {
		return nil
	}
	locked, err := s.is(ctx, "SELECT COUNT(*) > 0 FROM mysql.user WHERE Host = '%' AND account_locked = 'Y' AND User = "+quoteText(user))
	if err != nil || !locked {
		return err
	}
	list, _, err := s.grants(ctx, user)
	if err != nil || len(list) > 0 {
		return err
	}
	return s.exec(ctx, "DROP USER IF EXISTS "+account(user))
}

// Size adds up tables and their indexes. Those of InnoDB are files, whose sizes
// are known at once; the lengths of its tables are estimates, which may be long
// out of date where texts are long.
func (s *server) Size(ctx context.Context, name string) (int64, bool, error) {
	if checkName("database", name) != nil {
		return 0, false, s.failure(ctx, ctx.Err())
	}
	files := "INNODB_SYS_TABLESPACES"
	if !s.maria {
		// MySQL tells lengths of yesterday otherwise. Versions before 8.0 know no
		// such setting, and always tell them as they are.
		if err := s.exec(ctx, "SET SESSION information_schema_stats_expiry = 0"); err != nil && !isNumber(err, 1193) {
			return 0, false, s.failure(ctx, err)
		}
		if !strings.HasPrefix(s.version, "5.") {
			files = "INNODB_TABLESPACES"
		}
	}
	var exists bool
	var bytes int64
	folder := "CAST(CONVERT(" + quoteText(name) + " USING filename) AS BINARY)"
	err := s.db.QueryRowContext(ctx, "SELECT (SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = "+quoteText(name)+") > 0, CAST("+
		"COALESCE(SUM(IF(ENGINE = 'InnoDB', 0, DATA_LENGTH + INDEX_LENGTH)), 0)"+
		" + GREATEST(COALESCE(SUM(IF(ENGINE = 'InnoDB', DATA_LENGTH + INDEX_LENGTH, 0)), 0),"+
		" (SELECT COALESCE(SUM(FILE_SIZE), 0) FROM information_schema."+files+
		" WHERE LEFT(CAST(NAME AS BINARY), LENGTH("+folder+") + 1) = CONCAT("+folder+", '/'))) AS SIGNED)"+
		" FROM information_schema.TABLES WHERE TABLE_SCHEMA = "+quoteText(name)).Scan(&exists, &bytes)
	return bytes, exists, s.failure(ctx, err)
}

// Inventory lists databases and the logins that may come from anywhere.
func (s *server) Inventory(ctx context.Context) (connectors.Inventory, error) {
	var inv connectors.Inventory
	names, err := s.list(ctx, "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA ORDER BY SCHEMA_NAME")
	if err != nil {
		return inv, s.failure(ctx, err)
	}
	for _, n := range names {
		if !contains(systemDatabases, strings.ToLower(n)) {
			inv.Databases = append(inv.Databases, n)
		}
	}
	users, err := s.list(ctx, "SELECT User FROM mysql.user WHERE Host = '%' AND User <> ''"+s.unlocked()+" ORDER BY User")
	if err != nil {
		return connectors.Inventory{}, s.failure(ctx, err)
	}
	for _, u := range users {
		if s.mayChange(u) == nil && !isLoader(u) {
			inv.Logins = append(inv.Logins, connectors.LoginName{User: u})
		}
	}
	return inv, nil
}

// open is a session on the server.
type open struct{ id, user, database string }

// kill ends the sessions that are meant, and reports whether there were any.
// The list is read whole: the server takes longer to choose from it.
func (s *server) kill(ctx context.Context, meant func(open) bool) (some bool, err error) {
	list, err := s.sessions(ctx)
	if err != nil {
		return false, err
	}
	for _, on := range list {
		if !meant(on) {
			continue
		}
		some = true
		// 1094: it ended by itself.
		if err := s.exec(ctx, "KILL CONNECTION "+on.id); err != nil && !isNumber(err, 1094) {
			return some, err
		}
	}
	return some, nil
}

func (s *server) sessions(ctx context.Context) ([]open, error) {
	rows, err := s.db.QueryContext(ctx, "SHOW PROCESSLIST")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	names, err := rows.Columns() // versions have more after the first
	if err != nil {
		return nil, err
	}
	var id, user, host, database sql.NullString
	into := []any{&id, &user, &host, &database}
	for range names[len(into):] {
		into = append(into, new(sql.RawBytes))
	}
	var list []open
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return nil, err
		}
		list = append(list, open{id.String, user.String, database.String})
	}
	return list, rows.Err()
}

// isNumber reports whether the server refused with this error.
func isNumber(err error, number uint16) bool {
	var refused *driver.MySQLError
	return errors.As(err, &refused) && refused.Number == number
}
