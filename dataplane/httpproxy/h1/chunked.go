package h1

import (
	"bytes"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
)

const (
	// maxChunkLine bounds the line that a chunk begins with, and maxChunkWaste
	// what such lines have beside what chunks need, in the whole body.
	maxChunkLine  = 512
	maxChunkWaste = 8 << 10
)

// step is what comes next in a body in chunks.
type step uint8

const (
	stepSize    step = iota // the line before a chunk
	stepData                // the chunk
	stepDataEnd             // the line end after it
	stepTrailer
)

type chunkState struct {
	step    step
	waste   int
	trailer scan
}

// readChunked reads what there is of a body in chunks, and waits only if there
// is nothing. It looks on to the end of the body, if that is there.
func (b *body) readChunked(p []byte) (n int, err error) {
	c := b.c
	for b.err == nil {
		if b.chunk.step == stepData && n == len(p) {
			return n, nil
		}
		if c.buffered() > 0 {
			on := true
			if b.chunk.step == stepData {
				n += b.data(p[n:])
			} else if on, err = b.advance(); err != nil {
				return n, b.fail(err)
			}
			if on {
				continue
			}
		}
		if n > 0 {
			return n, nil
		}
		c.armRead(c.o.ReadTimeout)
		if m := min(int64(len(p)), b.left); b.chunk.step == stepData && m >= direct {
			n, err = c.readTo(p[:m])
			return b.tookStraight(n, err)
		}
		if err := c.more(); err != nil {
			return 0, b.fail(err)
		}
	}
	return n, b.err
}

// data copies out of the buffer what there is of the chunk.
func (b *body) data(p []byte) int {
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n := b.c.consume(p)
	if b.left -= int64(n); b.left == 0 {
		b.chunk.step = stepDataEnd
	}
	return n
}

// advance reads from the buffer what is between chunks. It is false when more
// must be there.
func (b *body) advance() (bool, error) {
	c := b.c
	in := c.in[c.r:c.w]
	switch b.chunk.step {
	case stepDataEnd:
		if in[0] != '\r' || len(in) > 1 && in[1] != '\n' {
			return false, bad("a chunk that is longer than was told")
		}
		if len(in) < 2 {
			return false, nil
		}
		c.r += 2
		b.chunk.step = stepSize
	case stepSize:
		i := bytes.IndexByte(in, '\n')
		switch {
		case i > maxChunkLine || i < 0 && len(in) > maxChunkLine:
			return false, bad("the line of a chunk is too long")
		case i < 0:
			return false, nil
		case i == 0 || in[i-1] != '\r':
			return false, bad("a line feed without a carriage return")
		}
		if err := b.size(in[:i-1]); err != nil {
			return false, err
		}
		c.r += i + 1
	case stepTrailer:
		end, err := c.findEnd(&b.chunk.trailer)
		if end == 0 || err != nil {
			return false, err
		}
		if err := b.trailers(string(in[:end-2])); err != nil {
			return false, err
		}
		c.r += end
		b.end()
	}
	c.release()
	return true, nil
}

// size reads the line of a chunk: hexadecimal digits, and perhaps extensions,
// which are of no use (RFC 9112, 7.1.1).
func (b *body) size(line []byte) error {
	var n int64
	i := 0
	for ; i < len(line); i++ {
		d := unhex(line[i])
		if d < 0 {
			break
		}
		if n >= 1<<59 || i == 16 {
			return bad("the size of a chunk is too large")
		}
		n = n<<4 | int64(d)
	}
	if i == 0 || i < len(line) && line[i] != ';' {
		return bad("an invalid size of a chunk")
	}
	for _, c := range line[i:] {
		if !header.ValueByte(c) {
			return bad("a control character in the line of a chunk")
		}
	}
	// As much as net/http takes for needed, so that what is let pass here is
	// let pass there.
	if b.chunk.waste = max(b.chunk.waste+len(line)-14-2*int(min(n, 1<<20)), 0); b.chunk.waste > maxChunkWaste {
		return bad("too much beside the chunks")
	}
	if b.left = n; n > 0 {
		b.chunk.step = stepData
	} else {
		b.chunk.step = stepTrailer
		b.chunk.trailer = scan{lines: 2} // there is no first line
	}
	return nil
}

// trailers reads the fields after the chunks.
func (b *body) trailers(s string) error {
	for s != "" {
		name, value, rest, err := cutField(s)
		if err != nil {
			return err
		}
		if forbidden(name) {
			return bad("a trailer that cannot be one")
		}
		if b.trailer != nil {
			b.trailer.Add(name, value)
		}
		s = rest
	}
	return nil
}
