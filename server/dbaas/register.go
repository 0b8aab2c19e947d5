package dbaas

import (
	"context"
	"fmt"
	"strconv"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/service"
	"github.com/backplane/backplane/ent/servicelabel"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/operation"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"
)

// registeredLabel marks the service that a database is registered as, so that
// a registration that was cut off is found again.
const registeredLabel = "backplane.database"

// register puts a new database into the catalogue, when that was asked for.
// What its server is called there is not for everybody who may see it.
func (a *Admin) register(ctx context.Context, w *operation.Work) error {
	if !w.Bool("register") {
		return nil
	}
	row, err := a.worksOn(ctx, w)
	if err != nil {
		return err
	}
	b, err := a.recentBackend(ctx, w, row.ServiceID)
	if err != nil {
		return err
	}
	config, err := a.registeredConfig(ctx, row, b)
	if err != nil {
		return err
	}
	label := strconv.Itoa(row.ID)
	id, err := a.registered(ctx, row)
	if err != nil {
		return err
	}
	for n := 0; id == uuid.Nil; n++ {
		name := row.Name
		if n > 0 {
			name = fmt.Sprintf("%s (database %d)", row.Name, n)
		}
		res, err := a.Catalog.CreateService(ctx, &catalogv1.CreateServiceRequest{Service: &catalogv1.Service{
			Name: name, ServiceType: b.row.ServiceType, Project: row.Project, Config: config,
			Labels: map[string]string{registeredLabel: label}, Description: fmt.Sprintf("The database %s.", row.Name),
		}})
		if errs.Convert(err).Reason == errs.NameTaken && err != nil && n < 10 {
			continue
		}
		if err != nil {
			return err
		}
		id = uuid.MustParse(res.GetData().GetId())
	}
	w.Forget(recentDatabase{})
	return a.Store.Database.UpdateOneID(row.ID).SetRegisteredID(id).Exec(ctx)
}

// registered is the service that a database is registered as, uuid.Nil when
// there is none.
func (a *Admin) registered(ctx context.Context, row *ent.Database) (uuid.UUID, error) {
	if row.RegisteredID != nil {
		exists, err := a.Store.Service.Query().Where(service.ID(*row.RegisteredID)).Exist(ctx)
		if err != nil || exists {
			return *row.RegisteredID, err
		}
	}
	if row.State != stateCreating {
		return uuid.Nil, nil // a registration that was cut off has been found by now
	}
	// Anybody can put such a label on a service of their own; what belongs to the
	// database is in its project.
	id, err := a.Store.Service.Query().
		Where(service.Project(row.Project), service.HasLabelRowsWith(servicelabel.Key(registeredLabel), servicelabel.Value(strconv.Itoa(row.ID)))).
		Order(service.ByCreatedAt(), service.ByID()).FirstID(ctx)
	if ent.IsNotFound(err) {
		return uuid.Nil, nil
	}
	return id, err
}

// registeredConfig is how a database is reached with its oldest login: the
// configuration of its server, with the database and the login in place.
func (a *Admin) registeredConfig(ctx context.Context, row *ent.Database, b backend) (*structpb.Struct, error) {
	cred, err := a.Store.Credential.Query().Where(credential.DatabaseID(row.ID)).Order(credential.ByID()).First(ctx)
	if err != nil {
		return nil, err
	}
	l, err := a.loginOf(row, cred)
	if err != nil {
		return nil, err
	}
	config, err := b.engine.ConfigFor(b.config, l)
	if err != nil {
		return nil, err
	}
	values := map[string]any{}
	for k, v := range config {
		if list, ok := v.([]string); ok {
			var anys []any
			for _, e := range list {
				anys = append(anys, e)
			}
			v = anys
		}
		values[k] = v
	}
	return structpb.NewStruct(values)
}

// reregister brings the registered service of a database, if any, up to its
// login.
func (a *Admin) reregister(ctx context.Context, w *operation.Work) error {
	row, err := a.worksOn(ctx, w)
	if err != nil || row.RegisteredID == nil {
		return err
	}
	b, err := a.recentBackend(ctx, w, row.ServiceID)
	if err != nil {
		return err
	}
	config, err := a.registeredConfig(ctx, row, b)
	if ent.IsNotFound(err) {
		return nil // no login is left
	}
	if err != nil {
		return err
	}
	_, err = a.Catalog.UpdateService(ctx, &catalogv1.UpdateServiceRequest{
		Id: row.RegisteredID.String(), Service: &catalogv1.Service{Config: config}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"config"}},
	})
	if errs.Convert(err).Reason == errs.NotFound && err != nil {
		return nil // somebody deleted it
	}
	return err
}

// unregister takes a database out of the catalogue again.
func (a *Admin) unregister(ctx context.Context, w *operation.Work) error {
	row, err := a.worksOn(ctx, w)
	if err != nil {
		return err
	}
	id, err := a.registered(ctx, row)
	if err != nil || id == uuid.Nil {
		return err
	}
	_, err = a.Catalog.DeleteService(ctx, &catalogv1.DeleteServiceRequest{Id: id.String()})
	if errs.Convert(err).Reason == errs.NotFound && err != nil {
		return nil
	}
	return err
}
