package filter

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestClientsAreMatched(t *testing.T) {
	remote := netip.MustParseAddrPort("192.168.7.9:40000")
	for pattern, want := range map[string]bool{
		"bob": true, "'bob'": true, "bob@%": true, "'bob'@'%'": true, "%@%": true, "'bob'@'192.168.%'": true, "bob@192.168.7._": true,
		"bob@192.168.7.9": true, `"bob"@192.168.7.9`: true, "`bob`@`%.9`": true, "b%": true, "%": true,
		"alice": false, "BOB": false, "bob@192.168.8.%": false, "'bob'@'localhost'": false, "b_b": false, "bob@%.8": false,
	} {
		c, err := ParseClient(pattern)
		if err != nil || c.Matches("bob", remote) != want {
			t.Errorf("%s: %v, %v", pattern, !want, err)
		}
	}
	local, _ := ParseClient("bob@localhost")
	if !local.Matches("bob", netip.AddrPort{}) || !local.Matches("bob", netip.MustParseAddrPort("[::1]:1")) {
		t.Error("localhost is not the machine itself")
	}
	for _, wrong := range []string{"", "@", "bob@", "'bob", "''@'%'", "'bob'x", "a b", "'bob'@'x'y"} {
		if c, err := ParseClient(wrong); err == nil {
			t.Errorf("%q is read as %s", wrong, c)
		}
	}
}

func TestRulesAreRead(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "rules")
	if err := os.WriteFile(file, []byte("{\n\"name\": \"secret\"\n}"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := ReadRules(file)
	var into struct{ Name string }
	if err != nil || DecodeRules(text, &into) != nil || into.Name != "secret" {
		t.Errorf("%q, %v", into.Name, err)
	}
	for _, wrong := range []string{"", "{", `{"other": 1}`, `{"name": 1}`, `{"name": "a"} secret`, "secret"} {
		if err := DecodeRules([]byte(wrong), &into); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
	for _, path := range []string{dir, filepath.Join(dir, "none"), "/dev/zero"} {
		if _, err := ReadRules(path); err == nil || strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestMatchesAreFound(t *testing.T) {
	x, err := CompileRegexp(`\d+|(?=z)`, 0)
	if err != nil {
		t.Fatal(err)
	}
	spans, err := x.Find([]byte("a\xff12bz345"))
	if err != nil || len(spans) != 2 || spans[0] != (Span{2, 4}) || spans[1] != (Span{6, 9}) {
		t.Error(spans, err)
	}
}
