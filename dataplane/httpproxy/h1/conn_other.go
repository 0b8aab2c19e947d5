//go:build !unix

package h1

import "time"

func (c *conn) pollable() {}

// silent is that of the others; here it is not known.
func (c *conn) silent() bool { return true }

// soon is that of the others; here nothing can be told.
func (c *conn) soon(time.Duration) bool { return false }
