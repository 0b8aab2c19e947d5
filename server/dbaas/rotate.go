package dbaas

import (
	"context"
	"time"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/login"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

const (
	kindRotate     = "rotate_credential"
	kindDropFormer = "drop_former_login"
)

// usualGrace is how long the login before a rotation works unless somebody
// says otherwise.
const usualGrace = time.Hour

// RotateCredential implements the RPC.
func (a *Admin) RotateCredential(ctx context.Context, req *dbaasv1.RotateCredentialRequest) (*dbaasv1.Credential, error) {
	cred, err := a.credentialFor(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	grace := usualGrace
	if req.GetGrace() != "" {
		var f faults
		if grace = f.span("grace", req.GetGrace(), 0); len(f) > 0 {
			return nil, errs.Invalid(f...)
		}
	}
	err = a.lockAnd(ctx, cred.DatabaseID, kindRotate, false, a.toRotate(cred.ID, func(*ent.Credential) (time.Duration, error) { return grace, nil }))
	if err != nil {
		return nil, err
	}
	return a.answer(ctx, cred.ID)
}

// toRotate begins the rotation of a credential. check may refuse, and says how
// long the old login shall work.
func (a *Admin) toRotate(id int, check func(*ent.Credential) (time.Duration, error)) change {
	return func(ctx context.Context, tx *store.Tx, row *ent.Database) (map[string]any, error) {
		cred, err := credentialIn(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		if inQuarantine(row) {
			return nil, refuse(quarantineFault)
		}
		grace, err := check(cred)
		if err != nil {
			return nil, err
		}
		next := cred.OtherUser
		switch fresh := next == ""; {
		case fresh:
			if next, err = a.reserveOther(ctx, tx, row, cred); err != nil {
				return nil, err
			}
		case cred.User == cred.OtherUser:
			next = cred.BaseUser
		}
		data, err := a.prepare(ctx, tx, "RotateCredential", row, cred, next)
		if err != nil {
			return nil, err
		}
		data["grace_us"] = grace.Microseconds()
		return data, nil
	}
}

// reserveOther finds the login that rotations of a credential alternate with.
func (a *Admin) reserveOther(ctx context.Context, tx *store.Tx, row *ent.Database, cred *ent.Credential) (string, error) {
	rules := a.engines[row.Edges.Plan.Edges.Engine.EngineType].Rules()
	user, err := freeUser(otherUser(cred.BaseUser), func(name string) (bool, error) { return userTaken(ctx, tx, rules, row, name) })
	if err != nil {
		return "", err
	}
	return user, reserveLogin(ctx, tx, rules, row, cred.ID, user)
}

// otherSuffix ends the second login of a credential.
const otherSuffix = "_b"

func otherUser(user string) string { return cutUser(user, maxUser-len(otherSuffix)) + otherSuffix }

// rotateCredential is the operation that gives a credential its other login,
// with a password of its own, while the one in force still works.
func (a *Admin) rotateCredential() operation.Kind {
	return operation.Kind{
		Name: kindRotate, Undo: true, Ended: a.abandonRotation, AsksFirst: true,
		Steps: []operation.Step{
			{Name: "check that the name is free", Do: a.checkOther, Record: a.takeOther},
			{Name: "drop what is left of the other login", Do: a.dropOther, Record: forgetFormer},
			{Name: "create the login", Do: a.putOther, Undo: a.dropPending, Record: switchLogin},
			{Name: "bring the catalogue up to date", Do: a.reregister},
			{Name: "drop the old login", Do: a.dropIfDue, Record: func(ctx context.Context, tx *store.Tx, w *operation.Work) error {
				if w.Int("grace_us") == 0 {
					if err := forgetFormer(ctx, tx, w); err != nil {
						return err
					}
				}
				return a.unlock(ctx, tx, w)
			}},
		},
	}
}

// checkOther makes sure, at the first rotation, that nobody has made the other
// login by hand; one that somebody has is evaded.
func (a *Admin) checkOther(ctx context.Context, w *operation.Work) error {
	return a.withCredential(ctx, w, func(row *ent.Database, cred *ent.Credential, b backend, s connectors.DatabaseServer) (err error) {
		user := cred.PendingUser
		if cred.OtherUser == "" {
			user, err = a.freeLogin(ctx, b, s, row, user)
		}
		w.Data["user"] = user
		return err
	})
}

// takeOther changes the login that is about to be made to the one that was
// found free. From then on it is the credential's.
func (a *Admin) takeOther(ctx context.Context, tx *store.Tx, w *operation.Work) error {
	cred, err := tx.Credential.Get(ctx, w.Int("credential"))
	if err != nil || cred.OtherUser != "" {
		return err
	}
	user := w.String("user")
	if user != cred.PendingUser {
		if err := renameLogin(ctx, tx, cred.ID, cred.PendingUser, user); err != nil {
			return err
		}
	}
	return tx.Credential.UpdateOneID(cred.ID).SetPendingUser(user).SetOtherUser(user).Exec(ctx)
}

// dropOther ends the login that is about to be made anew, where it is that of
// before the last rotation.
func (a *Admin) dropOther(ctx context.Context, w *operation.Work) error {
	return a.withCredential(ctx, w, func(row *ent.Database, cred *ent.Credential, _ backend, s connectors.DatabaseServer) error {
		return s.DropLogin(ctx, row.Name, cred.PendingUser)
	})
}

// forgetFormer records that the login before the last rotation is gone.
func forgetFormer(ctx context.Context, tx *store.Tx, w *operation.Work) error {
	return tx.Credential.Update().Where(credential.ID(w.Int("credential"))).SetFormerUser("").SetFormerUntil(0).Exec(ctx)
}

func (a *Admin) putOther(ctx context.Context, w *operation.Work) error {
	return a.withCredential(ctx, w, func(row *ent.Database, cred *ent.Credential, _ backend, s connectors.DatabaseServer) error {
		l, err := a.pendingLogin(row, cred)
		if err != nil {
			return err
		}
		return s.PutLogin(ctx, l)
	})
}

// dropPending takes the new login back, unless it is in force already.
func (a *Admin) dropPending(ctx context.Context, w *operation.Work) error {
	return a.withCredential(ctx, w, func(row *ent.Database, cred *ent.Credential, _ backend, s connectors.DatabaseServer) error {
		if cred.PendingUser == "" {
			return nil
		}
		return s.DropLogin(ctx, row.Name, cred.PendingUser)
	})
}

// switchLogin puts the new login in force. The old one has its grace from now.
func switchLogin(ctx context.Context, tx *store.Tx, w *operation.Work) error {
	return adopt(ctx, tx, w, func(cred *ent.Credential, u *ent.CredentialUpdateOne) {
		now := time.Now()
		u.SetUser(cred.PendingUser).SetRotatedAt(now.UnixMicro()).
			SetFormerUser(cred.User).SetFormerUntil(now.Add(us(int64(w.Int("grace_us")))).UnixMicro())
	})
}

// dropIfDue ends the login before the rotation, when it was given no grace.
func (a *Admin) dropIfDue(ctx context.Context, w *operation.Work) error {
	if w.Int("grace_us") > 0 {
		return nil
	}
	return a.withCredential(ctx, w, func(row *ent.Database, cred *ent.Credential, _ backend, s connectors.DatabaseServer) error {
		return dropFormer(ctx, s, row, cred)
	})
}

// abandonRotation ends a rotation that has failed. A name that was reserved,
// but never found free in the engine, is given back.
func (a *Admin) abandonRotation(ctx context.Context, tx *store.Tx, w *operation.Work, cause error) error {
	cred, err := tx.Credential.Get(ctx, w.Int("credential"))
	if err != nil {
		return err
	}
	if cred.OtherUser == "" && cred.PendingUser != "" {
		if _, err := tx.Login.Delete().Where(login.CredentialID(cred.ID), login.User(cred.PendingUser)).Exec(ctx); err != nil {
			return err
		}
	}
	return a.abandon(ctx, tx, w, cause)
}

// dropFormerLogin is the operation that ends the login before a rotation when
// its grace is over.
func (a *Admin) dropFormerLogin() operation.Kind {
	return operation.Kind{
		Name: kindDropFormer, Undo: true,
		Ended: func(ctx context.Context, tx *store.Tx, w *operation.Work, _ error) error { return a.unlock(ctx, tx, w) },
		Steps: []operation.Step{
			{Name: "drop the old login", Do: a.dropIfDue, Record: func(ctx context.Context, tx *store.Tx, w *operation.Work) error {
				if err := forgetFormer(ctx, tx, w); err != nil {
					return err
				}
				return a.unlock(ctx, tx, w)
			}},
		},
	}
}
