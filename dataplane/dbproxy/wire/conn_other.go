//go:build !unix

package wire

func (c *Conn) pollable() {}
