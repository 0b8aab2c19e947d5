package dbproxy

// Charset is the character set that the client has logged in with, by the id
// of a collation.
func (s *Session) Charset() byte { return s.charset }
