package store

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/backplane/backplane/ent"
)

// What a MAC is of, so that none of one kind passes for one of another.
const (
	macOfRecord = "backplane audit record\x00"
	macOfEnd    = "backplane audit end\x00"
)

// trailKeySize is that of an encoded TrailKey: a number and the key.
const trailKeySize = 8 + sha256.Size

// TrailKey is what the audit trail is authenticated with: without it, nobody
// can change a record, or make one up, so that VerifyAudit does not tell.
// Printed in any way it shows nothing of the key.
type TrailKey struct {
	// from is the first record under the key. Those before it are of a time
	// when there was none; that they are what they were then follows from the
	// hash that record from holds.
	from uint64
	key  [sha256.Size]byte
}

// NewTrailKey makes a random key for the records from one on.
func NewTrailKey(from uint64) *TrailKey {
	k := &TrailKey{from: from}
	rand.Read(k.key[:]) //nolint:errcheck // crypto/rand.Read never fails
	return k
}

// ParseTrailKey reads what Bytes wrote. Its error never repeats it.
func ParseTrailKey(encoded []byte) (*TrailKey, error) {
	if len(encoded) != trailKeySize {
		return nil, errors.New("not a key of an audit trail")
	}
	return &TrailKey{from: binary.BigEndian.Uint64(encoded), key: [sha256.Size]byte(encoded[8:])}, nil
}

// Bytes are the key, to be sealed.
func (k *TrailKey) Bytes() []byte {
	return append(binary.BigEndian.AppendUint64(nil, k.from), k.key[:]...)
}

// Format hides the key from every verb of package fmt.
func (k TrailKey) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "key of the audit trail from record %d", k.from)
}

// LogValue hides the key from logs.
func (k TrailKey) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(k)) }

// hashOf covers everything in a record but its own hash.
func (k *TrailKey) hashOf(r *ent.AuditRecord) (string, error) {
	if r.ID < k.from {
		return digest(r)
	}
	return k.mac(macOfRecord, []uint64{r.ID, uint64(r.At)},
		r.Actor, r.TokenID, r.Address, r.RequestID, r.Action,
		r.ResourceKind, r.ResourceID, r.ResourceName, r.Project, r.Changes, r.PreviousHash), nil
}

// macOf authenticates the end of the trail.
func (k *TrailKey) macOf(e end) string { return k.mac(macOfEnd, []uint64{e.last}, e.hash) }

// fits reports whether the head is as it was written.
func (k *TrailKey) fits(head *ent.AuditHead) bool {
	return hmac.Equal([]byte(head.MAC), []byte(k.macOf(end{head.Last, head.Hash})))
}

// mac is the HMAC-SHA-256 of what, of the numbers in eight bytes each, the most
// significant first, and of the texts, each after its length as such a number.
func (k *TrailKey) mac(what string, numbers []uint64, texts ...string) string {
	text := append(make([]byte, 0, 1024), what...)
	for _, n := range numbers {
		text = binary.BigEndian.AppendUint64(text, n)
	}
	for _, t := range texts {
		text = append(binary.BigEndian.AppendUint64(text, uint64(len(t))), t...)
	}
	mac := hmac.New(sha256.New, k.key[:])
	mac.Write(text)
	return hex.EncodeToString(mac.Sum(nil))
}

// digest is the hash of a record of before there was a key.
func digest(r *ent.AuditRecord) (string, error) {
	text, err := json.Marshal([]any{
		r.ID, r.At, r.Actor, r.TokenID, r.Address, r.RequestID, r.Action,
		r.ResourceKind, r.ResourceID, r.ResourceName, r.Project, r.Changes, r.PreviousHash,
	})
	if err != nil {
		return "", fmt.Errorf("audit record %d: %w", r.ID, err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
