package secret_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/backplane/backplane/internal/secret"
)

const chunk = 64<<10 + 16 // of a sealed stream

func sealStream(t *testing.T, key, plain []byte, place string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := secret.NewStreamWriter(&out, key, place)
	if err != nil {
		t.Fatal(err)
	}
	for rest := plain; len(rest) > 0; { // in uneven pieces
		n := min(len(rest), 10_007)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func openStream(key, sealed []byte, place string) ([]byte, error) {
	r, err := secret.NewStreamReader(iotest.HalfReader(bytes.NewReader(sealed)), key, place)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

func TestStreamOfEveryLength(t *testing.T) {
	key := secret.NewStreamKey()
	for _, n := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 3 * 64 << 10, 1 << 20} {
		plain := bytes.Repeat([]byte("content "), n/8+1)[:n]
		sealed := sealStream(t, key, plain, "snapshot/1")
		if n > 16 && bytes.Contains(sealed, plain[:16]) {
			t.Errorf("%d bytes are in the stream in clear", n)
		}
		got, err := openStream(key, sealed, "snapshot/1")
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes come back as %d: %v", n, len(got), err)
		}
	}
}

func TestStreamRefusesWhatIsNotWhole(t *testing.T) {
	key := secret.NewStreamKey()
	plain := bytes.Repeat([]byte("0123456789abcdef"), 3*4096) // three chunks
	sealed := sealStream(t, key, plain, "snapshot/1")
	head := len(sealed) - 3*chunk
	flipped := func(at int) []byte {
		out := bytes.Clone(sealed)
		out[at] ^= 1
		return out
	}
	swapped := bytes.Clone(sealed[:head])
	swapped = append(swapped, sealed[head+chunk:head+2*chunk]...)
	swapped = append(swapped, sealed[head:head+chunk]...)
	swapped = append(swapped, sealed[head+2*chunk:]...)
	bad := map[string][]byte{
		"nothing": nil, "half a head": sealed[:head/2], "head alone": sealed[:head], "without its last byte": sealed[:len(sealed)-1],
		"without its last chunk": sealed[:head+2*chunk], "without its first chunk": append(bytes.Clone(sealed[:head]), sealed[head+chunk:]...),
		"with more": append(bytes.Clone(sealed), 0), "swapped": swapped, "twice": append(bytes.Clone(sealed), sealed[head:]...),
		"other head": flipped(0), "other salt": flipped(head - 1), "other first chunk": flipped(head), "other tag": flipped(len(sealed) - 1),
	}
	for name, b := range bad {
		got, err := openStream(key, b, "snapshot/1")
		if !errors.Is(err, secret.ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.HasPrefix(plain, got) {
			t.Errorf("%s: other bytes came out", name)
		}
	}
	if _, err := openStream(key, sealed, "snapshot/2"); !errors.Is(err, secret.ErrDamaged) {
		t.Errorf("another place: %v", err)
	}
	if _, err := openStream(secret.NewStreamKey(), sealed, "snapshot/1"); !errors.Is(err, secret.ErrDamaged) {
		t.Errorf("another key: %v", err)
	}
}

func TestStreamTellsErrorsApart(t *testing.T) {
	key, broken := secret.NewStreamKey(), errors.New("the network is gone")
	sealed := sealStream(t, key, make([]byte, 1<<20), "p")
	for _, n := range []int{10, 100, 100_000, len(sealed) - 1, len(sealed)} {
		r, err := secret.NewStreamReader(io.MultiReader(bytes.NewReader(sealed[:n]), iotest.ErrReader(broken)), key, "p")
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}
