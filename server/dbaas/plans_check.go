package dbaas

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/engine"
	"github.com/backplane/backplane/ent/environment"
	"github.com/backplane/backplane/ent/plan"
	"github.com/backplane/backplane/ent/service"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/store"
)

// checkFor bounds how long the servers of a plan may take to say whether
// databases can be made on them.
const checkFor = 15 * time.Second

// planDraft is a plan as it shall be, with what its input names found.
type planDraft struct {
	name         string // empty when it does not change
	engineType   string
	version      string // of the engine; only for a new plan
	environments []int
	services     []uuid.UUID
}

// draftOf checks the fields of a plan that has names. was is the plan that
// changes, nil for a new one.
func (a *Admin) draftOf(ctx context.Context, in *dbaasv1.PlanInput, was *ent.Plan, has func(string) bool) (*planDraft, error) {
	d := &planDraft{}
	var f faults
	if has("name") {
		d.name = in.GetName()
		f.add("name", checkLabel(d.name))
	}
	if has("description") {
		f.add("description", checkDescription(in.GetDescription()))
	}
	if has("total_size_in_bytes") && in.GetTotalSizeInBytes() < 0 {
		f.add("total_size_in_bytes", "Ensure this value is greater than or equal to 0.")
	}
	if has("capacity") && in.GetCapacity() < 0 {
		f.add("capacity", "Ensure this value is greater than or equal to 0.")
	}
	if err := a.draftEngine(ctx, d, in, was, has("engine"), &f); err != nil {
		return nil, err
	}
	if has("environments") {
		if err := a.draftEnvironments(ctx, d, in.GetEnvironments(), &f); err != nil {
			return nil, err
		}
	}
	if has("services") {
		if err := a.draftServices(ctx, d, in.GetServices(), was, &f); err != nil {
			return nil, err
		}
	}
	if len(f) > 0 {
		return nil, errs.Invalid(f...)
	}
	return d, nil
}

// draftEngine finds the kind of engine that a plan names, by its name or by the
// URL of an engine. That of a plan cannot change.
func (a *Admin) draftEngine(ctx context.Context, d *planDraft, in *dbaasv1.PlanInput, was *ent.Plan, named bool, f *faults) error {
	given := in.GetEngine()
	if was != nil {
		d.engineType = was.Edges.Engine.EngineType
		if !named || given == "" {
			return nil
		}
	}
	kind, fault := given, ""
	switch {
	case given == "":
		fault = required
	case strings.Contains(given, "/"):
		var id int
		if id, fault = relation(given, engines); fault != "" {
			break
		}
		row, err := a.Store.Engine.Query().Where(engine.ID(id)).Only(ctx)
		switch {
		case ent.IsNotFound(err):
			fault = noSuchObject
		case err != nil:
			return err
		default:
			kind = row.EngineType
		}
	}
	switch {
	case fault != "":
	case a.engines[kind] == nil:
		fault = fmt.Sprintf("Must be one of %s.", strings.Join(slices.Sorted(maps.Keys(a.engines)), ", "))
	case was != nil && kind != d.engineType:
		fault = fmt.Sprintf("The engine of a plan cannot change: it is %s.", d.engineType)
	default:
		d.engineType = kind
	}
	f.add("engine", fault)
	return nil
}

// draftEnvironments finds the environments that a plan names.
func (a *Admin) draftEnvironments(ctx context.Context, d *planDraft, urls []string, f *faults) error {
	if len(urls) == 0 {
		f.add("environments", required)
	}
	for _, url := range urls {
		id, fault := relation(url, environments)
		if fault == "" {
			found, err := a.Store.Environment.Query().Where(environment.ID(id)).Exist(ctx)
			if err != nil {
				return err
			}
			if !found {
				fault = noSuchObject
			}
		}
		if fault == "" && !slices.Contains(d.environments, id) {
			d.environments = append(d.environments, id)
		}
		f.add("environments", fault)
	}
	return nil
}

// draftServices finds the services that a plan names, and asks the servers
// that it did not name before whether databases can be made on them.
func (a *Admin) draftServices(ctx context.Context, d *planDraft, names []string, was *ent.Plan, f *faults) error {
	if len(names) == 0 {
		f.add("services", required)
	}
	var fresh []*ent.Service
	for _, name := range names {
		row, fault, err := a.findService(ctx, name)
		if err != nil {
			return err
		}
		known := fault == "" && was != nil && slices.ContainsFunc(was.Edges.Services, func(s *ent.Service) bool { return s.ID == row.ID })
		if fault == "" && !known {
			fault = a.serves(row, d.engineType)
		}
		if fault != "" {
			f.add("services", fault)
			continue
		}
		if slices.Contains(d.services, row.ID) {
			continue
		}
		d.services = append(d.services, row.ID)
		if !known {
			fresh = append(fresh, row)
		}
	}
	if len(*f) > 0 {
		return nil // nothing is contacted for what could not be stored
	}
	version, err := a.checkServers(ctx, fresh, f)
	d.version = version
	return err
}

// findService finds a service by its id, or by its name where only one has it.
func (a *Admin) findService(ctx context.Context, name string) (row *ent.Service, fault string, err error) {
	where := service.Name(name)
	if id, err := uuid.Parse(name); err == nil {
		where = service.ID(id)
	}
	rows, err := a.Store.Service.Query().Where(where).Order(service.ByCreatedAt(), service.ByID()).All(ctx)
	if err != nil {
		return nil, "", err
	}
	rows = slices.DeleteFunc(rows, func(s *ent.Service) bool { return !auth.FromContext(ctx).Can(auth.Viewer, s.Project) })
	switch len(rows) {
	case 0:
		return nil, fmt.Sprintf("There is no service %q.", name), nil
	case 1:
		return rows[0], "", nil
	default:
		return nil, fmt.Sprintf("Several services are named %q: give the id of one.", name), nil
	}
}

// holds says why a service cannot hold databases, whatever its kind of engine.
func (a *Admin) holds(row *ent.Service) (fault string) {
	conn, _ := a.Registry.Lookup(row.ServiceType)
	if _, ok := conn.(connectors.Provisioner); !ok {
		return fmt.Sprintf("The service %q is of type %s, which holds no databases.", row.Name, row.ServiceType)
	}
	return ""
}

// serves says what keeps databases of a kind of engine from being made on a
// service, as far as the catalogue knows.
func (a *Admin) serves(row *ent.Service, engineType string) (fault string) {
	if fault := a.holds(row); fault != "" {
		return fault
	}
	conn, _ := a.Registry.Lookup(row.ServiceType)
	p := conn.(connectors.Provisioner)
	switch {
	case engineType != "" && p.Rules().EngineType != engineType:
		return fmt.Sprintf("The service %q is of type %s, not %s.", row.Name, row.ServiceType, engineType)
	case !row.Enabled:
		return fmt.Sprintf("The service %q is disabled; enable it first.", row.Name)
	}
	return ""
}

// checkServers asks servers, all at once, whether databases can be made on
// them, and returns the version of the first one.
func (a *Admin) checkServers(ctx context.Context, rows []*ent.Service, f *faults) (version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkFor)
	defer cancel()
	facts, failed := make([]connectors.ServerFacts, len(rows)), make([]error, len(rows))
	var all sync.WaitGroup
	for i, row := range rows {
		all.Go(func() {
			failed[i] = a.onServer(ctx, row.ID, func(_ backend, s connectors.DatabaseServer) (err error) {
				facts[i], err = s.About(ctx)
				return err
			})
		})
	}
	all.Wait()
	for i, row := range rows {
		switch lacks := facts[i].Lacks; {
		case failed[i] != nil:
			f.add("services", fmt.Sprintf("On the service %q no databases can be made: %s.", row.Name, strings.TrimSuffix(whyNot(failed[i]), ".")))
		case len(lacks) > 0:
			f.add("services", fmt.Sprintf("On the service %q no databases can be made: its login lacks %s.", row.Name, strings.Join(lacks, ", ")))
		}
	}
	if len(rows) > 0 {
		version = facts[0].Version
	}
	return version, nil
}

// whyNot is what may be shown of why a server did not do what it was asked.
func whyNot(err error) string {
	var failure *connectors.Failure
	var e *errs.Error
	switch {
	case errors.As(err, &failure):
		return failure.Error()
	case errors.As(err, &e):
		return e.Message
	case errors.Is(err, context.DeadlineExceeded):
		return "the server takes too long to answer"
	}
	return "it cannot be asked"
}

// stillValid checks in the transaction what may have changed since the draft
// was made. id is that of the plan itself, 0 for a new one.
func (d *planDraft) stillValid(ctx context.Context, tx *store.Tx, id int) error {
	if d.name != "" {
		taken, err := tx.Plan.Query().Where(plan.Name(d.name), plan.IDNEQ(id)).Exist(ctx)
		if err != nil {
			return err
		}
		if taken {
			return errs.Invalid(errs.Field{Path: "name", Message: exists("Plan")})
		}
	}
	n, err := tx.Environment.Query().Where(environment.IDIn(d.environments...)).Count(ctx)
	if err != nil {
		return err
	}
	if n < len(d.environments) {
		return errs.Invalid(errs.Field{Path: "environments", Message: noSuchObject})
	}
	n, err = tx.Service.Query().Where(service.IDIn(d.services...)).Count(ctx)
	if err != nil {
		return err
	}
	if n < len(d.services) {
		return errs.Invalid(errs.Field{Path: "services", Message: "A service was deleted in the meantime."})
	}
	return nil
}
