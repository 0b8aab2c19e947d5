package main

import (
	"context"
	"database/sql"
	"strings"
	"time"

	_ "github.com/go-sql-driver/mysql" // the driver that Backplane uses too

	"github.com/backplane/backplane/testbed"
)

// The statements that make a database and a login which are as separated from
// others as those of Backplane, and remove them; without the questions that
// let Backplane carry on where it was cut off.

const straightPassword = "hG4kTz9wQp"

// kept opens a server and keeps one connection.
func kept(o *owner, driver, url string) *sql.DB {
	db, err := sql.Open(driver, url)
	o.must(err)
	o.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	o.must(db.Ping())
	return db
}

// run runs statements one after the other.
func run(db *sql.DB, name string, statements ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for _, s := range statements {
		if _, err := db.ExecContext(ctx, strings.NewReplacer("{d}", name, "{p}", straightPassword).Replace(s)); err != nil {
			return err
		}
	}
	return nil
}

// postgresStraight has one connection to the server, and one to a new database
// for what must be said inside it.
type postgresStraight struct {
	main *sql.DB
	pg   *testbed.Postgres
}

func newPostgresStraight(o *owner, pg *testbed.Postgres) straight {
	return postgresStraight{kept(o, "postgres", pg.AdminURL("postgres")), pg}
}

// inside runs statements in a database.
func (s postgresStraight) inside(name, statements string) error {
	db, err := sql.Open("postgres", s.pg.AdminURL(name))
	if err != nil {
		return err
	}
	defer db.Close()
	return run(db, name, statements)
}

func (s postgresStraight) create(name string) error {
	err := run(s.main, name,
		`CREATE ROLE "o_{d}" NOLOGIN; COMMENT ON ROLE "o_{d}" IS 'group of {d}';
		CREATE ROLE "w_{d}" NOLOGIN; COMMENT ON ROLE "w_{d}" IS 'group of {d}';
		CREATE ROLE "r_{d}" NOLOGIN; COMMENT ON ROLE "r_{d}" IS 'group of {d}'`,
		`CREATE DATABASE "{d}" OWNER "o_{d}"`,
		`REVOKE ALL ON DATABASE "{d}" FROM PUBLIC;
		GRANT CONNECT ON DATABASE "{d}" TO "w_{d}", "r_{d}";
		GRANT TEMPORARY ON DATABASE "{d}" TO "w_{d}"`,
		`CREATE ROLE "u_{d}" LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT PASSWORD '{p}';
		COMMENT ON ROLE "u_{d}" IS 'login of {d}';
		GRANT "o_{d}" TO "u_{d}";
		ALTER ROLE "u_{d}" IN DATABASE "{d}" SET role = 'o_{d}'`)
	if err != nil {
		return err
	}
	const functions = "lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea), lo_put(oid, bigint, bytea), lowrite(integer, bytea)"
	return s.inside(name, `GRANT USAGE ON SCHEMA public TO "w_{d}", "r_{d}";
		REVOKE EXECUTE ON FUNCTION `+functions+` FROM PUBLIC;
		GRANT EXECUTE ON FUNCTION `+functions+` TO "o_{d}", "w_{d}";`+
		openStraight(`"o_{d}"`)+openStraight(`"u_{d}"`)+
		`ALTER DEFAULT PRIVILEGES FOR ROLE "u_{d}" GRANT ALL ON SCHEMAS TO "o_{d}";
		ALTER DEFAULT PRIVILEGES FOR ROLE "u_{d}" GRANT ALL ON TABLES TO "o_{d}";
		ALTER DEFAULT PRIVILEGES FOR ROLE "u_{d}" GRANT ALL ON SEQUENCES TO "o_{d}";
		ALTER DEFAULT PRIVILEGES FOR ROLE "u_{d}" GRANT ALL ON FUNCTIONS TO "o_{d}";
		ALTER DEFAULT PRIVILEGES FOR ROLE "u_{d}" GRANT ALL ON TYPES TO "o_{d}"`)
}

// openStraight opens what a role will make to the groups of its database.
func openStraight(role string) string {
	grant := "ALTER DEFAULT PRIVILEGES FOR ROLE " + role + " GRANT "
	return grant + `USAGE ON SCHEMAS TO "w_{d}", "r_{d}";` + grant + `SELECT ON TABLES TO "r_{d}";` +
		grant + `SELECT, INSERT, UPDATE, DELETE ON TABLES TO "w_{d}";` + grant + `SELECT ON SEQUENCES TO "r_{d}";` + grant + `ALL ON SEQUENCES TO "w_{d}";`
}

func (s postgresStraight) drop(name string) error {
	const cut = `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'u_{d}'`
	if err := run(s.main, name, `ALTER ROLE "u_{d}" PASSWORD '{p}'`, cut, `ALTER ROLE "u_{d}" NOLOGIN`, cut); err != nil {
		return err
	}
	if err := s.inside(name, `REASSIGN OWNED BY "u_{d}" TO "o_{d}"; DROP OWNED BY "u_{d}"`); err != nil {
		return err
	}
	return run(s.main, name, `DROP ROLE "u_{d}"`, `DROP DATABASE "{d}" WITH (FORCE)`, `DROP ROLE "o_{d}", "w_{d}", "r_{d}"`)
}

// mariaDBStraight has one connection.
type mariaDBStraight struct{ db *sql.DB }

func newMariaDBStraight(o *owner, m *testbed.MariaDB) straight {
	return mariaDBStraight{kept(o, "mysql", m.AdminURL("mysql"))}
}

func (s mariaDBStraight) create(name string) error {
	return run(s.db, name, "CREATE DATABASE `{d}` CHARACTER SET utf8mb4", "CREATE USER `u_{d}`@'%' IDENTIFIED BY '{p}'",
		"GRANT ALL PRIVILEGES ON `{d}`.* TO `u_{d}`@'%'")
}

func (s mariaDBStraight) drop(name string) error {
	return run(s.db, name, "ALTER USER `u_{d}`@'%' IDENTIFIED BY '{p}'", "SHOW PROCESSLIST",
		"DROP USER `u_{d}`@'%'", "SHOW PROCESSLIST", "DROP DATABASE `{d}`")
}
