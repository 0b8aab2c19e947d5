package dbaas

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/internal/secret"
)

// stuckServer never gives a byte, and takes none.
type stuckServer struct{ connectors.DatabaseServer }

func (stuckServer) Dump(ctx context.Context, _ string, _ io.Writer) error {
	<-ctx.Done()
	return ctx.Err()
}

func (stuckServer) Load(ctx context.Context, _ string, r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// TestCopyThatStallsIsTriedAgain needs no time: a moment without a byte ends it.
func TestCopyThatStallsIsTriedAgain(t *testing.T) {
	for name, copy := range map[string]func(ctx context.Context, w *watch) error{
		"dump": func(ctx context.Context, w *watch) error {
			m := &making{format: "f", key: secret.NewStreamKey(), watch: w, progress: func(_, _ int64) {}}
			return m.into(ctx, folder(t.TempDir()), "1.snapshot", func(out io.Writer) error { return stuckServer{}.Dump(ctx, "db", out) })
		},
		"load": func(ctx context.Context, w *watch) error {
			r, _ := io.Pipe()
			defer context.AfterFunc(ctx, func() { r.CloseWithError(ctx.Err()) })()
			return load(ctx, stuckServer{}, "db", &inflow{watch: w, r: r})
		},
	} {
		ctx, w := watching(t.Context(), time.Millisecond)
		err := because(ctx, copy(ctx, w))
		w.end()
		var e *errs.Error
		if !errors.As(err, &e) || e.Reason != errs.Unavailable || !strings.Contains(e.Message, "not one byte") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// slowServer takes its time between reads, as one that builds an index.
type slowServer struct {
	connectors.DatabaseServer
	resting func() bool
}

func (s slowServer) Load(_ context.Context, _ string, r io.Reader) error {
	if _, err := r.Read(make([]byte, 1)); err != nil {
		return err
	}
	if !s.resting() {
		return errors.New("the watch runs while the engine works")
	}
	return nil // without the rest
}

func TestLoadMayTakeItsTime(t *testing.T) {
	ctx, w := watching(t.Context(), time.Hour)
	defer w.end()
	source := strings.NewReader("content")
	err := load(ctx, slowServer{resting: func() bool { return !w.timer.Stop() }}, "db", &inflow{watch: w, r: source})
	if err != nil || source.Len() != 0 {
		t.Errorf("%v; %d bytes were not looked at", err, source.Len())
	}
	broken := errors.New("the end is another one")
	err = load(ctx, slowServer{resting: func() bool { return true }}, "db", &inflow{watch: w, r: io.MultiReader(strings.NewReader("content"), iotest.ErrReader(broken))})
	if !errors.Is(err, broken) {
		t.Errorf("what the engine did not read is taken for whole: %v", err)
	}
}

// made writes content as a snapshot of a format.
func made(t *testing.T, f folder, format string, text []byte) (*ent.Backup, []byte) {
	t.Helper()
	key := secret.NewStreamKey()
	ctx, w := watching(t.Context(), time.Minute)
	defer w.end()
	var last, of int64
	m := &making{format: format, key: key, place: "snapshot/1", total: 10, watch: w, progress: func(n, total int64) { last, of = n, total }}
	err := m.into(ctx, f, "home/1.snapshot", func(out io.Writer) error {
		_, err := io.Copy(out, iotest.HalfReader(bytes.NewReader(text)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if last != int64(len(text)) || of != max(10, last) {
		t.Errorf("progress ends with %d of %d", last, of)
	}
	return &ent.Backup{ID: 1, Format: format, Size: m.stored.n, Sha256: m.stored.hex()}, key
}

func TestContentOfEachFormat(t *testing.T) {
	text := bytes.Repeat([]byte("INSERT INTO letters VALUES ('much of the same');\n"), 10_000)
	for format, smaller := range map[string]bool{"pg_dump-custom": false, "mysqldump" + zipped: true} {
		f := folder(filepath.Join(t.TempDir(), "snapshots"))
		row, key := made(t, f, format, text)
		if (row.Size < int64(len(text))/10) != smaller {
			t.Errorf("%s: %d bytes are kept as %d", format, len(text), row.Size)
		}
		body, size, err := f.Get(t.Context(), "home/1.snapshot")
		if err != nil || size != row.Size {
			t.Fatalf("%d bytes, %v; want %d", size, err, row.Size)
		}
		plain, err := content(body, row, key, "snapshot/1", func(_, _ int64) {})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(plain); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %d bytes come back, %v", format, len(got), err)
		}
		body.Close()
		// Whole, but not what the row says.
		for _, row := range []*ent.Backup{{Format: format, Size: row.Size, Sha256: strings.Repeat("0", 64)}, {Format: format, Size: row.Size + 1, Sha256: row.Sha256}} {
			body, _, err := f.Get(t.Context(), "home/1.snapshot")
			if err != nil {
				t.Fatal(err)
			}
			plain, err := content(body, row, key, "snapshot/1", func(_, _ int64) {})
			if err == nil {
				_, err = io.ReadAll(plain)
			}
			if !errors.Is(err, errDamaged) {
				t.Errorf("%s: another sum or size is taken: %v", format, err)
			}
			body.Close()
		}
	}
}

func TestFolderKeepsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	f := folder(filepath.Join(dir, "snapshots"))
	count := func() (names []string) {
		if err := filepath.WalkDir(string(f), func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				names = append(names, d.Name())
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return names
	}
	broken := errors.New("the dump broke off")
	err := f.Put(t.Context(), "home/1.snapshot", io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken)), 0)
	if !errors.Is(err, broken) || len(count()) != 0 {
		t.Errorf("%v, left %v", err, count())
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := f.Put(ended, "home/1.snapshot", strings.NewReader("whole"), 0); !errors.Is(err, context.Canceled) || len(count()) != 0 {
		t.Errorf("%v, left %v", err, count())
	}
	if err := f.Put(t.Context(), "home/1.snapshot", strings.NewReader("first, and longer"), 0); err != nil {
		t.Fatal(err)
	}
	if err := f.Put(t.Context(), "home/1.snapshot", strings.NewReader("second"), 0); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(string(f), "home", "1.snapshot")); string(b) != "second" {
		t.Errorf("%q, %v", b, err)
	}
	if err := os.WriteFile(filepath.Join(string(f), "home", "1.snapshot.7.partial"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // also when nothing is there any more
		if err := f.Remove(t.Context(), "home/1.snapshot"); err != nil || len(count()) != 0 {
			t.Errorf("%v, left %v", err, count())
		}
	}
	if _, _, err := f.Get(t.Context(), "home/1.snapshot"); !errors.Is(err, connectors.ErrNoObject) {
		t.Errorf("got %v", err)
	}
	// The message is for callers, and names no path of the machine.
	if err := os.WriteFile(filepath.Join(string(f), "blocked"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err = f.Put(t.Context(), "blocked/1.snapshot", strings.NewReader("x"), 0)
	var e *errs.Error
	if !errors.As(err, &e) || strings.Contains(e.Message, dir) || !strings.Contains(e.Message, "not a directory") {
		t.Errorf("got %v", err)
	}
}
