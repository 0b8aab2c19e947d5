package account_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"github.com/backplane/backplane/dataplane/dbproxy/account"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/testbed"
)

// clients are where logins come from.
var clients = []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.9", "127.1.0.1", "::1"}

// connector logs in to s from a loopback address.
func connector(t *testing.T, s *testbed.MariaDB, from, user, password, database string) *sql.DB {
	t.Helper()
	local := netip.MustParseAddr(from)
	to := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if local.Is6() {
		to = netip.IPv6Loopback()
	}
	c := mysql.NewConfig()
	c.User, c.Passwd, c.DBName, c.Net = user, password, database, "tcp"
	dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))}
	c.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, "tcp", netip.AddrPortFrom(to, uint16(s.Port)).String())
	}
	made, err := mysql.NewConnector(c)
	if err != nil {
		t.Fatal(err)
	}
	return sql.OpenDB(made)
}

// login says what account the server chose, or by which error it refused.
func login(t *testing.T, s *testbed.MariaDB, from, user, password, database string) string {
	t.Helper()
	db := connector(t, s, from, user, password, database)
	defer db.Close()
	var chosen string
	err := db.QueryRowContext(t.Context(), "SELECT CURRENT_USER()").Scan(&chosen)
	var refused *mysql.MySQLError
	switch {
	case errors.As(err, &refused):
		return fmt.Sprint(refused.Number)
	case err != nil:
		t.Fatalf("login of %q from %s: %v", user, from, err)
	}
	return chosen
}

// querier is an account.Querier by way of database/sql.
type querier struct{ *sql.DB }

func (q querier) Query(ctx context.Context, statement string, each func(account.Row) error) error {
	err := q.query(ctx, statement, each)
	var refused *mysql.MySQLError
	if errors.As(err, &refused) {
		return &account.ServerError{Number: refused.Number, Message: refused.Message}
	}
	return err
}

func (q querier) query(ctx context.Context, statement string, each func(account.Row) error) error {
	rows, err := q.QueryContext(ctx, statement)
	if err != nil {
		return err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return err
	}
	values := make([]sql.RawBytes, len(columns))
	targets := make([]any, len(columns))
	for i := range values {
		targets[i] = &values[i]
	}
	row := account.Row{Columns: columns, Values: make([][]byte, len(columns))}
	for rows.Next() {
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		for i, v := range values {
			row.Values[i] = v
		}
		if err := each(row); err != nil {
			return err
		}
	}
	return rows.Err()
}

// rights are what a service user needs.
var rights = []string{
	"SELECT ON mysql.global_priv", "SELECT ON mysql.db", "SELECT ON mysql.tables_priv", "SELECT ON mysql.columns_priv",
	"SELECT ON mysql.procs_priv", "SELECT ON mysql.proxies_priv", "SELECT ON mysql.roles_mapping", "SHOW DATABASES ON *.*",
}

func start(t *testing.T, resolve bool) *testbed.MariaDB {
	t.Helper()
	settings := []string{"bind-address=127.0.0.1,::1"}
	if resolve {
		// A client from 127.0.0.1 is localhost then, where root has no password.
		setup := filepath.Join(testbed.Folder(t, "mysql"), "init.sql")
		testbed.Write(t, setup, "DROP USER root@localhost;\nCREATE OR REPLACE USER root@'127.0.0.1' IDENTIFIED BY "+
			quote(testbed.NastyPassword)+";\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n")
		settings = append(settings, "skip-name-resolve=0", "init-file="+setup)
	}
	s := testbed.StartMariaDB(t, testbed.MariaDBOptions{Settings: settings})
	statements := []string{"CREATE USER svc@'127.0.0.1' IDENTIFIED BY 'svc'"}
	for _, r := range rights {
		statements = append(statements, "GRANT "+r+" TO svc@'127.0.0.1'")
	}
	s.Exec(t, statements...)
	return s
}

func load(t *testing.T, s *testbed.MariaDB, user string) (*account.Table, error) {
	t.Helper()
	db := connector(t, s, "127.0.0.1", user, user, "")
	defer db.Close()
	return account.Load(t.Context(), querier{db}, account.Limits{})
}

func quote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}

// pattern makes one that a client may match.
func pattern(random *rand.Rand) string {
	words := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3", "localhost", "::1"}
	out := []byte(words[random.IntN(len(words))])
	for range random.IntN(4) {
		i := random.IntN(len(out))
		switch random.IntN(5) {
		case 0, 1:
			out[i] = '_'
		case 2:
			out = slices.Replace(out, i, i+random.IntN(len(out)-i), '%')
		case 3:
			out = slices.Insert(out, i, '%')
		case 4:
			out = slices.Insert(out, i, '\\')
		}
	}
	return string(out)
}

// hosts are accounts for overlapping hosts, some of them anonymous.
func hosts(random *rand.Rand) (statements, users []string) {
	create := func(user, host string) {
		statements = append(statements, fmt.Sprintf("CREATE USER IF NOT EXISTS %s@%s", quote(user), quote(host)))
	}
	fixed := []string{
		"%", "127.%", "127.0.0._", "127.0.0.%", "127.0.0.0/255.255.255.0", "127.0.0.0/255.255.255.252", "127.0.0.4/255.255.255.255",
		"127.0.0.9/255.0.0.0", "0.0.0.0/0.0.0.0", "127.0.0.0/24", "localhost", "LOCALHOST", "::1", "::%", "%.1", "1%", "%0%", "_%",
	}
	for i, host := range fixed {
		users = append(users, fmt.Sprintf("one%d", i), fmt.Sprintf("two%d", i))
		create(fmt.Sprintf("one%d", i), host)
		create(fmt.Sprintf("two%d", i), host)
		create(fmt.Sprintf("two%d", i), fixed[random.IntN(len(fixed))])
	}
	for i := range 60 {
		user := fmt.Sprintf("some%d", i)
		users = append(users, user)
		for range 2 + random.IntN(3) {
			create(user, pattern(random))
		}
	}
	for _, host := range []string{"127.0.0.3", "127.0.0.%", "::_"} {
		create("", host)
	}
	return statements, append(users, "", "nobody", "ONE0", "root")
}

func TestChoosesAsMariaDB(t *testing.T) {
	for _, resolve := range []bool{true, false} {
		t.Run(fmt.Sprintf("resolve=%v", resolve), func(t *testing.T) {
			s := start(t, resolve)
			statements, users := hosts(rand.New(rand.NewPCG(7, 7)))
			s.Exec(t, statements...)
			s.Exec(t, "FLUSH PRIVILEGES")
			table, err := load(t, s, "svc")
			if err != nil {
				t.Fatal(err)
			}
			compared, chosen := 0, map[string]bool{}
			for _, user := range users {
				for _, from := range clients {
					// Only the two addresses with a fixed name are sure to have one.
					if resolve && from != "127.0.0.1" && from != "::1" {
						continue
					}
					want := login(t, s, from, user, "", "")
					m := table.Find(user, netip.MustParseAddr(from), nil, account.Options{EnableRoot: true, SkipNameResolve: !resolve})
					got := "1045"
					if m.OK() && m.Account.Methods[0].Text == "" {
						got = m.Account.User + "@" + m.Account.Host
						chosen[got] = true
					}
					compared++
					if got != want {
						t.Errorf("%q from %s: the server chooses %s, not %s", user, from, want, got)
					}
				}
			}
			t.Logf("%d logins compared, %d of %d accounts chosen", compared, len(chosen), table.Accounts())
			if len(chosen) < 60 {
				t.Errorf("only %d different accounts were chosen", len(chosen))
			}
		})
	}
}

// databaseRights are accounts with all kinds of grants, without passwords.
var databaseRights = []string{
	"CREATE DATABASE db1", "CREATE DATABASE db2", "CREATE DATABASE a_b", "CREATE DATABASE aXb", "CREATE DATABASE aäb", "CREATE DATABASE Mixed",
	"CREATE TABLE db1.t(a int)", "CREATE TABLE db2.t(a int, b int)", "CREATE TABLE a_b.t(a int)", "CREATE PROCEDURE db2.p() SELECT 1",
	"CREATE USER none", "CREATE USER local@localhost", "CREATE USER local@'%'", "GRANT SELECT ON db1.* TO local@'%'",
	"CREATE USER parts@'127.0.0.2'", "CREATE USER parts@'127.%'", "CREATE USER parts@'%'",
	"GRANT SELECT ON db1.t TO parts@'%'", "GRANT SELECT(a) ON db2.t TO parts@'127.%'",
	"CREATE USER literal", "GRANT SELECT ON a_b.t TO literal", "CREATE USER routine", "GRANT EXECUTE ON PROCEDURE db2.p TO routine",
	"CREATE USER slashed", "GRANT SELECT ON `a\\_b`.* TO slashed", "CREATE USER wild", "GRANT SELECT ON `a_b`.* TO wild",
	"CREATE USER many", "GRANT CREATE ON `d%`.* TO many", "GRANT CREATE ON `nodb%`.* TO many", "CREATE USER case_", "GRANT SELECT ON mixed.* TO case_",
	"CREATE USER admin", "GRANT SHOW DATABASES, PROCESS, RELOAD, SUPER, FILE ON *.* TO admin",
	"CREATE USER giver", "GRANT USAGE ON *.* TO giver WITH GRANT OPTION", "CREATE USER dbgiver", "GRANT USAGE ON db1.* TO dbgiver WITH GRANT OPTION",
	"CREATE USER reader", "GRANT SELECT ON *.* TO reader", "CREATE USER temp", "GRANT CREATE TEMPORARY TABLES ON *.* TO temp",
	"CREATE ROLE inner_", "CREATE ROLE outer_", "GRANT SELECT ON db1.* TO inner_", "GRANT SELECT ON db2.t TO inner_", "GRANT inner_ TO outer_",
	"CREATE USER member", "GRANT outer_ TO member", "SET DEFAULT ROLE outer_ FOR member",
	"CREATE USER idle", "GRANT outer_ TO idle",
	"CREATE USER former", "GRANT outer_ TO former", "SET DEFAULT ROLE outer_ FOR former", "REVOKE outer_ FROM former",
	"CREATE ROLE allrole", "GRANT SELECT ON *.* TO allrole", "CREATE USER wide", "GRANT allrole TO wide", "SET DEFAULT ROLE allrole FOR wide",
	"CREATE USER inner_@'%'", "CREATE USER multi IDENTIFIED VIA unix_socket OR mysql_native_password USING ''",
}

// publicRights are added later, because they are for everybody.
var publicRights = []string{
	"CREATE DATABASE plaza", "CREATE DATABASE market", "CREATE DATABASE lobby", "CREATE ROLE shared", "GRANT SELECT ON market.* TO shared",
	"GRANT shared TO PUBLIC", "GRANT SELECT ON plaza.* TO PUBLIC",
	"INSERT INTO mysql.db (Host, Db, User, Select_priv) VALUES ('127.0.0._', 'lobby', '', 'Y')", "FLUSH PRIVILEGES",
}

func TestAllowsDatabasesAsMariaDB(t *testing.T) {
	for _, lowerCase := range []int{0, 1} {
		t.Run(fmt.Sprintf("lower_case_table_names=%d", lowerCase), func(t *testing.T) {
			s := testbed.StartMariaDB(t, testbed.MariaDBOptions{
				Settings: []string{"bind-address=127.0.0.1,::1", fmt.Sprintf("lower-case-table-names=%d", lowerCase)},
			})
			s.Exec(t, databaseRights...)
			compareDatabases(t, s)
			s.Exec(t, publicRights...)
			compareDatabases(t, s)
		})
	}
}

func compareDatabases(t *testing.T, s *testbed.MariaDB) {
	t.Helper()
	db, err := sql.Open("mysql", s.AdminURL("mysql"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	table, err := account.Load(t.Context(), querier{db}, account.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	users := []string{
		"none", "local", "parts", "literal", "routine", "slashed", "wild", "many", "case_", "admin", "giver", "dbgiver", "reader", "temp",
		"member", "idle", "former", "wide", "inner_", "multi",
	}
	databases := []string{
		"db1", "db2", "a_b", "aXb", "aäb", "nodb1", "elsewhere", "Mixed", "mixed", "DB1", "mysql", "plaza", "market", "lobby", "information_schema",
	}
	numbers := map[account.Verdict]string{account.NoAccess: "1044", account.NoDatabase: "1049"}
	seen := map[account.Verdict]int{}
	for _, user := range users {
		for _, from := range []string{"127.0.0.1", "127.0.0.2", "127.0.1.1"} {
			m := table.Find(user, netip.MustParseAddr(from), nil, account.Options{SkipNameResolve: true})
			if !m.OK() {
				t.Errorf("%s from %s: %s", user, from, m.Reason)
				continue
			}
			for _, database := range databases {
				verdict := table.AllowsDatabase(m, database, false)
				seen[verdict]++
				got, refused := numbers[verdict]
				if !refused {
					got = m.Account.User + "@" + m.Account.Host
				}
				if want := login(t, s, from, user, "", database); got != want {
					t.Errorf("%s from %s in %s: the server says %s, not %s", user, from, database, want, got)
				}
			}
		}
	}
	t.Logf("verdicts compared: %d allowed, %d without access, %d without database", seen[account.Allowed], seen[account.NoAccess], seen[account.NoDatabase])
	if len(seen) != 3 {
		t.Errorf("verdicts seen: %v", seen)
	}
}

func TestLoadFromMariaDB(t *testing.T) {
	s := start(t, false)
	s.Exec(t,
		"CREATE USER multi IDENTIFIED VIA ed25519 USING PASSWORD('x') OR mysql_native_password USING PASSWORD('x') OR unix_socket",
		"CREATE USER locked IDENTIFIED BY 'x' ACCOUNT LOCK", "CREATE USER expired IDENTIFIED BY 'x' PASSWORD EXPIRE",
		"CREATE USER exact IDENTIFIED BY 'x' REQUIRE ISSUER '/CN=ca' AND SUBJECT '/CN=me' AND CIPHER 'C'",
		"CREATE USER x509 REQUIRE X509", "CREATE USER tls REQUIRE SSL",
		"CREATE USER boss", "CREATE USER ''@'%' IDENTIFIED VIA unix_socket", "INSERT INTO mysql.proxies_priv (Host, User, Proxied_host, Proxied_user) VALUES ('%', '', '%', 'boss')",
	)
	table, err := load(t, s, "svc")
	if err != nil {
		t.Fatal(err)
	}
	if unread := table.Unread(); len(unread) > 0 {
		t.Errorf("unread: %q", unread)
	}
	find := func(user string) account.Match {
		return table.Find(user, netip.MustParseAddr("127.0.0.2"), nil, account.Options{SkipNameResolve: true})
	}
	const hash = "*B69027D44F6E5EDC07F1AEAD1477967B16F28227"
	multi := find("multi").Account.Methods
	if len(multi) != 3 || multi[0].Plugin != "ed25519" || len(multi[0].Text) != 43 ||
		multi[1] != (account.Method{Plugin: account.NativePassword, Text: hash}) || multi[2] != (account.Method{Plugin: "unix_socket"}) {
		t.Errorf("methods %v", multi)
	}
	if m := find("locked"); m.Reason != account.IsLocked || login(t, s, "127.0.0.2", "locked", "x", "") != "4151" {
		t.Errorf("locked: %s", m.Reason)
	}
	if m := find("expired"); !m.OK() || !m.Account.Expired {
		t.Errorf("expired: %+v", m.Account)
	}
	for user, want := range map[string]account.Demand{
		"exact": {Required: true, Certificate: true, Cipher: "C", Issuer: "/CN=ca", Subject: "/CN=me"},
		"x509":  {Required: true, Certificate: true}, "tls": {Required: true},
	} {
		if m := find(user); m.Reason != account.NeedsTLS || m.Account.TLS != want {
			t.Errorf("%s: %s, %+v", user, m.Reason, m.Account.TLS)
		}
	}
	if m := find("anyone"); !m.OK() || table.AllowsDatabase(m, "mysql", true) != account.Allowed {
		t.Errorf("one who becomes another user: %+v", m)
	}
}

func TestLoadWithFewRightsFromMariaDB(t *testing.T) {
	s := start(t, false)
	s.Exec(t,
		"CREATE USER few@'127.0.0.1' IDENTIFIED BY 'few'", "GRANT SELECT ON mysql.user TO few@'127.0.0.1'", "GRANT SELECT ON mysql.db TO few@'127.0.0.1'",
		"CREATE USER less@'127.0.0.1' IDENTIFIED BY 'less'", "GRANT SELECT ON mysql.global_priv TO less@'127.0.0.1'",
		"CREATE USER bare@'127.0.0.1' IDENTIFIED BY 'bare'", "CREATE USER app IDENTIFIED BY 'x'",
	)
	few, err := load(t, s, "few")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"mysql.tables_priv", "mysql.columns_priv", "mysql.procs_priv", "mysql.proxies_priv", "mysql.roles_mapping"}
	if got := few.Unread(); !slices.Equal(got, want) {
		t.Errorf("unread: %q", got)
	}
	m := few.Find("app", netip.MustParseAddr("127.0.0.2"), nil, account.Options{})
	if !m.OK() || m.Account.Methods[0].Text == "" || few.AllowsDatabase(m, "nowhere", true) != account.Allowed {
		t.Errorf("found %+v", m)
	}
	for user, grant := range map[string]string{"less": "SELECT ON mysql.db", "bare": "SELECT ON mysql.global_priv"} {
		_, err := load(t, s, user)
		var e *errs.Error
		if !errors.As(err, &e) || e.Reason != errs.PermissionDenied || !strings.Contains(e.Message, grant) {
			t.Errorf("%s: %v", user, err)
		}
	}
}
