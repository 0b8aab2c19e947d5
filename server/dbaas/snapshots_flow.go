package dbaas

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/internal/secret"
)

// stallAfter is how long a copy waits for its next byte.
const stallAfter = 2 * time.Minute

// watch ends a copy in which nothing moves.
type watch struct {
	timer *time.Timer
	after time.Duration
	stop  context.CancelCauseFunc
}

// errStalled is why watch ends a copy.
var errStalled = errs.New(errs.Unavailable, "For %.0f minutes not one byte has moved", stallAfter.Minutes())

// watching returns a context that ends when for some time nothing has moved.
func watching(ctx context.Context, after time.Duration) (context.Context, *watch) {
	ctx, stop := context.WithCancelCause(ctx)
	return ctx, &watch{timer: time.AfterFunc(after, func() { stop(errStalled) }), after: after, stop: stop}
}

// moved begins the wait for the next byte.
func (w *watch) moved() { w.timer.Reset(w.after) }

// rest ends the wait: it is not the source's turn.
func (w *watch) rest() { w.timer.Stop() }

func (w *watch) end() {
	w.timer.Stop()
	w.stop(nil)
}

// because is the error of a copy: what ended it when it was cut off.
func because(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, secret.ErrDamaged):
		return errDamaged
	}
	return err
}

// errDamaged is why a snapshot is not restored.
var errDamaged = errs.New(errs.BackendFailed, "The snapshot is damaged: it is not what was written")

func newHash() hash.Hash { return sha256.New() }

// meter counts and hashes what is written.
type meter struct {
	w    io.Writer
	hash hash.Hash
	n    int64
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.hash.Write(p[:n])
	m.n += int64(n)
	return n, err
}

// hex is the hash of a copy that came so far that there is one.
func (m *meter) hex() string {
	if m.hash == nil {
		return ""
	}
	return hex.EncodeToString(m.hash.Sum(nil))
}

// checked reads a snapshot as it is kept, and fails at its end when it is not
// what was written.
type checked struct {
	r        io.Reader
	meter    meter
	row      *ent.Backup
	progress func(done, total int64)
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.meter.hash.Write(p[:n])
	c.meter.n += int64(n)
	c.progress(c.meter.n, c.row.Size)
	if errors.Is(err, io.EOF) && (c.meter.n != c.row.Size || c.meter.hex() != c.row.Sha256) || c.meter.n > c.row.Size {
		return n, errDamaged
	}
	return n, err
}

// content opens what is in a snapshot.
func content(r io.Reader, row *ent.Backup, key []byte, place string, progress func(done, total int64)) (io.Reader, error) {
	stored := &checked{r: r, meter: meter{hash: newHash()}, row: row, progress: progress}
	plain, err := secret.NewStreamReader(stored, key, place)
	if err != nil || !strings.HasSuffix(row.Format, zipped) {
		return plain, err
	}
	return gzip.NewReader(plain)
}

// inflow is what a load reads. It remembers why reading broke off, and may be
// read by a program that was left behind and its owner at once.
type inflow struct {
	watch *watch

	mu  sync.Mutex
	r   io.Reader
	err error
}

// Read waits for a byte no longer than watch does. How long the engine takes to
// ask for more is its own affair: building an index moves no byte.
func (in *inflow) Read(p []byte) (int, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.err != nil {
		return 0, in.err
	}
	in.watch.moved()
	n, err := in.r.Read(p)
	in.watch.rest()
	if err != nil && !errors.Is(err, io.EOF) {
		in.err = err
	}
	return n, err
}

func (in *inflow) failed() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.err
}

// load loads what comes in into a database. Nothing is loaded well that does
// not come to a good end.
func load(ctx context.Context, s connectors.DatabaseServer, name string, in *inflow) error {
	err := s.Load(ctx, name, in)
	if err == nil {
		_, err = io.Copy(io.Discard, in) // what the engine had no need to read
	}
	if broken := in.failed(); broken != nil {
		err = broken
	}
	return because(ctx, err)
}
