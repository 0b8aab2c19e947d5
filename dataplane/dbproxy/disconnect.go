package dbproxy

// Disconnect cuts all connections of sessions to the server.
func (s *Server) Disconnect() { s.each(func(b *Backend) { b.Conn.Close() }) }
