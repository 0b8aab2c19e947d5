package h1

import "sync"

const (
	smallSize = 16 << 10
	largeSize = 64 << 10
)

var (
	smalls = sync.Pool{New: func() any { return new([smallSize]byte) }}
	larges = sync.Pool{New: func() any { return new([largeSize]byte) }}
)

// take lends a buffer of at least n bytes, if there are such.
func take(n int) []byte {
	if n <= smallSize {
		return smalls.Get().(*[smallSize]byte)[:]
	}
	return larges.Get().(*[largeSize]byte)[:]
}

// give takes a buffer back. Those that are of other sizes are left to the
// garbage collector.
func give(b []byte) {
	switch cap(b) {
	case smallSize:
		smalls.Put((*[smallSize]byte)(b[:smallSize]))
	case largeSize:
		larges.Put((*[largeSize]byte)(b[:largeSize]))
	}
}
