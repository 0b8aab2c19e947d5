package httpproxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
)

// bufferSize is how much of a body is kept in memory: more goes to a file.
const bufferSize = 256 << 10

// requestBody is the body that upstreams are sent.
type requestBody struct {
	memory *bytes.Buffer
	file   *os.File
	reader bytes.Reader
	// rewind tells that it can be sent again.
	rewind bool
}

var bodyBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// takeBody makes the body ready to be sent, and again if the route says that it
// is read before it is sent. If it cannot, the request is answered.
func (x *Exchange) takeBody() bool {
	r, b := &x.Request, &x.up.body
	limit := x.proxy.options.MaxBody
	if limit > 0 && r.ContentLength > limit {
		return x.refuseBody(ErrTooLarge)
	}
	if kept, ok := r.Body.(*bytes.Reader); ok {
		b.rewind = true
		if r.ContentLength = int64(kept.Len()); r.ContentLength == 0 {
			r.Body = nil
		}
		return true
	}
	if r.ContentLength == 0 {
		b.rewind, r.Body = true, nil
		return true
	}
	if limit > 0 && r.ContentLength < 0 {
		r.Body = &limitedBody{r.Body, limit}
	}
	if !x.matched.Value.buffered || x.isGRPC() || r.Upgrade != "" {
		return true
	}
	if err := x.bufferBody(); err != nil {
		return x.refuseBody(err)
	}
	return true
}

func (x *Exchange) refuseBody(err error) bool {
	if !errors.Is(err, ErrTooLarge) && !errors.As(err, new(*bodyError)) {
		x.log.Error("a body could not be kept", "request_id", x.ID, "error", err)
		x.refuse(http.StatusInternalServerError, msgUnexpected, FromError)
		return false
	}
	f := bodyFailure(err)
	x.refuse(f.status, f.message, FromPlugin)
	return false
}

// bufferBody reads the whole body.
func (x *Exchange) bufferBody() error {
	r, b := &x.Request, &x.up.body
	b.memory = bodyBuffers.Get().(*bytes.Buffer)
	b.memory.Reset()
	if r.ContentLength > 0 && r.ContentLength < bufferSize {
		b.memory.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := b.memory.ReadFrom(io.LimitReader(r.Body, bufferSize))
	if err != nil {
		return &bodyError{err}
	}
	b.rewind = true
	if n < bufferSize {
		b.reader.Reset(b.memory.Bytes())
		r.Body, r.ContentLength = &b.reader, n
		return nil
	}
	return x.bufferOutside(n)
}

func (x *Exchange) bufferOutside(n int64) (err error) {
	x.Outside(func() { err = x.bufferFile(n) })
	if err != nil {
		return err
	}
	return x.rewindBody()
}

// bufferFile reads what follows the first n bytes of a body, and puts all of it
// into a file.
func (x *Exchange) bufferFile(n int64) (err error) {
	r, b := &x.Request, &x.up.body
	if b.file, err = os.CreateTemp(x.proxy.options.BufferDir, "backplane-body-"); err != nil {
		return err
	}
	_ = os.Remove(b.file.Name()) // where an open file cannot be removed, dropBody does it
	if _, err := b.file.Write(b.memory.Bytes()); err != nil {
		return err
	}
	more, err := io.Copy(b.file, bodyReader{r.Body})
	if err != nil {
		return err
	}
	r.Body, r.ContentLength = b.file, n+more
	return nil
}

// rewindBody makes the body begin anew.
func (x *Exchange) rewindBody() error {
	switch b := x.Request.Body.(type) {
	case *bytes.Reader:
		_, err := b.Seek(0, io.SeekStart)
		return err
	case *os.File:
		_, err := b.Seek(0, io.SeekStart)
		return err
	}
	return nil
}

// dropBody lets go of what was kept of the body.
func (x *Exchange) dropBody() {
	b := &x.up.body
	if b.file != nil {
		_ = b.file.Close()
		_ = os.Remove(b.file.Name())
	}
	if b.memory != nil {
		bodyBuffers.Put(b.memory)
	}
	*b = requestBody{}
}

// bodyReader marks errors as the client's.
type bodyReader struct{ io.Reader }

func (b bodyReader) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err != nil && err != io.EOF {
		err = &bodyError{err}
	}
	return n, err
}

// limitedBody fails when a body is too long.
type limitedBody struct {
	io.Reader
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}
