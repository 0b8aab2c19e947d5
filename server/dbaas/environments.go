package dbaas

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/ent/environment"
	"github.com/backplane/backplane/ent/plan"
	"github.com/backplane/backplane/ent/predicate"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/store"
)

// provisioners are the kinds of places that environments are in; numbers begin
// with 1.
var provisioners = []string{"cloudstack", "aws", "kubernetes", "gcp"}

const stages = 2 // development and production

func environmentToProto(l linker, row *ent.Environment) *dbaasv1.Environment {
	return &dbaasv1.Environment{
		Links: &dbaasv1.Links{Self: l.to(environments, row.ID)}, Id: int64(row.ID), Name: row.Name,
		Stage: int32(row.Stage), Provisioner: int32(row.Provisioner),
	}
}

// environmentFields are what the audit trail compares of an environment.
func environmentFields(row *ent.Environment) map[string]string {
	return map[string]string{"name": jsonOf(row.Name), "stage": jsonOf(row.Stage), "provisioner": jsonOf(row.Provisioner)}
}

func auditOfEnvironment(action string, row *ent.Environment, before, after map[string]string) store.Audit {
	return store.Audit{
		Action: action, Kind: "environment", ID: strconv.Itoa(row.ID), Name: row.Name, Changes: store.Changes(before, after),
	}
}

var environmentColumns = columns{
	"id": column{environment.FieldID, number}, "name": column{environment.FieldName, text},
	"stage": column{environment.FieldStage, number}, "provisioner": column{environment.FieldProvisioner, number},
}

// ListEnvironments implements the RPC.
func (a *Admin) ListEnvironments(ctx context.Context, req *dbaasv1.ListEnvironmentsRequest) (*dbaasv1.ListEnvironmentsResponse, error) {
	where, err := conditions[predicate.Environment](environmentColumns, req.GetFilter())
	if err != nil {
		return nil, err
	}
	if label, ok := req.GetFilter()["get_provisioner_by_label"]; ok {
		where = append(where, environment.Provisioner(provisionerOf(label)))
	}
	rows, links, err := listed(ctx, a.Store.Environment.Query().Where(where...), req, environmentColumns, "id", environments)
	if err != nil {
		return nil, err
	}
	out := &dbaasv1.ListEnvironmentsResponse{Links: links}
	for _, row := range rows {
		out.Environment = append(out.Environment, environmentToProto(linksOf(ctx), row))
	}
	return out, nil
}

// provisionerOf is the number of a provisioner, 0 when there is none of that
// name.
func provisionerOf(label string) int {
	for i, name := range provisioners {
		if strings.EqualFold(name, label) {
			return i + 1
		}
	}
	return 0
}

// GetEnvironment implements the RPC.
func (a *Admin) GetEnvironment(ctx context.Context, req *dbaasv1.GetEnvironmentRequest) (*dbaasv1.Environment, error) {
	row, err := a.Store.Environment.Get(ctx, int(req.GetId()))
	if err != nil {
		return nil, orMissing(err)
	}
	return environmentToProto(linksOf(ctx), row), nil
}

// orMissing is missing for an error that says that there is no such row.
func orMissing(err error) error {
	if ent.IsNotFound(err) {
		return missing()
	}
	return err
}

// CreateEnvironment implements the RPC.
func (a *Admin) CreateEnvironment(ctx context.Context, req *dbaasv1.CreateEnvironmentRequest) (*dbaasv1.Environment, error) {
	in := cmp.Or(req.GetEnvironment(), &dbaasv1.EnvironmentInput{})
	if err := checkEnvironment(in, func(string) bool { return true }); err != nil {
		return nil, err
	}
	var row *ent.Environment
	err := a.Store.Change(ctx, func(tx *store.Tx) (err error) {
		if err := tx.TakeTurn(ctx); err != nil {
			return err
		}
		if err := environmentNameFree(ctx, tx, in.GetName(), 0); err != nil {
			return err
		}
		row, err = tx.Environment.Create().SetName(in.GetName()).SetStage(orOne(in.Stage)).SetProvisioner(orOne(in.Provisioner)).
			SetCreatedAt(time.Now().UnixMicro()).Save(ctx)
		if err != nil {
			return err
		}
		tx.Audit(auditOfEnvironment("CreateEnvironment", row, nil, environmentFields(row)))
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := environmentToProto(linksOf(ctx), row)
	return out, setLocation(ctx, out.GetLinks().GetSelf())
}

// orOne is a number that is 1 unless said otherwise.
func orOne(n *int32) int {
	if n == nil {
		return 1
	}
	return int(*n)
}

// checkEnvironment checks the fields that has names.
func checkEnvironment(in *dbaasv1.EnvironmentInput, has func(string) bool) error {
	var f faults
	if has("name") {
		f.add("name", checkLabel(in.GetName()))
	}
	if has("stage") {
		f.add("stage", checkChoice(orOne(in.Stage), stages))
	}
	if has("provisioner") {
		f.add("provisioner", checkChoice(orOne(in.Provisioner), len(provisioners)))
	}
	if len(f) > 0 {
		return errs.Invalid(f...)
	}
	return nil
}

func checkChoice(n, most int) (fault string) {
	if n < 1 || n > most {
		return fmt.Sprintf("Value %d is not a valid choice.", n)
	}
	return ""
}

// environmentNameFree fails when another environment than the one with the id
// has the name.
func environmentNameFree(ctx context.Context, tx *store.Tx, name string, id int) error {
	taken, err := tx.Environment.Query().Where(environment.Name(name), environment.IDNEQ(id)).Exist(ctx)
	if err == nil && taken {
		return errs.Invalid(errs.Field{Path: "name", Message: exists("Environment")})
	}
	return err
}

// UpdateEnvironment implements the RPC.
func (a *Admin) UpdateEnvironment(ctx context.Context, req *dbaasv1.UpdateEnvironmentRequest) (*dbaasv1.Environment, error) {
	in, id := cmp.Or(req.GetEnvironment(), &dbaasv1.EnvironmentInput{}), int(req.GetId())
	has := changed(in, req.GetUpdateMask().GetPaths())
	var next *ent.Environment
	err := a.Store.Change(ctx, func(tx *store.Tx) error {
		if err := tx.TakeTurn(ctx); err != nil {
			return err
		}
		row, err := tx.Environment.Get(ctx, id)
		if err != nil {
			return orMissing(err)
		}
		if err := checkEnvironment(in, has); err != nil {
			return err
		}
		u := tx.Environment.UpdateOne(row)
		if has("name") {
			if err := environmentNameFree(ctx, tx, in.GetName(), id); err != nil {
				return err
			}
			u.SetName(in.GetName())
		}
		if has("stage") {
			u.SetStage(orOne(in.Stage))
		}
		if has("provisioner") {
			u.SetProvisioner(orOne(in.Provisioner))
		}
		if next, err = u.Save(ctx); err != nil {
			return err
		}
		tx.Audit(auditOfEnvironment("UpdateEnvironment", next, environmentFields(row), environmentFields(next)))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return environmentToProto(linksOf(ctx), next), nil
}

// DeleteEnvironment implements the RPC.
func (a *Admin) DeleteEnvironment(ctx context.Context, req *dbaasv1.DeleteEnvironmentRequest) (*dbaasv1.DeleteEnvironmentResponse, error) {
	id := int(req.GetId())
	err := a.Store.Change(ctx, func(tx *store.Tx) error {
		if err := tx.TakeTurn(ctx); err != nil {
			return err
		}
		row, err := tx.Environment.Get(ctx, id)
		if err != nil {
			return orMissing(err)
		}
		used, err := tx.Database.Query().Where(database.EnvironmentID(id)).Exist(ctx)
		if err != nil {
			return err
		}
		if used {
			return errs.New(errs.InUse, "Databases are in the environment %q; delete them first", row.Name)
		}
		of, err := tx.Plan.Query().Where(plan.HasEnvironmentsWith(environment.ID(id))).Order(plan.ByID()).All(ctx)
		if err != nil {
			return err
		}
		if len(of) > 0 {
			return errs.New(errs.InUse, "The plan %q is offered in the environment %q; take it out first", of[0].Name, row.Name)
		}
		tx.Audit(auditOfEnvironment("DeleteEnvironment", row, environmentFields(row), nil))
		return tx.Environment.DeleteOne(row).Exec(ctx)
	})
	if err != nil {
		return nil, err
	}
	return &dbaasv1.DeleteEnvironmentResponse{}, nil
}
