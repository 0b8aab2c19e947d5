package secret

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
)

// A stream is sealed in chunks, so that none of it need be held: a head and a
// salt, then chunks of ciphertext with their tags. Each chunk is bound to its
// number and to whether it is the last one; so none can be left out, moved or
// cut off. The key of the chunks is derived from the stream's key and the
// salt: what is written twice under one key shares nothing.
const (
	streamHead  = "Backplane sealed stream 1\n"
	saltSize    = 32
	streamChunk = 64 << 10
)

// NewStreamKey makes a random key for a stream.
func NewStreamKey() []byte {
	key := make([]byte, KeySize)
	rand.Read(key) //nolint:errcheck // crypto/rand.Read never fails
	return key
}

// streamBox seals the chunks of one stream.
type streamBox struct {
	aead cipher.AEAD
	next uint64 // number of the next chunk
}

func newStreamBox(key, salt []byte, place string) (*streamBox, error) {
	derived, err := hkdf.Key(sha256.New, key, salt, "backplane stream/"+place, KeySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &streamBox{aead: aead}, err
}

// nonce is that of the next chunk.
func (b *streamBox) nonce(last bool) []byte {
	n := make([]byte, b.aead.NonceSize())
	binary.BigEndian.PutUint64(n[3:], b.next)
	if last {
		n[len(n)-1] = 1
	}
	b.next++
	return n
}

// StreamWriter seals what is written to it. Without Close the stream is a part
// of one, which nobody can open.
type StreamWriter struct {
	w      io.Writer
	box    *streamBox
	plain  []byte
	sealed []byte
}

// NewStreamWriter begins a stream; place names where it is kept and must be
// the same when it is opened.
func NewStreamWriter(w io.Writer, key []byte, place string) (*StreamWriter, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt) //nolint:errcheck // crypto/rand.Read never fails
	box, err := newStreamBox(key, salt, place)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(append([]byte(streamHead), salt...)); err != nil {
		return nil, err
	}
	return &StreamWriter{w: w, box: box, plain: make([]byte, 0, streamChunk)}, nil
}

// Write implements io.Writer.
func (s *StreamWriter) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		// A full chunk waits for more, because the last one is sealed otherwise.
		if len(s.plain) == streamChunk {
			if err := s.flush(false); err != nil {
				return done, err
			}
		}
		n := min(streamChunk-len(s.plain), len(p)-done)
		s.plain = append(s.plain, p[done:done+n]...)
		done += n
	}
	return done, nil
}

// Close ends the stream; it does not close what it is written to.
func (s *StreamWriter) Close() error { return s.flush(true) }

func (s *StreamWriter) flush(last bool) error {
	s.sealed = s.box.aead.Seal(s.sealed[:0], s.box.nonce(last), s.plain, nil)
	s.plain = s.plain[:0]
	_, err := s.w.Write(s.sealed)
	return err
}

// StreamReader opens a sealed stream.
type StreamReader struct {
	r      *bufio.Reader
	box    *streamBox
	sealed []byte
	plain  []byte // what is not read yet
	last   bool
	err    error
}

// NewStreamReader reads the head of a stream. It and Read fail with ErrDamaged
// when the stream is not one, not whole, or of another key or place; what was
// read before the damage is as it was written. An error of r comes back as it
// is.
func NewStreamReader(r io.Reader, key []byte, place string) (*StreamReader, error) {
	s := &StreamReader{r: bufio.NewReaderSize(r, streamChunk)}
	head := make([]byte, len(streamHead)+saltSize)
	if _, err := io.ReadFull(s.r, head); err != nil {
		return nil, cutOff(err)
	}
	if string(head[:len(streamHead)]) != streamHead {
		return nil, ErrDamaged
	}
	var err error
	if s.box, err = newStreamBox(key, head[len(streamHead):], place); err != nil {
		return nil, err
	}
	s.sealed = make([]byte, streamChunk+s.box.aead.Overhead())
	return s, nil
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrDamaged
	}
	return err
}

// Read implements io.Reader. Its io.EOF comes when r has come to its end, too.
func (s *StreamReader) Read(p []byte) (int, error) {
	for len(s.plain) == 0 && s.err == nil {
		if s.last {
			s.err = io.EOF
			break
		}
		s.err = s.open()
	}
	if len(s.plain) == 0 {
		return 0, s.err
	}
	n := copy(p, s.plain)
	s.plain = s.plain[n:]
	return n, nil
}

// open opens the next chunk.
func (s *StreamReader) open() error {
	n, err := io.ReadFull(s.r, s.sealed)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		s.last = true
	case err != nil:
		return cutOff(err)
	default:
		if _, err := s.r.Peek(1); errors.Is(err, io.EOF) {
			s.last = true
		} else if err != nil {
			return err
		}
	}
	plain, err := s.box.aead.Open(s.sealed[:0], s.box.nonce(s.last), s.sealed[:n], nil)
	if err != nil {
		return ErrDamaged
	}
	s.plain = plain
	return nil
}
