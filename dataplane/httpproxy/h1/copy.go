package h1

import "io"

// Copy copies until the end of src, with a buffer that is taken only while it
// is needed, or without one where the operating system can do it.
func Copy(dst io.Writer, src io.Reader) (int64, error) { return io.Copy(dst, src) }
