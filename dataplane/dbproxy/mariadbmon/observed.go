package mariadbmon

import (
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/dbproxy"
)

// observed is what one server said in the last tick in which it answered, and
// how it is now.
type observed struct {
	name        string
	hosts       []string // under which the others know it
	port        int
	up          bool // answered in this tick
	denied      bool // refused the login, or a statement for want of rights
	maintenance bool
	seen        bool // has answered once

	version     string
	mariadb     bool
	serverID    int64
	readOnly    bool
	logBin      bool
	logSlave    bool // log_slave_updates
	domain      uint32
	domainKnown bool
	current     position // gtid_current_pos
	binlog      position // gtid_binlog_pos
	uptime      time.Duration
	links       []link
	lowDisk     bool
	problem     string // what kept it from answering
}

// link is a replication connection of a server.
type link struct {
	dbproxy.Replication
	heartbeats int64 // Slave_received_heartbeats
	connected  bool  // has been seen connected
	ioPos      position
	ssl        bool
}

// active tells whether the server takes from this master, or tries to.
func (l *link) active() bool { return l.SQLRunning == yes && l.IORunning != no }

// flowing tells whether it is connected, too.
func (l *link) flowing() bool { return l.SQLRunning == yes && l.IORunning == yes }

func (l *link) usesGTID() bool { return l.UsingGTID != "" && !strings.EqualFold(l.UsingGTID, no) }

// Words of the states of replication.
const (
	yes = "Yes"
	no  = "No"
)

// usable tells whether the server may have a role.
func (o *observed) usable() bool { return o.up && !o.maintenance && !o.denied }

// leads tells whether a link points at o.
func (o *observed) leads(l *link, uniqueHosts bool) bool {
	if !uniqueHosts || o.port == 0 {
		// The id is only what the replica was told at its last connection.
		return o.serverID != 0 && l.MasterServerID == o.serverID && (l.connected || l.IORunning == yes)
	}
	if l.MasterPort != o.port {
		return false
	}
	for _, h := range o.hosts {
		if strings.EqualFold(h, l.MasterHost) {
			return true
		}
	}
	return false
}
