package account

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/internal/errs"
)

const someAccounts = `{
  "user": [
    {"user": "any", "host": "%", "global_db_priv": true},
    {"user": "app", "host": "192.0.2.1", "password": "*032169CDF0B90AF8C00992D43D354E29A2EACB42", "plugin": "mysql_native_password", "default_role": "r"},
    {"user": "bare", "host": "%", "password": "032169CDF0B90AF8C00992D43D354E29A2EACB42", "super_priv": true},
    {"user": "", "host": "%", "plugin": "pam", "authentication_string": "svc", "proxy_priv": true},
    {"user": "r", "host": "%", "is_role": true}
  ],
  "db": [{"user": "app", "host": "192.0.2.1", "db": "test_"}, {"user": "r", "host": "%", "db": "more"}],
  "roles_mapping": [{"user": "app", "host": "192.0.2.1", "role": "r"}],
  "comment": "ignored"
}`

func TestParseFile(t *testing.T) {
	table, err := ParseFile([]byte(someAccounts))
	if err != nil {
		t.Fatal(err)
	}
	client := addr(t, "192.0.2.1")
	const hash = "*032169CDF0B90AF8C00992D43D354E29A2EACB42"
	for user, want := range map[string]Method{
		"any": {NativePassword, ""}, "app": {NativePassword, hash}, "bare": {NativePassword, hash}, "new": {"pam", "svc"}, "r": {"pam", "svc"},
	} {
		if m := table.Find(user, client, nil, Options{}); !m.OK() || m.Account.Methods[0] != want {
			t.Errorf("%s: found %+v", user, m.Account)
		}
	}
	for _, c := range []struct {
		user, database string
		want           Verdict
	}{
		{"any", "x", Allowed}, {"app", "test1", Allowed}, {"app", "more", Allowed}, {"app", "x", NoAccess},
		{"bare", "x", NoAccess}, {"new", "x", Allowed},
	} {
		if got := table.AllowsDatabase(table.Find(c.user, client, nil, Options{}), c.database, true); got != c.want {
			t.Errorf("%s in %s: %s", c.user, c.database, got)
		}
	}
	server := New(Data{Version: "1", Accounts: accounts("any", "%"), Databases: []string{"x"}, Complete: true})
	both := Merge(server, table)
	if got := both.AllowsDatabase(both.Find("any", client, nil, Options{}), "x", true); got != NoAccess {
		t.Errorf("the server's account does not win over that of the file: %s", got)
	}
	if got := both.AllowsDatabase(both.Find("app", client, nil, Options{}), "test1", true); got != NoDatabase {
		t.Errorf("a file makes the server's list of databases incomplete: %s", got)
	}
}

func TestParseFileFaults(t *testing.T) {
	for raw, want := range map[string]string{
		`[]`:                           "not the JSON of an accounts file",
		`{"user":{}}`:                  "user must be a",
		`{"user":[{"user":"secret"}]}`: "user[0]: user and host must be given",
		`{"user":[{"user":"a","host":"%"},{"user":"a","host":"%","passwd":"secret"}]}`:     `user[1]: json: unknown field "passwd"`,
		`{"user":[{"user":"a","host":"%","password":{"secret":1}}]}`:                       "password must be a string",
		`{"user":[{"user":"a","host":"%","is_role":"secret"}]}`:                            "is_role must be a bool",
		`{"db":[{"user":"a","host":"%"}]}`:                                                 "db[0]: db must be given",
		`{"roles_mapping":[{"user":"a","host":"%","role":""}]}`:                            "roles_mapping[0]: role must be given",
		`{"db":[{"user":"a","host":"%","db":"x"},{"user":"a","host":"%","db":"x","y":1}]}`: "db[1]: ",
	} {
		_, err := ParseFile([]byte(raw))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", raw, err)
		}
	}
	if _, err := ReadFile(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	big := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(big, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadFile(big); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("a file that is too large: %v", err)
	}
}

const someMapping = `{
  "user_map": [{"original_user": "bob", "mapped_user": "janet"}],
  "group_map": [{"original_group": "visitors", "mapped_user": "guest"}, {"original_group": "staff", "mapped_user": "janet"}],
  "server_credentials": [
    {"mapped_user": "janet", "password": "one", "plugin": "mysql_native_password"},
    {"mapped_user": "guest", "password": "", "plugin": "pam"},
    {"mapped_user": "plain", "password": "two"}
  ]
}`

func TestMapping(t *testing.T) {
	m, err := ParseMapping([]byte(someMapping))
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	groups := func(list ...string) func() []string { return func() []string { asked++; return list } }
	for _, c := range []struct {
		user   string
		groups []string
		want   string
	}{
		{"bob", []string{"visitors"}, "janet"}, {"eve", []string{"staff", "visitors"}, "guest"},
		{"eve", []string{"staff"}, "janet"}, {"eve", []string{"other"}, ""}, {"eve", nil, ""},
	} {
		if got, ok := m.User(c.user, groups(c.groups...)); got != c.want || ok != (c.want != "") {
			t.Errorf("%s of %q becomes %q", c.user, c.groups, got)
		}
	}
	if asked != 4 {
		t.Errorf("groups were asked for %d times", asked)
	}
	if got, ok := m.Credential("plain"); !ok || got != (Credential{"two", NativePassword}) {
		t.Errorf("the credential is %s of %s", got.Password, got.Plugin)
	}
	if _, ok := m.Credential("bob"); ok {
		t.Error("a user without credential has one")
	}
}

func TestMappingFaults(t *testing.T) {
	_, err := ParseMapping([]byte(`{
	  "user_map": [{"original_user": "", "mapped_user": "a"}, {"original_user": "b", "mapped_user": "a"}, {"original_user": "b", "mapped_user": "a"}],
	  "group_map": [{"original_group": "g"}],
	  "server_credentials": [{"password": "secret"}, {"mapped_user": "a", "plugin": "unix_socket", "password": "secret"}]}`))
	var e *errs.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range e.Fields {
		paths = append(paths, f.Path)
	}
	want := []string{"user_map[0].original_user", "user_map[2].original_user", "group_map[0].mapped_user",
		"server_credentials[0].mapped_user", "server_credentials[1].plugin"}
	if !slices.Equal(paths, want) {
		t.Errorf("faults in %q", paths)
	}
	for _, raw := range []string{"", "[]", `{"usermap": []}`, `{} {}`, `{"user_map": [{"original_user": {"secret":1}}]}`, `{"user_map":"secret"}`} {
		if _, err := ParseMapping([]byte(raw)); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add([]byte(someAccounts))
	f.Add([]byte(`{"user":[null],"db":[[]],"roles_mapping":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		table, err := ParseFile(raw)
		if (err == nil) != (table != nil) {
			t.Fatalf("table %v and error %v", table, err)
		}
		if err != nil {
			return
		}
		for user := range table.users {
			m := table.Find(user, addr(t, "192.0.2.1"), nil, Options{EnableRoot: true})
			table.AllowsDatabase(m, "db", true)
		}
	})
}

func FuzzParseMapping(f *testing.F) {
	f.Add([]byte(someMapping))
	f.Add([]byte(`{"user_map":[null]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := ParseMapping(raw)
		if (err == nil) != (m != nil) {
			t.Fatalf("mapping %v and error %v", m, err)
		}
		if err != nil {
			return
		}
		for user, mapped := range m.users {
			if got, ok := m.User(user, nil); !ok || got != mapped || user == "" || mapped == "" {
				t.Fatalf("%q becomes %q", user, got)
			}
		}
	})
}

func FuzzGlobalPriv(f *testing.F) {
	f.Add([]byte(`{"access":0,"plugin":"mysql_native_password","authentication_string":"*A","auth_or":[{},{"plugin":"unix_socket"}],"ssl_type":3}`))
	f.Add([]byte(`{"access":18446744073709551615,"is_role":true,"default_role":"r"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a := parseGlobalPriv(Name{User: "u", Host: "%"}, raw)
		if !a.Role && !a.Locked && len(a.Methods) == 0 {
			t.Fatalf("%s is an account that anyone can be: %+v", raw, a)
		}
	})
}
