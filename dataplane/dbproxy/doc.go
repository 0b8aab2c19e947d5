// Package dbproxy is a proxy for the MySQL and MariaDB protocol. Listeners take
// clients, log them in against the accounts of the backend servers, and start a
// session each, whose requests pass the filters of its service and are sent on
// by the service's router.
//
//	client → listener → filter … filter → router → backends
//
// A Proxy takes an immutable Config and can be given another one at any time:
// what did not change goes on undisturbed. The modules, which are the routers,
// filters and monitors, are handed in (package builtin has them all), so that a
// program may add its own. The names of modules, parameters and states are
// those of MaxScale, whose administration they are used with.
//
// A session is a coroutine on an event loop (package evloop), or a goroutine
// where there is none. It reads a command of the client, routes it, and relays
// the answer. Nothing on this way takes a lock that sessions share, and the
// relaying of packets allocates nothing. What takes time, or waits for
// something else than a connection of the session's, is for Session.Outside.
package dbproxy
