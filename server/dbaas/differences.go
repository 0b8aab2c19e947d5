package dbaas

import (
	"context"
	"maps"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/ent/service"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
)

// The kinds of differences between the store and a server.
const (
	databaseMissing = "database_missing"
	databaseUnknown = "database_unknown"
	loginMissing    = "login_missing"
	loginUnknown    = "login_unknown"
)

// finding is one difference.
type finding struct {
	kind           string
	database, user string
	row            *ent.Database // nil when the store knows none
	// spared says why a thing that was made by hand is never dropped; empty
	// when it is on request.
	spared string
}

func (f finding) unknown() bool { return f.kind == databaseUnknown || f.kind == loginUnknown }

// repair says what a repair does about it.
func (f finding) repair() string {
	switch {
	case f.kind == databaseMissing:
		return "It is made again, empty, with its logins."
	case f.kind == loginMissing:
		return "It is made again with its password."
	case f.spared != "":
		return "None: " + f.spared + "."
	}
	return "It is dropped when drop_unknown asks for it."
}

func (f finding) toProto(l linker, id uuid.UUID) *dbaasv1.Difference {
	out := &dbaasv1.Difference{Kind: f.kind, Service: id.String(), DatabaseName: f.database, User: f.user, Repair: f.repair()}
	if f.row != nil {
		out.Database = proto.String(l.to(databases, f.row.ID))
	}
	return out
}

// compared is what was found on one service.
type compared struct {
	service  *ent.Service
	findings []finding
	err      error // why it could not be asked
}

// ListDifferences implements the RPC.
func (a *Admin) ListDifferences(ctx context.Context, req *dbaasv1.ListDifferencesRequest) (*dbaasv1.ListDifferencesResponse, error) {
	rows, err := a.holders(ctx, req.GetService())
	if err != nil {
		return nil, err
	}
	all, err := a.compareAll(ctx, rows)
	if err != nil {
		return nil, err
	}
	out := &dbaasv1.ListDifferencesResponse{Unreachable: map[string]string{}}
	for _, c := range all {
		if c.err != nil {
			out.Unreachable[c.service.ID.String()] = whyNot(c.err)
		}
		for _, f := range c.findings {
			out.Difference = append(out.Difference, f.toProto(linksOf(ctx), c.service.ID))
		}
	}
	out.Links = whole(len(out.Difference)).links(ctx, differences)
	return out, nil
}

// holders are the services that hold databases or that plans make them on, or
// the one that is named.
func (a *Admin) holders(ctx context.Context, named string) ([]*ent.Service, error) {
	if named == "" {
		return a.Store.Service.Query().Where(service.Or(service.HasDatabases(), service.HasPlans())).
			Order(service.ByCreatedAt(), service.ByID()).All(ctx)
	}
	row, fault, err := a.findService(ctx, named)
	if err != nil {
		return nil, err
	}
	if fault == "" {
		fault = a.holds(row)
	}
	if fault != "" {
		return nil, errs.Invalid(errs.Field{Path: "service", Message: fault})
	}
	return []*ent.Service{row}, nil
}

// compareAll compares services, some at the same time. A server that cannot be
// asked is no error.
func (a *Admin) compareAll(ctx context.Context, rows []*ent.Service) ([]compared, error) {
	out := make([]compared, len(rows))
	var group errgroup.Group
	group.SetLimit(serversAtOnce)
	for i, row := range rows {
		group.Go(func() error {
			out[i].service = row
			out[i].findings, out[i].err = a.compare(ctx, row.ID)
			return ctx.Err()
		})
	}
	return out, group.Wait()
}

// compare finds what a server has and the store has not, and the other way
// round, and notes which databases are missing. The store is read before and
// after the server, and what changed meanwhile is left out: work under way is
// no difference.
func (a *Admin) compare(ctx context.Context, id uuid.UUID) ([]finding, error) {
	ctx, cancel := context.WithTimeout(ctx, checkFor)
	defer cancel()
	before, err := a.knownOn(ctx, id)
	if err != nil {
		return nil, err
	}
	b, inv, err := a.inventory(ctx, id)
	if err != nil {
		return nil, err
	}
	after, err := a.knownOn(ctx, id)
	if err != nil {
		return nil, err
	}
	out, err := a.findMissing(ctx, b, inv, before, after)
	if err != nil {
		return nil, err
	}
	unknown := findUnknown(b, inv, before, after)
	if err := a.spare(ctx, b, unknown); err != nil {
		return nil, err
	}
	return append(out, unknown...), nil
}

// settled reports whether a database is there, and no operation works on it.
func settled(row *ent.Database) bool {
	return row != nil && row.OperationID == 0 && (row.State == stateAlive || row.State == stateQuarantined)
}

// findMissing is what the store knows and the server has not.
func (a *Admin) findMissing(ctx context.Context, b backend, inv inventory, before, after knowledge) (out []finding, err error) {
	rules := b.engine.Rules()
	for _, name := range slices.Sorted(maps.Keys(after.databases)) {
		row, was := after.databases[name], before.databases[name]
		if !settled(row) || !settled(was) || row.ID != was.ID {
			continue
		}
		gone := !inv.databases[name]
		if gone {
			out = append(out, finding{kind: databaseMissing, database: name, row: row})
		}
		if gone != row.Missing {
			if err := a.Store.Database.Update().Where(database.ID(row.ID), database.OperationID(0)).SetMissing(gone).Exec(ctx); err != nil {
				return nil, err
			}
		}
		then := map[int]int{}
		for _, c := range was.Edges.Credentials {
			then[c.ID] = c.Version
		}
		for _, c := range row.Edges.Credentials {
			version, was := then[c.ID]
			login := loginKey{loginScope(rules, row), c.User}
			if c.Ready && was && version == c.Version && !inv.logins[login] {
				out = append(out, finding{kind: loginMissing, database: name, user: c.User, row: row})
			}
		}
	}
	return out, nil
}

// findUnknown is what the server has and the store does not know.
func findUnknown(b backend, inv inventory, before, after knowledge) (out []finding) {
	for _, name := range slices.Sorted(maps.Keys(inv.databases)) {
		if before.databases[name] == nil && after.databases[name] == nil {
			out = append(out, finding{kind: databaseUnknown, database: name})
		}
	}
	own := append(slices.Clone(b.engine.Rules().ReservedUsers), b.config.String("username"))
	for _, l := range slices.SortedFunc(maps.Keys(inv.logins), loginKey.compare) {
		if !before.logins[l] && !after.logins[l] && !slices.Contains(own, l.user) {
			out = append(out, finding{kind: loginUnknown, database: l.scope, user: l.user})
		}
	}
	return out
}
