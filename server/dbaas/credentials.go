package dbaas

import (
	"cmp"
	"context"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"
	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/ent/predicate"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/duration"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/store"
)

// credentialFor is the credential of a call, with its database, when the
// caller may see it and has the right to the call.
func (a *Admin) credentialFor(ctx context.Context, id int64) (*ent.Credential, error) {
	row, err := a.loadCredential(ctx, int(id))
	if err != nil {
		return nil, err
	}
	if err := a.allowDatabase(ctx, row.Edges.Database); err != nil {
		return nil, err
	}
	return row, nil
}

func (a *Admin) loadCredential(ctx context.Context, id int) (*ent.Credential, error) {
	row, err := a.Store.Credential.Query().Where(credential.ID(id)).WithDatabase().Only(ctx)
	if ent.IsNotFound(err) {
		return nil, missing()
	}
	return row, err
}

// credentialIn is a credential as a transaction finds it.
func credentialIn(ctx context.Context, tx *store.Tx, id int) (*ent.Credential, error) {
	row, err := tx.Credential.Query().Unique(false).Where(credential.ID(id), store.Locked).Only(ctx)
	if ent.IsNotFound(err) {
		return nil, missing()
	}
	return row, err
}

// credentialToProto shows a credential, but for its password.
func credentialToProto(l linker, row *ent.Credential) *dbaasv1.Credential {
	out := &dbaasv1.Credential{
		Links: &dbaasv1.Links{Self: l.to(credentials, row.ID)}, Id: int64(row.ID), User: row.User,
		Database: l.to(databases, row.DatabaseID),
	}
	if row.Privilege != string(connectors.Owner) {
		out.Role = &row.Privilege
	}
	if row.ExpiresAt != 0 {
		out.ExpiresAt = proto.String(moment(row.ExpiresAt))
	}
	if row.RotateEveryUs != 0 {
		out.RotateEvery = proto.Int64(int64(us(row.RotateEveryUs) / time.Second))
	}
	if row.FormerUser != "" {
		out.PreviousUser, out.PreviousUntil = &row.FormerUser, proto.String(moment(row.FormerUntil))
	}
	return out
}

// us is a time span as the store has it.
func us(n int64) time.Duration { return time.Duration(n) * time.Microsecond }

// shown is a credential with its password. Whoever calls it has recorded that
// the password is read.
func (a *Admin) shown(ctx context.Context, row *ent.Credential) (*dbaasv1.Credential, error) {
	password, err := a.Keys.Open(row.Sealed, keys.CredentialPlace(row.ID))
	if err != nil {
		return nil, err
	}
	out := credentialToProto(linksOf(ctx), row)
	out.Password = proto.String(string(password))
	return out, nil
}

// answer is the credential as an operation has left it.
func (a *Admin) answer(ctx context.Context, id int) (*dbaasv1.Credential, error) {
	row, err := a.loadCredential(ctx, id)
	if err != nil {
		return nil, err
	}
	return a.shown(ctx, row)
}

// GetCredential implements the RPC.
func (a *Admin) GetCredential(ctx context.Context, req *dbaasv1.GetCredentialRequest) (*dbaasv1.Credential, error) {
	row, err := a.credentialFor(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return a.changeCredential(ctx, row, "ReadCredential", nil)
}

// changeCredential changes what only the store knows of a credential, and
// shows it with its password: fn, which may be nil, says what to change. That
// the password is read is recorded in any case.
func (a *Admin) changeCredential(ctx context.Context, row *ent.Credential, action string, fn func(now *ent.Credential, u *ent.CredentialUpdateOne) error) (*dbaasv1.Credential, error) {
	db := row.Edges.Database
	err := a.Store.Change(ctx, func(tx *store.Tx) error {
		was, err := credentialIn(ctx, tx, row.ID)
		if err != nil {
			return err
		}
		row = was
		if fn != nil {
			u := tx.Credential.UpdateOneID(was.ID)
			if err := fn(was, u); err != nil {
				return err
			}
			if row, err = u.Save(ctx); err != nil {
				return err
			}
		}
		tx.Audit(auditOfCredential(action, db, row, credentialFields(was), credentialFields(row)))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a.shown(ctx, row)
}

// UpdateCredential implements the RPC.
func (a *Admin) UpdateCredential(ctx context.Context, req *dbaasv1.UpdateCredentialRequest) (*dbaasv1.Credential, error) {
	row, err := a.credentialFor(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	has := changed(req.GetCredential(), req.GetUpdateMask().GetPaths())
	var f faults
	every := f.span("rotate_every", req.GetCredential().GetRotateEvery(), leastRotation)
	if has("rotate_every") && len(f) > 0 {
		return nil, errs.Invalid(f...)
	}
	return a.changeCredential(ctx, row, "UpdateCredential", func(_ *ent.Credential, u *ent.CredentialUpdateOne) error {
		if has("rotate_every") {
			u.SetRotateEveryUs(every.Microseconds())
		}
		return nil
	})
}

const (
	leastLease    = time.Second
	leastRotation = time.Minute
	// longest bounds all time spans that callers give.
	longest = 10 * 365 * 24 * time.Hour
)

// span reads a time span of at least the given length; 0 when there is none.
func (f *faults) span(field, text string, least time.Duration) time.Duration {
	if text == "" {
		return 0
	}
	d, err := duration.Parse(text)
	if err != nil || d < least || d > longest {
		f.add(field, "Enter a time such as 15m, 12h or 7d: at least "+least.String()+", at most 3650d.")
		return 0
	}
	return d
}

// credentialColumns are what a list of credentials can be ordered and filtered
// by.
var credentialColumns = columns{
	"id": column{credential.FieldID, number}, "user": column{credential.FieldUser, text},
	"role":       column{credential.FieldPrivilege, text},
	"created_at": column{credential.FieldCreatedAt, instant}, "expires_at": column{credential.FieldExpiresAt, instant},
}

// ListCredentials implements the RPC.
func (a *Admin) ListCredentials(ctx context.Context, req *dbaasv1.ListCredentialsRequest) (*dbaasv1.ListCredentialsResponse, error) {
	sees, err := sightOf(ctx)
	if err != nil {
		return nil, err
	}
	where, err := filterCredentials(req.GetFilter())
	if err != nil {
		return nil, err
	}
	if may := sees.where(); len(may) > 0 {
		where = append(where, credential.HasDatabaseWith(may...))
	}
	q := a.Store.Credential.Query().Where(where...)
	count, err := q.Clone().Count(ctx)
	if err != nil {
		return nil, err
	}
	p, err := pageOf(req, count)
	if err != nil {
		return nil, err
	}
	q.Order(orderCredentials(cmp.Or(req.GetOrdering(), "database,user"))...)
	rows, err := q.Limit(p.size).Offset(p.offset()).All(ctx)
	if err != nil {
		return nil, err
	}
	out := &dbaasv1.ListCredentialsResponse{Links: p.links(ctx, credentials)}
	for _, row := range rows {
		out.Credential = append(out.Credential, credentialToProto(linksOf(ctx), row))
	}
	return out, nil
}

// orderCredentials is orders, which also knows the names of databases.
func orderCredentials(ordering string) []credential.OrderOption {
	var out []credential.OrderOption
	for _, name := range strings.Split(ordering, ",") {
		switch strings.TrimSpace(name) {
		case "database":
			out = append(out, byDatabase(false))
		case "-database":
			out = append(out, byDatabase(true))
		default:
			all := orders[credential.OrderOption](credentialColumns, name)
			out = append(out, all[:len(all)-1]...) // the id comes once, and last
		}
	}
	return append(out, credential.ByID())
}

// byDatabase orders by the name of the database. Stores with an index of the
// names read no more of them than a page takes.
func byDatabase(down bool) credential.OrderOption {
	return func(s *sql.Selector) {
		t := sql.Table(database.Table)
		s.Join(t).On(s.C(credential.FieldDatabaseID), t.C(database.FieldID))
		for _, field := range []string{database.FieldName, database.FieldID} {
			if down {
				s.OrderBy(sql.Desc(t.C(field)))
			} else {
				s.OrderBy(t.C(field))
			}
		}
	}
}

// filterCredentials are the conditions of a list: on columns, and on the
// number or the name of the database.
func filterCredentials(filter map[string]string) ([]predicate.Credential, error) {
	out, err := conditions[predicate.Credential](credentialColumns, filter)
	if err != nil {
		return nil, err
	}
	for name, value := range filter {
		switch name {
		case "database":
			if n, err := strconv.Atoi(value); err == nil {
				out = append(out, credential.DatabaseID(n))
			} else {
				out = append(out, credential.HasDatabaseWith(database.Name(value)))
			}
		case "database__name":
			out = append(out, credential.HasDatabaseWith(database.Name(value)))
		}
	}
	return out, nil
}
