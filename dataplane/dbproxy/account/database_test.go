package account

import "testing"

// someGrants holds accounts with grants of each kind.
func someGrants() Data {
	role := func(n string) Account { return Account{Name: Name{User: n}, Role: true} }
	named := func(n, host string) Name { return Name{User: n, Host: host} }
	account := func(n string, p Privileges, roles ...string) Account {
		a := Account{Name: named(n, "%"), Privileges: p, Methods: []Method{{Plugin: NativePassword}}}
		for _, r := range roles {
			a.DefaultRoles = append(a.DefaultRoles, Name{User: r})
		}
		return a
	}
	everywhere := role("everywhere")
	everywhere.Privileges = Select
	pam := account("pam", 0)
	pam.Methods = []Method{{Plugin: "pam"}}
	return Data{
		Accounts: []Account{
			account("none", 0), account("reader", Select), account("boss", Super|ShowDatabases), account("own", 0),
			account("parts", 0), account("member", 0, "outer"), account("outsider", 0, "outer"), account("global", 0, "everywhere"),
			account("elsewhere", 0), pam, role("outer"), role("inner"), everywhere, role("PUBLIC"), role("shared"),
		},
		Grants: []Grant{
			{Name: named("own", "%"), Database: "shop"},
			{Name: named("own", "%"), Database: `app\_1`},
			{Name: named("own", "%"), Database: "tmp%"},
			{Name: named("parts", "%"), Database: "a_b", Literal: true},
			{Name: named("parts", "%"), Database: `x\_y`, Literal: true},
			{Name: named("elsewhere", "10.%"), Database: "shop"},
			{Name: named("", "%"), Database: "lobby"},
			{Name: named("", "%"), Database: "hidden", Literal: true},
			{Name: named("outer", ""), Database: "outerdb"},
			{Name: named("inner", ""), Database: "innerdb", Literal: true},
			{Name: named("inner", "%"), Database: "shop"}, // of an account that is called like the role
			{Name: named("PUBLIC", ""), Database: "plaza"},
			{Name: named("shared", ""), Database: "market"},
		},
		Memberships: []Membership{
			{Member: named("member", "%"), Role: named("outer", "")},
			{Member: named("global", "%"), Role: named("everywhere", "")},
			{Member: named("outer", ""), Role: named("inner", "")},
			{Member: named("inner", ""), Role: named("outer", "")}, // a cycle
			{Member: named("PUBLIC", ""), Role: named("shared", "")},
		},
		Proxies: []Proxy{{Name: named("pam", "%")}, {Name: named("none", "%")}},
		Databases: []string{"shop", "app_1", "appX1", "tmp1", "a_b", "aXb", "x_y", "lobby", "hidden", "outerdb", "innerdb",
			"plaza", "market", "Big"},
		Complete: true,
	}
}

func TestAllowsDatabase(t *testing.T) {
	d := someGrants()
	table := New(d)
	for _, c := range []struct {
		user, database string
		want           Verdict
	}{
		{"none", "shop", NoAccess}, {"none", "nowhere", NoAccess}, {"none", "information_schema", Allowed},
		{"none", "Information_Schema", Allowed}, {"none", "performance_schema", NoAccess},
		{"reader", "shop", Allowed}, {"reader", "nowhere", NoDatabase}, {"boss", "shop", NoAccess},
		{"own", "shop", Allowed}, {"own", "Shop", NoAccess}, {"own", "app_1", Allowed}, {"own", "appX1", NoAccess},
		{"own", "tmp1", Allowed}, {"own", "tmp2", NoDatabase},
		{"parts", "a_b", Allowed}, {"parts", "aXb", NoAccess}, {"parts", "x_y", Allowed},
		{"elsewhere", "shop", NoAccess}, {"none", "lobby", Allowed}, {"none", "hidden", NoAccess},
		{"member", "outerdb", Allowed}, {"member", "innerdb", Allowed}, {"member", "shop", NoAccess},
		{"outsider", "outerdb", NoAccess}, // a default role that is not granted
		{"global", "shop", Allowed}, {"none", "plaza", Allowed}, {"none", "market", Allowed},
		{"pam", "shop", Allowed}, {"reader", "big", NoDatabase}, {"reader", "Big", Allowed},
	} {
		m := table.Find(c.user, addr(t, "192.0.2.1"), nil, Options{})
		if got := table.AllowsDatabase(m, c.database, true); got != c.want {
			t.Errorf("%s in %s: %s, want %s", c.user, c.database, got, c.want)
		}
	}
	find := func(u string) Match { return table.Find(u, addr(t, "10.0.0.1"), nil, Options{}) }
	if got := table.AllowsDatabase(find("elsewhere"), "shop", true); got != Allowed {
		t.Errorf("a grant for another host of the client: %s", got)
	}
	if got := table.AllowsDatabase(find("parts"), "x_y", false); got != NoAccess {
		t.Errorf("escapes in the grant on a table without strip_db_esc: %s", got)
	}
	if got := table.AllowsDatabase(find("own"), "app_1", false); got != Allowed {
		t.Errorf("escapes in the grant on a database without strip_db_esc: %s", got)
	}
	if got := table.AllowsDatabase(find("nobody"), "shop", true); got != NoAccess {
		t.Errorf("without an account: %s", got)
	}
	d.LowerCase = 1
	folded := New(d)
	for _, name := range []string{"SHOP", "App_1", "tMp1"} {
		if got := folded.AllowsDatabase(find("own"), name, true); got != Allowed {
			t.Errorf("%s with lower_case_table_names: %s", name, got)
		}
	}
	d.Complete = false
	if got := New(d).AllowsDatabase(find("reader"), "nowhere", true); got != Allowed {
		t.Errorf("a database that may be there: %s", got)
	}
	d.Unread = []string{"mysql.tables_priv"}
	if got := New(d).AllowsDatabase(find("none"), "shop", true); got != Allowed {
		t.Errorf("with grants that could not be read: %s", got)
	}
}

func TestMerge(t *testing.T) {
	one := New(Data{
		Version: "1", Accounts: []Account{{Name: Name{"a", "%"}, Locked: true}, {Name: Name{"b", "%"}}},
		Grants:    []Grant{{Name: Name{"c", "%"}, Database: "x"}},
		Databases: []string{"x"}, Complete: true,
	})
	two := New(Data{
		Version: "2", Accounts: []Account{{Name: Name{"a", "%"}}, {Name: Name{"c", "%"}}, {Name: Name{"a", "10.%"}}},
		Grants:      []Grant{{Name: Name{"c", "%"}, Database: "x"}, {Name: Name{"b", "%"}, Database: "y"}},
		Memberships: []Membership{{Member: Name{"c", "%"}, Role: Name{User: "r"}}},
		Databases:   []string{"y", "x"}, Complete: true, Unread: []string{"mysql.procs_priv"},
	})
	both := Merge(nil, Empty(), one, two)
	if both.Accounts() != 4 || both.Version() != "1" || len(both.data.Grants) != 2 || len(both.data.Memberships) != 1 ||
		len(both.data.Databases) != 2 || !both.data.Complete || len(both.Unread()) != 1 {
		t.Errorf("merged %+v", both.data)
	}
	if m := both.Find("a", addr(t, "192.0.2.1"), nil, Options{}); m.Reason != IsLocked {
		t.Errorf("the account of the first server does not count: %s", m.Reason)
	}
	if m := both.Find("a", addr(t, "10.0.0.1"), nil, Options{}); !m.OK() {
		t.Errorf("the account of the second server is missing: %s", m.Reason)
	}
	if Merge(nil).Loaded() || Merge(one) != one {
		t.Error("merging less than two tables made another one")
	}
	if len(one.data.Accounts) != 2 || len(two.data.Grants) != 2 {
		t.Error("merging changed a table")
	}
}
