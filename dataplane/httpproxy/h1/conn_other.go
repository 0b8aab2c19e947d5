//go:build !unix

package h1

func (c *conn) pollable() {}

// silent is that of the others; here it is not known.
func (c *conn) silent() bool { return true }
