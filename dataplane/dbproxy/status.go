package dbproxy

import "strings"

// Status is the state of a server, as bits that monitors and administrators
// set.
type Status uint32

// The states ("Server States", MaxScale).
const (
	Running          Status = 1 << iota // reachable; a server without it is Down
	Master                              // takes the writes
	Slave                               // replicates from the master
	RelayMaster                         // replicates and is replicated from
	SlaveOfExternal                     // replicates from a server that is not watched
	Synced                              // member of a synchronous cluster
	AuthError                           // refuses the monitor's login
	MasterStickiness                    // stays master for now
	Maintenance                         // is not to be used
	Draining                            // is to get no new connections
)

var statusWords = []struct {
	bit  Status
	word string
}{
	{Maintenance, "Maintenance"}, {Draining, "Draining"}, {Master, "Master"}, {RelayMaster, "Relay Master"}, {Slave, "Slave"},
	{SlaveOfExternal, "Slave of External Server"}, {Synced, "Synced"}, {AuthError, "Auth Error"}, {MasterStickiness, "Master Stickiness"},
}

// Has tells whether all of the wanted bits are set.
func (s Status) Has(wanted Status) bool { return s&wanted == wanted }

// Usable tells whether a server in this state may take new connections.
func (s Status) Usable() bool {
	return s&(Running|Maintenance|Draining|AuthError) == Running
}

// text lists the states. A draining server without connections is drained.
func (s Status) text(drained bool) string {
	var words []string
	for _, w := range statusWords {
		if !s.Has(w.bit) {
			continue
		}
		if w.bit == Draining && drained {
			words = append(words, "Drained")
			continue
		}
		words = append(words, w.word)
	}
	if s.Has(Running) {
		words = append(words, "Running")
	} else {
		words = append(words, "Down")
	}
	return strings.Join(words, ", ")
}

// String lists the states, as "Master, Running".
func (s Status) String() string { return s.text(false) }
