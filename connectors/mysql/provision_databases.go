package mysql

import (
	"context"
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
	return s.failure(ctx, s.exec(ctx, "CREATE DATABASE IF NOT EXISTS "+quoteName(name)+" CHARACTER SET utf8mb4"))
}

// private fails where everybody has rights on a database of this name. Servers
// come with such rights on `test\_%` for the user ”: they count for all users.
func (s *server) private(ctx context.Context, name string) error {
	open, err := s.list(ctx, "SELECT Db FROM mysql.db WHERE User = '' AND "+quoteText(name)+` LIKE Db ESCAPE '\' LIMIT 1`)
	if err != nil || len(open) == 0 {
		return err
	}
	return &connectors.Failure{Code: connectors.PermissionDenied, Phrase: fmt.Sprintf("Everybody on the server has rights on databases like %q", open[0]),
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
	grantees := "SELECT User FROM mysql.db WHERE Db = " + quoteText(pattern(name))
	var err error
	for range busyTries {
		if err = s.kill(ctx, "(DB = "+quoteText(name)+" OR USER IN ("+grantees+"))"); err != nil {
			break
		}
		if err = s.exec(ctx, "DROP DATABASE IF EXISTS "+quoteName(name)); !isNumber(err, 1205) {
			break
		}
	}
	if err == nil || isNumber(err, 1102) { // a name that no database can have
		err = s.forget(ctx, name)
	}
	return s.failure(ctx, err)
}

// forget revokes the rights on a database that is gone: they would hold for the
// next one of the same name.
func (s *server) forget(ctx context.Context, name string) error {
	rows, err := s.table(ctx, "SELECT User, Host FROM mysql.db WHERE Db = "+quoteText(pattern(name)), 2)
	if err != nil {
		return err
	}
	for _, r := range rows {
		who := quoteText(r[0]) + "@" + quoteText(r[1])
		if r[0] == loader(name) {
			err = s.exec(ctx, "DROP USER IF EXISTS "+who)
		} else {
			err = s.exec(ctx, "REVOKE ALL PRIVILEGES ON "+quoteName(pattern(name))+".* FROM "+who)
		}
		if err != nil && !isNumber(err, 1141) { // revoked by somebody else
			return err
		}
	}
	return nil
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

// kill ends the sessions that a condition on the list of sessions holds for,
// except this one, and tells whether there were any.
func (s *server) kill(ctx context.Context, condition string) error {
	_, err := s.killed(ctx, condition)
	return err
}

func (s *server) killed(ctx context.Context, condition string) (bool, error) {
	ids, err := s.list(ctx, "SELECT ID FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() AND "+condition)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		// 1094: it ended by itself.
		if err := s.exec(ctx, "KILL CONNECTION "+id); err != nil && !isNumber(err, 1094) {
			return false, err
		}
	}
	return len(ids) > 0, nil
}

// isNumber reports whether the server refused with this error.
func isNumber(err error, number uint16) bool {
	var refused *driver.MySQLError
	return errors.As(err, &refused) && refused.Number == number
}
