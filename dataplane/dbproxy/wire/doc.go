// Package wire speaks the MySQL and MariaDB client/server protocol, as client
// and as server, for a proxy that stands in between.
//
// Conn frames packets on a network connection, with one pooled buffer each way
// that an idle connection gives back. Packets are read as slices of the buffer
// or relayed to another Conn, also those too big to hold. Reply follows the
// answer to a command and knows when it has ended; Conn.RelayReply does both
// and allocates nothing. The builders and parsers of the single packets are
// Greeting, HandshakeResponse, OK and the like; Login is the client's side of
// a whole login.
//
// The protocol is described by the pages below "Client/Server Protocol" of the
// MariaDB Knowledge Base (https://mariadb.com/kb/en/clientserver-protocol/) and
// of the MySQL source code documentation
// (https://dev.mysql.com/doc/dev/mysql-server/latest/PAGE_PROTOCOL.html).
// Comments cite their titles.
package wire
