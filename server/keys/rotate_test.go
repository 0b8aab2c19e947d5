package keys

import (
	"context"
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/auditrecord"
	"github.com/backplane/backplane/ent/predicate"
	"github.com/backplane/backplane/ent/service"
	"github.com/backplane/backplane/ent/serviceversion"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/internal/secret"
	"github.com/backplane/backplane/server/store"
)

func onlyVersion(row *ent.Service) []predicate.Service {
	return []predicate.Service{service.ID(row.ID), service.Version(row.Version)}
}

// changeKMS gives the command a new key, with the old one beside it, and
// returns what takes the old one away.
func (w *world) changeKMS() (end func()) {
	if len(w.src.Command) == 0 {
		return func() {}
	}
	old, next := string(mustRead(w.t, w.src.Command[1])), newMaster()
	w.kms(next, old)
	return func() { w.kms(next) }
}

func newMaster() string {
	raw := make([]byte, secret.KeySize)
	crand.Read(raw) //nolint:errcheck // crypto/rand.Read never fails
	return hex.EncodeToString(raw)
}

func TestRotate(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		k := w.open()
		ids := make([]uuid.UUID, batch+3)
		for i := range ids {
			ids[i] = uuid.New()
			w.put(k, ids[i], map[string]string{"password": fmt.Sprint("sesame ", i), "private_key": ""})
		}
		w.put(k, uuid.New(), nil)
		w.setJWTKey(k, "signing key")
		before := map[uuid.UUID]*ent.Service{}
		for _, row := range w.st.Service.Query().AllX(t.Context()) {
			before[row.ID] = row
		}
		snapshot := w.st.ServiceVersion.Query().Order(serviceversion.ByID()).FirstX(t.Context()).Snapshot
		revision, _, err := w.st.CurrentRevision(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		old, end := w.steal(), w.changeKMS()
		res, err := k.Rotate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		end()
		if want := 4*len(ids) + 2; res.Resealed != want || len(res.Retired) != 1 || !res.MasterKeyChanged || res.KeyID != k.Active().String() || res.MasterKeyID != w.masters()[0].ID().String() {
			t.Errorf("result is %+v, want %d re-sealed", res, want)
		}
		w.wantRotated(old)
		for i, id := range ids {
			w.wantSecrets(k, id, map[string]string{"password": fmt.Sprint("sesame ", i), "private_key": ""})
		}
		for _, row := range w.st.Service.Query().AllX(t.Context()) {
			was := before[row.ID]
			if row.Version != was.Version || row.UpdatedAt != was.UpdatedAt || row.HealthStatus != was.HealthStatus {
				t.Errorf("the service %s was changed: %v, was %v", row.ID, row, was)
			}
		}
		next := w.st.ServiceVersion.Query().Order(serviceversion.ByID()).FirstX(t.Context()).Snapshot
		if next.Name != snapshot.Name || next.Config["host"] != "h" || len(next.Tags) != 1 || len(next.Sealed) != 2 {
			t.Errorf("a version was changed: %+v, was %+v", next, snapshot)
		}
		if now, _, err := w.st.CurrentRevision(t.Context()); err != nil || now != revision {
			t.Errorf("the revision moved from %d to %d, %v", revision, now, err)
		}
		audit := w.st.AuditRecord.Query().Where(auditrecord.Action("RotateKeys")).OnlyX(t.Context())
		changes, err := store.ChangesOf(audit)
		if err != nil || audit.ResourceID != res.KeyID || len(changes) != 1 || changes[0].Before != fmt.Sprintf("%q", res.Retired[0]) {
			t.Errorf("audit record is %+v", audit)
		}
		if again, err := k.Finish(t.Context()); err != nil || again.Resealed != 0 || len(again.Retired) != 0 {
			t.Errorf("finished twice: %+v, %v", again, err)
		}
		w.follow(k)
		eventually(t, "the old key is dropped", func() bool { return len(k.Keys()) == 1 })
	})
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// TestRotateUnderLoad rotates while 50 clients read and write, on shared stores
// through two processes of which one rotates.
func TestRotateUnderLoad(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		const clients, rotations, resting = 50, 2, batch + 10
		processes := []*Keys{w.open()}
		rest := make([]uuid.UUID, resting) // services that nobody changes
		for i := range rest {
			rest[i] = uuid.New()
			w.put(processes[0], rest[i], map[string]string{"password": fmt.Sprint("rest ", i)})
		}
		w.setJWTKey(processes[0], "signing key")
		if !w.st.Exclusive() {
			processes = append(processes, w.open())
		}
		for _, k := range processes {
			w.follow(k)
		}
		stop := make(chan struct{})
		var calls atomic.Int64
		var all sync.WaitGroup
		end := sync.OnceFunc(func() { close(stop); all.Wait() })
		defer end()
		last := make([]string, clients) // what each client wrote last
		ids := make([]uuid.UUID, clients)
		for i := range clients {
			ids[i] = uuid.New()
			all.Go(func() { last[i] = w.client(processes, i, ids[i], stop, &calls) })
		}
		eventually(t, "every client is at work", func() bool { return calls.Load() > 2*clients })
		for range rotations {
			old, drop := w.steal(), w.changeKMS()
			res, err := processes[0].Rotate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			drop()
			if res.Resealed < 2*resting {
				t.Errorf("%+v: want at least %d re-sealed", res, 2*resting)
			}
			t.Logf("%d calls so far, %+v", calls.Load(), res)
			for _, row := range w.st.DataKey.Query().AllX(t.Context()) {
				if old.ring.Has(must(secret.ParseKeyID(row.ID))) {
					t.Errorf("the old data key %s is still there", row.ID)
				}
			}
			at := calls.Load()
			eventually(t, "clients go on", func() bool { return calls.Load() > at+clients || t.Failed() })
		}
		end()
		old, drop := w.steal(), w.changeKMS()
		if _, err := processes[0].Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		drop()
		w.wantRotated(old)
		k := w.open()
		for i, id := range ids {
			w.wantSecrets(k, id, map[string]string{"password": last[i], "token": "constant"})
		}
		for i, id := range rest {
			w.wantSecrets(k, id, map[string]string{"password": fmt.Sprint("rest ", i)})
		}
	})
}

// client reads and writes a service of its own until stop, the one more often
// than the other, and returns what it wrote last.
func (w *world) client(processes []*Keys, i int, id uuid.UUID, stop <-chan struct{}, calls *atomic.Int64) (last string) {
	k, period := processes[i%len(processes)], 2<<(i%5)
	for n := 0; ; n++ {
		select {
		case <-stop:
			return last
		default:
		}
		if n%(2*period) == 0 {
			last = fmt.Sprintf("secret %d of %d", n, i)
		}
		if n%period == 0 { // every other time with the secret it has
			if err := w.save(context.Background(), k, id, map[string]string{"password": last, "token": "constant"}); err != nil {
				w.t.Errorf("client %d writes: %v", i, err)
				return last
			}
		}
		got, err := w.secretsOf(processes[rand.IntN(len(processes))], id)
		if err != nil || got["password"] != last {
			w.t.Errorf("client %d reads %v, %v; want %q", i, got, err, last)
			return last
		}
		calls.Add(1)
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

var errCrash = errors.New("crash")

var steps = []string{stepMaster, stepEnroll, stepAdopt, stepSwitch, stepReseal, "batch", stepClose, stepAgain, stepRetire}

// TestCrash ends a rotation before each step, starts anew, and checks that
// nothing is lost and that either the next start or the next rotation finishes.
func TestCrash(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		id := uuid.New()
		k := w.open()
		w.put(k, id, map[string]string{"password": "sesame"})
		for i := range batch + 10 {
			w.put(k, uuid.New(), map[string]string{"password": fmt.Sprint(i)})
		}
		w.setJWTKey(k, "signing key")
		for _, step := range steps {
			for _, by := range []string{"start", "rotation"} {
				old := w.steal()
				drop := w.changeKMS()
				k := w.open()
				before := k.Active()
				batches := 0
				k.o.before = func(s string) error {
					if s == "batch" {
						batches++
					}
					if s == step && (s != "batch" || batches == 2) {
						return errCrash
					}
					return nil
				}
				if _, err := k.Rotate(t.Context()); !errors.Is(err, errCrash) {
					t.Fatalf("crash before %q: %v", step, err)
				}
				w.restart()
				k = w.open()
				w.wantSecrets(k, id, map[string]string{"password": "sesame"})
				w.put(k, id, map[string]string{"password": "sesame"})
				switch by {
				case "rotation":
					if _, err := k.Rotate(t.Context()); err != nil {
						t.Fatalf("rotate after a crash before %q: %v", step, err)
					}
				case "start":
					stop := w.follow(k)
					eventually(t, "the rotation is finished", func() bool { return !k.isUnfinished() })
					stop()
					if step == stepMaster || step == stepEnroll {
						if k.Active() != before {
							t.Errorf("a rotation that never began was finished")
						}
						continue
					}
				}
				drop()
				w.wantRotated(old)
				w.wantSecrets(w.open(), id, map[string]string{"password": "sesame"})
				if t.Failed() {
					t.Fatalf("after a crash before %q, finished by the next %s", step, by)
				}
			}
		}
	})
}

// TestHalfWrittenMasterKey starts with the remains of a crash while the new
// master key was being written.
func TestHalfWrittenMasterKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	id := uuid.New()
	w.put(w.open(), id, map[string]string{"password": "sesame"})
	for _, rest := range []string{"", "0123"} {
		for _, name := range []string{nextSuffix, ".trial"} {
			if err := os.WriteFile(w.src.File+name, []byte(rest), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		old := w.steal()
		k := w.open()
		w.wantSecrets(k, id, map[string]string{"password": "sesame"})
		if _, err := k.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantRotated(old)
	}
	if left := must(filepath.Glob(w.src.File + ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestDamagedValues rotates over values that cannot be opened: they are named,
// the rest is re-sealed, and the old keys stay until they are gone.
func TestDamagedValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	k := w.open()
	good, bad := uuid.New(), uuid.New()
	w.put(k, good, map[string]string{"password": "sesame"})
	w.put(k, bad, map[string]string{"password": "sesame", "token": "fine"})
	row := w.st.Service.GetX(t.Context(), bad)
	was := append([]byte{}, row.Sealed["password"]...)
	for _, at := range []int{3, len(was) - 1} { // in the key's id, in the tag
		row.Sealed["password"] = append([]byte{}, was...)
		row.Sealed["password"][at] ^= 1
		w.st.Service.UpdateOneID(bad).SetSealed(row.Sealed).ExecX(t.Context())
		_, err := k.Rotate(t.Context())
		if err == nil || !strings.Contains(err.Error(), ServicePlace(bad, "password")) || !strings.Contains(err.Error(), "cannot be opened: 1 values") {
			t.Errorf("byte %d: %v", at, err)
		}
		w.wantSecrets(k, good, map[string]string{"password": "sesame"})
		row = w.st.Service.GetX(t.Context(), bad)
		if v, err := k.Open(row.Sealed["token"], ServicePlace(bad, "token")); err != nil || string(v) != "fine" || !k.UsesActive(row.Sealed["token"]) {
			t.Errorf("the value beside it: %q, %v", v, err)
		}
	}
	// Mended by hand, with the key that was kept.
	row.Sealed["password"] = was
	w.st.Service.UpdateOneID(bad).SetSealed(row.Sealed).ExecX(t.Context())
	old := w.steal()
	if res, err := w.open().Rotate(t.Context()); err != nil || len(res.Retired) != 3 {
		t.Fatalf("%+v, %v", res, err)
	}
	w.wantRotated(old)
	w.wantSecrets(w.open(), bad, map[string]string{"password": "sesame", "token": "fine"})
}

func TestMasterKeyFileThatCannotBeReplaced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	k := w.open()
	active := k.Active()
	// A folder in the way fails even for root, whom permissions do not stop.
	if err := os.MkdirAll(filepath.Join(w.src.File+".trial", "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Rotate(t.Context()); err == nil || !strings.Contains(err.Error(), "--master-key-command") {
		t.Errorf("got %v", err)
	}
	if rows := w.st.DataKey.Query().AllX(t.Context()); len(rows) != 1 || k.Active() != active {
		t.Errorf("something was changed: %v", rows)
	}
}

// TestCommandThatMakesUpKeys must not lock the store for good.
func TestCommandThatMakesUpKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	k := w.open()
	k.o.Source = Source{Command: []string{"openssl", "rand", "-hex", "32"}}
	if _, err := k.Rotate(t.Context()); err == nil || !strings.Contains(err.Error(), "two different master keys") {
		t.Errorf("got %v", err)
	}
	if n := w.st.DataKey.Query().CountX(t.Context()); n != 1 {
		t.Errorf("%d keys are stored", n)
	}
}

// TestLateWriter is a process that slept through a rotation: what it sealed
// before is refused, and it learns of the new key.
func TestLateWriter(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		if w.st.Exclusive() {
			return // there is no other process
		}
		k, sleeper := w.open(), w.open()
		id := uuid.New()
		w.put(k, id, map[string]string{"password": "one"})
		old, end := w.steal(), w.changeKMS()
		late := sleeper.Seal([]byte("two"), ServicePlace(id, "password"))
		if _, err := k.Rotate(t.Context()); err != nil {
			t.Fatal(err)
		}
		end()
		err := w.st.Change(t.Context(), func(tx *store.Tx) error {
			if err := tx.Service.UpdateOneID(id).SetSealed(map[string][]byte{"password": late}).Exec(t.Context()); err != nil {
				return err
			}
			return sleeper.Guard(t.Context(), tx, late)
		})
		if !errors.Is(err, ErrRetired) {
			t.Fatalf("a value under a deleted key was committed: %v", err)
		}
		w.wantSecrets(k, id, map[string]string{"password": "one"})
		if sleeper.Active() != k.Active() {
			t.Error("the sleeper has not learned of the new key")
		}
		w.put(sleeper, id, map[string]string{"password": "two"})
		w.wantSecrets(k, id, map[string]string{"password": "two"})
		w.wantRotated(old)
	})
}

// TestSlowWriter seals before a rotation and commits in the middle of it: the
// rotation waits, so that the value is re-sealed and not lost.
func TestSlowWriter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	k := w.open()
	id := uuid.New()
	w.put(k, id, map[string]string{"password": "one"})
	switching := make(chan struct{})
	var committed atomic.Bool
	k.o.before = func(step string) error {
		switch {
		case step == stepSwitch:
			close(switching)
		case step == stepReseal && !committed.Load():
			return errors.New("went on before the write had ended")
		}
		return nil
	}
	old := w.steal()
	done := k.Writing()
	slow := k.Seal([]byte("two"), ServicePlace(id, "password"))
	ended := make(chan error)
	go func() {
		_, err := k.Rotate(context.Background())
		ended <- err
	}()
	<-switching
	eventually(t, "the new key is active", func() bool { return !k.UsesActive(slow) })
	other := uuid.New()
	w.put(k, other, map[string]string{"password": "three"}) // waits for nobody
	w.st.Service.UpdateOneID(id).SetSealed(map[string][]byte{"password": slow}).AddVersion(1).ExecX(t.Context())
	committed.Store(true)
	done()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	w.wantRotated(old)
	w.wantSecrets(k, id, map[string]string{"password": "two"})
	w.wantSecrets(k, other, map[string]string{"password": "three"})
}

// TestOneRotationAtATime holds a rotation and tries others.
func TestOneRotationAtATime(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		k := w.open()
		w.put(k, uuid.New(), map[string]string{"password": "sesame"})
		others := []*Keys{k}
		if !w.st.Exclusive() {
			others = append(others, w.open())
		}
		held, goOn := make(chan struct{}), make(chan struct{})
		k.o.before = func(step string) error {
			if step == stepClose {
				close(held)
				<-goOn
			}
			return nil
		}
		ended := make(chan error)
		go func() {
			_, err := k.Rotate(context.Background())
			ended <- err
		}()
		<-held
		for _, o := range others {
			var e *errs.Error
			if _, err := o.Rotate(t.Context()); !errors.As(err, &e) || e.Reason != errs.InUse {
				t.Errorf("a second rotation: %v", err)
			}
		}
		close(goOn)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		k.o.before = func(string) error { return nil }
		for _, o := range others {
			if _, err := o.Rotate(t.Context()); err != nil {
				t.Errorf("a rotation after the first: %v", err)
			}
		}
	})
}

// TestCallerLeaves ends the caller's context in the middle: Run finishes.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	k := w.open()
	id := uuid.New()
	w.put(k, id, map[string]string{"password": "sesame"})
	old := w.steal()
	ctx, leave := context.WithCancel(t.Context())
	k.o.before = func(step string) error {
		if step == stepEnroll {
			leave()
		}
		return nil
	}
	if _, err := k.Rotate(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	k.o.before = func(string) error { return nil }
	w.follow(k)
	eventually(t, "the rotation is finished", func() bool { return !k.isUnfinished() })
	w.wantRotated(old)
	w.wantSecrets(k, id, map[string]string{"password": "sesame"})
}

// TestEverySealedFieldIsListed fails when the schema gains a sensitive field
// that All may not know of.
func TestEverySealedFieldIsListed(t *testing.T) {
	t.Parallel()
	known := map[string]bool{
		"Service.Sealed": true, "ServiceVersion.Snapshot": true, "Credential.Sealed": true, "Credential.Pending": true, "Backup.Sealed": true, "ProxyObject.Sealed": true, "GatewayObject.Sealed": true, // re-sealed
		"User.PasswordHash": true, "Token.Digest": true, "DataKey.Wrapped": true, // not sealed by the ring
	}
	found := 0
	clients := reflect.TypeFor[ent.Client]()
	for i := range clients.NumField() {
		get, ok := clients.Field(i).Type.MethodByName("Get")
		if !ok {
			continue
		}
		entity := get.Type.Out(0).Elem()
		for j := range entity.NumField() {
			f := entity.Field(j)
			if !f.IsExported() || f.Tag.Get("json") != "-" {
				continue
			}
			found++
			if !known[entity.Name()+"."+f.Name] {
				t.Errorf("%s.%s is sensitive: list it in All when it is sealed, and here", entity.Name(), f.Name)
			}
		}
	}
	if found != len(known) {
		t.Errorf("found %d sensitive fields, want %d", found, len(known))
	}
}
