package auth

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/internal/secret"
	"github.com/backplane/backplane/server/store"
)

// AdminUser is the user that the first start creates.
const AdminUser = "admin"

// PasswordFile is the file in the data directory that holds a generated admin
// password.
const PasswordFile = "admin-password"

// EnsureAdmin creates the admin when there is no user yet: with the given
// password, or with a generated one that is written to a file which only the
// owner can read, and whose path is returned. On later starts it returns the
// path when that file is still there.
func EnsureAdmin(ctx context.Context, st *store.Store, password, dataDir string) (file string, err error) {
	path := filepath.Join(dataDir, PasswordFile)
	exists, err := st.User.Query().Exist(ctx)
	if err != nil {
		return "", fmt.Errorf("look for users: %w", err)
	}
	if exists {
		if _, err := os.Stat(path); err == nil && password == "" {
			return path, nil
		}
		return "", nil
	}
	if password == "" {
		password = rand.Text()
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return "", fmt.Errorf("replace old admin password: %w", err)
		}
		if err := secret.WriteFile(path, []byte(password+"\n")); err != nil {
			return "", fmt.Errorf("write admin password: %w", err)
		}
		file = path
	}
	err = createAdmin(ctx, st, HashPassword(password))
	if ent.IsConstraintError(err) && file != "" {
		// Another process was first: what was written here opens nothing.
		return "", os.Remove(file)
	}
	if err != nil && !ent.IsConstraintError(err) {
		return "", fmt.Errorf("create admin: %w", err)
	}
	return file, nil
}

// createAdmin creates the admin and records that, as any creation of a user.
func createAdmin(ctx context.Context, st *store.Store, hash string) error {
	roles := []schema.RoleBinding{{Role: string(Admin)}}
	shown, err := json.Marshal(roles)
	if err != nil {
		return err
	}
	return st.Change(ctx, func(tx *store.Tx) error {
		tx.Audit(store.Audit{
			Action: "CreateUser", Kind: "user", ID: AdminUser, Name: AdminUser,
			Changes: store.Changes(nil, map[string]string{
				"enabled": "true", "roles": string(shown), "password": store.SecretValue([]byte(hash)),
			}),
		})
		return tx.User.Create().SetUsername(AdminUser).SetPasswordHash(hash).SetRoles(roles).
			SetCreatedAt(time.Now().UnixMicro()).Exec(ctx)
	})
}
