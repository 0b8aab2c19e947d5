package dbaas

import (
	"context"
	"strconv"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/engine"
	"github.com/backplane/backplane/ent/plan"
	"github.com/backplane/backplane/ent/predicate"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
)

// allEngineTypes are the kinds of engines with their numbers, by name.
var allEngineTypes = []struct {
	id   int
	name string
}{{1, "mongodb"}, {2, "mysql"}, {4, "postgresql"}, {3, "redis"}}

// engineTypeID is the number of a kind of engine, 0 when it is not known.
func engineTypeID(name string) int {
	for _, t := range allEngineTypes {
		if t.name == name {
			return t.id
		}
	}
	return 0
}

// engineTypeName is the kind of engine of a number, "" when there is none.
func engineTypeName(id int) string {
	for _, t := range allEngineTypes {
		if t.id == id {
			return t.name
		}
	}
	return ""
}

func engineToProto(ctx context.Context, row *ent.Engine) *dbaasv1.Engine {
	l, kind := linksOf(ctx), engineTypeID(row.EngineType)
	out := &dbaasv1.Engine{
		Links: &dbaasv1.Links{Self: l.to(engines, row.ID)}, Id: int64(row.ID), Version: row.Version,
		EngineType: &dbaasv1.EngineTypeLink{Url: l.to(engineTypes, kind), Id: int64(kind), Name: row.EngineType},
	}
	for _, p := range row.Edges.Plans {
		out.Plans = append(out.Plans, nestedPlan(ctx, p))
	}
	return out
}

// withPlans loads the plans of engines.
func withPlans(q *ent.EngineQuery) *ent.EngineQuery {
	return q.WithPlans(func(q *ent.PlanQuery) { withPlanParts(q).Order(plan.ByID()) })
}

var engineColumns = columns{
	"id": column{engine.FieldID, number}, "version": column{engine.FieldVersion, text}, "name": column{engine.FieldEngineType, text},
	"engine_type": column{engine.FieldEngineType, text},
}

// ListEngines implements the RPC.
func (a *Admin) ListEngines(ctx context.Context, req *dbaasv1.ListEnginesRequest) (*dbaasv1.ListEnginesResponse, error) {
	filter := map[string]string{}
	for name, value := range req.GetFilter() {
		switch name {
		case "engine_type", "engine_type_id": // by number too
			if id, err := strconv.Atoi(value); err == nil {
				value = engineTypeName(id)
			}
			name = "engine_type"
		case "engine_type__name":
			name = "engine_type"
		}
		filter[name] = value
	}
	where, err := conditions[predicate.Engine](engineColumns, filter)
	if err != nil {
		return nil, err
	}
	rows, links, err := listed(ctx, withPlans(a.Store.Engine.Query().Where(where...)), req, engineColumns, "engine_type,version", engines)
	if err != nil {
		return nil, err
	}
	out := &dbaasv1.ListEnginesResponse{Links: links}
	for _, row := range rows {
		out.Engine = append(out.Engine, engineToProto(ctx, row))
	}
	return out, nil
}

// GetEngine implements the RPC.
func (a *Admin) GetEngine(ctx context.Context, req *dbaasv1.GetEngineRequest) (*dbaasv1.Engine, error) {
	row, err := withPlans(a.Store.Engine.Query().Where(engine.ID(int(req.GetId())))).Only(ctx)
	if err != nil {
		return nil, orMissing(err)
	}
	return engineToProto(ctx, row), nil
}

func engineTypeToProto(l linker, id int, name string) *dbaasv1.EngineType {
	return &dbaasv1.EngineType{Links: &dbaasv1.Links{Self: l.to(engineTypes, id)}, Id: int64(id), Name: name}
}

// ListEngineTypes implements the RPC. They are few and do not change: those on
// which databases can be made here.
func (a *Admin) ListEngineTypes(ctx context.Context, req *dbaasv1.ListEngineTypesRequest) (*dbaasv1.ListEngineTypesResponse, error) {
	l, filter := linksOf(ctx), req.GetFilter()
	var all []*dbaasv1.EngineType
	for _, t := range allEngineTypes {
		id, byID := filter["id"]
		name, byName := filter["name"]
		if a.engines[t.name] == nil || byID && id != strconv.Itoa(t.id) || byName && name != t.name {
			continue
		}
		all = append(all, engineTypeToProto(l, t.id, t.name))
	}
	p, err := pageOf(req, len(all))
	if err != nil {
		return nil, err
	}
	from := min(p.offset(), len(all))
	return &dbaasv1.ListEngineTypesResponse{Links: p.links(ctx, engineTypes), Enginetype: all[from:min(from+p.size, len(all))]}, nil
}

// GetEngineType implements the RPC.
func (a *Admin) GetEngineType(ctx context.Context, req *dbaasv1.GetEngineTypeRequest) (*dbaasv1.EngineType, error) {
	name := engineTypeName(int(req.GetId()))
	if a.engines[name] == nil {
		return nil, missing()
	}
	return engineTypeToProto(linksOf(ctx), int(req.GetId()), name), nil
}
