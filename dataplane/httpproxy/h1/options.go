package h1

import "time"

// Defaults of Options.
const (
	DefaultMaxLine   = 8 << 10
	DefaultMaxHead   = 64 << 10 // it cannot be more
	DefaultMaxFields = 1000
	DefaultDrain     = 256 << 10
)

// Options are the bounds of a connection. Zero is the default, which is none
// for the times.
type Options struct {
	// MaxLine bounds the first line of a head, MaxHead the whole head and
	// MaxFields the number of fields. The last two bound trailers as well.
	MaxLine, MaxHead, MaxFields int
	// Drain bounds what is read of the rest of a request's body so that the
	// connection can be used again.
	Drain int64
	// IdleTimeout is how long a server waits for a request, and HeadTimeout how
	// long the head may take from its first byte on.
	IdleTimeout, HeadTimeout time.Duration
	// ReadTimeout and WriteTimeout are how long the peer may take between two
	// reads or writes. They are exceeded by a quarter at most.
	ReadTimeout, WriteTimeout time.Duration
}

func (o *Options) complete() {
	if o.MaxLine <= 0 {
		o.MaxLine = DefaultMaxLine
	}
	if o.MaxHead <= 0 || o.MaxHead > DefaultMaxHead {
		o.MaxHead = DefaultMaxHead
	}
	if o.MaxFields <= 0 {
		o.MaxFields = DefaultMaxFields
	}
	if o.Drain == 0 {
		o.Drain = DefaultDrain
	}
}
