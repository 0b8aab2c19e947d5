package dbaas

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/backup"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/store"
)

const (
	// snapshotFolder is where snapshots are, below the data directory.
	snapshotFolder = "snapshots"
	// objectFolder begins the keys of snapshots in a bucket.
	objectFolder = "backplane/"
	// partial ends the names of files that are being written.
	partial = ".partial"
	// homeSetting is the setting that names this store among all that keep
	// snapshots in one place.
	homeSetting = "snapshot_home"
)

// home is the folder of this store's snapshots, wherever they are kept. Its
// name is random, so that two installations can share a bucket.
func (a *Admin) home(ctx context.Context) (string, error) {
	row, err := a.Store.Setting.Get(ctx, homeSetting)
	if err == nil {
		return string(row.Value), nil
	}
	if !ent.IsNotFound(err) {
		return "", err
	}
	err = a.Store.Change(ctx, func(tx *store.Tx) error {
		return tx.Setting.Create().SetID(homeSetting).SetValue([]byte(strings.ToLower(rand.Text()[:16]))).Exec(ctx)
	})
	if err != nil && !ent.IsConstraintError(err) {
		return "", err
	}
	if row, err = a.Store.Setting.Get(ctx, homeSetting); err != nil {
		return "", err
	}
	return string(row.Value), nil
}

// location is where a snapshot is kept, below snapshotFolder or objectFolder.
func location(home string, id int) string { return fmt.Sprintf("%s/%d.snapshot", home, id) }

// vaultOf is where a snapshot is kept; who asks for it closes it.
func (a *Admin) vaultOf(ctx context.Context, row *ent.Backup) (connectors.Bucket, error) {
	if row.StoreServiceID == nil {
		return folder(filepath.Join(a.DataDir, snapshotFolder)), nil
	}
	_, conn, config, err := a.Catalog.Backend(ctx, *row.StoreServiceID)
	if err != nil {
		return nil, err
	}
	keeper, ok := conn.(connectors.ObjectKeeper)
	if !ok {
		return nil, errs.New(errs.ValidationFailed, "The service %s keeps no objects", row.StoreServiceID)
	}
	b, err := keeper.OpenBucket(a.Env, config)
	if err != nil {
		return nil, err
	}
	return below{b}, nil
}

// below keeps snapshots in a bucket that holds more than them.
type below struct{ connectors.Bucket }

func (b below) Put(ctx context.Context, key string, r io.Reader, expected int64) error {
	return b.Bucket.Put(ctx, objectFolder+key, r, expected)
}

func (b below) Get(ctx context.Context, key string) (io.ReadCloser, int64, error) {
	return b.Bucket.Get(ctx, objectFolder+key)
}

func (b below) Remove(ctx context.Context, key string) error {
	return b.Bucket.Remove(ctx, objectFolder+key)
}

// folder keeps snapshots in files that only this user may read.
type folder string

// Close implements connectors.Bucket.
func (f folder) Close() error { return nil }

// onDisk makes of an error of the file system what may be shown: not the path.
func onDisk(what string, err error) error {
	var e *fs.PathError
	var l *os.LinkError
	text := "see the log"
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		text = e.Err.Error()
	case errors.As(err, &l):
		text = l.Err.Error()
	}
	return &errs.Error{Reason: errs.Internal, Message: "The snapshot cannot be " + what + " in the data directory: " + text, Err: err}
}

// Put implements connectors.Bucket. A power cut leaves the whole file or a
// partial one, which the next start removes.
func (f folder) Put(ctx context.Context, key string, r io.Reader, _ int64) (err error) {
	path := filepath.Join(string(f), filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return onDisk("written", err)
	}
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+partial)
	if err != nil {
		return onDisk("written", err)
	}
	defer func() {
		if err != nil {
			file.Close()           //nolint:errcheck // it is thrown away
			os.Remove(file.Name()) //nolint:errcheck // the next start does it
		}
	}()
	if err := fill(file, r); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err // somebody else may have taken over
	}
	for _, step := range []func() error{
		file.Sync, file.Close, func() error { return os.Rename(file.Name(), path) },
		func() error { return syncFolders(filepath.Dir(path), string(f), filepath.Dir(string(f))) },
	} {
		if err := step(); err != nil {
			return onDisk("written", err)
		}
	}
	return nil
}

// fill copies r into a file. An error of r comes back as it is.
func fill(file *os.File, r io.Reader) error {
	buf := make([]byte, 128<<10)
	for {
		n, readErr := r.Read(buf)
		if _, err := file.Write(buf[:n]); err != nil {
			return onDisk("written", err)
		}
		if errors.Is(readErr, io.EOF) {
			return nil
		}
		if readErr != nil {
			return readErr
		}
	}
}

func syncFolders(paths ...string) error {
	for _, p := range paths {
		dir, err := os.Open(p)
		if err != nil {
			return err
		}
		if err := errors.Join(dir.Sync(), dir.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Get implements connectors.Bucket.
func (f folder) Get(_ context.Context, key string) (io.ReadCloser, int64, error) {
	file, err := os.Open(filepath.Join(string(f), filepath.FromSlash(key)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, fmt.Errorf("%s: %w", key, connectors.ErrNoObject)
	}
	if err != nil {
		return nil, 0, onDisk("read", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, onDisk("read", errors.Join(err, file.Close()))
	}
	return file, info.Size(), nil
}

// Remove implements connectors.Bucket.
func (f folder) Remove(_ context.Context, key string) error {
	path := filepath.Join(string(f), filepath.FromSlash(key))
	parts, err := filepath.Glob(path + ".*" + partial)
	if err != nil {
		return err
	}
	for _, p := range append(parts, path) {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return onDisk("removed", err)
		}
	}
	if err := syncFolders(filepath.Dir(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return onDisk("removed", err)
	}
	return nil
}

// sweep removes files of this store's snapshots that were not finished, or
// that no row knows. Other processes on the store may be writing some.
func (a *Admin) sweep(ctx context.Context) error {
	row, err := a.Store.Setting.Get(ctx, homeSetting)
	if ent.IsNotFound(err) {
		return nil // there never were any
	}
	if err != nil {
		return err
	}
	home := string(row.Value)
	dir := filepath.Join(a.DataDir, snapshotFolder, home)
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		gone, err := a.useless(ctx, home, e)
		if err != nil {
			return err
		}
		if !gone {
			continue
		}
		a.Log.InfoContext(ctx, "a file of no snapshot is removed", "file", e.Name())
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// useless reports whether a file was not finished, or no row knows it.
func (a *Admin) useless(ctx context.Context, home string, e fs.DirEntry) (bool, error) {
	if !e.Type().IsRegular() {
		return false, nil
	}
	if strings.HasSuffix(e.Name(), partial) {
		if a.Store.Exclusive() {
			return true, nil
		}
		info, err := e.Info()
		return err == nil && time.Since(info.ModTime()) > 2*stallAfter, nil
	}
	known, err := a.Store.Backup.Query().Where(backup.Location(home+"/"+e.Name()), backup.StoreServiceIDIsNil()).Exist(ctx)
	return err == nil && !known, err
}
