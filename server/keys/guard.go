package keys

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/setting"
	"github.com/backplane/backplane/internal/secret"
	"github.com/backplane/backplane/server/store"
)

// listSetting lists the data keys that writes may be committed under: their
// ids, the active one first.
const listSetting = "data_keys"

// ErrRetired means that a value was sealed under a key that has been given up
// meanwhile: seal it again and repeat the write.
var ErrRetired = errors.New("sealed under a data key that was given up meanwhile")

// Guard must be the last statement of a transaction that writes sealed values,
// and is given all of them. It fails with ErrRetired when another process has
// rotated and no longer waits for this one; until the transaction ends, none
// can. Where no other process uses the store, Writing is enough and Guard does
// nothing.
func (k *Keys) Guard(ctx context.Context, tx *store.Tx, sealed ...[]byte) error {
	if k.o.Store.Exclusive() || len(sealed) == 0 {
		return nil
	}
	open, err := readList(ctx, tx.Setting.Query().Where(store.Locked))
	if err != nil {
		return err
	}
	for _, s := range sealed {
		id, err := secret.KeyOf(s)
		if err != nil {
			return err
		}
		if !slices.Contains(open, id) {
			return errors.Join(fmt.Errorf("data key %s: %w", id, ErrRetired), k.refresh(ctx))
		}
	}
	return nil
}

// readList returns nothing when there is no list yet.
func readList(ctx context.Context, q *ent.SettingQuery) ([]secret.KeyID, error) {
	row, err := q.Where(setting.ID(listSetting)).Unique(false).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []secret.KeyID
	for _, word := range strings.Fields(string(row.Value)) {
		id, err := secret.ParseKeyID(word)
		if err != nil {
			return nil, fmt.Errorf("setting %s: %w", listSetting, err)
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("setting %s is empty", listSetting)
	}
	return ids, nil
}

func encodeList(ids []secret.KeyID) []byte {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = id.String()
	}
	return []byte(strings.Join(words, " "))
}

// changeList replaces the list when it is still what it was. It waits for the
// transactions that Guard protects.
func changeList(ctx context.Context, tx *store.Tx, from, to []secret.KeyID) error {
	n, err := tx.Setting.Update().Where(setting.ID(listSetting), setting.Value(encodeList(from))).SetValue(encodeList(to)).Save(ctx)
	if err == nil && n == 0 {
		err = fmt.Errorf("the list of keys has changed: %w", errBusy)
	}
	return err
}
