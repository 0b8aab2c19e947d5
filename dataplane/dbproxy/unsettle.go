package dbproxy

import "github.com/backplane/backplane/dataplane/dbproxy/sqlclass"

// Unsettle says that it cannot be told any more how the text of statements is
// to be read: something has set sql_mode or the character set that the text of
// the request does not show, as the execution of a prepared statement. What
// could then be read in two ways belongs to the master, until they are set
// plainly.
func (s *Session) Unsettle() { s.mode |= sqlclass.UnknownSQLMode | sqlclass.UnsafeCharset }
