package frames

import (
	"context"
	"io"
)

// StreamError is what the caller's own reader or writer said.
type StreamError struct {
	what string
	err  error
}

// Error implements error.
func (e *StreamError) Error() string { return e.what + ": " + e.err.Error() }

// Unwrap returns what the reader or writer said.
func (e *StreamError) Unwrap() error { return e.err }

// WriteUntil runs dump with a writer to w whose writes end with ctx, also where
// those of w block. A w that still blocks then is left behind: whoever gave it
// closes it.
func WriteUntil(ctx context.Context, w io.Writer, dump func(io.Writer) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r, pipe := io.Pipe()
	taken := make(chan error, 1)
	go func() {
		_, err := io.Copy(w, r)
		if err != nil {
			err = &StreamError{"write the dump", err}
		}
		r.CloseWithError(err)
		taken <- err
	}()
	defer context.AfterFunc(ctx, func() { pipe.CloseWithError(ctx.Err()) })()
	err := dump(pipe)
	pipe.CloseWithError(err)
	select {
	case werr := <-taken:
		if err == nil {
			err = werr
		}
	case <-ctx.Done():
	}
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// ReadUntil runs load with a reader of r whose reads end with ctx, also where
// those of r block. An r that still blocks then, or when load fails, is left
// behind: whoever gave it closes it.
func ReadUntil(ctx context.Context, r io.Reader, load func(io.Reader) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	pipe, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, r)
		if err != nil {
			err = &StreamError{"read the dump", err}
		}
		w.CloseWithError(err)
	}()
	defer context.AfterFunc(ctx, func() { pipe.CloseWithError(ctx.Err()) })()
	err := load(pipe)
	pipe.Close()
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}
