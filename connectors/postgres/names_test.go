package postgres

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/backplane/backplane/connectors"
)

func TestDerivedNamesFitAndDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{
		"a", strings.Repeat("n", 61), strings.Repeat("n", 62), strings.Repeat("n", 63), strings.Repeat("n", 62) + "m",
		strings.Repeat("т", 31), strings.Repeat("т", 30) + "aa", "a" + strings.Repeat("т", 31),
	} {
		for _, role := range rolesOf(name).all() {
			if len(role) > longestName || !utf8.ValidString(role) {
				t.Errorf("%q becomes %q", name, role)
			}
			if other, twice := seen[role]; twice {
				t.Errorf("%q and %q share %q", name, other, role)
			}
			seen[role] = name
		}
	}
	if got := derived("o_", "shop"); got != "o_shop" {
		t.Errorf("got %q", got)
	}
}

func TestGroupsOfLogins(t *testing.T) {
	r := rolesOf("shop")
	for _, tc := range []struct {
		l    connectors.Login
		want string
	}{
		{connectors.Login{Privilege: connectors.Owner}, "o_shop"},
		{connectors.Login{Privilege: connectors.ReadWrite}, "w_shop"},
		{connectors.Login{Privilege: connectors.ReadOnly}, "r_shop"},
		{connectors.Login{Privilege: connectors.Owner, Frozen: true}, "r_shop"},
		{connectors.Login{Privilege: connectors.ReadWrite, Frozen: true}, "r_shop"},
	} {
		if got := r.of(tc.l); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.l, got, tc.want)
		}
	}
}

func TestVerifierHidesThePassword(t *testing.T) {
	const form = `^SCRAM-SHA-256\$4096:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$`
	a, err := verifier("secret")
	if err != nil || !regexp.MustCompile(form).MatchString(a) {
		t.Errorf("got %q, %v", a, err)
	}
	if b, _ := verifier("secret"); a == b {
		t.Error("the salt is the same twice")
	}
	if _, err := verifier(""); err == nil {
		t.Error("an empty password passed")
	}
}

func TestConninfoIsQuoted(t *testing.T) {
	if got, want := conninfo(`a'b\c host=x`), `dbname='a\'b\\c host=x'`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestToolFailures(t *testing.T) {
	for said, want := range map[string]connectors.Code{
		"pg_dump: error: connection to server at \"h\" failed: Connection refused": connectors.Refused,
		"FATAL:  no pg_hba.conf entry for host":                                    connectors.PermissionDenied,
		"pg_dump: error: aborting because of server version mismatch":              connectors.Internal,
		"server closed the connection unexpectedly":                                connectors.Closed,
		"FATAL:  terminating connection due to administrator command":              connectors.ServerBusy,
		"pg_restore: error: input file does not appear to be a valid archive":      connectors.Internal,
	} {
		err := toolFailure(connectors.Fail(connectors.Internal, &connectors.ToolError{Tool: "pg_dump", Stderr: said}, "x"))
		if !isCode(err, want) {
			t.Errorf("%s: %v", said, err)
		}
	}
}

func TestLacks(t *testing.T) {
	if got := lacks(150000, true, true, false); got != nil {
		t.Errorf("got %q", got)
	}
	if got := lacks(140010, false, false, true); len(got) != 4 {
		t.Errorf("got %q", got)
	}
}
