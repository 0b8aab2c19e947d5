package mariadbmon

import (
	"slices"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

// happened is an event of a server.
type happened struct {
	server int
	name   string
}

// publish tells the rest of the proxy what the servers are. Masters of before
// lose their state first: there are never two.
func (m *Monitor) publish(t *topology, roles []role) {
	order := make([]int, len(m.servers))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return rise(roles[a]) - rise(roles[b]) })
	var list []happened
	for _, i := range order {
		w := m.servers[i]
		before := w.srv.Status()
		w.srv.SetLag(roles[i].lag)
		w.srv.SetStatus(roles[i].status, roleBits&^roles[i].status)
		name := event(before, before&^roleBits|roles[i].status)
		w.roleNow = roles[i]
		if name != "" {
			list = append(list, happened{i, name})
		}
		if name := w.lagEvent(m.settings.lagEvent); name != "" {
			list = append(list, happened{i, name})
		}
	}
	now := time.Now()
	for _, h := range list {
		w := m.servers[h.server]
		w.lastEvent, w.eventTime = h.name, now
		m.log.Info("a server has changed", "server", w.srv.Name(), "event", h.name, "state", w.srv.State(), "problem", w.obs.problem)
	}
	for i := range m.servers {
		m.inform(t, i)
	}
	for _, h := range list {
		m.callScript(t, h)
	}
}

func rise(r role) int {
	if r.status.Has(dbproxy.Master) {
		return 1
	}
	return 0
}

// event names what a change of state is; "" for nothing to tell of.
func event(before, after dbproxy.Status) string {
	const roles = dbproxy.Master | dbproxy.Slave | dbproxy.Synced
	if before.Has(dbproxy.Maintenance) || after.Has(dbproxy.Maintenance) {
		return ""
	}
	was, is := before.Has(dbproxy.Running), after.Has(dbproxy.Running)
	switch {
	case !was && is:
		return word(after) + "_up"
	case was && !is:
		return word(before) + "_down"
	case !is || before&roles == after&roles:
		return ""
	case after&roles == 0:
		return "lost_" + word(before)
	}
	return "new_" + word(after)
}

func word(s dbproxy.Status) string {
	switch {
	case s.Has(dbproxy.Master):
		return "master"
	case s.Has(dbproxy.Slave):
		return "slave"
	case s.Has(dbproxy.Synced):
		return "synced"
	}
	return "server"
}

// lagEvent tells when the lag of a replica passes a limit.
func (w *watched) lagEvent(limit int64) string {
	if limit < 0 || !w.roleNow.status.Has(dbproxy.Slave) || w.roleNow.lag < 0 {
		return ""
	}
	high := w.roleNow.lag > time.Duration(limit)*time.Second
	if high == w.lagHigh {
		return ""
	}
	w.lagHigh = high
	if high {
		return "rlag_above"
	}
	return "rlag_below"
}

// eventNames are all events.
func eventNames() (names []string) {
	for _, subject := range []string{"master", "slave", "server", "synced", "donor"} {
		names = append(names, subject+"_down", subject+"_up")
	}
	for _, subject := range []string{"master", "slave", "synced", "donor"} {
		names = append(names, "lost_"+subject, "new_"+subject)
	}
	return append(names, "rlag_above", "rlag_below")
}

// inform tells what is known about one server.
func (m *Monitor) inform(t *topology, i int) {
	w := m.servers[i]
	o := &w.obs
	info := dbproxy.ServerInfo{
		Version: o.version, ServerID: o.serverID, ReadOnly: o.readOnly, Uptime: o.uptime,
		GTIDCurrent: o.current.String(), GTIDBinlog: o.binlog.String(),
		MasterID: -1, MasterGroup: int64(t.rings[i]), Depth: w.roleNow.depth,
		StateDetails: o.problem, LastEvent: w.lastEvent, EventTime: w.eventTime, LowDisk: o.lowDisk,
	}
	if info.LastEvent == "" {
		before := w.srv.Info()
		info.LastEvent, info.EventTime = before.LastEvent, before.EventTime
	}
	if o.lowDisk && info.StateDetails == "" {
		info.StateDetails = "low disk space on " + w.diskPath
	}
	if m.coop.on && w.locks.known {
		held := w.locks.held
		info.LockHeld = &held
	}
	for j := range o.links {
		r := o.links[j].Replication
		if from := find(t.servers, &o.links[j], m.settings.uniqueHosts); from != none {
			r.MasterName = t.servers[from].name
		}
		r.RelayLogPending = !o.links[j].ioPos.within(o.current)
		if info.MasterID < 0 {
			info.MasterID = r.MasterServerID
		}
		info.Replicas = append(info.Replicas, r)
	}
	for _, e := range t.replicas[i] {
		info.ReplicaServer = append(info.ReplicaServer, t.servers[e.to].name)
	}
	w.srv.SetInfo(info)
}
