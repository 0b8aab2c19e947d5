package secret

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
)

// MasterKey wraps data keys. It is the key encryption key: whoever has it and
// the store can open everything. It is safe for concurrent use. Printed in any
// way it shows its id alone.
type MasterKey struct{ box box }

// NewMasterKey makes a MasterKey of KeySize bytes. Its id follows from the key.
func NewMasterKey(key []byte) (*MasterKey, error) {
	sum := sha256.Sum256(append([]byte("backplane master key id\x00"), key...))
	b, err := newBox(KeyID(sum[:keyIDSize]), key)
	if err != nil {
		return nil, fmt.Errorf("master key: %w", err)
	}
	return &MasterKey{box: b}, nil
}

// ID names the key.
func (m *MasterKey) ID() KeyID { return m.box.id }

// Format hides the key from every verb of package fmt.
func (m MasterKey) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "master key %s", m.box.id) }

// LogValue hides the key from logs.
func (m MasterKey) LogValue() slog.Value { return slog.StringValue(m.box.id.String()) }

// wrapPlace says that the store has a key of the audit trail as well: whoever
// can write to the store, but lacks the master key, cannot make it look like
// one that has none yet, and is given a new one.
func wrapPlace(id KeyID) string { return "data key, with a trail key/" + id.String() }

// earlierPlace is that of data keys in stores without a key of the trail.
func earlierPlace(id KeyID) string { return "data key/" + id.String() }

// Wrap seals a data key.
func (m *MasterKey) Wrap(k *DataKey) []byte { return m.box.seal(k.raw[:], wrapPlace(k.id)) }

// Unwrap opens the data key with the given id. It fails with ErrWrongKey when
// another master key wrapped it, and with ErrDamaged.
func (m *MasterKey) Unwrap(wrapped []byte, id KeyID) (*DataKey, error) {
	by, err := KeyOf(wrapped)
	if err != nil {
		return nil, fmt.Errorf("data key %s: %w", id, err)
	}
	if by != m.box.id {
		return nil, fmt.Errorf("data key %s is wrapped under master key %s, this is %s: %w", id, by, m.box.id, ErrWrongKey)
	}
	raw, err := m.box.open(wrapped, wrapPlace(id))
	earlier := err != nil
	if earlier {
		raw, err = m.box.open(wrapped, earlierPlace(id))
	}
	if err != nil || len(raw) != KeySize {
		return nil, fmt.Errorf("data key %s, wrapped under master key %s: %w", id, by, ErrDamaged)
	}
	return &DataKey{id: id, raw: [KeySize]byte(raw), earlier: earlier}, nil
}
