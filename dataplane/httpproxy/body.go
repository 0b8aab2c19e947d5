package httpproxy

import "io"

// countedBody notes down whether any of a body was read.
type countedBody struct {
	r io.Reader
	x *Exchange
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if n > 0 {
		b.x.up.taken = true
	}
	if err != nil && err != io.EOF {
		err = &bodyError{err}
	}
	return n, err
}

func (x *Exchange) takeBody() bool { return true }
func (x *Exchange) dropBody()      {}
