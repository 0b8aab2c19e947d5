package config_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/connectors"
)

func prefixes(list []netip.Prefix) string {
	var out []string
	for _, p := range list {
		out = append(out, p.String())
	}
	return strings.Join(out, " ")
}

// TestDenyDefault keeps the list here, which cannot import that of the
// connectors, equal to it.
func TestDenyDefault(t *testing.T) {
	c, err := load(t, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := connectors.DefaultDeny(); !slices.Equal(c.DenyTargets, want) {
		t.Errorf("denied are %v, want %v", c.DenyTargets, want)
	}
	if c.MaxCallsPerSecond != 0 || c.MaxCallsAtOnce != 1000 || c.MaxHeaderBytes != 65536 {
		t.Errorf("limits are %v, %d, %d", c.MaxCallsPerSecond, c.MaxCallsAtOnce, c.MaxHeaderBytes)
	}
}

func TestDenyTargets(t *testing.T) {
	for text, want := range map[string]string{
		"none":                  "",
		"10.0.0.0/8":            "10.0.0.0/8",
		"10.1.2.3/8,fd00::/8":   "10.0.0.0/8 fd00::/8",
		"192.0.2.1,2001:db8::1": "192.0.2.1/32 2001:db8::1/128",
		"::ffff:10.0.0.0/104":   "10.0.0.0/8",
		"::ffff:192.0.2.1":      "192.0.2.1/32",
		"0.0.0.0/0,::/0":        "0.0.0.0/0 ::/0",
	} {
		c, err := load(t, "", nil, "--deny-targets", text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if got := prefixes(c.DenyTargets); got != want {
			t.Errorf("%s: denied are %q, want %q", text, got, want)
		}
		if fromEnv, err := load(t, "", map[string]string{"BACKPLANE_DENY_TARGETS": text}); err != nil || prefixes(fromEnv.DenyTargets) != want {
			t.Errorf("%s by environment: denied are %v, %v", text, fromEnv.DenyTargets, err)
		}
	}
}
