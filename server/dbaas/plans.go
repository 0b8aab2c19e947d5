package dbaas

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/ent/engine"
	"github.com/backplane/backplane/ent/environment"
	"github.com/backplane/backplane/ent/plan"
	"github.com/backplane/backplane/ent/predicate"
	"github.com/backplane/backplane/ent/service"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/store"
)

// withPlanParts loads with each plan what an answer shows of it.
func withPlanParts(q *ent.PlanQuery) *ent.PlanQuery {
	return q.WithEngine().
		WithEnvironments(func(q *ent.EnvironmentQuery) { q.Order(environment.ByID()) }).
		WithServices(func(q *ent.ServiceQuery) {
			q.Order(service.ByCreatedAt(), service.ByID()).Select(service.FieldID, service.FieldName, service.FieldCreatedAt)
		})
}

func planToProto(ctx context.Context, row *ent.Plan) *dbaasv1.Plan {
	l := linksOf(ctx)
	out := &dbaasv1.Plan{
		Links: &dbaasv1.Links{Self: l.to(plans, row.ID)}, Id: int64(row.ID), Name: row.Name, Description: row.Description,
		IsActive: row.IsActive, IsDefault: row.IsDefault, Engine: l.to(engines, row.EngineID),
		TotalSizeInBytes: row.TotalSizeInBytes, Enforce: row.Enforce, Capacity: int32(row.Capacity),
	}
	for _, e := range row.Edges.Environments {
		out.Environments = append(out.Environments, &dbaasv1.PlanEnvironment{
			Url: l.to(environments, e.ID), Id: int64(e.ID), Name: e.Name, Stage: int32(e.Stage), Provisioner: int32(e.Provisioner),
		})
	}
	if auth.FromContext(ctx).Can(auth.Admin, "") {
		for _, s := range row.Edges.Services {
			out.Services = append(out.Services, s.ID.String())
		}
	}
	return out
}

// nestedPlan is a plan within another resource.
func nestedPlan(ctx context.Context, row *ent.Plan) *dbaasv1.Plan {
	out := planToProto(ctx, row)
	out.Url, out.Links = proto.String(out.GetLinks().GetSelf()), nil
	return out
}

// planFields are what the audit trail compares of a plan.
func planFields(row *ent.Plan) map[string]string {
	var in []int
	for _, e := range row.Edges.Environments {
		in = append(in, e.ID)
	}
	var on []string
	for _, s := range row.Edges.Services {
		on = append(on, s.ID.String())
	}
	return map[string]string{
		"name": jsonOf(row.Name), "engine": jsonOf(row.EngineID), "environments": jsonOf(in), "services": jsonOf(on),
		"description": jsonOf(row.Description), "is_active": jsonOf(row.IsActive), "is_default": jsonOf(row.IsDefault),
		"total_size_in_bytes": jsonOf(row.TotalSizeInBytes), "enforce": jsonOf(row.Enforce), "capacity": jsonOf(row.Capacity),
	}
}

func auditOfPlan(action string, row *ent.Plan, before, after map[string]string) store.Audit {
	return store.Audit{Action: action, Kind: "plan", ID: strconv.Itoa(row.ID), Name: row.Name, Changes: store.Changes(before, after)}
}

var planColumns = columns{
	"id": column{plan.FieldID, number}, "name": column{plan.FieldName, text}, "description": column{plan.FieldDescription, text},
	"is_active": column{plan.FieldIsActive, truth}, "is_default": column{plan.FieldIsDefault, truth},
	"engine": column{plan.FieldEngineID, number}, "engine_id": column{plan.FieldEngineID, number},
	"total_size_in_bytes": column{plan.FieldTotalSizeInBytes, number}, "enforce": column{plan.FieldEnforce, truth},
	"capacity": column{plan.FieldCapacity, number},
}

// ListPlans implements the RPC.
func (a *Admin) ListPlans(ctx context.Context, req *dbaasv1.ListPlansRequest) (*dbaasv1.ListPlansResponse, error) {
	where, err := filterPlans(req.GetFilter())
	if err != nil {
		return nil, err
	}
	rows, links, err := listed(ctx, withPlanParts(a.Store.Plan.Query().Where(where...)), req, planColumns, "id", plans)
	if err != nil {
		return nil, err
	}
	out := &dbaasv1.ListPlansResponse{Links: links}
	for _, row := range rows {
		out.Plan = append(out.Plan, planToProto(ctx, row))
	}
	return out, nil
}

// filterPlans are the conditions of a list. Whoever looks for another plan
// names engine and environment; then `old_plan` leaves that one out, and
// `active` takes active ones alone.
func filterPlans(filter map[string]string) ([]predicate.Plan, error) {
	out, err := conditions[predicate.Plan](planColumns, filter)
	if err != nil {
		return nil, err
	}
	byNumber := func(name string, make func(int) predicate.Plan) bool {
		text, ok := filter[name]
		if !ok || err != nil {
			return false
		}
		n, bad := strconv.Atoi(text)
		if bad != nil {
			err = errs.Invalid(errs.Field{Path: name, Message: "Enter a valid value."})
			return false
		}
		out = append(out, make(n))
		return true
	}
	in := func(n int) predicate.Plan { return plan.HasEnvironmentsWith(environment.ID(n)) }
	byNumber("environment", in)
	_, engineNamed := filter["engine_id"]
	if byNumber("environment_id", in) && engineNamed {
		byNumber("old_plan", plan.IDNEQ)
		if filter["active"] != "" {
			out = append(out, plan.IsActive(true))
		}
	}
	if name, ok := filter["environment__name"]; ok {
		out = append(out, plan.HasEnvironmentsWith(environment.Name(name)))
	}
	if name, ok := filter["engine_type"]; ok {
		out = append(out, plan.HasEngineWith(engine.EngineType(name)))
	}
	return out, err
}

// GetPlan implements the RPC.
func (a *Admin) GetPlan(ctx context.Context, req *dbaasv1.GetPlanRequest) (*dbaasv1.Plan, error) {
	row, err := withPlanParts(a.Store.Plan.Query().Where(plan.ID(int(req.GetId())))).Only(ctx)
	if err != nil {
		return nil, orMissing(err)
	}
	return planToProto(ctx, row), nil
}

// CreatePlan implements the RPC.
func (a *Admin) CreatePlan(ctx context.Context, req *dbaasv1.CreatePlanRequest) (*dbaasv1.Plan, error) {
	in := cmp.Or(req.GetPlan(), &dbaasv1.PlanInput{})
	d, err := a.draftOf(ctx, in, nil, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	var row *ent.Plan
	err = a.Store.Change(ctx, func(tx *store.Tx) error {
		if err := tx.TakeTurn(ctx); err != nil {
			return err
		}
		if err := d.stillValid(ctx, tx, 0); err != nil {
			return err
		}
		e, err := engineFor(ctx, tx, d.engineType, d.version)
		if err != nil {
			return err
		}
		if in.GetIsDefault() {
			if err := unsetDefault(ctx, tx, d.engineType, 0); err != nil {
				return err
			}
		}
		made, err := tx.Plan.Create().SetName(in.GetName()).SetDescription(in.GetDescription()).SetEngineID(e.ID).
			SetIsActive(in.IsActive == nil || in.GetIsActive()).SetIsDefault(in.GetIsDefault()).
			SetTotalSizeInBytes(in.GetTotalSizeInBytes()).SetEnforce(in.GetEnforce()).SetCapacity(int(in.GetCapacity())).
			AddEnvironmentIDs(d.environments...).AddServiceIDs(d.services...).SetCreatedAt(time.Now().UnixMicro()).Save(ctx)
		if err != nil {
			return err
		}
		if row, err = withPlanParts(tx.Plan.Query().Where(plan.ID(made.ID))).Only(ctx); err != nil {
			return err
		}
		tx.Audit(auditOfPlan("CreatePlan", row, nil, planFields(row)))
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := planToProto(ctx, row)
	return out, setLocation(ctx, out.GetLinks().GetSelf())
}

// engineFor finds or makes the engine of a kind and version.
func engineFor(ctx context.Context, tx *store.Tx, engineType, version string) (*ent.Engine, error) {
	row, err := tx.Engine.Query().Where(engine.EngineType(engineType), engine.Version(version)).Only(ctx)
	if ent.IsNotFound(err) {
		return tx.Engine.Create().SetEngineType(engineType).SetVersion(version).Save(ctx)
	}
	return row, err
}

// unsetDefault makes no plan of a kind of engine the default one, but that with
// the id.
func unsetDefault(ctx context.Context, tx *store.Tx, engineType string, id int) error {
	rows, err := withPlanParts(tx.Plan.Query().Where(
		plan.IsDefault(true), plan.IDNEQ(id), plan.HasEngineWith(engine.EngineType(engineType)),
	)).Order(plan.ByID()).All(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		if err := tx.Plan.UpdateOneID(row.ID).SetIsDefault(false).Exec(ctx); err != nil {
			return err
		}
		before := planFields(row)
		row.IsDefault = false
		tx.Audit(auditOfPlan("UpdatePlan", row, before, planFields(row)))
	}
	return nil
}

// UpdatePlan implements the RPC.
func (a *Admin) UpdatePlan(ctx context.Context, req *dbaasv1.UpdatePlanRequest) (*dbaasv1.Plan, error) {
	in, id := cmp.Or(req.GetPlan(), &dbaasv1.PlanInput{}), int(req.GetId())
	has := changed(in, req.GetUpdateMask().GetPaths())
	was, err := withPlanParts(a.Store.Plan.Query().Where(plan.ID(id))).Only(ctx)
	if err != nil {
		return nil, orMissing(err)
	}
	d, err := a.draftOf(ctx, in, was, has)
	if err != nil {
		return nil, err
	}
	var next *ent.Plan
	turned := false // whether it begins or ceases to enforce its size
	err = a.Store.Change(ctx, func(tx *store.Tx) error {
		if err := tx.TakeTurn(ctx); err != nil {
			return err
		}
		row, err := withPlanParts(tx.Plan.Query().Where(plan.ID(id))).Only(ctx)
		if err != nil {
			return orMissing(err)
		}
		if err := d.stillValid(ctx, tx, id); err != nil {
			return err
		}
		if has("is_default") && in.GetIsDefault() {
			if err := unsetDefault(ctx, tx, d.engineType, id); err != nil {
				return err
			}
		}
		if err := writePlan(ctx, tx, row, d, in, has); err != nil {
			return err
		}
		if next, err = withPlanParts(tx.Plan.Query().Where(plan.ID(id))).Only(ctx); err != nil {
			return err
		}
		turned = next.Enforce != row.Enforce
		tx.Audit(auditOfPlan("UpdatePlan", next, planFields(row), planFields(next)))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if turned {
		a.measureSoon()
	}
	return planToProto(ctx, next), nil
}

// writePlan changes the fields of a plan that has names.
func writePlan(ctx context.Context, tx *store.Tx, row *ent.Plan, d *planDraft, in *dbaasv1.PlanInput, has func(string) bool) error {
	u := tx.Plan.UpdateOneID(row.ID)
	if has("name") {
		u.SetName(in.GetName())
	}
	if has("description") {
		u.SetDescription(in.GetDescription())
	}
	if has("is_active") {
		u.SetIsActive(in.IsActive == nil || in.GetIsActive())
	}
	if has("is_default") {
		u.SetIsDefault(in.GetIsDefault())
	}
	if has("total_size_in_bytes") {
		u.SetTotalSizeInBytes(in.GetTotalSizeInBytes())
	}
	if has("enforce") {
		u.SetEnforce(in.GetEnforce())
	}
	if has("capacity") {
		u.SetCapacity(int(in.GetCapacity()))
	}
	if has("environments") {
		if err := leftEnvironments(ctx, tx, row, d.environments); err != nil {
			return err
		}
		u.ClearEnvironments().AddEnvironmentIDs(d.environments...)
	}
	if has("services") {
		if err := leftServices(ctx, tx, row, d.services); err != nil {
			return err
		}
		u.ClearServices().AddServiceIDs(d.services...)
	}
	return u.Exec(ctx)
}

// leftEnvironments fails when databases of a plan are in an environment that
// it would no longer be offered in.
func leftEnvironments(ctx context.Context, tx *store.Tx, row *ent.Plan, keep []int) error {
	for _, e := range row.Edges.Environments {
		if slices.Contains(keep, e.ID) {
			continue
		}
		used, err := tx.Database.Query().Where(database.PlanID(row.ID), database.EnvironmentID(e.ID)).Exist(ctx)
		if err != nil {
			return err
		}
		if used {
			return errs.New(errs.InUse, "Databases of the plan are in the environment %q; delete them first", e.Name)
		}
	}
	return nil
}

// leftServices fails when databases of a plan are on a service that it would
// no longer name.
func leftServices(ctx context.Context, tx *store.Tx, row *ent.Plan, keep []uuid.UUID) error {
	for _, s := range row.Edges.Services {
		if slices.Contains(keep, s.ID) {
			continue
		}
		used, err := tx.Database.Query().Where(database.PlanID(row.ID), database.ServiceID(s.ID)).Exist(ctx)
		if err != nil {
			return err
		}
		if used {
			return errs.New(errs.InUse, "Databases of the plan are on the service %q; delete them first", s.Name)
		}
	}
	return nil
}

// DeletePlan implements the RPC.
func (a *Admin) DeletePlan(ctx context.Context, req *dbaasv1.DeletePlanRequest) (*dbaasv1.DeletePlanResponse, error) {
	id := int(req.GetId())
	err := a.Store.Change(ctx, func(tx *store.Tx) error {
		if err := tx.TakeTurn(ctx); err != nil {
			return err
		}
		row, err := withPlanParts(tx.Plan.Query().Where(plan.ID(id))).Only(ctx)
		if err != nil {
			return orMissing(err)
		}
		used, err := tx.Database.Query().Where(database.PlanID(id)).Exist(ctx)
		if err != nil {
			return err
		}
		if used {
			return errs.New(errs.InUse, "Databases are of the plan %q; delete them first", row.Name)
		}
		tx.Audit(auditOfPlan("DeletePlan", row, planFields(row), nil))
		return tx.Plan.DeleteOneID(id).Exec(ctx)
	})
	if err != nil {
		return nil, err
	}
	return &dbaasv1.DeletePlanResponse{}, nil
}
