package postgres_test

import (
	"context"
	"strings"

	"github.com/lib/pq"

	"github.com/backplane/backplane/connectors/conformance"
)

// escapes are what the login of a tenant tries against the rest of the server.
func escapes() []conformance.Escape {
	var list []conformance.Escape
	for _, e := range [][2]string{
		{"make a role", "CREATE ROLE evil"},
		{"make a database", "CREATE DATABASE evil"},
		{"rename its database", "ALTER DATABASE {own} RENAME TO evil"},
		{"give its database away", "ALTER DATABASE {own} OWNER TO {their}"},
		{"become a superuser", "ALTER ROLE {self} SUPERUSER"},
		{"get the right to make roles", "ALTER ROLE {self} CREATEROLE"},
		{"become the administrator", "SET ROLE {admin}"},
		{"log in as the administrator after the fact", "SET SESSION AUTHORIZATION {admin}"},
		{"become another's owner", "SET ROLE {their}"},
		{"become another's login", "SET ROLE {victim}"},
		{"join another's owners", "GRANT {their} TO {self}"},
		{"join the server's readers", "GRANT pg_read_all_data TO {self}"},
		{"change another's password", "ALTER ROLE {victim} PASSWORD 'known'"},
		{"rename another's login", "ALTER ROLE {victim} RENAME TO evil"},
		{"change another's settings", "ALTER ROLE {victim} SET role = 'none'"},
		{"drop another's login", "DROP ROLE {victim}"},
		{"drop another's group", "DROP ROLE {their}"},
		{"drop another's database", "DROP DATABASE {theirs}"},
		{"drop another's database by force", "DROP DATABASE {theirs} WITH (FORCE)"},
		{"change the settings of another's database", "ALTER DATABASE {theirs} SET search_path = evil"},
		{"close another's database", "ALTER DATABASE {theirs} CONNECTION LIMIT 0"},
		{"open another's database to itself", "GRANT CONNECT ON DATABASE {theirs} TO {self}"},
		{"copy another's database", "CREATE DATABASE evil TEMPLATE {theirs}"},
		{"take over what another owns", "REASSIGN OWNED BY {their} TO {self}"},
		{"drop what another owns", "DROP OWNED BY {their}"},
		{"open what another will make", "ALTER DEFAULT PRIVILEGES FOR ROLE {their} GRANT ALL ON TABLES TO {self}"},
		{"unmark another's login", "COMMENT ON ROLE {victim} IS NULL"},
		{"read password hashes", "SELECT rolpassword FROM pg_authid"},
		{"read password hashes by the old name", "SELECT passwd FROM pg_shadow"},
		{"read another's sessions' statistics", "SELECT * FROM pg_hba_file_rules"},
		{"end another's sessions", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{victim-name}'"},
		{"cancel another's statements", "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE usename = '{victim-name}'"},
		{"end the administrator's sessions", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{admin-name}'"},
		{"read files of the server", "SELECT pg_read_file('/etc/passwd')"},
		{"list files of the server", "SELECT pg_ls_dir('/')"},
		{"load a file of the server", "CREATE TEMPORARY TABLE IF NOT EXISTS f (x text); COPY f FROM '/etc/passwd'"},
		{"import a file of the server", "SELECT lo_import('/etc/passwd')"},
		{"write a file of the server", "COPY (SELECT 1) TO '/tmp/evil'"},
		{"run a program", "COPY (SELECT 1) TO PROGRAM 'true'"},
		{"load a library", "LOAD '/tmp/evil.so'"},
		{"make a function in C", "CREATE FUNCTION evil() RETURNS int LANGUAGE c AS '/tmp/evil.so', 'evil'"},
		{"make a function of the server's own", "CREATE FUNCTION evil() RETURNS int LANGUAGE internal AS 'pg_backend_pid'"},
		{"read other databases through an extension", "CREATE EXTENSION dblink"},
		{"read files through an extension", "CREATE EXTENSION file_fdw"},
		{"change settings of the server", "ALTER SYSTEM SET work_mem = '1GB'"},
		{"load settings of the server", "SELECT pg_reload_conf()"},
		{"see where the server's data is", "SHOW data_directory"},
		{"switch the log off", "SET log_statement = 'none'"},
		{"make an event trigger", "CREATE EVENT TRIGGER evil ON ddl_command_start EXECUTE FUNCTION pg_backend_pid()"},
		{"make a tablespace", "CREATE TABLESPACE evil LOCATION '/tmp'"},
		{"subscribe to a server", "CREATE SUBSCRIPTION evil CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false)"},
		{"hold the log back", "SELECT pg_create_physical_replication_slot('evil')"},
	} {
		list = append(list, conformance.Escape{Name: e[0], Try: func(ctx context.Context, a conformance.Attack) error {
			return a.Session.(*client).exec(ctx, fillIn(e[1], a))
		}})
	}
	return append(list, conformance.Escape{Name: "log in to another's database", Try: enterTheirs},
		conformance.Escape{Name: "see what others run", Try: watchOthers},
		conformance.Escape{Name: "leave something in the administrator's database", Try: elsewhere("postgres")},
		conformance.Escape{Name: "leave something in the template of databases", Try: elsewhere("template1")})
}

func fillIn(statement string, a conformance.Attack) string {
	admin := a.Admin.String("username")
	return strings.NewReplacer(
		"{self}", pq.QuoteIdentifier(a.Self.User), "{own}", pq.QuoteIdentifier(a.Self.Database),
		"{victim}", pq.QuoteIdentifier(a.Victim.User), "{theirs}", pq.QuoteIdentifier(a.Victim.Database),
		"{their}", pq.QuoteIdentifier("o_"+a.Victim.Database), "{admin}", pq.QuoteIdentifier(admin),
		"{victim-name}", a.Victim.User, "{admin-name}", admin,
	).Replace(statement)
}

func enterTheirs(ctx context.Context, a conformance.Attack) error {
	l := a.Self
	l.Database = a.Victim.Database
	_, err := a.LogIn(ctx, l)
	return err
}

func watchOthers(ctx context.Context, a conformance.Attack) error {
	var shown int
	err := a.Session.(*client).conn.QueryRowContext(ctx, `SELECT count(*) FROM pg_stat_activity
		WHERE usename <> $1 AND backend_type = 'client backend' AND query <> '<insufficient privilege>'`, a.Self.User).Scan(&shown)
	if err != nil || shown > 0 {
		return err
	}
	return conformance.ErrNothing
}

// elsewhere makes a table in a database that everybody may enter.
func elsewhere(database string) func(ctx context.Context, a conformance.Attack) error {
	return func(ctx context.Context, a conformance.Attack) error {
		l := a.Self
		l.Database = database
		s, err := a.LogIn(ctx, l)
		if err != nil {
			return err
		}
		if err := s.(*client).exec(ctx, "CREATE TABLE public.evil ()"); err == nil {
			return nil
		}
		if err := s.(*client).exec(ctx, "CREATE FUNCTION public.evil() RETURNS int LANGUAGE sql AS 'SELECT 1'"); err == nil {
			return nil
		}
		err = s.(*client).exec(ctx, "CREATE SCHEMA evil")
		s.Close()
		return err
	}
}
