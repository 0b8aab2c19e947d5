package redis

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/internal/frames"
)

func TestUnfit(t *testing.T) {
	for _, c := range []struct {
		version, mode, role string
		want                string
	}{
		{"7.0.15", "standalone", "master", ""},
		{"6.0.0", "standalone", "master", ""},
		{"8.2.1", "", "master", ""},
		{"5.0.14", "standalone", "master", "this is 5.0.14"},
		{"odd", "standalone", "master", "this is odd"},
		{"7", "standalone", "master", "this is 7"},
		{"7.x", "standalone", "master", "this is 7.x"},
		{"7.0.15", "cluster", "master", "Cluster"},
		{"7.0.15", "sentinel", "", "Sentinel"},
		{"7.0.15", "standalone", "slave", "replica"},
	} {
		got := strings.Join(unfit(map[string]string{"redis_version": c.version, "redis_mode": c.mode, "role": c.role}), "; ")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

// Versions that cannot be had here get no rules they would refuse, and none
// that would open what they do not check.
func TestRulesOfOldVersions(t *testing.T) {
	all := func(string) bool { return true }
	l := connectors.Login{Database: "shop", User: "u", Password: "secret", Privilege: connectors.Owner}
	old, current := aclRules(l, version{6, 0}, all), aclRules(l, version{6, 2}, all)
	for _, rule := range []string{"&shop:*", "+publish", "+subscribe", "+psubscribe"} {
		if slices.Contains(old, rule) || !slices.Contains(current, rule) {
			t.Errorf("%s: %v, %v", rule, old, current)
		}
	}
	for _, rules := range [][]string{old, current} {
		if strings.Contains(strings.Join(rules, " "), "secret") || rules[0] != "reset" || !slices.Contains(rules, "~shop:*") {
			t.Errorf("rules %v", rules)
		}
	}
	s := &server{version: version{6, 2}, known: map[string]bool{"client": true, "select": true, "get": true}}
	for rule, want := range map[string]bool{"client|setinfo": true, "select|0": true, "get": true, "evalsha_ro": false, "script|load": false} {
		if s.knows(rule) != want {
			t.Errorf("6.2 knows %s: %t", rule, !want)
		}
	}
	s.version = version{7, 0}
	s.known["client|id"] = true
	for rule, want := range map[string]bool{"client|setinfo": false, "client|id": true, "select|0": true} {
		if s.knows(rule) != want {
			t.Errorf("7.0 knows %s: %t", rule, !want)
		}
	}
}

func TestPattern(t *testing.T) {
	for name, want := range map[string]string{"shop": "shop:*", "a*b": `a\*b:*`, "[x]?": `\[x]\?:*`, `a\b`: `a\\b:*`} {
		if got := pattern(name); got != want {
			t.Errorf("%q: %s", name, got)
		}
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"shop", "тест", "a*b", strings.Repeat("n", 512)} {
		if err := checkDatabase(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "backplane", "a b", "a:b", `a"b`, "a'b", `a\b`, "a\tb", "a\nb", "a\x00b", "a\u00a0b", "a\xffb", strings.Repeat("n", 513)} {
		var f *connectors.Failure
		if err := checkDatabase(name); !errors.As(err, &f) || f.Code != connectors.InvalidConfig {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Both forms in which versions list a user's keys.
func TestKeysOf(t *testing.T) {
	text := func(s string) value { return value{kind: '$', text: s} }
	list := func(l ...value) value { return value{kind: '*', list: l} }
	for _, c := range []struct {
		user value
		want []string
	}{
		{list(), nil},
		{list(text("flags"), list(text("on")), text("keys"), list(text("shop:*"), text("x"))), []string{"shop:*", "x"}},
		{list(text("keys"), text("~shop:*")), []string{"shop:*"}},
		{list(text("keys"), text("~shop:* %R~x")), []string{"shop:*", "%R~x"}},
		{list(text("keys"), text("~shop:*"), text("selectors"), list(list(text("keys"), text("~*")))), []string{"shop:*", ""}},
	} {
		if got := keysOf(c.user); !slices.Equal(got, c.want) {
			t.Errorf("%v: %q", c.user, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := &server{}
	for text, c := range map[string]struct {
		code   connectors.Code
		passes bool
	}{
		"LOADING Redis is loading": {connectors.ServerBusy, true}, "OOM command not allowed": {connectors.ServerBusy, true},
		"READONLY You can't write": {connectors.ServerBusy, true}, "ERR max number of clients reached": {connectors.ServerBusy, true},
		"NOPERM no": {connectors.PermissionDenied, false}, "NOAUTH Authentication required.": {connectors.AuthRequired, false},
		"ERR syntax error": {connectors.Internal, false}, "WRONGTYPE Operation": {connectors.Internal, false},
	} {
		err := s.failure(&replyError{text})
		var f *connectors.Failure
		if !errors.As(err, &f) || f.Code != c.code || connectors.MayPass(err) != c.passes {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(append(record{"key", 5}.head(), "content"...))
	f.Add(record{}.head())
	f.Add([]byte{0x80})
	f.Add([]byte{0, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, payload []byte) {
		r, content, err := parseRecord(payload)
		if err != nil {
			if !errors.Is(err, frames.ErrDamaged) {
				t.Errorf("got %v", err)
			}
			return
		}
		again, rest, err := parseRecord(append(r.head(), content...))
		if err != nil || again != r || !bytes.Equal(rest, content) {
			t.Errorf("%+v came back as %+v, %v", r, again, err)
		}
	})
}

func FuzzValue(f *testing.F) {
	for _, s := range []string{"+OK\r\n", "-ERR x\r\n", ":5\r\n", "$-1\r\n", "$3\r\nabc\r\n", "*2\r\n$1\r\na\r\n*0\r\n", "*-1\r\n", "$9999999999\r\n", "$5\r\nab", "*16777216\r\n+x\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		w := &wire{r: bufio.NewReader(bytes.NewReader(data))}
		v, err := w.value(0)
		if err == nil && !strings.ContainsRune("+-:$*", rune(v.kind)) {
			t.Errorf("%q is %s", data, fmt.Sprint(v))
		}
	})
}
