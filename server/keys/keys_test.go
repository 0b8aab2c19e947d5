package keys

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/auditrecord"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/ent/serviceversion"
	"github.com/backplane/backplane/internal/secret"
	"github.com/backplane/backplane/server/store"
	"github.com/backplane/backplane/testbed"
)

const (
	patience = 60 * time.Second
	keep     = 4 // versions of a service
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a store and where its keys come from.
type world struct {
	t   *testing.T
	st  *store.Store
	url string // "" for SQLite
	dir string
	src Source
}

// newWorld opens a new store. A store at a URL gets its master key from a
// command, as processes on several machines would.
func newWorld(t *testing.T, url string) *world {
	t.Helper()
	w := &world{t: t, url: url, dir: t.TempDir()}
	w.src = Source{File: filepath.Join(w.dir, masterKeyFile), Create: true}
	if url != "" {
		file := filepath.Join(w.dir, "kms")
		if _, err := secret.CreateKeyFile(file); err != nil {
			t.Fatal(err)
		}
		w.src = Source{Command: []string{"cat", file}}
	}
	w.openStore()
	t.Cleanup(func() { w.st.Close() })
	return w
}

func (w *world) openStore() {
	w.t.Helper()
	var err error
	if w.st, err = store.Open(w.t.Context(), w.url, w.dir); err != nil {
		w.t.Fatal(err)
	}
}

// restart closes the store and opens it again, as after a crash.
func (w *world) restart() {
	w.t.Helper()
	if err := w.st.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.openStore()
}

// kms changes what the command prints.
func (w *world) kms(lines ...string) {
	w.t.Helper()
	if err := os.WriteFile(w.src.Command[1], []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) options() Options {
	return Options{
		Store: w.st, Source: w.src, Sealed: All(),
		refresh: 50 * time.Millisecond, grace: 200 * time.Millisecond, lease: 20 * time.Second,
	}
}

func (w *world) open() *Keys {
	w.t.Helper()
	k, err := Open(w.t.Context(), w.options())
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

// follow runs Run until the test, or the function returned, ends it.
func (w *world) follow(k *Keys) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		k.Run(ctx, func(err error) { w.t.Errorf("run: %v", err) })
	}()
	stop = func() { cancel(); <-ended }
	w.t.Cleanup(stop)
	return stop
}

// masters are the master keys of the source as it is now.
func (w *world) masters() []*secret.MasterKey {
	w.t.Helper()
	keys, err := w.src.read(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return keys
}

// put stores a service with secrets, and a version of it.
func (w *world) put(k *Keys, id uuid.UUID, secrets map[string]string) {
	w.t.Helper()
	if err := w.save(w.t.Context(), k, id, secrets); err != nil {
		w.t.Fatal(err)
	}
}

// save changes the secrets of a service, which it makes when there is none, as
// the catalogue does: a version guards against changes in between.
func (w *world) save(ctx context.Context, k *Keys, id uuid.UUID, secrets map[string]string) error {
	for {
		err := w.trySave(ctx, k, id, secrets)
		if !errors.Is(err, ErrRetired) && !errors.Is(err, errRaced) {
			return err
		}
	}
}

var errRaced = errors.New("changed in between")

func (w *world) trySave(ctx context.Context, k *Keys, id uuid.UUID, secrets map[string]string) error {
	defer k.Writing()()
	row, err := w.st.Service.Get(ctx, id)
	if err != nil && !ent.IsNotFound(err) {
		return err
	}
	sealed, all := map[string][]byte{}, [][]byte{}
	for field, value := range secrets {
		place := ServicePlace(id, field)
		if row != nil && row.Sealed[field] != nil {
			was, err := k.Open(row.Sealed[field], place)
			if err != nil {
				return err
			}
			if string(was) == value {
				if sealed[field], err = k.Fresh(row.Sealed[field], place); err != nil {
					return err
				}
			}
		}
		if sealed[field] == nil {
			sealed[field] = k.Seal([]byte(value), place)
		}
		all = append(all, sealed[field])
	}
	return w.st.Change(ctx, func(tx *store.Tx) error {
		version := uint32(1)
		if row == nil {
			_, err := tx.Service.Create().SetID(id).SetProject(store.DefaultProject).SetName(id.String()).SetNameKey(id.String()).SetServiceType("redis").
				SetConfig(map[string]any{}).SetSealed(sealed).SetCreatedAt(1).SetUpdatedAt(1).SetHealthSince(1).Save(ctx)
			if err != nil {
				return err
			}
		} else {
			version = row.Version + 1
			n, err := tx.Service.Update().Where(onlyVersion(row)...).SetSealed(sealed).SetVersion(version).Save(ctx)
			if err != nil {
				return err
			}
			if n == 0 {
				return errRaced
			}
		}
		err := tx.ServiceVersion.Create().SetServiceID(id).SetVersion(version).SetCreatedAt(1).SetCreatedBy("test").
			SetSnapshot(schema.Snapshot{Name: "snapshot", Config: map[string]any{"host": "h"}, Sealed: sealed, Tags: []string{"t"}}).Exec(ctx)
		if err != nil {
			return err
		}
		if _, err := tx.ServiceVersion.Delete().Where(serviceversion.ServiceID(id), serviceversion.VersionLT(max(version, keep)-keep)).Exec(ctx); err != nil {
			return err
		}
		return k.Guard(ctx, tx, all...)
	})
}

// secretsOf opens the secrets of a service.
func (w *world) secretsOf(k *Keys, id uuid.UUID) (map[string]string, error) {
	row, err := w.st.Service.Get(context.Background(), id)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for field, sealed := range row.Sealed {
		value, err := k.Open(sealed, ServicePlace(id, field))
		if err != nil {
			return nil, err
		}
		out[field] = string(value)
	}
	return out, nil
}

func (w *world) wantSecrets(k *Keys, id uuid.UUID, want map[string]string) {
	w.t.Helper()
	if got, err := w.secretsOf(k, id); err != nil || !maps.Equal(got, want) {
		w.t.Errorf("the secrets of %s are %v, %v; want %v", id, got, err, want)
	}
}

func (w *world) setJWTKey(k *Keys, value string) {
	w.t.Helper()
	defer k.Writing()()
	if err := w.st.Setting.Create().SetID(JWTKey).SetValue(k.Seal([]byte(value), SettingPlace(JWTKey))).Exec(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// eachValue calls fn for every sealed value in the store and returns how many
// there are.
func (w *world) eachValue(fn func(Value)) (n int) {
	w.t.Helper()
	for _, s := range All() {
		rows, err := s.Rows(w.t.Context(), w.st.Client, "", 1<<30)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, row := range rows {
			for _, v := range row.Values {
				fn(v)
				n++
			}
		}
	}
	return n
}

// wantRotated checks what must hold after a rotation: every value opens with
// the keys of the store as it is now and is sealed under the active one, and
// nothing opens with what was taken from the store and its source before.
func (w *world) wantRotated(old stolen) {
	w.t.Helper()
	k := w.open()
	if n := len(k.Keys()); n != 1 {
		w.t.Errorf("%d keys are on the ring", n)
	}
	rows := w.st.DataKey.Query().AllX(w.t.Context())
	if len(rows) != 1 || !rows[0].Active {
		w.t.Errorf("the store has the keys %v", rows)
	}
	if n := w.eachValue(func(v Value) {
		if _, err := k.Open(v.Sealed, v.Place); err != nil || !k.UsesActive(v.Sealed) {
			w.t.Errorf("%s is not sealed under the active key: %v", v.Place, err)
		}
		if _, err := old.ring.Open(v.Sealed, v.Place); !errors.Is(err, secret.ErrWrongKey) {
			w.t.Errorf("%s opens with the old data key: %v", v.Place, err)
		}
	}); n == 0 {
		w.t.Error("there is nothing to open")
	}
	for _, row := range rows {
		id, err := secret.ParseKeyID(row.ID)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := old.master.Unwrap(row.Wrapped, id); !errors.Is(err, secret.ErrWrongKey) {
			w.t.Errorf("the old master key unwraps data key %s: %v", id, err)
		}
	}
	if entries, err := filepath.Glob(filepath.Join(w.dir, "*"+nextSuffix)); err != nil || len(entries) > 0 {
		w.t.Errorf("left behind: %v, %v", entries, err)
	}
	if v, err := w.st.VerifyAudit(w.t.Context()); err != nil || v.FirstBad != 0 {
		w.t.Errorf("audit: %+v, %v", v, err)
	}
}

// stolen is what a thief took before a rotation.
type stolen struct {
	master *secret.MasterKey
	ring   *secret.Keyring
}

func (w *world) steal() stolen {
	w.t.Helper()
	var s stolen
	for _, row := range w.st.DataKey.Query().AllX(w.t.Context()) {
		by, id := must(secret.KeyOf(row.Wrapped)), must(secret.ParseKeyID(row.ID))
		s.master = find(w.masters(), by)
		key, err := s.master.Unwrap(row.Wrapped, id)
		if err == nil && s.ring == nil {
			s.ring, err = secret.NewKeyring(key)
		} else if err == nil {
			err = s.ring.Add(key)
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return s
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// eachStore runs a test on every kind of store.
func eachStore(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, newWorld(t, ""))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		s := testbed.StartPostgres(t, testbed.PostgresOptions{})
		s.Exec(t, "CREATE DATABASE backplane")
		test(t, newWorld(t, s.AdminURL("backplane")))
	})
	t.Run("mariadb", func(t *testing.T) {
		t.Parallel()
		s := testbed.StartMariaDB(t, testbed.MariaDBOptions{Password: "simple"})
		s.Exec(t, "CREATE DATABASE backplane")
		test(t, newWorld(t, fmt.Sprintf("mysql://root:simple@127.0.0.1:%d/backplane", s.Port)))
	})
}

func TestFreshStore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	k := w.open()
	if info, err := os.Stat(w.src.File); err != nil || info.Mode() != 0o600 {
		t.Fatalf("the master key's file: %v, %v", info, err)
	}
	id := uuid.New()
	w.put(k, id, map[string]string{"password": "sesame"})
	w.restart()
	w.wantSecrets(w.open(), id, map[string]string{"password": "sesame"})

	text, err := os.ReadFile(w.src.File)
	if err != nil {
		t.Fatal(err)
	}
	// The same key from elsewhere is as good.
	w.src = Source{Value: string(text)}
	w.wantSecrets(w.open(), id, map[string]string{"password": "sesame"})
}

func TestMasterKeyThatDoesNotFit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.open()
	other := strings.Repeat("00", secret.KeySize)
	good, err := os.ReadFile(w.src.File)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "other.key")
	if err := os.WriteFile(file, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken.key")
	if err := os.WriteFile(broken, []byte("sesame"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "missing.key")
	for name, c := range map[string]struct {
		src  Source
		want []string
	}{
		"environment":        {Source{Value: other}, []string{"BACKPLANE_MASTER_KEY", "not the one"}},
		"environment, bad":   {Source{Value: "sesame"}, []string{"BACKPLANE_MASTER_KEY", "64 hexadecimal digits"}},
		"file":               {Source{File: file}, []string{file, "not the one"}},
		"file, bad":          {Source{File: broken}, []string{broken, "64 hexadecimal digits"}},
		"file, missing":      {Source{File: missing, Create: true}, []string{missing, "no master key"}},
		"command":            {Source{Command: []string{"echo", other}}, []string{"--master-key-command echo", "not the one"}},
		"command, bad":       {Source{Command: []string{"echo", "sesame"}}, []string{"--master-key-command echo", "64 hexadecimal digits"}},
		"command, silent":    {Source{Command: []string{"true"}}, []string{"--master-key-command true", "empty"}},
		"command, failing":   {Source{Command: []string{"false"}}, []string{"--master-key-command false", "exit status 1"}},
		"command, missing":   {Source{Command: []string{"/no/such/program"}}, []string{"/no/such/program", "no such file"}},
		"command, talkative": {Source{Command: []string{"yes", "sesame"}}, []string{"--master-key-command yes", "too much"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := w.options()
			o.Source = c.src
			_, err := Open(t.Context(), o)
			if err == nil {
				t.Fatal("the store opens")
			}
			for _, want := range append(c.want, "keys: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v does not say %q", err, want)
				}
			}
			for _, key := range []string{other, "sesame", strings.TrimSpace(string(good))} {
				if len(c.src.Command) < 2 && strings.Contains(err.Error(), key) || strings.Contains(err.Error(), other) {
					t.Errorf("the error shows a key: %v", err)
				}
			}
		})
	}
	if _, err := os.Stat(missing); !secret.IsMissing(err) {
		t.Errorf("a key was made for a sealed store: %v", err)
	}
}

func TestNewStoreNeedsItsKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	missing := filepath.Join(w.dir, "named.key")
	for name, c := range map[string]struct {
		src  Source
		want string
	}{
		"a named file is not made":  {Source{File: missing}, "openssl rand -hex 32 > " + missing},
		"a key that changes":        {Source{Command: []string{"openssl", "rand", "-hex", "32"}}, "two different master keys"},
		"a folder that is not here": {Source{File: filepath.Join(w.dir, "no", "key"), Create: true}, "no such file"},
	} {
		w.src = c.src
		if _, err := Open(t.Context(), w.options()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := w.st.DataKey.Query().CountX(t.Context()); n != 0 {
		t.Errorf("%d keys were made", n)
	}
}

// TestSecondKeyOfTheSource changes the master key of the environment: the new
// one is given first, the old one beside it, and a rotation moves over.
func TestSecondKeyOfTheSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	first, second := strings.Repeat("01", secret.KeySize), strings.Repeat("02", secret.KeySize)
	w.src = Source{Value: first}
	k := w.open()
	id := uuid.New()
	w.put(k, id, map[string]string{"password": "sesame"})
	if res, err := k.Rotate(t.Context()); err != nil || res.MasterKeyChanged {
		t.Errorf("the environment cannot change: %+v, %v", res, err)
	}
	old := w.steal()
	w.src = Source{Value: second + " " + first}
	k = w.open()
	res, err := k.Rotate(t.Context())
	if err != nil || !res.MasterKeyChanged || res.MasterKeyID != w.masters()[0].ID().String() {
		t.Errorf("rotated: %+v, %v", res, err)
	}
	w.src = Source{Value: second}
	w.wantRotated(old)
	w.wantSecrets(w.open(), id, map[string]string{"password": "sesame"})
}

func TestDamagedKeysAreNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	w.open()
	row := w.st.DataKey.Query().OnlyX(t.Context())
	for i := range row.Wrapped {
		bad := append([]byte{}, row.Wrapped...)
		bad[i] ^= 0x10
		w.st.DataKey.UpdateOneID(row.ID).SetWrapped(bad).ExecX(t.Context())
		_, err := Open(t.Context(), w.options())
		want, names := secret.ErrDamaged, row.ID
		if i >= 1 && i <= 8 {
			want, names = secret.ErrWrongKey, hex.EncodeToString(bad[1:9])
		}
		if !errors.Is(err, want) || !strings.Contains(err.Error(), names) {
			t.Errorf("byte %d: %v, want %v with %s", i, err, want, names)
		}
	}
	w.st.DataKey.Delete().ExecX(t.Context())
	if _, err := Open(t.Context(), w.options()); err == nil || !strings.Contains(err.Error(), "lost its data keys") || !strings.Contains(err.Error(), row.ID) {
		t.Errorf("without data keys: %v", err)
	}
}

// TestFirstKeyRace opens a new store from many processes at once.
func TestFirstKeyRace(t *testing.T) {
	t.Parallel()
	s := testbed.StartPostgres(t, testbed.PostgresOptions{})
	s.Exec(t, "CREATE DATABASE backplane")
	w := newWorld(t, s.AdminURL("backplane"))
	const processes = 8
	type outcome struct {
		k   *Keys
		err error
	}
	outcomes := make(chan outcome, processes)
	for range processes {
		go func() {
			k, err := Open(context.Background(), w.options())
			outcomes <- outcome{k, err}
		}()
	}
	active := map[secret.KeyID]bool{}
	for range processes {
		o := <-outcomes
		if o.err != nil {
			t.Fatal(o.err)
		}
		active[o.k.Active()] = true
	}
	if len(active) != 1 {
		t.Errorf("%d processes have %d active keys", processes, len(active))
	}
	if n := w.st.AuditRecord.Query().Where(auditrecord.Action("RotateKeys")).CountX(t.Context()); n != 0 {
		t.Errorf("%d rotations are recorded", n)
	}
}
