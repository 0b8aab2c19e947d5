package secret

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// Keyring holds data keys: one active, which seals, and others, which still
// open what they sealed. It is safe for concurrent use.
type Keyring struct {
	mu      sync.RWMutex
	keys    map[KeyID]box
	active  KeyID
	writing *generation
	earlier []*generation // of before a Switch, not yet seen idle
	unknown func(KeyID)
}

// generation counts the writers that began between two switches.
type generation struct {
	writers int
	ended   bool          // by a switch: no more writers begin
	idle    chan struct{} // closed when ended and no writer is left
}

// NewKeyring makes a Keyring that seals with one key.
func NewKeyring(active *DataKey) (*Keyring, error) {
	k := &Keyring{keys: map[KeyID]box{}, writing: &generation{idle: make(chan struct{})}}
	if err := k.Add(active); err != nil {
		return nil, err
	}
	k.active = active.id
	return k, nil
}

// Format hides the keys from every verb of package fmt.
func (k *Keyring) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "keyring with %v", k.Keys()) }

// OnUnknown sets what is called when a value turns up that is sealed under a
// key the ring does not have; it may Add that key. Call it before the first
// Open.
func (k *Keyring) OnUnknown(find func(KeyID)) { k.unknown = find }

// Add puts a key on the ring. It does not make it the active one.
func (k *Keyring) Add(key *DataKey) error {
	b, err := newBox(key.id, key.raw[:])
	if err != nil {
		return fmt.Errorf("data key %s: %w", key.id, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.keys[key.id] = b
	return nil
}

// Drop takes a key off the ring. The active key stays.
func (k *Keyring) Drop(id KeyID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if id != k.active {
		delete(k.keys, id)
	}
}

// Has reports whether a key is on the ring.
func (k *Keyring) Has(id KeyID) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	_, ok := k.keys[id]
	return ok
}

// Keys are the ids of all keys on the ring, in order.
func (k *Keyring) Keys() []KeyID {
	k.mu.RLock()
	defer k.mu.RUnlock()
	ids := make([]KeyID, 0, len(k.keys))
	for id := range k.keys {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b KeyID) int { return slices.Compare(a[:], b[:]) })
	return ids
}

// Active is the id of the key that seals.
func (k *Keyring) Active() KeyID {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.active
}

// Writing begins a write: it must come before the first Seal, and done after
// the commit of what was sealed or kept (see Fresh). It never waits, so writes
// may overlap and nest. Without it, a value could be committed under a key that
// has been given up in the meantime.
func (k *Keyring) Writing() (done func()) {
	k.mu.Lock()
	g := k.writing
	g.writers++
	k.mu.Unlock()
	return sync.OnceFunc(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		g.writers--
		g.settle()
	})
}

func (g *generation) settle() {
	if g.over() {
		close(g.idle)
	}
}

// Activate makes a key on the ring the one that seals, from now on. Writes
// under way may still commit what they sealed before.
func (k *Keyring) Activate(id KeyID) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.activate(id)
}

func (k *Keyring) activate(id KeyID) error {
	if _, ok := k.keys[id]; !ok {
		return fmt.Errorf("data key %s is not on the keyring: %w", id, ErrWrongKey)
	}
	if k.active == id {
		return nil
	}
	k.active = id
	k.endGeneration()
	return nil
}

func (k *Keyring) endGeneration() {
	g := k.writing
	g.ended = true
	k.writing = &generation{idle: make(chan struct{})}
	k.earlier = append(slices.DeleteFunc(k.earlier, (*generation).over), g)
	g.settle()
}

func (g *generation) over() bool { return g.ended && g.writers == 0 }

// Switch makes a key on the ring the one that seals and waits for the writes
// that began before. Once it returns nil, this process commits nothing more
// under another key. New writes do not wait for it.
func (k *Keyring) Switch(ctx context.Context, id KeyID) error {
	k.mu.Lock()
	err := k.activate(id)
	waitFor := slices.Clone(k.earlier)
	k.mu.Unlock()
	if err != nil {
		return err
	}
	for _, g := range waitFor {
		select {
		case <-g.idle:
		case <-ctx.Done():
			return fmt.Errorf("wait for writes under the data key before %s: %w", id, ctx.Err())
		}
	}
	return nil
}

// Seal encrypts a value under the active key; place names where it is kept and
// must be the same when it is opened. Call it within Writing.
func (k *Keyring) Seal(value []byte, place string) []byte {
	k.mu.RLock()
	b := k.keys[k.active]
	k.mu.RUnlock()
	return b.seal(value, place)
}

// Open decrypts a value. It fails with ErrWrongKey or ErrDamaged.
func (k *Keyring) Open(sealed []byte, place string) ([]byte, error) {
	id, err := KeyOf(sealed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", place, err)
	}
	b, ok := k.find(id)
	if !ok {
		return nil, fmt.Errorf("%s: data key %s is not on the keyring: %w", place, id, ErrWrongKey)
	}
	value, err := b.open(sealed, place)
	if err != nil {
		return nil, fmt.Errorf("%s, sealed under data key %s: %w", place, id, err)
	}
	return value, nil
}

func (k *Keyring) find(id KeyID) (box, bool) {
	get := func() (box, bool) {
		k.mu.RLock()
		defer k.mu.RUnlock()
		b, ok := k.keys[id]
		return b, ok
	}
	b, ok := get()
	if ok || k.unknown == nil {
		return b, ok
	}
	k.unknown(id)
	return get()
}

// UsesActive reports whether a value is sealed under the active key.
func (k *Keyring) UsesActive(sealed []byte) bool {
	id, err := KeyOf(sealed)
	return err == nil && id == k.Active()
}

// Fresh returns a sealed value as it should be stored: as it is when it is
// sealed under the active key, and sealed anew otherwise. Call it within
// Writing.
func (k *Keyring) Fresh(sealed []byte, place string) ([]byte, error) {
	if k.UsesActive(sealed) {
		return sealed, nil
	}
	value, err := k.Open(sealed, place)
	if err != nil {
		return nil, err
	}
	return k.Seal(value, place), nil
}
