package dbaas

import (
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/login"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/catalog"
	"github.com/backplane/backplane/server/store"
)

func TestCredentialLife(t *testing.T) {
	t.Parallel()
	eachHost(t, func(t *testing.T, w *world) {
		db := w.database("orders")
		owner := w.first(db)
		if owner.GetUser() != "u_orders" || owner.Role != nil || owner.GetDatabase() != path(databases, db.ID) {
			t.Errorf("the first credential is %v", owner)
		}
		good(t, w.try(db, owner.GetUser(), owner.GetPassword(), "CREATE TABLE items (id INT)"))

		cred := w.credential(db, &dbaasv1.CreateCredentialRequest{User: "u_myusr1"})
		if cred.GetUser() != "u_myusr1" || cred.GetLinks().GetSelf() != path(credentials, int(cred.GetId())) || cred.GetPassword() == owner.GetPassword() {
			t.Errorf("created %v", cred)
		}
		good(t, w.try(db, cred.GetUser(), cred.GetPassword(), "INSERT INTO items VALUES (1)"))
		reader := w.credential(db, &dbaasv1.CreateCredentialRequest{User: "Report Reader", Role: "read-only"})
		if reader.GetUser() != "report_reader" || reader.GetRole() != "read-only" {
			t.Errorf("created %v", reader)
		}
		good(t, w.try(db, reader.GetUser(), reader.GetPassword(), "SELECT id FROM items"))
		if err := w.try(db, reader.GetUser(), reader.GetPassword(), "INSERT INTO items VALUES (2)"); err == nil {
			t.Error("who may only read has written")
		}
		if got := w.get(cred.GetId()); got.GetPassword() != cred.GetPassword() {
			t.Errorf("got %v, created %v", got, cred)
		}
		w.wantAudit("credential", "ReadCredential by system", 2)

		session := w.open(db, cred.GetUser(), cred.GetPassword())
		next := w.reset(cred.GetId())
		if next.GetPassword() == cred.GetPassword() || next.GetUser() != cred.GetUser() {
			t.Errorf("reset to %v", next)
		}
		if _, err := session.ExecContext(t.Context(), "SELECT 1"); err == nil {
			t.Error("a session goes on with the old password")
		}
		w.dead(db, cred.GetUser(), cred.GetPassword())
		w.works(db, next.GetUser(), next.GetPassword())

		_, err := w.DeleteCredential(t.Context(), &dbaasv1.DeleteCredentialRequest{Id: cred.GetId()})
		good(t, err)
		w.dead(db, next.GetUser(), next.GetPassword())
		w.works(db, owner.GetUser(), owner.GetPassword())
		_, err = w.GetCredential(t.Context(), &dbaasv1.GetCredentialRequest{Id: cred.GetId()})
		refused(t, err, errs.NotFound, "", "Not found")
		_, err = w.DeleteCredential(t.Context(), &dbaasv1.DeleteCredentialRequest{Id: cred.GetId()})
		refused(t, err, errs.NotFound, "", "Not found")
		for action, times := range map[string]int{"CreateCredential by system": 3, "ResetPassword by system": 1, "DeleteCredential by system": 1} {
			w.wantAudit("credential", action, times)
		}
	})
}

func TestRotationWithoutDowntime(t *testing.T) {
	t.Parallel()
	eachHost(t, func(t *testing.T, w *world) {
		db := w.database("a_long_database_name")
		one := w.first(db)
		if one.GetUser() != "u_a_long_databas" {
			t.Errorf("the first user is %s", one.GetUser())
		}
		good(t, w.try(db, one.GetUser(), one.GetPassword(), "CREATE TABLE items (id INT)"))
		session := w.open(db, one.GetUser(), one.GetPassword())

		two := w.rotate(one.GetId(), "")
		if two.GetUser() != "u_a_long_datab_b" || two.GetPreviousUser() != one.GetUser() || two.GetPreviousUntil() == "" {
			t.Errorf("rotated to %v", two)
		}
		if _, err := session.ExecContext(t.Context(), "INSERT INTO items VALUES (1)"); err != nil {
			t.Errorf("a session of the old login ended: %v", err)
		}
		w.works(db, one.GetUser(), one.GetPassword())
		good(t, w.try(db, two.GetUser(), two.GetPassword(), "INSERT INTO items VALUES (2)"))
		row := w.Store.Credential.GetX(t.Context(), int(one.GetId()))
		if left := time.Until(time.UnixMicro(row.FormerUntil)); left < 50*time.Minute || left > usualGrace || len(row.Pending) > 0 || row.PendingUser != "" {
			t.Errorf("the row is %v", row)
		}
		good(t, w.endGraces(t.Context()))
		w.works(db, one.GetUser(), one.GetPassword())

		w.Store.Credential.UpdateOneID(row.ID).SetFormerUntil(time.Now().UnixMicro()).ExecX(t.Context())
		good(t, w.endGraces(t.Context()))
		eventually(t, "the old login is forgotten", func() bool { return w.Store.Credential.GetX(t.Context(), row.ID).FormerUser == "" })
		w.dead(db, one.GetUser(), one.GetPassword())
		if _, err := session.ExecContext(t.Context(), "INSERT INTO items VALUES (3)"); err == nil {
			t.Error("a session of the old login goes on after its time")
		}
		good(t, w.try(db, two.GetUser(), two.GetPassword(), "DROP TABLE items"))

		// Back to the first name, and to the second while that still works.
		three := w.rotate(one.GetId(), "30m")
		w.works(db, two.GetUser(), two.GetPassword())
		four := w.rotate(one.GetId(), "0s")
		if three.GetUser() != one.GetUser() || three.GetPassword() == one.GetPassword() || four.GetUser() != two.GetUser() || four.PreviousUser != nil {
			t.Errorf("rotated to %v and %v", three, four)
		}
		w.works(db, four.GetUser(), four.GetPassword())
		w.dead(db, two.GetUser(), two.GetPassword())
		w.dead(db, three.GetUser(), three.GetPassword())
		if n := w.Store.Login.Query().Where(login.CredentialID(row.ID)).CountX(t.Context()); n != 2 {
			t.Errorf("%d names are reserved", n)
		}
		_, err := w.DeleteCredential(t.Context(), &dbaasv1.DeleteCredentialRequest{Id: one.GetId()})
		good(t, err)
		w.dead(db, four.GetUser(), four.GetPassword())
		if n := w.Store.Login.Query().CountX(t.Context()); n != 0 {
			t.Errorf("%d names are reserved", n)
		}
	})
}

// TestRotationEvadesOtherLogins rotates where somebody has the name that the
// other login would have.
func TestRotationEvadesOtherLogins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, postgresHost(t), Options{})
	db := w.database("orders")
	cred := w.first(db)
	w.credential(db, &dbaasv1.CreateCredentialRequest{User: "u_orders_b"})
	admin := w.open(&ent.Database{Name: "postgres"}, w.host.config["username"].(string), w.host.config["password"].(string))
	_, err := admin.ExecContext(t.Context(), "CREATE ROLE u_orders_b1 LOGIN PASSWORD 'by hand'")
	good(t, err)
	next := w.rotate(cred.GetId(), "")
	if next.GetUser() != "u_orders_b11" {
		t.Errorf("rotated to %s", next.GetUser())
	}
	w.works(db, next.GetUser(), next.GetPassword())
	if back := w.rotate(cred.GetId(), ""); back.GetUser() != cred.GetUser() {
		t.Errorf("rotated to %s", back.GetUser())
	}
	w.works(&ent.Database{Name: "postgres"}, "u_orders_b1", "by hand")

	_, err = w.CreateCredential(t.Context(), &dbaasv1.CreateCredentialRequest{User: "u_orders_b1", Database: path(databases, db.ID)})
	refused(t, err, errs.ValidationFailed, "error", "exists already")
	w.works(&ent.Database{Name: "postgres"}, "u_orders_b1", "by hand")
	if w.Store.Credential.Query().Where(credential.User("u_orders_b1")).ExistX(t.Context()) || w.row(db.ID).OperationID != 0 {
		t.Error("the credential that could not be made is there")
	}
	w.wantAudit("credential", "UndoCreateCredential by system", 1)

	// A server knows a name once, whatever database it is for.
	other := w.credential(w.database("stock"), &dbaasv1.CreateCredentialRequest{User: "u_orders"})
	if other.GetUser() != "u_orders1" {
		t.Errorf("made %s", other.GetUser())
	}
}

// TestRegisteredServiceFollows changes the login that the registered service
// of a database logs in with.
func TestRegisteredServiceFollows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, postgresHost(t), Options{})
	out, err := w.CreateDatabase(t.Context(), &dbaasv1.CreateDatabaseRequest{
		Name: "orders", Plan: path(plans, w.plan.ID), Environment: path(environments, w.env.ID), Register: true,
	})
	good(t, err)
	db := w.row(int(out.GetId()))
	c := w.Catalog.(*catalog.Catalog)
	tested := func(user string) {
		t.Helper()
		got, err := c.GetService(t.Context(), &catalogv1.GetServiceRequest{Id: db.RegisteredID.String()})
		good(t, err)
		if name := got.GetData().GetConfig().GetFields()["username"].GetStringValue(); name != user {
			t.Errorf("the service logs in as %s, want %s", name, user)
		}
		res, err := c.TestService(t.Context(), &catalogv1.TestServiceRequest{Id: db.RegisteredID.String()})
		if err != nil || !res.GetData().GetConnected() {
			t.Errorf("test: %v, %v", res, err)
		}
	}
	first := w.first(db)
	tested(first.GetUser())
	w.reset(first.GetId())
	tested(first.GetUser())
	next := w.rotate(first.GetId(), "0s")
	tested(next.GetUser())
	second := w.credential(db, &dbaasv1.CreateCredentialRequest{User: "second"})
	tested(next.GetUser())
	_, err = w.DeleteCredential(t.Context(), &dbaasv1.DeleteCredentialRequest{Id: first.GetId()})
	good(t, err)
	tested(second.GetUser())
}

func TestWhatIsRefusedOfCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, postgresHost(t), Options{})
	db := w.database("orders")
	w.credential(db, &dbaasv1.CreateCredentialRequest{User: "u_myusr1", Lease: "1h"})
	for name, c := range map[string]struct {
		user, database, role, lease, every string
		field, want                        string
	}{
		"no user":              {"", "", "", "", "", "user", required},
		"nothing of a user":    {"-_-", "", "", "", "", "user", required},
		"long":                 {"seventeen_letters", "", "", "", "", "__all__", "seventeen_letters is too long"},
		"long in ASCII":        {"щщщщщщщщщ", "", "", "", "", "__all__", "is too long"},
		"duplicate":            {"u_myusr1", "", "", "", "", "__all__", "Credential with this User name and Database already exists."},
		"duplicate as a slug":  {"U-MyUsr1", "", "", "", "", "error", "Credential with this User name and Database already exists."},
		"reserved":             {"postgres", "", "", "", "", "error", "postgres is a reserved user name"},
		"no such database":     {"a", "/api/database/99/", "", "", "", "database", noSuchObject},
		"not a database":       {"a", "/api/plan/1/", "", "", "", "database", wrongMatch},
		"no URL":               {"a", "1", "", "", "", "database", noMatch},
		"role":                 {"a", "", "root", "", "", "role", `"root" is not a valid choice`},
		"lease":                {"a", "", "", "soon", "", "lease", "15m"},
		"lease in the past":    {"a", "", "", "-1h", "", "lease", "at least 1s"},
		"lease without an end": {"a", "", "", "4000d", "", "lease", "at most 3650d"},
		"rotation":             {"a", "", "", "", "1s", "rotate_every", "at least 1m0s"},
	} {
		req := &dbaasv1.CreateCredentialRequest{User: c.user, Database: c.database, Role: c.role, Lease: c.lease, RotateEvery: c.every}
		if req.Database == "" {
			req.Database = path(databases, db.ID)
		}
		_, err := w.CreateCredential(t.Context(), req)
		t.Run(name, func(t *testing.T) { refused(t, err, errs.ValidationFailed, c.field, c.want) })
	}
	_, err := w.CreateCredential(t.Context(), &dbaasv1.CreateCredentialRequest{Role: "x", Lease: "x"})
	if e := errs.Convert(err); len(e.Fields) != 4 {
		t.Errorf("not all faults at once: %v", e.Fields)
	}
	_, err = w.RotateCredential(t.Context(), &dbaasv1.RotateCredentialRequest{Id: 1, Grace: "-5m"})
	refused(t, err, errs.ValidationFailed, "grace", "15m")
	_, err = w.RenewCredential(t.Context(), &dbaasv1.RenewCredentialRequest{Id: 2, Lease: "0s"})
	refused(t, err, errs.ValidationFailed, "lease", "at least 1s")
	_, err = w.RenewCredential(t.Context(), &dbaasv1.RenewCredentialRequest{Id: 1})
	refused(t, err, errs.ValidationFailed, "error", "has no lease")
	for what, err := range map[string]error{
		"get":    second(w.GetCredential(t.Context(), &dbaasv1.GetCredentialRequest{Id: 99})),
		"reset":  second(w.ResetPassword(t.Context(), &dbaasv1.ResetPasswordRequest{Id: 99})),
		"rotate": second(w.RotateCredential(t.Context(), &dbaasv1.RotateCredentialRequest{Id: 99})),
		"renew":  second(w.RenewCredential(t.Context(), &dbaasv1.RenewCredentialRequest{Id: 99})),
		"update": second(w.UpdateCredential(t.Context(), &dbaasv1.UpdateCredentialRequest{Id: 99})),
		"delete": second(w.DeleteCredential(t.Context(), &dbaasv1.DeleteCredentialRequest{Id: 99})),
	} {
		t.Run(what, func(t *testing.T) { refused(t, err, errs.NotFound, "", "Not found") })
	}
}

func second[T any](_ T, err error) error { return err }

func TestListCredentials(t *testing.T) {
	t.Parallel()
	w := newWorld(t, postgresHost(t), Options{})
	stock, orders := w.database("stock"), w.database("orders")
	w.credential(orders, &dbaasv1.CreateCredentialRequest{User: "reader", Role: "read-only"})
	w.credential(stock, &dbaasv1.CreateCredentialRequest{User: "a"})
	for name, c := range map[string]struct {
		req  *dbaasv1.ListCredentialsRequest
		want []string
	}{
		"all":              {&dbaasv1.ListCredentialsRequest{}, []string{"reader", "u_orders", "a", "u_stock"}},
		"by user":          {&dbaasv1.ListCredentialsRequest{Ordering: "-user"}, []string{"u_stock", "u_orders", "reader", "a"}},
		"by database":      {&dbaasv1.ListCredentialsRequest{Ordering: "-database,-user"}, []string{"u_stock", "a", "u_orders", "reader"}},
		"by nothing known": {&dbaasv1.ListCredentialsRequest{Ordering: "sealed"}, []string{"u_stock", "u_orders", "reader", "a"}},
		"of a name":        {&dbaasv1.ListCredentialsRequest{Filter: map[string]string{"database": "stock"}}, []string{"a", "u_stock"}},
		"of a number":      {&dbaasv1.ListCredentialsRequest{Filter: map[string]string{"database": "2"}}, []string{"reader", "u_orders"}},
		"of a role":        {&dbaasv1.ListCredentialsRequest{Filter: map[string]string{"role": "owner", "user__startswith": "u_"}}, []string{"u_orders", "u_stock"}},
		"unknown":          {&dbaasv1.ListCredentialsRequest{Filter: map[string]string{"database__name": "none"}}, nil},
		"second page":      {&dbaasv1.ListCredentialsRequest{Page: "2", PageSize: "3"}, []string{"u_stock"}},
	} {
		t.Run(name, func(t *testing.T) {
			res, err := w.ListCredentials(t.Context(), c.req)
			good(t, err)
			var got []string
			for _, cred := range res.GetCredential() {
				got = append(got, cred.GetUser())
				if cred.Password != nil {
					t.Errorf("a list shows a password: %v", cred)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	w.wantAudit("credential", "ReadCredential by system", 0)
}

func TestUpdateCredential(t *testing.T) {
	t.Parallel()
	w := newWorld(t, postgresHost(t), Options{})
	cred := w.first(w.database("orders"))
	update := func(every string, mask ...string) (*dbaasv1.Credential, error) {
		return w.UpdateCredential(t.Context(), &dbaasv1.UpdateCredentialRequest{
			Id: cred.GetId(), Credential: &dbaasv1.CredentialChange{RotateEvery: &every}, UpdateMask: &fieldmaskpb.FieldMask{Paths: mask},
		})
	}
	got, err := update("30d", "rotate_every")
	good(t, err)
	if got.GetRotateEvery() != 30*24*3600 || got.GetPassword() != cred.GetPassword() || got.GetUser() != cred.GetUser() {
		t.Errorf("updated to %v", got)
	}
	_, err = update("1s", "rotate_every")
	refused(t, err, errs.ValidationFailed, "rotate_every", "at least 1m0s")
	if got, err = update("", "rotate_every"); err != nil || got.RotateEvery != nil {
		t.Errorf("updated to %v, %v", got, err)
	}
	row := w.Store.Credential.GetX(t.Context(), int(cred.GetId()))
	record := w.Store.AuditRecord.Query().AllX(t.Context())
	changes, err := store.ChangesOf(record[len(record)-1])
	if err != nil || len(changes) != 1 || changes[0].Field != "rotate_every" || row.RotateEveryUs != 0 {
		t.Errorf("recorded %v, %v; row %v", changes, err, row)
	}
}
