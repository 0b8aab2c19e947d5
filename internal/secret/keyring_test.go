package secret_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/backplane/backplane/internal/secret"
)

const place = "service/1/password"

func newKeyring(t testing.TB) (*secret.Keyring, *secret.DataKey) {
	t.Helper()
	key := secret.NewDataKey()
	ring, err := secret.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	return ring, key
}

func masterKey(t testing.TB, first byte) *secret.MasterKey {
	t.Helper()
	raw := bytes.Repeat([]byte{7}, secret.KeySize)
	raw[0] = first
	m, err := secret.NewMasterKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestSealAndOpen(t *testing.T) {
	t.Parallel()
	ring, key := newKeyring(t)
	for _, value := range [][]byte{nil, []byte("s"), []byte("päß\x00word"), bytes.Repeat([]byte("long"), 1<<16)} {
		sealed := ring.Seal(value, place)
		if got, err := ring.Open(sealed, place); err != nil || !bytes.Equal(got, value) {
			t.Errorf("%d bytes come back as %d bytes, %v", len(value), len(got), err)
		}
		if len(value) > 3 && bytes.Contains(sealed, value) {
			t.Error("the value can be read in its sealed form")
		}
		if bytes.Equal(sealed, ring.Seal(value, place)) {
			t.Error("the same value seals to the same bytes")
		}
		if id, err := secret.KeyOf(sealed); err != nil || id != key.ID() || !ring.UsesActive(sealed) {
			t.Errorf("it is sealed under %s, %v", id, err)
		}
		_, err := ring.Open(sealed, "service/2/password")
		if !errors.Is(err, secret.ErrDamaged) || !strings.Contains(err.Error(), "service/2/password") || !strings.Contains(err.Error(), key.ID().String()) {
			t.Errorf("it opens in another place: %v", err)
		}
	}
}

// TestFlippedBits flips every bit of a sealed value and of a wrapped key.
func TestFlippedBits(t *testing.T) {
	t.Parallel()
	ring, key := newKeyring(t)
	master := masterKey(t, 1)
	for name, c := range map[string]struct {
		sealed []byte
		open   func([]byte) error
		named  []string
	}{
		"value": {
			ring.Seal([]byte("sesame"), place),
			func(b []byte) error { _, err := ring.Open(b, place); return err }, []string{place},
		},
		"data key": {
			master.Wrap(key),
			func(b []byte) error { _, err := master.Unwrap(b, key.ID()); return err }, []string{key.ID().String()},
		},
	} {
		if err := c.open(c.sealed); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range len(c.sealed) * 8 {
			bad := bytes.Clone(c.sealed)
			bad[i/8] ^= 1 << (i % 8)
			want := secret.ErrDamaged
			if i/8 >= 1 && i/8 <= 8 {
				want = secret.ErrWrongKey
			}
			err := c.open(bad)
			if !errors.Is(err, want) {
				t.Errorf("%s, bit %d flipped: %v, want %v", name, i, err, want)
				continue
			}
			for _, part := range c.named {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%s, bit %d flipped: %v does not name %s", name, i, err, part)
				}
			}
		}
		for i := range len(c.sealed) {
			if c.open(c.sealed[:i]) == nil || c.open(append(bytes.Clone(c.sealed), c.sealed[:i+1]...)) == nil {
				t.Errorf("%s: opens when cut or extended at %d", name, i)
			}
		}
	}
}

// TestForeignHead puts the head of one key before what another one sealed.
func TestForeignHead(t *testing.T) {
	t.Parallel()
	ring, _ := newKeyring(t)
	first := ring.Seal([]byte("sesame"), place)
	next := secret.NewDataKey()
	if err := errors.Join(ring.Add(next), ring.Switch(t.Context(), next.ID())); err != nil {
		t.Fatal(err)
	}
	second := ring.Seal([]byte("sesame"), place)
	if _, err := ring.Open(append(bytes.Clone(first[:9]), second[9:]...), place); !errors.Is(err, secret.ErrDamaged) {
		t.Errorf("opens with the id of another key: %v", err)
	}
}

func TestMasterKeys(t *testing.T) {
	t.Parallel()
	key := secret.NewDataKey()
	a, b := masterKey(t, 1), masterKey(t, 2)
	if a.ID() == b.ID() || a.ID() != masterKey(t, 1).ID() {
		t.Errorf("ids are %s and %s", a.ID(), b.ID())
	}
	if _, err := b.Unwrap(a.Wrap(key), key.ID()); !errors.Is(err, secret.ErrWrongKey) || !strings.Contains(err.Error(), a.ID().String()) {
		t.Errorf("another master key: %v", err)
	}
	if _, err := a.Unwrap(a.Wrap(key), secret.NewDataKey().ID()); !errors.Is(err, secret.ErrDamaged) {
		t.Errorf("the wrapped form of another data key: %v", err)
	}
	got, err := a.Unwrap(a.Wrap(key), key.ID())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := secret.NewKeyring(key)
	if err != nil {
		t.Fatal(err)
	}
	sealed := ring.Seal([]byte("sesame"), place)
	again, err := secret.NewKeyring(got)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := again.Open(sealed, place); err != nil || string(v) != "sesame" {
		t.Errorf("the unwrapped key opens %q, %v", v, err)
	}
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := secret.NewMasterKey(make([]byte, n)); err == nil {
			t.Errorf("a master key of %d bytes is taken", n)
		}
	}
}

func TestSwitch(t *testing.T) {
	t.Parallel()
	ring, first := newKeyring(t)
	old := ring.Seal([]byte("sesame"), place)
	if err := ring.Switch(t.Context(), secret.NewDataKey().ID()); !errors.Is(err, secret.ErrWrongKey) {
		t.Errorf("switched to a key that is not there: %v", err)
	}
	next := secret.NewDataKey()
	if err := ring.Add(next); err != nil {
		t.Fatal(err)
	}
	if !ring.UsesActive(old) || ring.Active() != first.ID() {
		t.Error("adding a key makes it the active one")
	}
	if err := ring.Switch(t.Context(), next.ID()); err != nil {
		t.Fatal(err)
	}
	if ring.UsesActive(old) {
		t.Error("the old value is taken for one under the new key")
	}
	fresh, err := ring.Fresh(old, place)
	if err != nil || !ring.UsesActive(fresh) {
		t.Errorf("sealed anew: %v", err)
	}
	if same, err := ring.Fresh(fresh, place); err != nil || !bytes.Equal(same, fresh) {
		t.Errorf("a fresh value is sealed anew: %v", err)
	}
	ring.Drop(next.ID())
	if !ring.Has(next.ID()) {
		t.Error("the active key was dropped")
	}
	ring.Drop(first.ID())
	if _, err := ring.Open(old, place); !errors.Is(err, secret.ErrWrongKey) || !strings.Contains(err.Error(), first.ID().String()) {
		t.Errorf("opens under a dropped key: %v", err)
	}
	if got, err := ring.Open(fresh, place); err != nil || string(got) != "sesame" {
		t.Errorf("got %q, %v", got, err)
	}
}

// TestSwitchWaitsForWriters checks that a switch waits for the writes that
// began before it, those before an Activate included, and for no others.
func TestSwitchWaitsForWriters(t *testing.T) {
	t.Parallel()
	ring, _ := newKeyring(t)
	next := secret.NewDataKey()
	if err := ring.Add(next); err != nil {
		t.Fatal(err)
	}
	done := ring.Writing()
	if err := ring.Activate(next.ID()); err != nil {
		t.Fatal(err)
	}
	later := ring.Writing()
	defer later()
	if sealed := ring.Seal(nil, place); !ring.UsesActive(sealed) {
		t.Error("a write after the switch seals under the old key")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		if err := ring.Switch(ended, next.ID()); !errors.Is(err, context.Canceled) {
			t.Errorf("did not wait for the write: %v", err)
		}
	}
	done()
	done() // twice does nothing
	if err := ring.Switch(t.Context(), next.ID()); err != nil {
		t.Errorf("waits for a write under the new key: %v", err)
	}
}

// TestConcurrentSwitches commits sealed values while the key changes, and
// checks that none under an old key comes after its switch.
func TestConcurrentSwitches(t *testing.T) {
	t.Parallel()
	ring, _ := newKeyring(t)
	var mu sync.Mutex
	stored := map[int][]byte{}
	stop := make(chan struct{})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				done := ring.Writing()
				sealed := ring.Seal([]byte("sesame"), place)
				mu.Lock()
				stored[i] = sealed
				mu.Unlock()
				done()
				if _, err := ring.Open(sealed, place); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range 50 {
		old, next := ring.Active(), secret.NewDataKey()
		if err := errors.Join(ring.Add(next), ring.Switch(t.Context(), next.ID())); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		clear(stored)
		mu.Unlock()
		for range 3 {
			mu.Lock()
			for _, sealed := range stored {
				if id, err := secret.KeyOf(sealed); err != nil || id == old {
					t.Errorf("committed under the old key after the switch: %v", err)
				}
			}
			mu.Unlock()
		}
	}
	close(stop)
	all.Wait()
}

func TestUnknownKeys(t *testing.T) {
	t.Parallel()
	ring, _ := newKeyring(t)
	other, key := newKeyring(t)
	var asked []secret.KeyID
	ring.OnUnknown(func(id secret.KeyID) {
		asked = append(asked, id)
		if id == key.ID() {
			if err := ring.Add(key); err != nil {
				t.Error(err)
			}
		}
	})
	sealed := other.Seal([]byte("sesame"), place)
	for range 2 {
		if got, err := ring.Open(sealed, place); err != nil || string(got) != "sesame" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	sealed[1] ^= 1
	if _, err := ring.Open(sealed, place); !errors.Is(err, secret.ErrWrongKey) {
		t.Errorf("got %v", err)
	}
	if len(asked) != 2 || asked[0] != key.ID() {
		t.Errorf("asked for %v", asked)
	}
}

// TestKeysAreNotPrinted prints keys in every way.
func TestKeysAreNotPrinted(t *testing.T) {
	t.Parallel()
	raw := []byte("0123456789abcdef0123456789ABCDEF")
	master, err := secret.NewMasterKey(raw)
	if err != nil {
		t.Fatal(err)
	}
	ring, key := newKeyring(t)
	var out bytes.Buffer
	for _, v := range []any{master, *master, key, *key, ring, []any{key, *master}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			fmt.Fprintf(&out, verb, v)
		}
		slog.New(slog.NewTextHandler(&out, nil)).Info("key", "key", v)
		text, err := json.Marshal(v)
		if err != nil {
			t.Error(err)
		}
		out.Write(text)
	}
	for _, form := range []string{string(raw), hex.EncodeToString(raw), base64.StdEncoding.EncodeToString(raw), strings.Trim(fmt.Sprint(raw), "[]")} {
		if bytes.Contains(out.Bytes(), []byte(form)) {
			t.Errorf("the key is in %s", out.Bytes())
		}
	}
	// A data key's bytes are not known here: nothing as long as them may be
	// printed.
	for _, word := range strings.FieldsFunc(out.String(), func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEFx", r) }) {
		if len(word) > 40 {
			t.Errorf("%q was printed", word)
		}
	}
}

func FuzzOpen(f *testing.F) {
	ring, _ := newKeyring(f)
	sealed := ring.Seal([]byte("sesame"), place)
	f.Add(sealed, place)
	f.Add(sealed[:9], place)
	f.Add([]byte{}, "")
	f.Add(bytes.Repeat([]byte{1}, 40), "x")
	f.Fuzz(func(t *testing.T, text []byte, at string) {
		value, err := ring.Open(text, at)
		if err == nil && (!bytes.Equal(text, sealed) || at != place) {
			t.Fatalf("opened what was never sealed: %x", value)
		}
		if err != nil && !errors.Is(err, secret.ErrDamaged) && !errors.Is(err, secret.ErrWrongKey) {
			t.Fatalf("unexpected error %v", err)
		}
		if again, err := ring.Open(ring.Seal(text, at), at); err != nil || !bytes.Equal(again, text) {
			t.Fatalf("comes back as %x, %v", again, err)
		}
	})
}
