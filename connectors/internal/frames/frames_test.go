package frames_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/connectors/internal/frames"
)

const format = "test-format-1"

// frame is a kind and a payload.
type frame struct {
	kind    byte
	payload string
}

func write(t testing.TB, list ...frame) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := frames.NewWriter(&out, format)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		half := len(f.payload) / 2
		if err := w.Frame(f.kind, []byte(f.payload[:half]), []byte(f.payload[half:])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func read(r io.Reader) ([]frame, error) {
	in, err := frames.NewReader(r, format)
	if err != nil {
		return nil, err
	}
	var list []frame
	for {
		kind, payload, err := in.Next()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		list = append(list, frame{kind, string(payload)})
	}
}

func TestFramesComeBack(t *testing.T) {
	large := strings.Repeat("0123456789", 700_000)
	for _, want := range [][]frame{nil, {{1, ""}}, {{'a', "x"}, {'b', large}, {255, "\x00"}, {'a', "y"}}} {
		got, err := read(bytes.NewReader(write(t, want...)))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%d frames came back as %d: %v", len(want), len(got), err)
		}
	}
}

func TestDamageIsFound(t *testing.T) {
	whole := write(t, frame{'a', "some payload"}, frame{'b', strings.Repeat("x", 300)})
	for cut := range whole {
		if _, err := read(bytes.NewReader(whole[:cut])); !errors.Is(err, frames.ErrDamaged) {
			t.Fatalf("%d of %d bytes: %v", cut, len(whole), err)
		}
		bent := bytes.Clone(whole)
		bent[cut] ^= 1 << rand.IntN(8)
		if _, err := read(bytes.NewReader(bent)); !errors.Is(err, frames.ErrDamaged) {
			t.Fatalf("byte %d changed: %v", cut, err)
		}
	}
	if _, err := read(bytes.NewReader(append(whole, 0))); !errors.Is(err, frames.ErrDamaged) {
		t.Errorf("with a byte more: %v", err)
	}
	long := format + "\n" + "a" + "\xff\xff\xff\xff\x7f"
	if _, err := read(strings.NewReader(long)); !errors.Is(err, frames.ErrDamaged) {
		t.Errorf("with a length beyond all bounds: %v", err)
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error)  { return 0, errBroken }
func (broken) Write([]byte) (int, error) { return 0, errBroken }

func TestWhatTheCallersStreamSays(t *testing.T) {
	var stream *frames.StreamError
	err := frames.ReadUntil(t.Context(), io.MultiReader(strings.NewReader(format[:4]), broken{}), func(r io.Reader) error {
		_, err := read(r)
		return err
	})
	if !errors.Is(err, errBroken) || !errors.As(err, &stream) || errors.Is(err, frames.ErrDamaged) {
		t.Errorf("reading: %v", err)
	}
	err = frames.WriteUntil(t.Context(), broken{}, func(w io.Writer) error {
		_, err := w.Write([]byte("x"))
		return err
	})
	if !errors.Is(err, errBroken) || !errors.As(err, &stream) {
		t.Errorf("writing: %v", err)
	}
	for name, run := range map[string]func() error{
		"reading": func() error {
			return frames.ReadUntil(t.Context(), strings.NewReader("x"), func(io.Reader) error { return errBroken })
		},
		"writing": func() error {
			return frames.WriteUntil(t.Context(), io.Discard, func(io.Writer) error { return errBroken })
		},
	} {
		if err := run(); !errors.Is(err, errBroken) || errors.As(err, &stream) {
			t.Errorf("%s, not the stream's fault: %v", name, err)
		}
	}
}

// Neither the source nor the sink moves.
func TestStreamsEndWithTheContext(t *testing.T) {
	fromNobody, hold := io.Pipe()
	defer hold.Close()
	nobody, toNobody := io.Pipe()
	defer nobody.Close()
	for name, run := range map[string]func(context.Context) error{
		"reading": func(ctx context.Context) error {
			return frames.ReadUntil(ctx, fromNobody, func(r io.Reader) error { _, err := read(r); return err })
		},
		"writing": func(ctx context.Context) error {
			return frames.WriteUntil(ctx, toNobody, func(w io.Writer) error { _, err := w.Write(make([]byte, 1<<20)); return err })
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- run(ctx) }()
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(30 * time.Second):
			t.Fatalf("%s goes on", name)
		}
		if err := run(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s with an ended context: %v", name, err)
		}
	}
}

// FuzzReader reads anything, and what it takes for a dump is one.
func FuzzReader(f *testing.F) {
	f.Add(write(f))
	f.Add(write(f, frame{'a', "x"}, frame{'b', strings.Repeat("y", 200)}))
	f.Add([]byte(format + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, err := read(bytes.NewReader(data))
		if err != nil {
			if !errors.Is(err, frames.ErrDamaged) {
				t.Errorf("got %v", err)
			}
			return
		}
		if !bytes.Equal(write(t, list...), data) {
			t.Errorf("%q is not what %v is written as", data, list)
		}
	})
}
