// Package mariadbmon is the monitor of MariaDB servers that replicate from one
// another. It looks at the servers in turns ("ticks"), tells which of them is
// the master and which follow it, and can change that: failover puts a replica
// in the place of a master that is lost, switchover in the place of one that
// runs, and rejoin brings a server back ("MariaDB Monitor", MaxScale).
//
// All that a Monitor knows belongs to the goroutine of Run. Ticks and commands
// that come from elsewhere are handed to it.
//
// What the servers are is decided by functions of what was seen, of the
// parameters and of what was before (see assign): they talk to nobody.
package mariadbmon
