package dbaas

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/ent/login"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

const kindDropUnknown = "drop_unknown"

// unknownThing is something that was made by hand.
type unknownThing struct {
	Kind     string `json:"kind"`
	Database string `json:"database"`
	User     string `json:"user,omitempty"`
}

func (u unknownThing) String() string {
	if u.Kind == databaseUnknown {
		return "database " + u.Database
	}
	return strings.TrimSuffix("login "+u.User+" of "+u.Database, " of ")
}

// dropUnknown is the operation that drops what was made by hand on a service.
// What that is goes into the audit trail before it goes. It ends when something
// cannot be dropped: there is nothing to undo.
func (a *Admin) dropUnknown() operation.Kind {
	return operation.Kind{Name: kindDropUnknown, Undo: true, Relevance: "CRITICAL", Steps: []operation.Step{
		{Name: "read the inventory", Do: a.listUnknown, Record: a.recordUnknown},
		{Name: "drop", Do: a.dropListed},
	}}
}

// unknownOn is what was made by hand on a service and may be dropped.
func (a *Admin) unknownOn(ctx context.Context, id uuid.UUID) ([]unknownThing, error) {
	list, err := a.compare(ctx, id)
	var out []unknownThing
	for _, f := range list {
		if f.unknown() && f.spared == "" {
			out = append(out, unknownThing{f.kind, f.database, f.user})
		}
	}
	return out, err
}

func (a *Admin) listUnknown(ctx context.Context, w *operation.Work) error {
	id, err := serviceOf(w)
	if err != nil {
		return err
	}
	list, err := a.unknownOn(ctx, id)
	w.Data["unknown"] = jsonOf(list)
	return err
}

func listedUnknown(w *operation.Work) (list []unknownThing, err error) {
	err = json.Unmarshal([]byte(w.String("unknown")), &list)
	return list, err
}

func (a *Admin) recordUnknown(ctx context.Context, tx *store.Tx, w *operation.Work) error {
	id, err := serviceOf(w)
	if err != nil {
		return err
	}
	row, err := tx.Service.Get(ctx, id)
	if ent.IsNotFound(err) {
		return missing()
	}
	if err != nil {
		return err
	}
	list, err := listedUnknown(w)
	if err != nil {
		return err
	}
	before := map[string]string{}
	for _, u := range list {
		before[u.String()] = jsonOf("made by hand")
	}
	tx.Audit(store.Audit{
		Action: "DropUnknown", Kind: "service", ID: row.ID.String(), Name: row.Name, Project: row.Project,
		Changes: store.Changes(before, nil),
	})
	return nil
}

// dropListed drops what was listed and is still unknown, databases first: what
// a login has in them is then gone.
func (a *Admin) dropListed(ctx context.Context, w *operation.Work) error {
	id, err := serviceOf(w)
	if err != nil {
		return err
	}
	listed, err := listedUnknown(w)
	if err != nil {
		return err
	}
	still, err := a.unknownOn(ctx, id)
	if err != nil {
		return err
	}
	var failed []string
	err = a.onServer(ctx, id, func(b backend, s connectors.DatabaseServer) error {
		failed = nil
		for _, u := range still {
			if !slices.Contains(listed, u) {
				continue
			}
			known, err := a.knownByNow(ctx, id, b.engine.Rules(), u)
			if err != nil {
				return err
			}
			if known {
				continue
			}
			if err := dropOne(ctx, s, u, listed); connectors.MayPass(err) {
				return err
			} else if err != nil {
				failed = append(failed, fmt.Sprintf("%s (%s)", u, strings.TrimSuffix(whyNot(err), ".")))
			}
		}
		return nil
	})
	if err == nil && len(failed) > 0 {
		return &errs.Error{Reason: errs.BackendFailed, Message: "Drop by hand what the server would not: " + strings.Join(failed, ", ")}
	}
	return err
}

// knownByNow reports whether something of the name is being made just now.
func (a *Admin) knownByNow(ctx context.Context, id uuid.UUID, rules connectors.EngineRules, u unknownThing) (bool, error) {
	if u.Kind == databaseUnknown {
		return a.Store.Database.Query().Where(database.ServiceID(id), database.Name(u.Database)).Exist(ctx)
	}
	scope := ""
	if rules.UsersPerDatabase {
		scope = u.Database
	}
	return a.Store.Login.Query().Where(login.ServiceID(id), login.Scope(scope), login.User(u.User)).Exist(ctx)
}

// dropOne drops one thing that was made by hand. A login may be bound to any
// of the databases that were listed with it, or to none.
func dropOne(ctx context.Context, s connectors.DatabaseServer, u unknownThing, listed []unknownThing) error {
	clear, can := s.(connectors.Clearer)
	switch {
	case u.Kind == databaseUnknown && can:
		return clear.ClearDatabase(ctx, u.Database)
	case u.Kind == databaseUnknown:
		return s.DropDatabase(ctx, u.Database)
	case can:
		return clear.ClearLogin(ctx, connectors.LoginName{Database: u.Database, User: u.User})
	}
	places := []string{u.Database}
	if u.Database == "" {
		places[0] = "backplane_none" // where a login without any rights is dropped
		for _, l := range listed {
			if l.Kind == databaseUnknown {
				places = append(places, l.Database)
			}
		}
	}
	for _, place := range places {
		if err := s.DropLogin(ctx, place, u.User); err != nil {
			return err
		}
		if has, err := s.HasLogin(ctx, place, u.User); err != nil || !has {
			return err
		}
	}
	return errs.New(errs.BackendFailed, "it has rights on other databases")
}
