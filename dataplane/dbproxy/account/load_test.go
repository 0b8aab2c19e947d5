package account

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/internal/errs"
)

// script answers statements that contain a key with its rows: the first holds
// the columns, values are separated by |, and NULL is NULL. What it does not
// know is refused as a missing table.
type script struct {
	rows   map[string][]string
	errors map[string]uint16
	asked  []string
}

func (s *script) Query(ctx context.Context, statement string, each func(Row) error) error {
	s.asked = append(s.asked, statement)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for key, number := range s.errors {
		if strings.Contains(statement, key) {
			return &ServerError{Number: number, Message: "refused"}
		}
	}
	for key, rows := range s.rows {
		if !strings.Contains(statement, key) {
			continue
		}
		columns := strings.Split(rows[0], "|")
		for _, line := range rows[1:] {
			r := Row{Columns: columns}
			for _, v := range strings.Split(line, "|") {
				if v == "NULL" {
					r.Values = append(r.Values, nil)
				} else {
					r.Values = append(r.Values, []byte(v))
				}
			}
			if err := each(r); err != nil {
				return err
			}
		}
		return nil
	}
	if strings.Contains(statement, "@@global") {
		return &ServerError{Number: errUnknownVariable, Message: "unknown variable"}
	}
	return &ServerError{Number: errNoSuchTable, Message: "no such table"}
}

func (s *script) Close() error { return nil }

func mysql8() *script {
	return &script{rows: map[string][]string{
		"VERSION()": {"version|who|lower_case", "8.0.36|svc@%|0"},
		"mysql.user": {
			"Host|User|Select_priv|Show_db_priv|Super_priv|ssl_type|ssl_cipher|x509_issuer|x509_subject|plugin|authentication_string|password_expired|account_locked",
			"%|svc|N|Y|N||NULL|NULL|NULL|caching_sha2_password|$A$005$x|N|N",
			"%|app|N|N|N|ANY||||caching_sha2_password|$A$005$y|Y|N",
			"%|reader|N|N|N|||||caching_sha2_password||Y|Y",
			"localhost|root|Y|Y|Y|||||||N|N",
		},
		"mysql.db":                {"Host|Db|User", "%|shop|reader"},
		"mysql.tables_priv":       {"Host|Db|User", "%|stock|app"},
		"mysql.columns_priv":      {"Host|Db|User"},
		"mysql.procs_priv":        {"Host|Db|User"},
		"mysql.proxies_priv":      {"Host|User|Proxied_host|Proxied_user", "localhost|root||"},
		"mysql.role_edges":        {"FROM_HOST|FROM_USER|TO_HOST|TO_USER", "%|reader|%|app"},
		"mysql.default_roles":     {"HOST|USER|DEFAULT_ROLE_HOST|DEFAULT_ROLE_USER", "%|app|%|reader"},
		"information_schema.SCHE": {"name", "shop", "stock"},
	}, errors: map[string]uint16{}}
}

func mariadb(version string) *script {
	return &script{rows: map[string][]string{
		"VERSION()":               {"version|who|lower_case", version + "|svc@%|1"},
		"mysql.db":                {"Host|Db|User", "%|shop|app"},
		"mysql.tables_priv":       {"Host|Db|User"},
		"mysql.columns_priv":      {"Host|Db|User"},
		"mysql.procs_priv":        {"Host|Db|User"},
		"mysql.proxies_priv":      {"Host|User|Proxied_host|Proxied_user"},
		"mysql.roles_mapping":     {"Host|User|Role|Admin_option", "%|app|r|N"},
		"information_schema.SCHE": {"name", "shop"},
	}, errors: map[string]uint16{}}
}

func load(t *testing.T, q Querier) *Table {
	t.Helper()
	table, err := Load(t.Context(), q, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestLoadMySQL(t *testing.T) {
	s := mysql8()
	table := load(t, s)
	tls := Options{TLS: ClientTLS{Used: true}}
	app := table.Find("app", addr(t, "192.0.2.1"), nil, tls)
	if !app.OK() || !app.Account.Expired || app.Account.Methods[0] != (Method{"caching_sha2_password", "$A$005$y"}) {
		t.Fatalf("found %+v", app)
	}
	for database, want := range map[string]Verdict{"shop": Allowed, "stock": Allowed, "other": NoAccess, "performance_schema": Allowed} {
		if got := table.AllowsDatabase(app, database, true); got != want {
			t.Errorf("%s: %s", database, got)
		}
	}
	if m := table.Find("reader", addr(t, "192.0.2.1"), nil, Options{}); m.Reason != IsLocked {
		t.Errorf("a role of MySQL is a locked account, got %s", m.Reason)
	}
	root := table.Find("root", addr(t, "127.0.0.1"), nil, Options{EnableRoot: true})
	if !root.OK() || root.Account.Privileges&Super == 0 || table.AllowsDatabase(root, "none", true) != NoDatabase {
		t.Errorf("found %+v", root.Account)
	}

	delete(s.rows, "mysql.default_roles")
	if got := load(t, s).AllowsDatabase(app, "shop", true); got != Allowed {
		t.Errorf("an account found before keeps its roles: %s", got)
	}
	without := load(t, s)
	app = without.Find("app", addr(t, "192.0.2.1"), nil, tls)
	if got := without.AllowsDatabase(app, "shop", true); got != NoAccess {
		t.Errorf("without default roles: %s", got)
	}
	s.rows["@@global.activate_all"] = []string{"on_login", "1"}
	all := load(t, s)
	app = all.Find("app", addr(t, "192.0.2.1"), nil, tls)
	if got := all.AllowsDatabase(app, "shop", true); got != Allowed {
		t.Errorf("with all roles on login: %s", got)
	}
}

func TestLoadMySQLWithoutRoles(t *testing.T) {
	s := mysql8()
	s.rows["VERSION()"][1] = "5.7.44-log|svc@%|0"
	delete(s.rows, "mysql.role_edges")
	delete(s.rows, "mysql.default_roles")
	table := load(t, s)
	m := table.Find("app", addr(t, "192.0.2.1"), nil, Options{TLS: ClientTLS{Used: true}})
	if !m.OK() || table.AllowsDatabase(m, "shop", true) != NoAccess || table.AllowsDatabase(m, "stock", true) != Allowed {
		t.Errorf("found %+v", m)
	}
	if len(table.Unread()) > 0 {
		t.Errorf("tables that the server does not have are called unreadable: %q", table.Unread())
	}
}

func TestLoadMariaDB(t *testing.T) {
	s := mariadb("11.4.2-MariaDB-log")
	s.rows["mysql.global_priv"] = []string{
		"Host|User|Priv",
		`%|svc|{"access":16384}`,
		`%|app|{"access":0,"plugin":"mysql_native_password","authentication_string":"*A","auth_or":[{"plugin":"unix_socket"},{},{"plugin":"ed25519","authentication_string":"E"}],"default_role":"r","password_last_changed":0}`,
		`%|tls|{"access":0,"ssl_type":3,"ssl_cipher":"C","x509_issuer":"I","x509_subject":"S"}`,
		`|r|{"access":1,"is_role":true}`,
		`%|odd|{"access":1,"ssl_type":9}`,
		`%|broken|{"access":`,
		`%|all|{"access":18446744073709551615}`,
	}
	table := load(t, s)
	app := table.Find("app", addr(t, "192.0.2.1"), nil, Options{})
	want := []Method{{"unix_socket", ""}, {NativePassword, "*A"}, {"ed25519", "E"}}
	if !app.OK() || !slices.Equal(app.Account.Methods, want) || !app.Account.Expired {
		t.Errorf("found %+v", app.Account)
	}
	if got := table.AllowsDatabase(app, "NOWHERE", true); got != NoDatabase {
		t.Errorf("by a role with a global privilege: %s", got)
	}
	if a := table.users["tls"][0].account; a.TLS != (Demand{true, true, "C", "I", "S"}) || a.Methods[0].Plugin != NativePassword {
		t.Errorf("read %+v", a)
	}
	if a := table.users["odd"][0].account; !a.TLS.Required || !a.TLS.Certificate {
		t.Errorf("an unknown demand is read as %+v", a.TLS)
	}
	if a := table.users["broken"][0].account; !a.Locked {
		t.Errorf("an account that makes no sense is open: %+v", a)
	}
	if a := table.users["all"][0].account; a.Privileges != ^Privileges(0) {
		t.Errorf("read %x", a.Privileges)
	}
}

func TestLoadOlderMariaDB(t *testing.T) {
	s := mariadb("5.5.5-10.3.39-MariaDB")
	s.rows["mysql.user"] = []string{
		"Host|User|Password|Show_db_priv|plugin|authentication_string|is_role|default_role",
		"%|svc|*S|Y|||N|",
		"%|app|*A|N|||N|r",
		"%|pam||N|pam|service|N|",
		"|r||N|||Y|",
	}
	table := load(t, s)
	app := table.Find("app", addr(t, "192.0.2.1"), nil, Options{})
	if !app.OK() || app.Account.Methods[0] != (Method{NativePassword, "*A"}) || app.Account.DefaultRoles[0].User != "r" {
		t.Errorf("found %+v", app.Account)
	}
	if a := table.users["pam"][0].account; a.Methods[0] != (Method{"pam", "service"}) {
		t.Errorf("read %+v", a)
	}
	if table.roles[Name{User: "r"}] == nil || len(table.users["r"]) != 0 {
		t.Error("a role is taken for an account")
	}
	if got := table.AllowsDatabase(app, "SHOP", true); got != Allowed {
		t.Errorf("with lower_case_table_names=1: %s", got)
	}
}

func TestLoadWithoutRights(t *testing.T) {
	view := []string{"Host|User|plugin|authentication_string", "%|app|mysql_native_password|*A", "%|svc||"}
	s := mariadb("10.11.6-MariaDB")
	s.errors["mysql.global_priv"] = errTableDenied
	s.rows["mysql.user"] = view
	if table := load(t, s); table.Accounts() != 2 {
		t.Errorf("mysql.user was not read in place of mysql.global_priv: %d accounts", table.Accounts())
	}
	s.errors["mysql.procs_priv"] = errTableDenied
	s.errors["mysql.columns_priv"] = errDatabaseDenied
	table := load(t, s)
	if want := []string{"mysql.columns_priv", "mysql.procs_priv"}; !slices.Equal(table.Unread(), want) {
		t.Errorf("unread: %q", table.Unread())
	}
	if got := table.AllowsDatabase(table.Find("app", addr(t, "192.0.2.1"), nil, Options{}), "other", true); got != Allowed {
		t.Errorf("the backend is not asked: %s", got)
	}
	for _, c := range []struct{ refused, named string }{
		{"mysql.user", "SELECT ON mysql.global_priv"},
		{"mysql.db", "SELECT ON mysql.db"},
	} {
		s := mariadb("10.11.6-MariaDB")
		s.rows["mysql.user"] = view
		s.errors["mysql.global_priv"] = errTableDenied
		s.errors[c.refused] = errTableDenied
		_, err := Load(t.Context(), s, Limits{})
		var e *errs.Error
		if !errors.As(err, &e) || e.Reason != errs.PermissionDenied || !strings.Contains(e.Message, c.named) ||
			!strings.Contains(e.Message, "'svc'@'%'") {
			t.Errorf("without %s: %v", c.refused, err)
		}
	}
	s = mysql8()
	s.errors["mysql.tables_priv"] = 2013
	if _, err := Load(t.Context(), s, Limits{}); !serverError(err, 2013) {
		t.Errorf("a lost connection is passed over: %v", err)
	}
}

func TestLoadIsBounded(t *testing.T) {
	for _, limits := range []Limits{{Rows: 5}, {Bytes: 100}} {
		var e *errs.Error
		if _, err := Load(t.Context(), mysql8(), limits); !errors.As(err, &e) || e.Reason != errs.TooLarge {
			t.Errorf("%+v: %v", limits, err)
		}
	}
}
