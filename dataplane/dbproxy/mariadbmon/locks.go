package mariadbmon

import (
	"context"
	"math/rand/v2"
	"time"
)

// Names of the locks by which monitors agree which of them acts, and on which
// server is the master ("Cooperative monitoring", MaxScale).
const (
	lockMonitor = "maxscale_mariadbmonitor"
	lockMaster  = "maxscale_mariadbmonitor_master"
)

// releasePause is how long no locks are taken after release-locks.
const releasePause = time.Minute

// serverLocks are the locks of one server as they were last seen.
type serverLocks struct {
	known         bool
	held, free    bool // the monitor's lock
	master        bool // whether this monitor has the master's lock
	masterOfOther bool
}

func (w *watched) askLocks(ctx context.Context) error {
	w.locks = serverLocks{}
	r, err := w.one(ctx, "SELECT CONNECTION_ID() AS me, IS_USED_LOCK(?) AS monitor, IS_USED_LOCK(?) AS master", lockMonitor, lockMaster)
	if err != nil {
		return err
	}
	me, monitor, master := r["me"], r["monitor"], r["master"]
	w.locks = serverLocks{known: true, held: monitor == me, free: monitor == "", master: master == me, masterOfOther: master != "" && master != me}
	return nil
}

// take takes a lock if nobody has it.
func (w *watched) take(ctx context.Context, name string) bool {
	r, err := w.one(ctx, "SELECT GET_LOCK(?, 0) AS got", name)
	return err == nil && r["got"] == "1"
}

func (w *watched) release(ctx context.Context, name string) {
	// A lock that cannot be released goes with the connection.
	if _, err := w.one(ctx, "SELECT RELEASE_LOCK(?) AS released", name); err != nil {
		w.close()
	}
}

// cooperation is the state of a monitor that shares its servers with others.
type cooperation struct {
	on         bool
	primary    bool
	pause      int       // ticks before locks are tried for again
	pauseUntil time.Time // likewise
}

// majority is how many locks are needed.
func majority(kind string, servers []*watched) int {
	n := len(servers)
	if kind == locksOfRunning {
		n = 0
		for _, w := range servers {
			if w.obs.up {
				n++
			}
		}
	}
	return n/2 + 1
}

// contend takes the locks that there are to be had, if they make a majority.
// Whoever does not get one gives back what it got, so that another may.
func (m *Monitor) contend(ctx context.Context) {
	held, free := m.countLocks()
	need := majority(m.settings.locks, m.servers)
	resting := m.coop.pause > 0 || time.Now().Before(m.coop.pauseUntil)
	if m.coop.pause > 0 {
		m.coop.pause--
	}
	if held+free >= need && free > 0 && !resting {
		for _, w := range m.servers {
			if w.locks.free && w.take(ctx, lockMonitor) {
				w.locks.free, w.locks.held = false, true
			}
		}
		held, _ = m.countLocks()
		if held < need {
			m.coop.pause = 1 + rand.IntN(4)
		}
	}
	before := m.coop.primary
	m.coop.primary = held >= need
	if !m.coop.primary && held > 0 {
		m.releaseLocks(ctx)
	}
	if before != m.coop.primary {
		m.log.Info("the monitor's say over the servers has changed", "acts", m.coop.primary, "locks", held, "needed", need)
	}
}

func (m *Monitor) countLocks() (held, free int) {
	for _, w := range m.servers {
		if w.locks.held {
			held++
		}
		if w.locks.free {
			free++
		}
	}
	return held, free
}

func (m *Monitor) releaseLocks(ctx context.Context) {
	for _, w := range m.servers {
		if w.locks.master {
			w.release(ctx, lockMaster)
		}
		if w.locks.held {
			w.release(ctx, lockMonitor)
		}
		w.locks.held, w.locks.master = false, false
	}
	m.coop.primary = false
}

// markMaster puts the lock on the master that tells the other monitors of it.
func (m *Monitor) markMaster(ctx context.Context) {
	if !m.coop.on || !m.coop.primary {
		return
	}
	for i, w := range m.servers {
		switch {
		case i != m.master && w.locks.master:
			w.release(ctx, lockMaster)
			w.locks.master = false
		case i == m.master && w.obs.up && !w.locks.master:
			w.locks.master = w.take(ctx, lockMaster)
		}
	}
}

// elsewhere is where the monitor that acts has the master.
func (m *Monitor) elsewhere() int {
	for i, w := range m.servers {
		if w.locks.masterOfOther {
			return i
		}
	}
	return none
}
