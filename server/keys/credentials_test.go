package keys

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/server/store"
)

// putCredentials makes logins of a database with the passwords; every other
// one has a pending password as well.
func (w *world) putCredentials(k *Keys, passwords ...string) []*ent.Credential {
	w.t.Helper()
	ctx, c := w.t.Context(), w.st.Client
	host := uuid.New()
	w.put(k, host, nil)
	engine := c.Engine.Create().SetEngineType("postgresql").SetVersion("15").SaveX(ctx)
	plan := c.Plan.Create().SetName("small").SetEngineID(engine.ID).SetCreatedAt(1).SaveX(ctx)
	env := c.Environment.Create().SetName("laboratory").SetCreatedAt(1).SaveX(ctx)
	var db *ent.Database
	if err := w.st.Change(ctx, func(tx *store.Tx) (err error) {
		db, err = tx.Database.Create().SetName("orders").SetPlanID(plan.ID).SetEnvironmentID(env.ID).SetServiceID(host).
			SetProject(store.DefaultProject).SetCreatedAt(1).Save(ctx)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	var out []*ent.Credential
	defer k.Writing()()
	for i, password := range passwords {
		user := fmt.Sprint("user", i)
		row := c.Credential.Create().SetDatabaseID(db.ID).SetUser(user).SetBaseUser(user).SetSealed([]byte{}).SetCreatedAt(1).SaveX(ctx)
		u := c.Credential.UpdateOne(row).SetSealed(k.Seal([]byte(password), CredentialPlace(row.ID)))
		if i%2 == 1 {
			u.SetPending(k.Seal([]byte("next "+password), CredentialPlace(row.ID)))
		}
		out = append(out, u.SaveX(ctx))
	}
	return out
}

func (w *world) wantPassword(k *Keys, id int, sealed []byte, want string) {
	w.t.Helper()
	if got, err := k.Open(sealed, CredentialPlace(id)); err != nil || string(got) != want {
		w.t.Errorf("the password of credential %d is %q, %v; want %q", id, got, err, want)
	}
}

func TestRotateReachesCredentials(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		k := w.open()
		passwords := make([]string, batch+3)
		for i := range passwords {
			passwords[i] = fmt.Sprint("sesame ", i)
		}
		rows := w.putCredentials(k, passwords...)
		old, end := w.steal(), w.changeKMS()
		res, err := k.Rotate(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		end()
		// And the key of the audit trail.
		if want := len(rows) + len(rows)/2 + 1; res.Resealed != want {
			t.Errorf("%d are re-sealed, want %d", res.Resealed, want)
		}
		w.wantRotated(old)
		for i, was := range rows {
			row := w.st.Credential.GetX(t.Context(), was.ID)
			w.wantPassword(k, row.ID, row.Sealed, passwords[i])
			if (row.Pending != nil) != (i%2 == 1) || row.Version != was.Version || row.User != was.User {
				t.Errorf("credential %d was changed: %v, was %v", row.ID, row, was)
			}
			if row.Pending != nil {
				w.wantPassword(k, row.ID, row.Pending, "next "+passwords[i])
			}
		}
	})
}

// TestCredentialThatChangesMeanwhile is changed between being read and being
// replaced by a rotation: what came last stays.
func TestCredentialThatChangesMeanwhile(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		k := w.open()
		row := w.putCredentials(k, "first", "second")[1]
		read, err := credentials{}.Rows(t.Context(), w.st.Client, "", 10)
		if err != nil || len(read) != 2 || len(read[1].Values) != 2 {
			t.Fatalf("read %v, %v", read, err)
		}
		fresh, damaged := k.freshen(read[1])
		if len(damaged) > 0 {
			t.Fatal(damaged)
		}
		// The pending password becomes the one in force.
		w.st.Credential.UpdateOneID(row.ID).SetSealed(row.Pending).ClearPending().AddVersion(1).ExecX(t.Context())
		err = w.st.Change(t.Context(), func(tx *store.Tx) error {
			ok, err := read[1].Replace(t.Context(), tx, fresh.fresh)
			if ok {
				t.Error("it was replaced")
			}
			return err
		})
		now := w.st.Credential.GetX(t.Context(), row.ID)
		if err != nil || now.Pending != nil || !bytes.Equal(now.Sealed, row.Pending) {
			t.Errorf("it is %v, %v", now, err)
		}
		w.wantPassword(k, row.ID, now.Sealed, "next second")
	})
}

func TestRotateReachesSnapshots(t *testing.T) {
	t.Parallel()
	eachStore(t, func(t *testing.T, w *world) {
		k, ctx := w.open(), t.Context()
		keys := map[int][]byte{}
		end := k.Writing()
		for i := range batch + 3 {
			row := w.st.Backup.Create().SetDatabaseID(1).SetDatabaseName("orders").SetEngineType("postgresql").SetPlanID(1).
				SetEnvironmentID(1).SetProject(store.DefaultProject).SetStartAt(1).SaveX(ctx)
			if i == 0 {
				continue // it has no key yet
			}
			keys[row.ID] = fmt.Append(nil, "key of ", row.ID)
			w.st.Backup.UpdateOne(row).SetSealed(k.Seal(keys[row.ID], SnapshotPlace(row.ID))).ExecX(ctx)
		}
		end()
		res, err := k.Rotate(ctx)
		if err != nil || res.Resealed != len(keys)+1 { // and the key of the audit trail
			t.Fatalf("%d are re-sealed, want %d: %v", res.Resealed, len(keys)+1, err)
		}
		for id, want := range keys {
			row := w.st.Backup.GetX(ctx, id)
			if got, err := k.Open(row.Sealed, SnapshotPlace(id)); err != nil || !bytes.Equal(got, want) || !k.UsesActive(row.Sealed) {
				t.Errorf("the key of snapshot %d is %q, %v", id, got, err)
			}
		}
	})
}
