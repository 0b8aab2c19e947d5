// Package account knows who may log in through the database proxy. It reads
// the accounts, grants and roles of a MariaDB or MySQL server into a Table,
// which never changes once it is made, finds in it the account that the server
// itself would choose for a client, and tells whether that account may use a
// database. A Refresher keeps the current Table; a Blocker refuses hosts that
// failed to log in too often.
//
// What a Table says is a first check that spares backends refused logins: the
// backend a session ends up on decides for itself again.
package account
