package dbaas

import (
	"context"
	"time"

	"entgo.io/ent/dialect/sql"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/server/store"
)

// endGraces begins to drop logins from before rotations whose time is over.
func (a *Admin) endGraces(ctx context.Context) error {
	now := time.Now().UnixMicro()
	rows, err := a.dueCredentials(ctx, credential.FormerUserNEQ(""), credential.FormerUntilLTE(now))
	if err != nil {
		return err
	}
	return a.beginEach(ctx, rows, kindDropFormer, func(id int) change {
		return func(ctx context.Context, tx *store.Tx, _ *ent.Database) (map[string]any, error) {
			cred, err := credentialIn(ctx, tx, id)
			if err == nil && (cred.FormerUser == "" || cred.FormerUntil > time.Now().UnixMicro()) {
				err = errNotDue
			}
			return map[string]any{"credential": id}, err
		}
	})
}

// expire begins to remove credentials whose lease has ended.
func (a *Admin) expire(ctx context.Context) error {
	now := time.Now().UnixMicro()
	rows, err := a.dueCredentials(ctx, credential.ExpiresAtGT(0), credential.ExpiresAtLTE(now))
	if err != nil {
		return err
	}
	return a.beginEach(ctx, rows, kindDeleteCredential, func(id int) change {
		return a.toDelete("ExpireCredential", id, func(cred *ent.Credential) error {
			if !expired(cred) {
				return errNotDue // it was renewed
			}
			return nil
		})
	})
}

// rotateDue begins the rotations that credentials are to have every so often.
func (a *Admin) rotateDue(ctx context.Context) error {
	now := time.Now().UnixMicro()
	rows, err := a.dueCredentials(ctx, credential.RotateEveryUsGT(0), func(s *sql.Selector) {
		s.Where(sql.P(func(b *sql.Builder) {
			b.Ident(s.C(credential.FieldRotatedAt)).WriteString(" + ").Ident(s.C(credential.FieldRotateEveryUs)).WriteString(" <= ").Arg(now)
		}))
	}, credential.HasDatabaseWith(database.State(stateAlive)))
	if err != nil {
		return err
	}
	return a.beginEach(ctx, rows, kindRotate, func(id int) change {
		return a.toRotate(id, func(cred *ent.Credential) (time.Duration, error) {
			if cred.RotateEveryUs == 0 || cred.RotatedAt+cred.RotateEveryUs > time.Now().UnixMicro() || expired(cred) {
				return 0, errNotDue
			}
			// The old login is gone before it is needed again.
			return min(usualGrace, us(cred.RotateEveryUs)/2), nil
		})
	})
}
