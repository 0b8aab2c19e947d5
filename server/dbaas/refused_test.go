package dbaas

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/login"
	entop "github.com/backplane/backplane/ent/operation"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/operation"
)

// strict is a catalogue whose servers refuse some changes of logins after
// they were made: what the caller knows is that they failed.
type strict struct {
	Catalog
	refuses atomic.Value // func(change, user string) bool
}

func (c *strict) Backend(ctx context.Context, id uuid.UUID) (*ent.Service, connectors.Connector, connectors.Config, error) {
	row, conn, config, err := c.Catalog.Backend(ctx, id)
	if p, ok := conn.(connectors.Provisioner); ok {
		conn = strictEngine{p, c}
	}
	return row, conn, config, err
}

type strictEngine struct {
	connectors.Provisioner
	c *strict
}

func (e strictEngine) Open(ctx context.Context, env connectors.Env, config connectors.Config) (connectors.DatabaseServer, error) {
	s, err := e.Provisioner.Open(ctx, env, config)
	return strictServer{s, e.c}, err
}

type strictServer struct {
	connectors.DatabaseServer
	c *strict
}

func (s strictServer) verdict(change, user string, err error) error {
	if refuses, ok := s.c.refuses.Load().(func(string, string) bool); err == nil && ok && refuses(change, user) {
		return connectors.Fail(connectors.PermissionDenied, nil, "not today")
	}
	return err
}

func (s strictServer) PutLogin(ctx context.Context, l connectors.Login) error {
	return s.verdict("put", l.User, s.DatabaseServer.PutLogin(ctx, l))
}

func (s strictServer) DropLogin(ctx context.Context, database, user string) error {
	return s.verdict("drop", user, s.DatabaseServer.DropLogin(ctx, database, user))
}

// refuse makes the server refuse a change of a login so many times.
func (c *strict) refuse(change, user string, times int64) {
	var n atomic.Int64
	c.refuses.Store(func(ch, u string) bool { return ch == change && u == user && n.Add(1) <= times })
}

func newStrictWorld(t *testing.T) (*world, *strict) {
	t.Helper()
	c := &strict{}
	return newWorld(t, postgresHost(t), Options{Catalog: c}), c
}

// lastFailed checks that the last operation of a kind was undone, and that the
// database is free again.
func (w *world) lastFailed(db *ent.Database, kind string) {
	w.t.Helper()
	w.idle(db.ID)
	op := w.Store.Operation.Query().Where(entop.Kind(kind)).Order(ent.Desc(entop.FieldID)).FirstX(w.t.Context())
	if op.Status != operation.Failed || !op.Undoing || !op.Finished {
		w.t.Errorf("%s: %v", kind, op)
	}
}

// TestServerRefuses has the server refuse for good: the call fails, and what
// was in force stays so.
func TestServerRefuses(t *testing.T) {
	t.Parallel()
	w, c := newStrictWorld(t)
	db := w.database("orders")
	cred := w.first(db)
	id := cred.GetId()
	unchanged := func(err error, kind string) {
		t.Helper()
		if e := errs.Convert(err); err == nil || e.Reason != errs.BackendFailed || !strings.HasPrefix(e.Message, "The database server refused: ") {
			t.Errorf("%s: %v", kind, err)
		}
		w.lastFailed(db, kind)
		row := w.credentialRow(id)
		if got := w.get(id); got.GetUser() != cred.GetUser() || got.GetPassword() != cred.GetPassword() || len(row.Pending) > 0 || row.PendingUser != "" {
			t.Errorf("%s: changed to %v, %v", kind, got, row)
		}
		w.works(db, cred.GetUser(), cred.GetPassword())
	}

	c.refuse("put", cred.GetUser(), 1)
	unchanged(second(w.ResetPassword(t.Context(), &dbaasv1.ResetPasswordRequest{Id: id})), kindReset)

	c.refuse("drop", cred.GetUser(), 1)
	unchanged(second(w.DeleteCredential(t.Context(), &dbaasv1.DeleteCredentialRequest{Id: id})), kindDeleteCredential)
	w.wantAudit("credential", "UndoDeleteCredential by system", 1)

	c.refuse("put", "u_orders_b", 1)
	unchanged(second(w.RotateCredential(t.Context(), &dbaasv1.RotateCredentialRequest{Id: id})), kindRotate)
	w.noLogin(db, "u_orders_b")

	c.refuse("put", "late", 1)
	unchanged(second(w.CreateCredential(t.Context(), &dbaasv1.CreateCredentialRequest{User: "late", Database: path(databases, db.ID)})), kindCreateCredential)
	w.noLogin(db, "late")
	if n := w.Store.Login.Query().Where(login.User("late")).CountX(t.Context()); n != 0 {
		t.Error("the name of what could not be made is reserved")
	}

	// Now all of it is possible.
	next := w.rotate(id, "0s")
	w.works(db, next.GetUser(), next.GetPassword())
	w.dead(db, cred.GetUser(), cred.GetPassword())
	late := w.credential(db, &dbaasv1.CreateCredentialRequest{User: "late"})
	w.works(db, late.GetUser(), late.GetPassword())
}

// noLogin checks that the server does not know a login.
func (w *world) noLogin(db *ent.Database, user string) {
	w.t.Helper()
	err := w.onServer(w.t.Context(), db.ServiceID, func(_ backend, s connectors.DatabaseServer) error {
		exists, err := s.HasLogin(w.t.Context(), db.Name, user)
		if exists {
			w.t.Errorf("the server knows %s", user)
		}
		return err
	})
	good(w.t, err)
}

// TestServerRefusesTheOldLogin has the server refuse to drop the login from
// before a rotation: the new one is in force all the same, and the old one is
// dropped later.
func TestServerRefusesTheOldLogin(t *testing.T) {
	t.Parallel()
	w, c := newStrictWorld(t)
	db := w.database("orders")
	cred := w.first(db)
	c.refuse("drop", cred.GetUser(), 1)
	_, err := w.RotateCredential(t.Context(), &dbaasv1.RotateCredentialRequest{Id: cred.GetId(), Grace: "0s"})
	if err == nil {
		t.Error("the rotation has succeeded")
	}
	w.lastFailed(db, kindRotate)
	next := w.get(cred.GetId())
	if next.GetUser() == cred.GetUser() || next.GetPreviousUser() != cred.GetUser() {
		t.Errorf("rotated to %v", next)
	}
	w.works(db, next.GetUser(), next.GetPassword())
	good(t, w.endGraces(t.Context()))
	eventually(t, "the old login is forgotten", func() bool { return w.credentialRow(cred.GetId()).FormerUser == "" })
	w.noLogin(db, cred.GetUser())
}

// TestRefusedWorkIsLeftForAWhile has the server refuse what is due: it is not
// begun again in every round.
func TestRefusedWorkIsLeftForAWhile(t *testing.T) {
	t.Parallel()
	w, c := newStrictWorld(t)
	db := w.database("orders")
	cred := w.first(db)
	c.refuse("drop", cred.GetUser(), 100)
	w.Store.Credential.UpdateOneID(int(cred.GetId())).SetExpiresAt(1).ExecX(t.Context())
	for range 3 {
		good(t, w.expire(t.Context()))
		w.idle(db.ID)
	}
	w.lastFailed(db, kindDeleteCredential)
	if n := w.Store.Operation.Query().Where(entop.Kind(kindDeleteCredential)).CountX(t.Context()); n != 1 {
		t.Errorf("begun %d times", n)
	}
	w.works(db, cred.GetUser(), cred.GetPassword())
}
