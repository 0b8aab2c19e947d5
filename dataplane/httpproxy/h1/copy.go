package h1

import (
	"io"
	"net"
)

// Copy copies until the end of src, with a buffer that is taken only while
// there is something to copy.
func Copy(dst io.Writer, src net.Conn) (int64, error) {
	var c conn
	c.init(src, Options{})
	c.body.reset(formClose, 0, nil)
	return c.body.WriteTo(dst)
}
