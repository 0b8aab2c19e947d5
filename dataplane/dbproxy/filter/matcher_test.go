package filter

import (
	"net/netip"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

func TestMatcherSQL(t *testing.T) {
	specs := MatchSpecs("case")
	for _, tt := range []struct {
		given map[string]any
		sql   string
		want  bool
	}{
		{nil, "select 1", true},
		{map[string]any{"match": "select"}, "select 1", true},
		{map[string]any{"match": "select"}, "SELECT 1", false},
		{map[string]any{"match": "/select/", "options": "ignorecase"}, "SELECT 1", true},
		{map[string]any{"match": "sel ect # x", "options": "extended,ignorecase"}, "SELECT 1", true},
		{map[string]any{"match": "select", "exclude": "from"}, "select 1 from t", false},
		{map[string]any{"exclude": "from"}, "select 1", true},
		{map[string]any{"exclude": "^(a+)+$"}, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", false},
	} {
		m, err := NewMatcher(param.MustParse(specs, tt.given), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.SQL([]byte(tt.sql)); got != tt.want {
			t.Errorf("%v of %q: %v", tt.given, tt.sql, got)
		}
	}
	if m := (&Matcher{}); !m.SQL(nil) || !m.client("a", netip.AddrPort{}) || !m.All() {
		t.Error("not all are taken")
	}
	for _, given := range []map[string]any{{"match": "("}, {"exclude": "("}, {"source": "%"}, {"source": "1.2.3.4,"}, {"source": "%.%.%.%"}} {
		if _, err := NewMatcher(param.MustParse(specs, given), nil); err == nil {
			t.Errorf("%v is taken", given)
		}
	}
}

func TestMatcherClients(t *testing.T) {
	four, six, mapped := netip.MustParseAddrPort("192.168.10.7:1"), netip.MustParseAddrPort("[2001:db8::1]:1"), netip.MustParseAddrPort("[::ffff:192.168.10.7]:1")
	for _, tt := range []struct {
		user, source string
		remote       netip.AddrPort
		want         bool
	}{
		{"john", "", four, true}, {"jane", "", four, false},
		{"", "192.168.10.7", four, true}, {"", "192.168.10.7", mapped, true}, {"", "::ffff:192.168.10.7", four, true}, {"", "192.168.10.8", four, false},
		{"", "192.168.%.%", four, true}, {"", "192.168.%.7", four, true}, {"", "192.%", four, true}, {"", "10.%.%.%", four, false}, {"", "192.%.%.8", four, false},
		{"", "10.0.0.1, 192.168.10.%", four, true}, {"", "2001:db8:0::1", six, true}, {"", "2001:db8::%", six, true}, {"", "localhost", netip.AddrPort{}, true}, {"", "127.0.0.1", netip.AddrPort{}, false},
		{"john", "10.0.0.1", four, false},
	} {
		m, err := NewMatcher(param.MustParse(MatchSpecs("case"), map[string]any{"user": tt.user, "source": tt.source}), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := m.client("john", tt.remote); got != tt.want {
			t.Errorf("%q from %q, %v: %v", tt.user, tt.source, tt.remote, got)
		}
	}
}
