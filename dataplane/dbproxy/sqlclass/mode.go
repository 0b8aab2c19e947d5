package sqlclass

// Mode is what the meaning of a statement's text depends on: the sql_mode and
// the character set of the session, and which server will read it. The zero
// value is a session as it starts, in UTF-8, with a server of either maker.
type Mode uint16

const (
	// ANSIQuotes makes "x" an identifier.
	ANSIQuotes Mode = 1 << iota
	// NoBackslashEscapes takes from the backslash its meaning in strings.
	NoBackslashEscapes
	// IgnoreSpace lets white space stand between the name of a built-in
	// function and its parenthesis.
	IgnoreSpace
	// Oracle is sql_mode=ORACLE of MariaDB.
	Oracle
	// UnknownSQLMode means that the sql_mode cannot be told: text that two
	// modes read differently is then not understood.
	UnknownSQLMode
	// OtherCharset means that the client's character set is not UTF-8 but
	// one in which the bytes of ASCII mean nothing else, such as latin1.
	OtherCharset
	// UnsafeCharset means that characters of the client's character set may
	// hold bytes of ASCII (big5, cp932, gbk, gb18030, sjis), or that it is
	// not known.
	UnsafeCharset
	// MariaDB says that the servers are MariaDB 10.6 or later.
	MariaDB
	// MariaDB11 says that they are MariaDB 11.4 or later.
	MariaDB11
	// MySQL says that the servers are MySQL 8.0 or later.
	MySQL
)

// has tells whether one of the bits is set.
func (m Mode) has(bits Mode) bool { return m&bits != 0 }

// escapes tells whether a backslash may escape in a string.
func (m Mode) escapes() bool { return m&(NoBackslashEscapes|UnknownSQLMode) != NoBackslashEscapes }
