package keys

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"entgo.io/ent/dialect/sql"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/audithead"
	"github.com/backplane/backplane/ent/auditrecord"
	"github.com/backplane/backplane/internal/secret"
	"github.com/backplane/backplane/server/store"
)

// note records something.
func (w *world) note(action string) {
	w.t.Helper()
	err := w.st.Change(w.t.Context(), func(tx *store.Tx) error {
		tx.Audit(store.Audit{Action: action, Kind: "test", ID: "x"})
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// wantTrail checks the verdict on the trail: the first record that is wrong, or
// 0, after so many good ones.
func (w *world) wantTrail(when string, checked, bad uint64) {
	w.t.Helper()
	v, err := w.st.VerifyAudit(w.t.Context())
	if err != nil || v.Checked != checked || v.FirstBad != bad {
		w.t.Errorf("%s: %+v, %v; want %d good, then %d", when, v, err, checked, bad)
	}
}

// setRecord changes a column of a record behind the program's back.
func (w *world) setRecord(id uint64, column, value string) {
	w.t.Helper()
	w.st.AuditRecord.Update().Where(auditrecord.ID(id)).Modify(func(u *sql.UpdateBuilder) { u.Set(column, value) }).ExecX(w.t.Context())
}

func (w *world) head() *ent.AuditHead { return w.st.AuditHead.Query().OnlyX(w.t.Context()) }

func (w *world) setHead(h *ent.AuditHead) {
	w.t.Helper()
	w.st.AuditHead.Update().SetLast(h.Last).SetHash(h.Hash).SetMAC(h.MAC).ExecX(w.t.Context())
}

// TestTrailOutlivesItsKeys: rotations and starts change nothing about what can
// be verified.
func TestTrailOutlivesItsKeys(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		k := w.open()
		w.wantTrail("a new store", 0, 0)
		w.note("first")
		for n := range uint64(2) {
			drop := w.changeKMS()
			if _, err := k.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			drop()
			w.wantTrail("after a rotation", 2+n, 0)
		}
		w.restart()
		w.open()
		w.note("last")
		w.wantTrail("after a start", 4, 0)
		w.restart()
		if err := OpenTrail(t.Context(), w.st, w.src); err != nil {
			t.Fatal(err)
		}
		w.wantTrail("without a server", 4, 0)
		w.setRecord(1, auditrecord.FieldActor, "nobody")
		w.wantTrail("a changed record", 0, 1)
	})
}

// TestForgedEndStaysForged: the program goes on when somebody has cut the trail
// and says that it ends there, and does not make that true.
func TestForgedEndStaysForged(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		w.open()
		for range 3 {
			w.note("before")
		}
		early, ctx := w.head(), t.Context()
		w.note("to be cut")
		w.st.AuditRecord.Delete().Where(auditrecord.ID(4)).ExecX(ctx)
		w.wantTrail("cut", 3, 4)
		forged := *early
		forged.MAC = w.head().MAC
		w.setHead(&forged)
		w.wantTrail("cut, with an end that has no MAC", 3, 4)
		w.restart()
		w.open()
		w.wantTrail("the same after a start", 3, 3)
		w.note("after")
		w.wantTrail("with one more", 4, 4)
		forged.Last = 1
		w.setHead(&forged) // the next number is taken
		w.note("after")
		w.wantTrail("with an end before the last record", 5, 5)
		w.st.AuditHead.Delete().ExecX(ctx)
		w.wantTrail("without an end", 5, 5)
	})
}

// TestEarlierEndIsNoticed: an end that was once true has its MAC; the process
// that has seen the trail go further knows better.
func TestEarlierEndIsNoticed(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		w.open()
		for range 3 {
			w.note("before")
		}
		early := w.head()
		w.note("to be cut")
		w.note("to be cut")
		w.st.AuditRecord.Delete().Where(auditrecord.IDGT(3)).ExecX(t.Context())
		w.setHead(early)
		w.wantTrail("cut, with the end of then", 3, 4)
		w.note("instead")
		w.wantTrail("with another record", 4, 5)
		w.note("instead")
		w.wantTrail("with as many as before", 4, 5)
		w.note("more")
		w.wantTrail("with more than before", 4, 5)
	})
}

// TestTrailKeyCannotBeRemoved: whoever deletes the key does not get a new one
// for a trail of their making.
func TestTrailKeyCannotBeRemoved(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		k := w.open()
		w.note("something")
		was := w.st.Setting.GetX(t.Context(), TrailKey)
		refused := func(what, want string) {
			t.Helper()
			w.restart()
			_, err := Open(t.Context(), w.options())
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the store opens with %v, want %q", what, err, want)
			}
			if err = OpenTrail(t.Context(), w.st, w.src); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the trail opens with %v, want %q", what, err, want)
			}
			if _, err := w.st.VerifyAudit(t.Context()); err == nil {
				t.Errorf("%s: there is a verdict without a key", what)
			}
		}
		w.st.Setting.DeleteOneID(TrailKey).ExecX(t.Context())
		w.plainTrail()
		refused("without the key", "lost the key of its audit trail")
		w.setJWTKey(k, string(make([]byte, 40)))
		moved := w.st.Setting.GetX(t.Context(), JWTKey)
		w.st.Setting.Create().SetID(TrailKey).SetValue(moved.Value).ExecX(t.Context())
		refused("with another sealed value", "moved from another place")
		w.st.Setting.UpdateOneID(TrailKey).SetValue(was.Value).ExecX(t.Context())
		w.restart()
		w.open()
		w.wantTrail("with the key, and a trail that was made without", 0, 1)
	})
}

// plainTrail gives the records and the end what they had when there was no key.
func (w *world) plainTrail() {
	w.t.Helper()
	previous := ""
	for _, r := range w.st.AuditRecord.Query().Order(auditrecord.ByID()).AllX(w.t.Context()) {
		text, err := json.Marshal([]any{
			r.ID, r.At, r.Actor, r.TokenID, r.Address, r.RequestID, r.Action,
			r.ResourceKind, r.ResourceID, r.ResourceName, r.Project, r.Changes, previous,
		})
		if err != nil {
			w.t.Fatal(err)
		}
		hash := fmt.Sprintf("%x", sha256.Sum256(text))
		w.setRecord(r.ID, auditrecord.FieldPreviousHash, previous)
		w.setRecord(r.ID, auditrecord.FieldHash, hash)
		previous = hash
	}
	w.st.AuditHead.Update().Where(audithead.Hash(w.head().Hash)).SetHash(previous).SetMAC("").ExecX(w.t.Context())
}

// earlierStore makes the store one of before there was a key of the trail.
func (w *world) earlierStore() {
	w.t.Helper()
	ctx := w.t.Context()
	w.plainTrail()
	w.st.Setting.DeleteOneID(TrailKey).ExecX(ctx)
	text := w.src.Value
	if text == "" {
		file := w.src.File
		if len(w.src.Command) > 0 {
			file = w.src.Command[1]
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			w.t.Fatal(err)
		}
		text = string(raw)
	}
	aead := must(cipher.NewGCM(must(aes.NewCipher(must(secret.ParseKey(text))))))
	for _, row := range w.st.DataKey.Query().AllX(ctx) {
		head := row.Wrapped[:9]
		nonce := row.Wrapped[9:21]
		key := must(aead.Open(nil, nonce, row.Wrapped[21:], append(append([]byte{}, head...), "data key, with a trail key/"+row.ID...)))
		fresh := make([]byte, len(nonce))
		rand.Read(fresh)
		sealed := aead.Seal(append(append([]byte{}, head...), fresh...), fresh, key, append(append([]byte{}, head...), "data key/"+row.ID...))
		w.st.DataKey.UpdateOne(row).SetWrapped(sealed).ExecX(ctx)
	}
}

// TestEarlierTrailGetsAKey: once, though processes start together, in the
// trail, and without a change of what there was.
func TestEarlierTrailGetsAKey(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		w.open()
		for range 3 {
			w.note("before")
		}
		w.earlierStore()
		w.restart()
		if err := OpenTrail(t.Context(), w.st, w.src); err == nil || !strings.Contains(err.Error(), "has no key yet") {
			t.Errorf("without a server: %v", err)
		}
		before := w.st.AuditRecord.Query().Order(auditrecord.ByID()).AllX(t.Context())
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				if _, err := Open(context.WithoutCancel(t.Context()), w.options()); err != nil {
					t.Errorf("start: %v", err)
				}
			})
		}
		all.Wait()
		w.wantTrail("after the start", 4, 0)
		w.note("after")
		w.restart()
		w.open()
		w.wantTrail("after the next start", 5, 0)
		after := w.st.AuditRecord.Query().Order(auditrecord.ByID()).AllX(t.Context())
		for i, r := range before {
			if after[i].Hash != r.Hash {
				t.Errorf("record %d has another hash than before", r.ID)
			}
		}
		if r := after[3]; r.Action != "StartTrailKey" || r.Actor != store.SystemActor || r.ResourceKind != "audit_trail" || !strings.Contains(r.Changes, `"after":"4"`) {
			t.Errorf("what the start recorded is %v", r)
		}
		for _, id := range []uint64{2, 4, 5} {
			w.setRecord(id, auditrecord.FieldActor, "nobody")
			w.wantTrail("a changed record", id-1, id)
			w.setRecord(id, auditrecord.FieldActor, store.SystemActor)
		}
		w.plainTrail()
		w.wantTrail("all rewritten without the key", 3, 4)
		w.restart()
		w.open()
		w.wantTrail("the same after a start", 3, 4)
	})
}
