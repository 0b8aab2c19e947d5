package mariadbmon

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

func TestParametersHaveTheirDefaults(t *testing.T) {
	set, faults := param.Parse(specs(), map[string]any{"user": "u", "passwd": "p", "multimaster": true, "mysql51_replication": 1, "detect_replication_lag": true, "allow_cluster_recovery": "x"})
	if faults != nil {
		t.Fatal(faults)
	}
	report := set.Report()
	for name, want := range map[string]any{
		"monitor_interval": "2000ms", "backend_connect_timeout": "3000ms", "backend_connect_attempts": int64(1), "failcount": int64(5), "auto_failover": false,
		"master_conditions": "primary_monitor_master", "slave_conditions": "none", "verify_master_failure": true, "master_failure_timeout": "10000ms", "failover_timeout": "90000ms",
		"switchover_timeout": "90000ms", "script_timeout": "90000ms", "journal_max_age": "28800000ms", "cooperative_monitoring_locks": "none", "script_max_replication_lag": int64(-1),
		"maintenance_on_low_disk_space": true, "disk_space_check_interval": "0ms", "handle_events": true, "rebuild_port": int64(4444), "password": param.Hidden, "script": nil, "detect_stale_slave": true,
	} {
		if got := report[name]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if _, shown := report["multimaster"]; shown {
		t.Error("a parameter that is ignored is shown")
	}
}

func TestParametersThatCannotBe(t *testing.T) {
	for given, want := range map[string]string{
		"servers_no_promotion=a,z": `servers_no_promotion has "z", which is not a server of the monitor`, "replication_user=x": "must be given together",
		"disk_space_threshold=data:80": "neither an absolute path", "disk_space_threshold=/data": "path:percent", "disk_space_threshold=/data:101": "between 0 and 100", "script=a 'b": "quote",
	} {
		name, value, _ := strings.Cut(given, "=")
		set, faults := param.Parse(specs(), map[string]any{"user": "u", "password": "p", name: value})
		if faults != nil {
			t.Fatal(faults)
		}
		if _, err := readSettings(set, []string{"a", "b"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", given, err, want)
		}
	}
}

func TestStatementsAreQuoted(t *testing.T) {
	for got, want := range map[string]string{
		changeMaster("", source{host: "h", port: 1, user: "u", password: `p'\"` + "\x00", useGTID: "slave_pos"}):                            `CHANGE MASTER TO MASTER_HOST='h', MASTER_PORT=1, MASTER_USER='u', MASTER_PASSWORD='p\'\\"\0', MASTER_USE_GTID=slave_pos`,
		changeMaster("o'x", source{host: "h", port: 1, useGTID: "current_pos", demoted: true, ssl: true, custom: "MASTER_CONNECT_RETRY=1"}): `CHANGE MASTER 'o\'x' TO MASTER_HOST='h', MASTER_PORT=1, MASTER_USER='', MASTER_PASSWORD='', MASTER_USE_GTID=current_pos, MASTER_DEMOTE_TO_SLAVE=1, MASTER_SSL=1, MASTER_CONNECT_RETRY=1`,
		stopSlave(""): "STOP SLAVE", startSlave("a"): "START SLAVE 'a'", resetSlave("a", true): "RESET SLAVE 'a' ALL", resetSlave("", false): "RESET SLAVE", quoteName("a`b"): "`a``b`",
	} {
		if got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	}
	for version, want := range map[string]bool{"10.11.19-MariaDB": true, "10.10.1-MariaDB": true, "10.9.8-MariaDB": false, "11.4.2-MariaDB": true, "x": false} {
		if canDemote(version) != want {
			t.Errorf("%s: %t", version, !want)
		}
	}
	if got := sqlLines("# a\n\n SELECT 1 \nSELECT 2"); !slices.Equal(got, []string{"SELECT 1", "SELECT 2"}) {
		t.Errorf("statements are %q", got)
	}
	for grantee, want := range map[string]string{`'root'@'%'`: "root", `'o''x'@'h'`: "o'x", `''@'%'`: "", "x": ""} {
		if got, _ := granteeUser(grantee); got != want {
			t.Errorf("%s is %q", grantee, got)
		}
	}
}

func TestCommandLinesAreSplit(t *testing.T) {
	for line, want := range map[string][]string{
		``: nil, ` a  b `: {"a", "b"}, `a 'b c' "d e"`: {"a", "b c", "d e"}, `a\ b '' x"y"z`: {"a b", "", "xyz"}, `a 'b\c' "d\"e"`: {"a", `b\c`, `d"e`}, `'a`: nil, `a\`: nil, `''`: nil,
	} {
		if got, err := splitCommand(line); !slices.Equal(got, want) || (err != nil) != (want == nil && line != "") {
			t.Errorf("%s is %q, %v", line, got, err)
		}
	}
	if got := substitute([]string{"x=$EVENT", "$LIST $NODELIST $NO"}, []string{"$EVENT", "a b; c $LIST", "$NODELIST", "n", "$LIST", "l"}); !slices.Equal(got, []string{"x=a b; c $LIST", "l n $NO"}) {
		t.Errorf("substituted it is %q", got)
	}
}

func TestPositionsAreCompared(t *testing.T) {
	for _, c := range []struct {
		one, other string
		want       bool
	}{
		{"", "", true}, {"0-1-5", "0-1-5", true}, {"0-1-5", "0-2-6", true}, {"0-1-5", "0-1-4", false}, {"0-1-5", "0-2-5", false}, {"0-1-5,1-1-1", "0-1-5", false}, {"0-1-0", "", true}, {"0-1-5", "1-1-9,0-1-7", true},
	} {
		if got := parsePosition(c.one).within(parsePosition(c.other)); got != c.want {
			t.Errorf("%s within %s is %t", c.one, c.other, got)
		}
	}
	if got := parsePosition("0-1-5, 3-2-1,x,1-2,9-9-99999999999999999999").String(); got != "0-1-5,3-2-1" {
		t.Errorf("read it is %s", got)
	}
}

func TestDisksAreFull(t *testing.T) {
	for text, want := range map[string]string{"/data:80,*:95": "/data", "*:80": "/data", "/:50": "", "/data:81,*:10": "/"} {
		list, err := parseThresholds(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := list.full([]disk{{"/data", 100, 20}, {"/", 100, 60}, {"/proc", 0, 0}}); got != want {
			t.Errorf("%s: %q is full, want %q", text, got, want)
		}
	}
}

func FuzzSplitCommand(f *testing.F) {
	for _, s := range []string{"a 'b c'", `"\`, "''"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := splitCommand(line)
		if err != nil {
			return
		}
		// What was split can be put together again.
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
		}
		again, err := splitCommand(strings.Join(quoted, " "))
		if err != nil || !slices.Equal(words, again) {
			t.Errorf("%q is %q again, %v", words, again, err)
		}
	})
}

func FuzzPosition(f *testing.F) {
	f.Add("0-1-5,1-2-3")
	f.Fuzz(func(t *testing.T, text string) {
		p := parsePosition(text)
		if again := parsePosition(p.String()); !slices.Equal(p, again) {
			t.Errorf("%v is %v again", p, again)
		}
	})
}

func FuzzThresholds(f *testing.F) {
	f.Add("/data:80,*:90")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseThresholds(text)
		for _, one := range list {
			if err == nil && (one.percent < 0 || one.percent > 100 || one.path == "") {
				t.Errorf("%q has %v", text, one)
			}
		}
	})
}

func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"version":1,"written":"2026-01-02T03:04:05Z","master":"a","servers":[{"name":"a","status":3}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := parseJournal(text, []string{"a"}, math.MaxInt64)
		if err == nil && (len(file.Servers) != 1 || file.Servers[0].Name != "a") {
			t.Errorf("%s is %+v", text, file)
		}
	})
}
