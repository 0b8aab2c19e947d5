package server

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/internal/secret"
	"github.com/backplane/backplane/server/store"
)

const (
	// masterKeyFile, in the data directory, holds the generated master key.
	masterKeyFile = "master.key"
	// keyCheck is a value that only the right master key opens.
	keyCheck = "master_key_check"
)

// openSealer finds the master key (given, or in the data directory) and makes
// sure that it is the one under which the store was sealed. A key is made only
// for a store that has none.
func openSealer(ctx context.Context, st *store.Store, given, dataDir string) (*secret.Sealer, error) {
	check, err := st.Setting.Get(ctx, keyCheck)
	if err != nil && !ent.IsNotFound(err) {
		return nil, fmt.Errorf("master key check: %w", err)
	}
	key, source, err := masterKey(given, filepath.Join(dataDir, masterKeyFile), check == nil)
	if err != nil {
		return nil, err
	}
	sealer, err := secret.NewSealer(key)
	if err != nil {
		return nil, err
	}
	if check == nil {
		err := st.Setting.Create().SetID(keyCheck).SetValue(sealer.Seal([]byte(keyCheck), keyCheck)).Exec(ctx)
		if err == nil || !ent.IsConstraintError(err) {
			return sealer, err
		}
		// Another process on this store was first: its key must be ours.
		if check, err = st.Setting.Get(ctx, keyCheck); err != nil {
			return nil, fmt.Errorf("master key check: %w", err)
		}
	}
	if _, err := sealer.Open(check.Value, keyCheck); err != nil {
		return nil, fmt.Errorf("the master key from %s is not the one that this store was sealed with: %w", source, err)
	}
	return sealer, nil
}

func masterKey(given, path string, mayCreate bool) (key []byte, source string, err error) {
	if given != "" {
		source = "BACKPLANE_MASTER_KEY"
		if key, err = secret.ParseKey(given); err != nil {
			return nil, "", fmt.Errorf("%s %w", source, err)
		}
		return key, source, nil
	}
	key, err = secret.ReadKeyFile(path)
	switch {
	case err == nil:
		return key, path, nil
	case !secret.IsMissing(err):
		return nil, "", err
	case !mayCreate:
		return nil, "", errors.New("this store is sealed, but there is no master key: set BACKPLANE_MASTER_KEY, or put the key back at " + path)
	}
	key, err = secret.CreateKeyFile(path)
	return key, path, err
}
