package mariadbmon

import (
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

// roleBits are the states that a monitor decides about.
const roleBits = dbproxy.Running | dbproxy.Master | dbproxy.Slave | dbproxy.RelayMaster | dbproxy.SlaveOfExternal | dbproxy.AuthError | dbproxy.Synced | dbproxy.MasterStickiness

// role is what a server is found to be.
type role struct {
	status dbproxy.Status // of roleBits
	lag    time.Duration  // -1 unknown
	depth  int            // -1 unknown
	master int            // the server it replicates from on the way to the master
}

// assign decides what the servers are, given which of them is the master.
func assign(t *topology, master int, p past, s *settings) []role {
	roles := make([]role, len(t.servers))
	for i, o := range t.servers {
		roles[i] = role{lag: -1, depth: -1, master: none}
		if o.up {
			roles[i].status |= dbproxy.Running
		}
		if o.denied {
			roles[i].status |= dbproxy.AuthError
		}
		if o.usable() && len(t.outside[i]) > 0 && !s.ignoreExternal {
			roles[i].status |= dbproxy.SlaveOfExternal
		}
		if masters := t.masters[i]; len(masters) > 0 {
			roles[i].master = masters[0].from
		}
	}
	if master == none {
		assignWithoutMaster(t, roles, s)
		return roles
	}
	assignMaster(t, roles, master, p, s)
	assignSlaves(t, roles, master, p, s)
	return roles
}

func assignMaster(t *topology, roles []role, master int, p past, s *settings) {
	o := t.servers[master]
	if !o.usable() {
		return
	}
	roles[master].lag, roles[master].depth = 0, 0
	switch {
	case o.readOnly:
	case t.fulfils(master, p, s):
		roles[master].status |= dbproxy.Master
	case !s.slaveWant(condWritableMaster) && !p.disputed(master, s.slaveWant(condPrimaryMonitor)):
		roles[master].status |= dbproxy.Slave
	}
}

// fulfils checks master_conditions. What is wanted of a replica, one replica
// must fulfil alone.
func (t *topology) fulfils(master int, p past, s *settings) bool {
	if p.disputed(master, s.masterWant(condPrimaryMonitor)) {
		return false
	}
	if s.masterWant(condDiskSpaceOK) && t.servers[master].lowDisk {
		return false
	}
	connecting, connected, running := s.masterWant(condConnectingSlave), s.masterWant(condConnectedSlave), s.masterWant(condRunningSlave)
	if !connecting && !connected && !running {
		return true
	}
	for _, e := range t.replicas[master] {
		if (!connected || e.link.flowing()) && (!running || t.servers[e.to].up) {
			return true // edges are connecting at least
		}
	}
	return false
}

// disputed tells whether the monitor that acts has another master, where that
// is asked for.
func (p past) disputed(master int, asked bool) bool {
	return asked && p.others && p.elsewhere != master
}

// assignSlaves walks from the master to those that follow it.
func assignSlaves(t *topology, roles []role, master int, p past, s *settings) {
	if s.slaveWant(condRunningMaster) && !t.servers[master].usable() ||
		s.slaveWant(condWritableMaster) && !roles[master].status.Has(dbproxy.Master) || p.disputed(master, s.slaveWant(condPrimaryMonitor)) {
		return
	}
	t.walk(roles, master, s.slaveWant(condLinkedMaster))
}

// assignWithoutMaster lets those be replicas that follow a server that is down,
// of which nobody knows whether it was the master.
func assignWithoutMaster(t *topology, roles []role, s *settings) {
	if s.slaveWant(condRunningMaster) || s.slaveWant(condWritableMaster) || s.slaveWant(condLinkedMaster) || s.slaveWant(condPrimaryMonitor) {
		return
	}
	for i, o := range t.servers {
		if !o.up && len(t.masters[i]) == 0 {
			t.walk(roles, i, false)
		}
	}
}

// walk marks the servers below one, nearest first. With linked, the way must be
// connected and running.
func (t *topology) walk(roles []role, from int, linked bool) {
	seen := make([]bool, len(t.servers))
	seen[from] = true
	lags := make([]time.Duration, len(t.servers))
	depths := make([]int, len(t.servers))
	queue := []int{from}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		for _, e := range t.replicas[at] {
			o := t.servers[e.to]
			if seen[e.to] || linked && (!e.link.flowing() || !o.up) {
				continue
			}
			seen[e.to] = true
			queue = append(queue, e.to)
			depths[e.to], lags[e.to] = depths[at]+1, worse(lags[at], e.link)
			roles[e.to].depth, roles[e.to].master = depths[e.to], at
			if o.usable() {
				roles[e.to].status |= dbproxy.Slave
				roles[e.to].lag = lags[e.to]
				t.markRelay(roles, e.to, from)
			}
		}
	}
}

// worse is the lag at the end of a chain: the worst on the way, or unknown.
func worse(so time.Duration, l *link) time.Duration {
	if so < 0 || l.SecondsBehind < 0 {
		return -1
	}
	return max(so, time.Duration(l.SecondsBehind)*time.Second)
}

// markRelay tells of a replica that others replicate from; in a ring the master
// does so, too, which makes no relay.
func (t *topology) markRelay(roles []role, relay, master int) {
	for _, e := range t.replicas[relay] {
		if e.to != master && t.servers[e.to].up {
			roles[relay].status |= dbproxy.RelayMaster
		}
	}
}
