// Package frames is the container of the dumps that Backplane writes itself,
// for engines without a tool of their own: a first line that names format and
// version, frames of a kind and a payload, and at the end a checksum of all
// before it, so that a dump that was cut off is not taken for a whole one.
package frames

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
)

// ErrDamaged says that a stream is no dump of the format, or not a whole one.
var ErrDamaged = errors.New("damaged dump")

const (
	// last is the kind of the frame that holds the checksum.
	last = 0
	// MaxPayload bounds a frame. Redis values end at 512 MB, documents of
	// MongoDB at 16.
	MaxPayload = 1 << 30
	bufferSize = 64 << 10
	// step is how much memory a length buys that nothing was read for yet.
	step = 1 << 20
)

// Writer writes a dump.
type Writer struct {
	w   *bufio.Writer
	sum hash.Hash
}

// NewWriter begins a dump of the format, whose name has no line break.
func NewWriter(w io.Writer, format string) (*Writer, error) {
	out := &Writer{w: bufio.NewWriterSize(w, bufferSize), sum: sha256.New()}
	return out, out.write([]byte(format + "\n"))
}

func (w *Writer) write(p []byte) error {
	w.sum.Write(p)
	_, err := w.w.Write(p)
	return err
}

// Frame writes a frame whose payload is made of parts. kind is not 0.
func (w *Writer) Frame(kind byte, parts ...[]byte) error {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if size > MaxPayload {
		return fmt.Errorf("a value of %d bytes is too large for a dump", size)
	}
	if err := w.write(binary.AppendUvarint([]byte{kind}, uint64(size))); err != nil {
		return err
	}
	for _, p := range parts {
		if err := w.write(p); err != nil {
			return err
		}
	}
	return nil
}

// Close ends the dump with its checksum. The writer below stays open.
func (w *Writer) Close() error {
	if err := w.write([]byte{last}); err != nil {
		return err
	}
	if _, err := w.w.Write(w.sum.Sum(nil)); err != nil {
		return err
	}
	return w.w.Flush()
}

// Reader reads a dump. Errors of the reader below are passed on as they are;
// all others wrap ErrDamaged.
type Reader struct {
	r   *bufio.Reader
	sum hash.Hash
	buf bytes.Buffer
}

// NewReader reads the first line, which must name the format.
func NewReader(r io.Reader, format string) (*Reader, error) {
	in := &Reader{r: bufio.NewReaderSize(r, bufferSize), sum: sha256.New()}
	line := make([]byte, len(format)+1)
	if err := in.fill(line); err != nil {
		return nil, err
	}
	if string(line) != format+"\n" {
		return nil, fmt.Errorf("%w: it does not begin with %q", ErrDamaged, format)
	}
	return in, nil
}

// fill reads p whole and adds it to the checksum.
func (r *Reader) fill(p []byte) error {
	if _, err := io.ReadFull(r.r, p); err != nil {
		return early(err)
	}
	r.sum.Write(p)
	return nil
}

func early(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends early", ErrDamaged)
	}
	return err
}

func (r *Reader) one() (byte, error) {
	var one [1]byte
	err := r.fill(one[:])
	return one[0], err
}

// Next returns a frame, whose payload is good until the next call. It returns
// io.EOF after the last, once the checksum was found right.
func (r *Reader) Next() (kind byte, payload []byte, err error) {
	if kind, err = r.one(); err != nil {
		return 0, nil, err
	}
	if kind == last {
		return 0, nil, r.finish()
	}
	size, err := r.length()
	if err != nil {
		return 0, nil, err
	}
	if r.buf.Cap() > 4*step {
		r.buf = bytes.Buffer{}
	}
	r.buf.Reset()
	for left := int64(size); left > 0; left -= step {
		if _, err := io.CopyN(&r.buf, r.r, min(left, step)); err != nil {
			return 0, nil, early(err)
		}
	}
	r.sum.Write(r.buf.Bytes())
	return kind, r.buf.Bytes(), nil
}

// length reads the shortest form of a number only, so that there is one way to
// write a dump.
func (r *Reader) length() (uint64, error) {
	var n uint64
	for shift := 0; shift < 35; shift += 7 {
		b, err := r.one()
		if err != nil {
			return 0, err
		}
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if n > MaxPayload || b == 0 && shift > 0 {
				break
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: a length in it is wrong", ErrDamaged)
}

func (r *Reader) finish() error {
	want := r.sum.Sum(nil)
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r.r, got); err != nil {
		return early(err)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("%w: its checksum is wrong", ErrDamaged)
	}
	switch _, err := r.r.ReadByte(); {
	case err == nil:
		return fmt.Errorf("%w: something follows its end", ErrDamaged)
	case !errors.Is(err, io.EOF):
		return err
	}
	return io.EOF
}
