//go:build !unix

package wire

// Alive tells whether an idle connection can still be used, as far as that
// can be known without waiting.
func (c *Conn) Alive() bool { return c.written == nil }
