package connectors

import (
	"context"
	"errors"
	"io"
)

// ErrNoObject is wrapped by the error of Get for a key that names nothing.
var ErrNoObject = errors.New("no such object")

// ObjectKeeper is what a Connector adds when its service keeps objects.
type ObjectKeeper interface {
	Connector
	// OpenBucket is the bucket that c names. All traffic goes to addresses that
	// env allows. Nothing is sent yet; who opens it closes it.
	OpenBucket(env Env, c Config) (Bucket, error)
}

// Bucket holds objects, named by keys. Errors are a *Failure where the service
// says what is wrong; MayPass tells those that pass by themselves.
type Bucket interface {
	io.Closer
	// Put writes an object as r gives it: all of it, or nothing when it returns
	// an error. expected is about how long it will be, 0 when that is unknown. An
	// error of r comes back as it is.
	Put(ctx context.Context, key string, r io.Reader, expected int64) error
	// Get opens an object, and tells how long it is. ErrNoObject is wrapped when
	// there is none.
	Get(ctx context.Context, key string) (body io.ReadCloser, size int64, err error)
	// Remove takes away an object and every upload of it that was cut off.
	// Nothing being there is as well.
	Remove(ctx context.Context, key string) error
}
