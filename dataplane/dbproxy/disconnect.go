package dbproxy

// Disconnect cuts all connections of sessions to the server.
func (srv *Server) Disconnect() { srv.each(func(b *Backend) { b.Conn.Close() }) }
