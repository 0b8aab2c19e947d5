package dbaas

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/database"
	entop "github.com/backplane/backplane/ent/operation"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

func (w *world) credentialRow(id int64) *ent.Credential {
	return w.Store.Credential.GetX(w.t.Context(), int(id))
}

func (w *world) wantLease(id int64, want time.Duration) {
	w.t.Helper()
	if left := time.Until(time.UnixMicro(w.credentialRow(id).ExpiresAt)); left > want || left < want-patience {
		w.t.Errorf("the lease ends in %s, want %s", left, want)
	}
}

func TestLease(t *testing.T) {
	t.Parallel()
	eachHost(t, func(t *testing.T, w *world) {
		db := w.database("orders")
		owner := w.first(db)
		cred := w.credential(db, &dbaasv1.CreateCredentialRequest{User: "guest", Lease: "7d"})
		if cred.GetExpiresAt() == "" || owner.ExpiresAt != nil {
			t.Errorf("created %v beside %v", cred, owner)
		}
		w.wantLease(cred.GetId(), 7*24*time.Hour)
		for lease, want := range map[string]time.Duration{"12h": 12 * time.Hour, "": 7 * 24 * time.Hour} {
			got, err := w.RenewCredential(t.Context(), &dbaasv1.RenewCredentialRequest{Id: cred.GetId(), Lease: lease})
			good(t, err)
			w.note(got)
			w.wantLease(cred.GetId(), want)
		}
		good(t, w.expire(t.Context()))
		w.works(db, cred.GetUser(), cred.GetPassword())

		// Also the login before a rotation ends with the lease.
		next := w.rotate(cred.GetId(), "1h")
		w.Store.Credential.UpdateOneID(int(cred.GetId())).SetExpiresAt(time.Now().UnixMicro()).ExecX(t.Context())
		_, err := w.RenewCredential(t.Context(), &dbaasv1.RenewCredentialRequest{Id: cred.GetId()})
		refused(t, err, errs.ValidationFailed, "error", "The lease has ended")
		good(t, w.expire(t.Context()))
		eventually(t, "the credential is gone", func() bool {
			return !w.Store.Credential.Query().Where(credential.ID(int(cred.GetId()))).ExistX(t.Context())
		})
		w.idle(db.ID)
		w.dead(db, cred.GetUser(), cred.GetPassword())
		w.dead(db, next.GetUser(), next.GetPassword())
		w.works(db, owner.GetUser(), owner.GetPassword())
		w.wantAudit("credential", "ExpireCredential by system", 1)
		w.wantAudit("credential", "RenewCredential by system", 2)
	})
}

// TestDueByItself leaves everything to the loops.
func TestDueByItself(t *testing.T) {
	t.Parallel()
	const often = 50 * time.Millisecond
	w := newWorld(t, postgresHost(t), Options{Retention: time.Hour, intervals: intervals{often, often, often, often}})
	db, old := w.database("orders"), w.database("stock")
	w.credential(db, &dbaasv1.CreateCredentialRequest{User: "guest", Lease: "1s"})
	cred := w.credential(db, &dbaasv1.CreateCredentialRequest{User: "often", RotateEvery: "1h"})
	_, err := w.DeleteDatabase(t.Context(), &dbaasv1.DeleteDatabaseRequest{Id: int64(old.ID)})
	good(t, err)
	long := time.Now().Add(-2 * time.Hour).UnixMicro()
	w.Store.Database.UpdateOneID(old.ID).SetQuarantinedAt(long).ExecX(t.Context())
	w.Store.Credential.UpdateOneID(int(cred.GetId())).SetRotatedAt(long).ExecX(t.Context())
	ancient := w.Store.Operation.Create().SetKind(kindReset).SetFinished(true).SetStatus(operation.Success).
		SetCreatedAt(1).SetUpdatedAt(1).SetEndedAt(time.Now().Add(-31 * 24 * time.Hour).UnixMicro()).SaveX(t.Context())
	ctx := t.Context()
	for what, done := range map[string]func() bool{
		"the lease ends":       func() bool { return !w.Store.Credential.Query().Where(credential.User("guest")).ExistX(ctx) },
		"it rotates":           func() bool { return w.credentialRow(cred.GetId()).User == "often_b" },
		"it is measured":       func() bool { return w.row(db.ID).MeasuredAt > db.MeasuredAt },
		"quarantine ends":      func() bool { return !w.Store.Database.Query().Where(database.ID(old.ID)).ExistX(ctx) },
		"old tasks are gone":   func() bool { return !w.Store.Operation.Query().Where(entop.ID(ancient.ID)).ExistX(ctx) },
		"young tasks are kept": func() bool { return w.Store.Operation.Query().Where(entop.Kind(kindCreate)).CountX(ctx) == 2 },
	} {
		eventually(t, what, done)
	}
	w.idle(db.ID)
	row := w.credentialRow(cred.GetId())
	if left := time.UnixMicro(row.FormerUntil).Sub(time.UnixMicro(row.RotatedAt)); row.FormerUser != "often" || left != 30*time.Minute {
		t.Errorf("the login before the rotation is %q, for %s", row.FormerUser, left)
	}
}

// TestServerAway takes the server away while credentials are changed: what was
// begun ends when it is back.
func TestServerAway(t *testing.T) {
	t.Parallel()
	eachHost(t, func(t *testing.T, w *world) {
		db, other, third := w.database("orders"), w.database("stock"), w.database("third")
		cred, gone, rotating := w.first(db), w.first(other), w.first(third)
		w.host.stop()
		_, err := w.ResetPassword(t.Context(), &dbaasv1.ResetPasswordRequest{Id: cred.GetId()})
		refused(t, err, errs.Unavailable, "", "/api/task/")
		if got := w.get(cred.GetId()); got.GetPassword() != cred.GetPassword() {
			t.Error("a password is shown that the server does not know")
		}
		_, err = w.ResetPassword(t.Context(), &dbaasv1.ResetPasswordRequest{Id: cred.GetId()})
		refused(t, err, errs.InUse, "", path(tasks, w.row(db.ID).OperationID))
		good(t, w.expire(t.Context()))
		_, err = w.DeleteCredential(t.Context(), &dbaasv1.DeleteCredentialRequest{Id: gone.GetId()})
		refused(t, err, errs.Unavailable, "", "/api/task/")
		if got := w.get(gone.GetId()); got.GetUser() != gone.GetUser() {
			t.Errorf("what is being removed is %v", got)
		}
		_, err = w.RotateCredential(t.Context(), &dbaasv1.RotateCredentialRequest{Id: rotating.GetId(), Grace: "0s"})
		refused(t, err, errs.Unavailable, "", "/api/task/")

		w.host.start(t)
		for _, row := range []*ent.Database{db, other, third} {
			w.idle(row.ID)
		}
		next := w.get(cred.GetId())
		if next.GetPassword() == cred.GetPassword() || len(w.credentialRow(cred.GetId()).Pending) > 0 {
			t.Error("the password was not reset")
		}
		w.dead(db, cred.GetUser(), cred.GetPassword())
		w.works(db, next.GetUser(), next.GetPassword())
		w.dead(other, gone.GetUser(), gone.GetPassword())
		_, err = w.GetCredential(t.Context(), &dbaasv1.GetCredentialRequest{Id: gone.GetId()})
		refused(t, err, errs.NotFound, "", "Not found")
		rotated := w.get(rotating.GetId())
		w.works(third, rotated.GetUser(), rotated.GetPassword())
		w.dead(third, rotating.GetUser(), rotating.GetPassword())
		if n := w.Store.Operation.Query().Where(entop.StatusNEQ(operation.Success)).CountX(t.Context()); n > 0 {
			t.Errorf("%d operations have not succeeded", n)
		}
	})
}

// TestGiveUpCreation deletes a credential that waits for its server.
func TestGiveUpCreation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, postgresHost(t), Options{})
	db := w.database("orders")
	w.host.stop()
	_, err := w.CreateCredential(t.Context(), &dbaasv1.CreateCredentialRequest{User: "late", Database: path(databases, db.ID)})
	refused(t, err, errs.Unavailable, "", "/api/task/")
	id := w.Store.Credential.Query().Where(credential.User("late")).OnlyIDX(t.Context())
	// While the server is tried again, the call is told so.
	eventually(t, "the creation is given up", func() bool {
		_, err := w.DeleteCredential(t.Context(), &dbaasv1.DeleteCredentialRequest{Id: int64(id)})
		return err == nil || errs.Convert(err).Reason == errs.NotFound
	})
	w.host.start(t)
	w.idle(db.ID)
	if w.Store.Credential.Query().Where(credential.User("late")).ExistX(t.Context()) {
		t.Error("it is there")
	}
	late := w.credential(db, &dbaasv1.CreateCredentialRequest{User: "late"})
	w.works(db, late.GetUser(), late.GetPassword())
}

func (w *world) quarantined(db *ent.Database, ago time.Duration) {
	w.t.Helper()
	_, err := w.DeleteDatabase(w.t.Context(), &dbaasv1.DeleteDatabaseRequest{Id: int64(db.ID)})
	good(w.t, err)
	w.idle(db.ID)
	w.Store.Database.UpdateOneID(db.ID).SetQuarantinedAt(time.Now().Add(-ago).UnixMicro()).ExecX(w.t.Context())
}

func TestPurge(t *testing.T) {
	t.Parallel()
	eachHostWith(t, Options{Retention: 48 * time.Hour}, func(t *testing.T, w *world) {
		old, young, alive := w.database("old"), w.database("young"), w.database("alive")
		owner := w.first(old)
		w.quarantined(old, 49*time.Hour)
		w.quarantined(young, 47*time.Hour)
		// One on a server that is away, and before the others.
		away := w.addService("away", w.host.serviceType, deny(t))
		var lost *ent.Database
		good(t, w.Store.Change(t.Context(), func(tx *store.Tx) (err error) {
			lost, err = tx.Database.Create().SetName("lost").SetPlanID(w.plan.ID).SetEnvironmentID(w.env.ID).SetServiceID(uuid.MustParse(away.GetId())).
				SetProject(store.DefaultProject).SetState(stateQuarantined).SetQuarantinedAt(1).SetCreatedAt(1).Save(t.Context())
			return err
		}))

		good(t, w.purge(t.Context()))
		eventually(t, "the old one is dropped", func() bool { return !w.Store.Database.Query().Where(database.ID(old.ID)).ExistX(t.Context()) })
		w.dead(&ent.Database{Name: map[string]string{"postgres": "postgres", "mysql": ""}[w.host.serviceType]}, owner.GetUser(), owner.GetPassword())
		for _, row := range []*ent.Database{young, alive} {
			if now := w.row(row.ID); now.State == stateDropping || now.OperationID != 0 {
				t.Errorf("%s is %v", row.Name, now)
			}
		}
		eventually(t, "the lost one waits", func() bool {
			return w.Store.Operation.Query().Where(entop.ObjectID(lost.ID), entop.Status(operation.Stuck)).ExistX(t.Context())
		})
		w.wantAudit("database", "DropDatabase by system", 2)
		good(t, w.purge(t.Context()))
		w.wantAudit("database", "DropDatabase by system", 2)
		if n := w.Store.Operation.Query().Where(entop.Kind(kindDrop)).CountX(t.Context()); n != 2 {
			t.Errorf("%d operations drop databases", n)
		}
	})
}

func TestQuarantineAndCredentials(t *testing.T) {
	t.Parallel()
	eachHost(t, func(t *testing.T, w *world) {
		db := w.database("orders")
		one := w.first(db)
		two := w.rotate(one.GetId(), "1h")
		w.quarantined(db, 0)
		w.dead(db, one.GetUser(), one.GetPassword())
		w.dead(db, two.GetUser(), two.GetPassword())
		_, err := w.CreateCredential(t.Context(), &dbaasv1.CreateCredentialRequest{User: "late", Database: path(databases, db.ID)})
		refused(t, err, errs.ValidationFailed, "database", quarantineFault)
		_, err = w.RotateCredential(t.Context(), &dbaasv1.RotateCredentialRequest{Id: one.GetId()})
		refused(t, err, errs.ValidationFailed, "error", quarantineFault)
		inside := w.get(one.GetId())
		if inside.GetPassword() == two.GetPassword() || inside.PreviousUser != nil {
			t.Errorf("in quarantine it is %v", inside)
		}
		w.works(db, inside.GetUser(), inside.GetPassword())
		again := w.reset(one.GetId())
		_, err = w.RestoreDatabase(t.Context(), &dbaasv1.RestoreDatabaseRequest{Id: int64(db.ID)})
		good(t, err)
		w.works(db, again.GetUser(), again.GetPassword())
		back := w.rotate(one.GetId(), "0s")
		if back.GetUser() != one.GetUser() {
			t.Errorf("rotated to %s", back.GetUser())
		}
		w.works(db, back.GetUser(), back.GetPassword())
	})
}

func TestSizesAreEnforced(t *testing.T) {
	t.Parallel()
	w := newWorld(t, postgresHost(t), Options{})
	db, gone, busy := w.database("orders"), w.database("gone"), w.database("busy")
	cred := w.first(db)
	w.Store.Plan.UpdateOneID(w.plan.ID).SetEnforce(true).ExecX(t.Context())
	w.Store.Database.UpdateOneID(db.ID).SetTotalSizeInBytes(db.UsedSizeInBytes + 4<<20).ExecX(t.Context())
	w.Store.Database.UpdateOneID(busy.ID).SetOperationID(99).ExecX(t.Context())
	good(t, w.try(&ent.Database{Name: "postgres"}, w.host.config["username"].(string), w.host.config["password"].(string), "DROP DATABASE gone"))

	good(t, w.measureAll(t.Context()))
	if now := w.row(db.ID); now.Oversize || now.ReadOnly || now.Missing || now.MeasuredAt <= db.MeasuredAt {
		t.Errorf("below its limit: %v", now)
	}
	if now := w.row(gone.ID); !now.Missing || now.OperationID != 0 {
		t.Errorf("dropped by hand: %v", now)
	}
	if now := w.row(busy.ID); now.MeasuredAt != busy.MeasuredAt {
		t.Errorf("measured while an operation works on it: %v", now)
	}

	former := cred
	cred = w.rotate(cred.GetId(), "1h")
	good(t, w.try(db, cred.GetUser(), cred.GetPassword(), "CREATE TABLE big AS SELECT repeat(md5(n::text), 32) AS text FROM generate_series(1, 8000) n"))
	good(t, w.measureAll(t.Context()))
	eventually(t, "the database is frozen", func() bool { return w.row(db.ID).ReadOnly })
	if now := w.row(db.ID); !now.Oversize || now.UsedSizeInBytes <= now.TotalSizeInBytes {
		t.Errorf("over its limit: %v", now)
	}
	reader := w.credential(db, &dbaasv1.CreateCredentialRequest{User: "late"})
	cred = w.reset(w.rotate(cred.GetId(), "").GetId())
	for _, c := range []*dbaasv1.Credential{cred, reader} {
		good(t, w.try(db, c.GetUser(), c.GetPassword(), "SELECT count(*) FROM big"))
		for _, statement := range []string{"INSERT INTO big VALUES ('x')", "CREATE TABLE more (id INT)"} {
			if err := w.try(db, c.GetUser(), c.GetPassword(), statement); err == nil {
				t.Errorf("%s: %s in a frozen database", c.GetUser(), statement)
			}
		}
	}
	w.dead(db, former.GetUser(), former.GetPassword())

	good(t, w.try(db, w.host.config["username"].(string), w.host.config["password"].(string), "TRUNCATE big"))
	good(t, w.measureAll(t.Context()))
	eventually(t, "the database thaws", func() bool { return !w.row(db.ID).ReadOnly })
	if now := w.row(db.ID); now.Oversize {
		t.Errorf("below its limit again: %v", now)
	}
	w.idle(db.ID)
	for _, c := range []*dbaasv1.Credential{cred, reader} {
		good(t, w.try(db, c.GetUser(), c.GetPassword(), "INSERT INTO big VALUES ('x')"))
		good(t, w.try(db, c.GetUser(), c.GetPassword(), "CREATE TABLE of_"+c.GetUser()+" (id INT)"))
	}
	if all := w.audited("database"); !slices.Contains(all, "FreezeDatabase by system") || !slices.Contains(all, "ThawDatabase by system") {
		t.Errorf("recorded %q", all)
	}
}
