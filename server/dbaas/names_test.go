package dbaas

import (
	"slices"
	"strings"
	"testing"
)

func TestNamesBecomeSlugs(t *testing.T) {
	for given, want := range map[string]string{
		"test database2":         "test_database2",
		"w.h.e.r.e":              "w_h_e_r_e",
		"a__b-c":                 "a_b_c",
		"_x_":                    "x",
		"Ärger & Söhne":          "arger_sohne",
		"тест":                   "test",
		"it's":                   "its",
		"1,000":                  "1_000",
		"a&amp;b":                "a_b",
		`a"; DROP ROLE x; --`:    "a_drop_role_x",
		"`rm -rf /`":             "rm_rf",
		"select":                 "select",
		"日本":                     "ri_ben",
		"\x00\n":                 "",
		"\xff\xfe":               "",
		strings.Repeat("n", 200): strings.Repeat("n", 200),
	} {
		if got := slug(given); got != want {
			t.Errorf("%q becomes %q, want %q", given, got, want)
		}
	}
}

func TestNamesThatAreRefused(t *testing.T) {
	for given, want := range map[string]string{
		"":                       required,
		"--":                     required,
		strings.Repeat("n", 101): "Ensure this value has at most 100 characters (it has 101).",
		strings.Repeat("ж", 200): "Ensure this value has at most 100 characters (it has 200).",
		strings.Repeat("n", 64):  "Ensure this value has at most 63 characters (it has 64).",
		strings.Repeat("ж", 40):  "Ensure this value has at most 63 characters (it has 80).",
	} {
		if name, fault := checkName(given); fault != want || name != "" {
			t.Errorf("%q: %q %q, want %q", given, name, fault, want)
		}
	}
	if name, fault := checkName(strings.Repeat("n", 63)); fault != "" || len(name) != 63 {
		t.Errorf("63 characters: %q %q", name, fault)
	}
}

func TestLoginsOfNewDatabases(t *testing.T) {
	for database, want := range map[string]string{
		"test_database2": "u_test_database2", "my_first_database": "u_my_first_datab", "x": "u_x", "aaaaaaaaaaaaa_b": "u_aaaaaaaaaaaaa",
	} {
		if got := userFor(database); got != want {
			t.Errorf("the login of %s is %s, want %s", database, got, want)
		}
	}
	taken := []string{"u_my_first_datab", "u_my_first_data1"}
	got, err := freeUser("u_my_first_datab", func(name string) (bool, error) { return slices.Contains(taken, name), nil })
	if err != nil || got != "u_my_first_data2" {
		t.Errorf("the third login of the name is %q, %v", got, err)
	}
}

func TestPasswords(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		p := newPassword()
		if len(p) != 10 || strings.Trim(p, passwordLetters) != "" || strings.ContainsAny(p, "iloIO01") {
			t.Fatalf("the password %q", p)
		}
		for _, kind := range []string{"abcdefghjkmnpqrstuvwxyz", "ABCDEFGHJKLMNPQRSTUVWXYZ", "23456789"} {
			if !strings.ContainsAny(p, kind) {
				t.Fatalf("the password %q has none of %s", p, kind)
			}
		}
		if seen[p] {
			t.Fatalf("the password %q came twice", p)
		}
		seen[p] = true
	}
}

func TestRelations(t *testing.T) {
	for text, want := range map[string]struct {
		id    int
		fault string
	}{
		"/api/plan/1/":                       {1, ""},
		"/api/plan/12":                       {12, ""},
		"https://other.example/api/plan/3/":  {3, ""},
		"http://localhost:8000/api/plan/3/?": {3, ""},
		"":                                   {0, required},
		"1":                                  {0, noMatch},
		"plan/1/":                            {0, noMatch},
		"/api/plan/":                         {0, noMatch},
		"/api/plan/0/":                       {0, noMatch},
		"/api/plan/-1/":                      {0, noMatch},
		"/api/plan/x/":                       {0, noMatch},
		"/api/plane/1/":                      {0, noMatch},
		"/api/environment/1/":                {0, wrongMatch},
		"/api/plan/99999999999999999999/":    {0, noMatch},
	} {
		if id, fault := relation(text, plans); id != want.id || fault != want.fault {
			t.Errorf("%q is %d %q, want %d %q", text, id, fault, want.id, want.fault)
		}
	}
}
