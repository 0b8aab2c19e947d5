// Package keys is the keyring of the store: it opens it at the start, keeps it
// up with other processes on the store, and rotates it while all of them serve.
//
// The data keys are in the store, wrapped under the master key, which is not.
// One setting lists the keys that writes may still be committed under; the
// first is the active one. A rotation puts a new key at its front, re-seals
// every value (see Sealed), strikes the old keys from the list, re-seals what
// came in between, and deletes the old keys. Each step leaves a state that
// the next start, or the next rotation, carries on from.
package keys

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/datakey"
	"github.com/backplane/backplane/internal/secret"
	"github.com/backplane/backplane/server/store"
)

const (
	// refreshEvery is how soon a process learns that another one rotated.
	refreshEvery = 5 * time.Second
	// grace is how long this process can still open what was read from the
	// store before a rotation ended.
	grace = time.Minute
	// leaseFor is how long a rotation that died keeps others from beginning.
	leaseFor = time.Minute
	// missingFor is how long a key that was not found is not looked for again.
	missingFor = 10 * time.Second
	// failedFor is the same when the store could not be asked.
	failedFor = time.Second
	// lookupTimeout bounds the search for a key that another process made.
	lookupTimeout = 5 * time.Second
	// finishAgain is how soon an unfinished rotation is tried again.
	finishAgain = time.Minute
	// damagedAgain is the same when values cannot be opened, which takes a
	// person to put right.
	damagedAgain = 6 * time.Hour
)

// Options are what Keys need.
type Options struct {
	Store  *store.Store
	Source Source
	// Sealed is everything that holds sealed values; see All.
	Sealed []Sealed

	// Intervals that tests shorten.
	refresh, grace, lease time.Duration
	// before is called before each step of a rotation. An error ends it there
	// and then, as a crash would.
	before hook
}

// hook lets tests stop a rotation between its steps.
type hook func(step string) error

// Keys is the keyring of the store.
type Keys struct {
	*secret.Keyring
	o      Options
	holder string
	turn   chan struct{} // the right to rotate, within this process

	mu          sync.Mutex
	masters     []*secret.MasterKey
	wrappedBy   secret.KeyID               // the master key of the active key
	activeSince int64                      // creation of the active key
	gone        map[secret.KeyID]time.Time // when keys that the store no longer has are dropped
	missing     map[secret.KeyID]time.Time // until when keys are not looked for again
	unfinished  bool

	finding sync.Mutex // one search for an unknown key at a time
}

// Open opens the keyring. It makes the first data key of a new store, and
// brings the master key's file in line when a rotation was cut off.
func Open(ctx context.Context, o Options) (*Keys, error) {
	if o.refresh == 0 {
		o.refresh, o.grace, o.lease = refreshEvery, grace, leaseFor
	}
	if o.before == nil {
		o.before = func(string) error { return nil }
	}
	k := &Keys{
		o: o, holder: uuid.NewString(), turn: make(chan struct{}, 1),
		gone: map[secret.KeyID]time.Time{}, missing: map[secret.KeyID]time.Time{},
	}
	rows, err := k.firstRows(ctx)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if err := k.settle(rows); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	opened, active, err := k.unwrap(ctx, rows, nil)
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if k.Keyring, err = ringOf(opened, active); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	k.activeSince = active.row.CreatedAt
	if k.wrappedBy, err = secret.KeyOf(active.row.Wrapped); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	if !o.Store.Exclusive() {
		k.OnUnknown(k.find)
	}
	open, err := readList(ctx, o.Store.Setting.Query())
	if err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	k.unfinished = len(rows) > 1 || len(open) > 1
	if active.key.Earlier() {
		if err := k.adoptTrail(ctx); err != nil {
			return nil, fmt.Errorf("keys: start the key of the audit trail: %w", err)
		}
	}
	if err := k.openTrail(ctx); err != nil {
		return nil, fmt.Errorf("keys: %w", err)
	}
	return k, nil
}

// firstRows reads the wrapped keys, and makes the first one for a new store.
func (k *Keys) firstRows(ctx context.Context) ([]*ent.DataKey, error) {
	rows, isNew, err := k.rows(ctx)
	if err != nil {
		return nil, err
	}
	var created bool
	k.masters, err = k.o.Source.read(ctx)
	missing := k.o.Source.isFile() && secret.IsMissing(err)
	if missing && isNew && k.o.Source.Create {
		if _, err = secret.CreateKeyFile(k.o.Source.File); err == nil {
			created = true
			k.masters, err = k.o.Source.read(ctx)
		}
	}
	switch {
	case missing && isNew && err != nil && !created:
		return nil, fmt.Errorf("%w; make it with: openssl rand -hex 32 > %s", err, k.o.Source)
	case missing && !isNew:
		return nil, fmt.Errorf("this store is sealed, but there is no master key: put it back at %s, or name it with --master-key-file, --master-key-command or BACKPLANE_MASTER_KEY", k.o.Source)
	case err != nil:
		return nil, err
	case !isNew:
		return rows, nil
	}
	if k.masters, err = k.o.Source.readSteady(ctx); err != nil {
		return nil, err
	}
	first := secret.NewDataKey()
	ring, err := secret.NewKeyring(first)
	if err != nil {
		return nil, err
	}
	err = k.o.Store.Change(ctx, func(tx *store.Tx) error {
		if err := tx.Setting.Create().SetID(listSetting).SetValue(encodeList([]secret.KeyID{first.ID()})).Exec(ctx); err != nil {
			return err
		}
		// From the first record on, whatever the store says that there is.
		if _, err := startTrail(ctx, tx, ring, 1); err != nil {
			return err
		}
		return tx.DataKey.Create().SetID(first.ID().String()).SetWrapped(k.masters[0].Wrap(first)).
			SetCreatedAt(time.Now().UnixMicro()).SetActive(true).Exec(ctx)
	})
	if ent.IsConstraintError(err) {
		// Another process on this store was first: its master key must be ours.
		if created {
			return nil, errors.Join(
				fmt.Errorf("another process has just sealed this store with its own master key: give this one the same key as %s", k.o.Source),
				os.Remove(k.o.Source.File))
		}
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("make the first data key: %w", err)
	}
	rows, _, err = k.rows(ctx)
	return rows, err
}

// rows reads the wrapped keys, in one statement so that they belong together.
// isNew means that the store never had any.
func (k *Keys) rows(ctx context.Context) (rows []*ent.DataKey, isNew bool, err error) {
	rows, err = k.o.Store.DataKey.Query().Order(datakey.ByCreatedAt()).All(ctx)
	if err != nil || len(rows) > 0 {
		return rows, false, err
	}
	open, err := readList(ctx, k.o.Store.Setting.Query())
	if err != nil {
		return nil, false, err
	}
	if len(open) == 0 {
		return nil, true, nil
	}
	// A first key may have been made between the two reads.
	if rows, err = k.o.Store.DataKey.Query().Order(datakey.ByCreatedAt()).All(ctx); err != nil {
		return nil, false, err
	}
	if len(rows) == 0 {
		return nil, false, fmt.Errorf("the store has lost its data keys, of which %s was the active one: restore it from a backup", open[0])
	}
	return rows, false, nil
}

// settle finishes what a crash may have left between the change of the store
// and that of the master key's file: the file must be what the keys in the
// store are wrapped under.
func (k *Keys) settle(rows []*ent.DataKey) error {
	if !k.ownsFile() {
		return nil
	}
	path, err := filepath.EvalSymlinks(k.o.Source.File)
	if err != nil {
		return err
	}
	next, err := secret.ReadMasterKeys(path + nextSuffix)
	if secret.IsMissing(err) {
		return nil
	}
	current, errCurrent := secret.ReadMasterKeys(path)
	if errCurrent != nil {
		return errCurrent
	}
	wanted, errWanted := secret.KeyOf(rows[0].Wrapped)
	if errWanted != nil {
		return fmt.Errorf("data key %s: %w", rows[0].ID, errWanted)
	}
	switch {
	case find(current, wanted) != nil:
		// Also when next is half a file: it was never used.
		return os.Remove(path + nextSuffix)
	case err != nil:
		return err
	case find(next, wanted) == nil:
		return k.wrongMaster(wanted, current)
	}
	if err := secret.ReplaceFile(path+nextSuffix, path); err != nil {
		return fmt.Errorf("%s must replace %s, which it could not: %w", path+nextSuffix, path, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.masters = next
	return nil
}

// ownsFile reports whether the master key is in a file that this process may
// replace, because no other one works on the same store.
func (k *Keys) ownsFile() bool { return k.o.Source.isFile() && k.o.Store.Exclusive() }

func (k *Keys) wrongMaster(wanted secret.KeyID, have []*secret.MasterKey) error {
	return fmt.Errorf("the master key from %s (%s) is not the one that this store is sealed with (%s); put that one back: %w", k.o.Source, have[0].ID(), wanted, secret.ErrWrongKey)
}

func find(keys []*secret.MasterKey, id secret.KeyID) *secret.MasterKey {
	for _, m := range keys {
		if m.ID() == id {
			return m
		}
	}
	return nil
}

// opened is a data key and its row.
type opened struct {
	row *ent.DataKey
	key *secret.DataKey // nil for a key that was skipped
	by  *secret.MasterKey
}

// unwrap opens the wrapped keys, but for those that skip names, and tells which
// is the active one. When another process has changed the master key, it reads
// the source again.
func (k *Keys) unwrap(ctx context.Context, rows []*ent.DataKey, skip func(secret.KeyID) bool) (all []opened, active opened, err error) {
	k.mu.Lock()
	masters := k.masters
	k.mu.Unlock()
	for _, row := range rows {
		o := opened{row: row}
		id, err := secret.ParseKeyID(row.ID)
		if err != nil {
			return nil, active, err
		}
		if skip == nil || !skip(id) {
			by, err := secret.KeyOf(row.Wrapped)
			if err != nil {
				return nil, active, fmt.Errorf("data key %s: %w", id, err)
			}
			if find(masters, by) == nil {
				if masters, err = k.o.Source.read(ctx); err != nil {
					return nil, active, err
				}
			}
			master := find(masters, by)
			if master == nil {
				return nil, active, k.wrongMaster(by, masters)
			}
			if o.key, err = master.Unwrap(row.Wrapped, id); err != nil {
				return nil, active, err
			}
			o.by = master
			all = append(all, o)
		}
		if row.Active {
			active = o
		}
	}
	if active.row == nil {
		return nil, active, errors.New("the store has no active data key: restore it from a backup")
	}
	k.mu.Lock()
	k.masters = masters
	k.mu.Unlock()
	return all, active, nil
}
