package dbaas_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/server/servertest"
)

func TestEngines(t *testing.T) {
	h := newHouse(t, servertest.Options{})
	e, err := h.Databases.GetEngine(h.ctx, &dbaasv1.GetEngineRequest{Id: number(t, h.plan.GetEngine())})
	good(t, err)
	nested := proto.Clone(h.plan).(*dbaasv1.Plan)
	nested.Url, nested.Links = proto.String(h.plan.GetLinks().GetSelf()), nil
	want := &dbaasv1.Engine{
		Links: &dbaasv1.Links{Self: "/api/engine/1/"}, Id: 1, Version: e.GetVersion(), Plans: []*dbaasv1.Plan{nested},
		EngineType: &dbaasv1.EngineTypeLink{Url: "/api/engine_type/4/", Id: 4, Name: "postgresql"},
	}
	if !proto.Equal(e, want) {
		t.Errorf("engine %v, want %v", e, want)
	}
	if major, _, ok := strings.Cut(e.GetVersion(), "."); !ok || len(major) != 2 {
		t.Errorf("version %q", e.GetVersion())
	}
	for name, c := range map[string]struct {
		filter map[string]string
		want   int
	}{
		"all":    {nil, 1},
		"type":   {map[string]string{"engine_type": "postgresql"}, 1},
		"number": {map[string]string{"engine_type": "4"}, 1},
		"other":  {map[string]string{"engine_type__name": "redis"}, 0},
	} {
		res, err := h.Databases.ListEngines(h.ctx, &dbaasv1.ListEnginesRequest{Filter: c.filter})
		good(t, err)
		if len(res.GetEngine()) != c.want || res.GetLinks().GetCount() != int64(c.want) {
			t.Errorf("%s: %v, want %d", name, res, c.want)
		}
	}
	_, err = h.Databases.GetEngine(h.ctx, &dbaasv1.GetEngineRequest{Id: 2})
	notFound(t, err)
}

func TestEngineTypes(t *testing.T) {
	h := bare(t)
	res, err := h.Databases.ListEngineTypes(h.ctx, &dbaasv1.ListEngineTypesRequest{})
	good(t, err)
	ids := map[string]int64{"mongodb": 1, "mysql": 2, "postgresql": 4, "redis": 3}
	last := ""
	for _, e := range res.GetEnginetype() {
		if e.GetId() != ids[e.GetName()] || e.GetName() <= last {
			t.Errorf("engine type %v after %q", e, last)
		}
		last = e.GetName()
		got, err := h.Databases.GetEngineType(h.ctx, &dbaasv1.GetEngineTypeRequest{Id: e.GetId()})
		good(t, err)
		if !proto.Equal(got, e) {
			t.Errorf("got %v, listed %v", got, e)
		}
	}
	if len(res.GetEnginetype()) != len(ids) {
		t.Errorf("%d engine types, want %d", len(res.GetEnginetype()), len(ids))
	}
	res, err = h.Databases.ListEngineTypes(h.ctx, &dbaasv1.ListEngineTypesRequest{Filter: map[string]string{"name": "redis"}})
	good(t, err)
	if len(res.GetEnginetype()) != 1 || res.GetEnginetype()[0].GetId() != 3 {
		t.Errorf("engine types named redis: %v", res)
	}
	_, err = h.Databases.GetEngineType(h.ctx, &dbaasv1.GetEngineTypeRequest{Id: 5})
	notFound(t, err)
}
