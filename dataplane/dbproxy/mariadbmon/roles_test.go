package mariadbmon

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
	"github.com/backplane/backplane/dataplane/dbproxy/param"
)

// cluster reads servers as "a b<a c<a?": c replicates from a, but its IO thread
// is connecting ("?") or its SQL thread has stopped ("!"). "-" before a name is
// a server that is down, "r:" one that is read-only, "m:" one in maintenance,
// "d:" one that refuses the login, "f:" one with a full disk. "<x" for an
// unknown x is a master that is not watched. "=9" after a link is the lag.
func cluster(t *testing.T, text string) []*observed {
	t.Helper()
	var list []*observed
	words := strings.Fields(text)
	ports := map[string]int{}
	for i, w := range words {
		name, _, _ := strings.Cut(w, "<")
		name = name[strings.LastIndexAny(name, "-:")+1:]
		ports[name] = i + 1
	}
	for i, w := range words {
		self, masters, _ := strings.Cut(w, "<")
		flags, name := "", self
		if at := strings.LastIndexAny(self, "-:"); at >= 0 {
			flags, name = self[:at+1], self[at+1:]
		}
		o := &observed{
			name: name, hosts: []string{"h"}, port: i + 1, up: !strings.ContainsAny(flags, "-d"), seen: true, serverID: int64(i + 1),
			readOnly: strings.Contains(flags, "r"), maintenance: strings.Contains(flags, "m"), denied: strings.Contains(flags, "d"), lowDisk: strings.Contains(flags, "f"),
		}
		for master := range strings.SplitSeq(masters, "<") {
			if master == "" {
				continue
			}
			master, lag, _ := strings.Cut(master, "=")
			l := link{Replication: dbproxy.Replication{MasterHost: "h", IORunning: yes, SQLRunning: yes}, connected: true}
			if lag != "" {
				if _, err := fmt.Sscan(lag, &l.SecondsBehind); err != nil {
					t.Fatal(err)
				}
			}
			if strings.HasSuffix(master, "?") {
				l.IORunning, l.SecondsBehind = "Connecting", -1
			}
			if strings.HasSuffix(master, "!") {
				l.SQLRunning = no
			}
			l.MasterPort = ports[strings.TrimRight(master, "?!")]
			l.MasterServerID = int64(l.MasterPort)
			o.links = append(o.links, l)
		}
		list = append(list, o)
	}
	return list
}

func parsed(t *testing.T, words string) *settings {
	t.Helper()
	given := map[string]any{"user": "u", "password": "p"}
	for _, w := range strings.Fields(words) {
		name, value, _ := strings.Cut(w, "=")
		given[name] = value
	}
	set, faults := param.Parse(specs(), given)
	if faults != nil {
		t.Fatal(faults)
	}
	s, err := readSettings(set, []string{"a", "b", "c", "d"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// told is "a: Master, Running; …" with lags.
func told(servers []*observed, roles []role) string {
	var words []string
	for i, r := range roles {
		text := servers[i].name + ": " + r.status.String()
		if r.lag > 0 {
			text += fmt.Sprint(" ", r.lag)
		}
		words = append(words, text)
	}
	return strings.Join(words, "; ")
}

func TestRolesAreToldFromReplication(t *testing.T) {
	for _, c := range []struct{ name, servers, before, settings, want string }{
		{"master and replicas", "a b<a=3 c<a", "", "", "a: Master, Running; b: Slave, Running 3s; c: Slave, Running"},
		{"the one with most replicas", "a b c<b", "", "", "a: Running; b: Master, Running; c: Slave, Running"},
		{"ties go to the earlier", "a b", "", "", "a: Master, Running; b: Running"},
		{"read-only is no master", "r:a b", "", "", "a: Running; b: Master, Running"},
		{"a master stays", "a b c<b", "a", "", "a: Master, Running; b: Running; c: Running"},
		{"a master that became read-only goes", "r:a b c<b", "a", "", "a: Running; b: Master, Running; c: Slave, Running"},
		{"unless there is no other", "r:a b<a", "a", "", "a: Running; b: Slave, Running"},
		{"a master that is down stays while replicas run", "-a b<a? c<a? d", "a down=99", "", "a: Down; b: Slave, Running; c: Slave, Running; d: Running"},
		{"a lonely master that is down goes after failcount", "-a b", "a down=6", "", "a: Down; b: Master, Running"},
		{"not before", "-a b", "a down=5", "", "a: Down; b: Running"},
		{"a master that begins to replicate goes", "a<b b", "a", "", "a: Slave, Running; b: Master, Running"},
		{"nobody knows a master that is down", "-a b<a? c<a?", "", "", "a: Down; b: Slave, Running; c: Slave, Running"},
		{"with running_master it has no replicas", "-a b<a?", "a", "slave_conditions=running_master", "a: Down; b: Running"},
		{"stopped replication is none", "a b<a!", "", "", "a: Master, Running; b: Running"},
		{"connecting is a replica", "a b<a?", "", "", "a: Master, Running; b: Slave, Running"},
		{"not with linked_master", "a b<a?", "", "slave_conditions=linked_master", "a: Master, Running; b: Running"},
		{"nor with detect_stale_slave off", "a b<a?", "", "detect_stale_slave=false", "a: Master, Running; b: Running"},
		{"relay, with the worst lag", "a b<a=7 c<b=2", "", "", "a: Master, Running; b: Relay Master, Slave, Running 7s; c: Slave, Running 7s"},
		{"unknown lag of a relay", "a b<a? c<b=2", "", "", "a: Master, Running; b: Relay Master, Slave, Running; c: Slave, Running"},
		{"relay that is down", "a -b<a c<b?", "a", "", "a: Master, Running; b: Down; c: Slave, Running"},
		{"is no way with linked_master", "a -b<a c<b", "a", "slave_conditions=linked_master", "a: Master, Running; b: Down; c: Running"},
		{"replicas behind a relay that is down count", "-a -b<a c<b? d", "a down=99", "", "a: Down; b: Down; c: Slave, Running; d: Running"},
		{"ring", "a<b b<a", "", "", "a: Master, Running; b: Slave, Running"},
		{"ring with a replica", "a<b b<a c<b", "", "", "a: Master, Running; b: Relay Master, Slave, Running; c: Slave, Running"},
		{"ring with a member that is down", "-a<b b<a", "", "", "a: Down; b: Master, Running"},
		{"ring that replicates from another server", "a<b<c b<a c", "", "", "a: Relay Master, Slave, Running; b: Relay Master, Slave, Running; c: Master, Running"},
		{"a master that left its ring", "a b c<b", "a ring", "", "a: Running; b: Master, Running; c: Slave, Running"},
		{"external master", "a<x b<a", "", "", "a: Master, Slave of External Server, Running; b: Slave, Running"},
		{"external master ignored", "a<x b<a", "", "ignore_external_masters=true", "a: Master, Running; b: Slave, Running"},
		{"maintenance has no role", "a m:b<a", "", "", "a: Master, Running; b: Running"},
		{"maintenance of the master", "m:a b<a", "a", "", "a: Running; b: Slave, Running"},
		{"login refused", "a d:b<a", "", "", "a: Master, Running; b: Auth Error, Down"},
		{"running_slave is there", "a b<a", "", "master_conditions=running_slave", "a: Master, Running; b: Slave, Running"},
		{"running_slave is missing", "a -b<a", "", "master_conditions=running_slave", "a: Slave, Running; b: Down"},
		{"connected_slave is missing", "a b<a?", "", "master_conditions=connected_slave", "a: Slave, Running; b: Slave, Running"},
		{"connecting_slave is enough", "a b<a?", "", "master_conditions=connecting_slave", "a: Master, Running; b: Slave, Running"},
		{"one replica must have all", "a b<a? -c<a", "", "master_conditions=connected_slave,running_slave", "a: Slave, Running; b: Slave, Running; c: Down"},
		{"standalone is no master", "a", "", "detect_standalone_master=false", "a: Slave, Running"},
		{"full disk", "f:a b<a", "", "master_conditions=disk_space_ok slave_conditions=writable_master", "a: Running; b: Running"},
		{"what the other monitor says", "a b<a", "elsewhere=b others", "", "a: Running; b: Master, Running"},
		{"when it says nothing", "a b<a", "others", "", "a: Slave, Running; b: Slave, Running"},
		{"when it does not matter", "a b<a", "others", "master_conditions=none", "a: Master, Running; b: Slave, Running"},
	} {
		t.Run(c.name, func(t *testing.T) {
			servers, s := cluster(t, c.servers), parsed(t, c.settings)
			top := newTopology(servers, true)
			p := past{master: none, elsewhere: none}
			for _, w := range strings.Fields(c.before) {
				name, value, _ := strings.Cut(w, "=")
				at := func(name string) int {
					return slices.IndexFunc(servers, func(o *observed) bool { return o.name == name })
				}
				switch name {
				case "down":
					fmt.Sscan(value, &p.downTicks)
				case "ring":
					p.ring = true
				case "others":
					p.others = true
				case "elsewhere":
					p.elsewhere = at(value)
				default:
					p.master = at(name)
				}
			}
			master, _ := top.choose(p, s.failcount)
			if got := told(servers, assign(top, master, p, s)); got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func TestMastersAreToldByServerIDWhenHostsAreNotUnique(t *testing.T) {
	servers := cluster(t, "a b<a")
	servers[1].links[0].MasterHost = "elsewhere"
	if got := newTopology(servers, true).follows(1); got {
		t.Error("another host is taken for the master")
	}
	if got := newTopology(servers, false).follows(1); !got {
		t.Error("the server_id does not count")
	}
	servers[1].links[0].connected, servers[1].links[0].IORunning = false, "Connecting"
	if got := newTopology(servers, false).follows(1); got {
		t.Error("a server_id that was never confirmed counts")
	}
}

func TestEventsAreNamed(t *testing.T) {
	const up, master, slave = dbproxy.Running, dbproxy.Running | dbproxy.Master, dbproxy.Running | dbproxy.Slave
	for _, c := range []struct {
		before, after dbproxy.Status
		want          string
	}{
		{master, 0, "master_down"}, {slave, 0, "slave_down"}, {up, dbproxy.AuthError, "server_down"}, {0, master, "master_up"}, {0, slave, "slave_up"}, {0, up, "server_up"},
		{up, master, "new_master"}, {slave, master, "new_master"}, {master, slave, "new_slave"}, {master, up, "lost_master"}, {slave, up, "lost_slave"},
		{slave, slave | dbproxy.RelayMaster, ""}, {0, 0, ""}, {master | dbproxy.Maintenance, dbproxy.Maintenance, ""}, {up, up | dbproxy.Synced, "new_synced"}, {up | dbproxy.Synced, 0, "synced_down"},
	} {
		if got := event(c.before, c.after); got != c.want {
			t.Errorf("%s to %s is %q, want %q", c.before, c.after, got, c.want)
		}
		if c.want != "" && !slices.Contains(eventNames(), c.want) {
			t.Errorf("%s is not an event that can be chosen", c.want)
		}
	}
}

func TestTheReplicaThatHeardTheMostIsPromoted(t *testing.T) {
	for name, c := range map[string]struct {
		runners []runner
		want    int
	}{
		"heard more":   {[]runner{{server: 0, ioPos: 5, current: 5}, {server: 1, ioPos: 7, current: 4}}, 1},
		"got further":  {[]runner{{server: 0, ioPos: 5, current: 4}, {server: 1, ioPos: 5, current: 5}}, 1},
		"logs":         {[]runner{{server: 0}, {server: 1, logs: true}}, 1},
		"disk":         {[]runner{{server: 0, lowDisk: true}, {server: 1}}, 1},
		"first of all": {[]runner{{server: 1}, {server: 0}}, 0},
	} {
		slices.SortFunc(c.runners, better)
		if got := c.runners[0].server; got != c.want {
			t.Errorf("%s: server %d, want %d", name, got, c.want)
		}
	}
}

func TestLagPassesALimit(t *testing.T) {
	w := &watched{}
	var got []string
	for _, seconds := range []int{1, 5, 6, 7, -1, 5, 4} {
		w.roleNow = role{status: dbproxy.Slave | dbproxy.Running, lag: time.Duration(seconds) * time.Second}
		got = append(got, w.lagEvent(5))
	}
	if want := []string{"", "", "rlag_above", "", "", "rlag_below", ""}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMajoritiesAreCounted(t *testing.T) {
	for _, c := range []struct{ all, running, ofAll, ofRunning int }{{1, 1, 1, 1}, {2, 2, 2, 2}, {3, 2, 2, 2}, {4, 1, 3, 1}, {5, 3, 3, 2}, {3, 0, 2, 1}} {
		var servers []*watched
		for i := range c.all {
			servers = append(servers, &watched{obs: observed{up: i < c.running}})
		}
		if a, b := majority(locksOfAll, servers), majority(locksOfRunning, servers); a != c.ofAll || b != c.ofRunning {
			t.Errorf("of %d servers, %d of them running, %d and %d are a majority", c.all, c.running, a, b)
		}
	}
}
