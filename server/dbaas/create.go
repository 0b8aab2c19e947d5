package dbaas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/credential"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/ent/environment"
	"github.com/backplane/backplane/ent/login"
	"github.com/backplane/backplane/ent/plan"
	"github.com/backplane/backplane/ent/project"
	"github.com/backplane/backplane/ent/service"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/operation"
	"github.com/backplane/backplane/server/store"
)

// awaitFor is how long a call waits for its operation.
const awaitFor = 60 * time.Second

// wanted is a database that is asked for.
type wanted struct {
	name        string
	plan        *ent.Plan
	environment *ent.Environment
	project     string
	named       bool // whether the project was asked for
	description string
	register    bool
	// data is what the operation needs to know beyond a new, empty database.
	data map[string]any
	kind string // of the operation
	// guard is run in the transaction before anything is written. May be nil.
	guard func(context.Context, *store.Tx) error
}

// faults collects what is wrong with a request.
type faults []errs.Field

func (f *faults) add(field, message string) {
	if message != "" {
		*f = append(*f, errs.Field{Path: field, Message: message})
	}
}

// refuse is the error of a rule that concerns no one field.
func refuse(format string, args ...any) error {
	return errs.Invalid(errs.Field{Path: "error", Message: fmt.Sprintf(format, args...)})
}

// CreateDatabase implements the RPC.
func (a *Admin) CreateDatabase(ctx context.Context, req *dbaasv1.CreateDatabaseRequest) (*dbaasv1.Database, error) {
	w := wanted{description: req.GetDescription(), register: req.GetRegister(), kind: kindCreate, data: map[string]any{}}
	var f faults
	var fault string
	if w.name, fault = checkName(req.GetName()); fault != "" {
		f.add("name", fault)
	}
	if err := a.resolve(ctx, &w, req.GetPlan(), req.GetEnvironment(), &f); err != nil {
		return nil, err
	}
	f.add("description", checkDescription(req.GetDescription()))
	if err := a.chooseProject(ctx, &w, req.GetProject(), req.GetTeam(), &f); err != nil {
		return nil, err
	}
	if len(f) > 0 {
		return nil, errs.Invalid(f...)
	}
	row, err := a.make(ctx, w)
	if err != nil {
		return nil, err
	}
	if err := a.await(ctx, row.OperationID); err != nil {
		return nil, err
	}
	return a.answerCreated(ctx, row.ID)
}

// answerCreated is the answer to the creation of a database.
func (a *Admin) answerCreated(ctx context.Context, id int) (*dbaasv1.Database, error) {
	row, err := a.loadDatabase(ctx, id)
	if err != nil {
		return nil, err
	}
	out := databaseToProto(linksOf(ctx), row)
	return out, setLocation(ctx, out.GetLinks().GetSelf())
}

// setLocation tells a REST caller that, and where, something was created.
func setLocation(ctx context.Context, url string) error {
	if grpc.ServerTransportStreamFromContext(ctx) == nil {
		return nil
	}
	return grpc.SetHeader(ctx, metadata.Pairs("location", url))
}

// resolve finds the plan and the environment that are asked for.
func (a *Admin) resolve(ctx context.Context, w *wanted, planURL, environmentURL string, f *faults) error {
	id, fault := relation(planURL, plans)
	if fault == "" {
		row, err := a.Store.Plan.Query().Where(plan.ID(id), plan.IsActive(true)).WithEngine().WithEnvironments().Only(ctx)
		switch {
		case ent.IsNotFound(err):
			fault = noSuchObject
		case err != nil:
			return err
		}
		w.plan = row
	}
	f.add("plan", fault)
	id, fault = relation(environmentURL, environments)
	if fault == "" {
		row, err := a.Store.Environment.Query().Where(environment.ID(id)).Only(ctx)
		switch {
		case ent.IsNotFound(err):
			fault = noSuchObject
		case err != nil:
			return err
		}
		w.environment = row
	}
	f.add("environment", fault)
	return nil
}

// chooseProject finds the project that is asked for by a project or a team;
// without either it is the default one, or the first in which the caller may
// create databases.
func (a *Admin) chooseProject(ctx context.Context, w *wanted, projectURL, teamURL string, f *faults) error {
	field, text, collection := "project", projectURL, projects
	if text == "" && teamURL != "" {
		field, text, collection = "team", teamURL, teams
	}
	if text == "" {
		scope, err := auth.Where(ctx)
		if err != nil {
			return err
		}
		w.project = store.DefaultProject
		if !scope.Includes(w.project) {
			w.project, w.named = scope.Projects[0], true
		}
		return nil
	}
	id, fault := relation(text, collection)
	if fault == "" {
		row, err := a.Store.Project.Query().Where(project.Number(id)).Only(ctx)
		switch {
		case ent.IsNotFound(err):
			fault = noSuchObject
		case err != nil:
			return err
		default:
			w.project, w.named = row.ID, true
			if err := auth.Allow(ctx, row.ID, missing); err != nil {
				if errs.Convert(err).Reason != errs.NotFound {
					return err
				}
				fault = noSuchObject
			}
		}
	}
	f.add(field, fault)
	return nil
}

// make writes a database that shall be to the store and begins the operation
// that makes it. The same database asked for again by the same caller while it
// is being made is the one that is being made.
func (a *Admin) make(ctx context.Context, w wanted) (row *ent.Database, err error) {
	engine := a.engines[w.plan.Edges.Engine.EngineType]
	if engine == nil {
		return nil, refuse("Databases of the engine %s cannot be made here.", w.plan.Edges.Engine.EngineType)
	}
	rules := engine.Rules()
	if !slices.ContainsFunc(w.plan.Edges.Environments, func(e *ent.Environment) bool { return e.ID == w.environment.ID }) {
		return nil, refuse("Invalid plan for selected environment.")
	}
	if slices.Contains(rules.Reserved, w.name) {
		return nil, refuse("%s is a reserved database name", w.name)
	}
	defer a.Keys.Writing()()
	var op *ent.Operation
	err = a.ops.Change(ctx, w.kind, func(tx *store.Tx) (err error) {
		if err := tx.TakeTurn(ctx); err != nil {
			return err
		}
		op = nil
		if w.guard != nil {
			if err := w.guard(ctx, tx); err != nil {
				return err
			}
		}
		actor := store.ActorFrom(ctx).Name
		if row, err = a.underway(ctx, tx, w, actor); err != nil || row != nil {
			return err
		}
		if err := a.stillOffered(ctx, tx, w); err != nil {
			return err
		}
		target, err := a.place(ctx, tx, w)
		if err != nil {
			return err
		}
		now := time.Now().UnixMicro()
		row, err = tx.Database.Create().SetName(w.name).SetPlanID(w.plan.ID).SetEnvironmentID(w.environment.ID).
			SetServiceID(target).SetProject(w.project).SetProjectNamed(w.named).SetDescription(w.description).
			SetState(stateCreating).SetTotalSizeInBytes(w.plan.TotalSizeInBytes).SetCreatedAt(now).SetCreatedBy(actor).Save(ctx)
		if err != nil {
			return err
		}
		cred, err := a.insertCredential(ctx, tx, rules, row, userFor(w.name), connectors.Owner)
		if err != nil {
			return err
		}
		data := map[string]any{"credential": cred.ID, "register": w.register}
		for k, v := range w.data {
			data[k] = v
		}
		op, err = a.ops.Begin(ctx, tx, w.kind, a.subject(row, w.environment, w.plan), data)
		if err != nil {
			return err
		}
		if err := tx.Database.Update().Where(database.ID(row.ID)).SetOperationID(op.ID).Exec(ctx); err != nil {
			return err
		}
		row.OperationID = op.ID
		tx.Audit(auditOfDatabase("CreateDatabase", row, nil, databaseFields(row)))
		tx.Audit(auditOfCredential("CreateCredential", row, cred, nil, credentialFields(cred)))
		return a.Keys.Guard(ctx, tx, cred.Sealed)
	})
	if err != nil {
		return nil, err
	}
	if op != nil {
		a.ops.Go(op)
	}
	return row, nil
}

// stillOffered makes sure that the plan has not changed since it was read, and
// loads the services that it has now, without those that are switched off.
func (a *Admin) stillOffered(ctx context.Context, tx *store.Tx, w wanted) error {
	now, err := tx.Plan.Query().
		Where(plan.ID(w.plan.ID), plan.IsActive(true), plan.HasEnvironmentsWith(environment.ID(w.environment.ID))).
		WithServices(func(q *ent.ServiceQuery) { q.Where(service.Enabled(true)).Order(service.ByCreatedAt(), service.ByID()) }).Only(ctx)
	if ent.IsNotFound(err) {
		return refuse("Invalid plan for selected environment.")
	}
	if err == nil {
		w.plan.Edges.Services = now.Edges.Services
	}
	return err
}

// underway finds the same database while the same caller's request for it is
// being carried out. Any other of the name is in the way.
func (a *Admin) underway(ctx context.Context, tx *store.Tx, w wanted, actor string) (*ent.Database, error) {
	row, err := tx.Database.Query().Where(database.EnvironmentID(w.environment.ID), database.Name(w.name)).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	case row.State == stateCreating && row.CreatedBy == actor && row.PlanID == w.plan.ID && row.Project == w.project && w.kind == kindCreate:
		op, err := tx.Operation.Get(ctx, row.OperationID)
		if err != nil {
			return nil, err
		}
		if op.Kind != kindCreate {
			return nil, nameTaken() // it is made of something
		}
		return row, nil
	default:
		return nil, nameTaken()
	}
}

func nameTaken() error {
	return errs.Invalid(errs.Field{Path: "name", Message: "Database with this Database name and Environment already exists."})
}

// place picks the service of the plan with the most room.
func (a *Admin) place(ctx context.Context, tx *store.Tx, w wanted) (uuid.UUID, error) {
	services := w.plan.Edges.Services
	var best uuid.UUID
	room, held := 0, false
	for _, s := range services {
		taken, err := tx.Database.Query().Where(database.ServiceID(s.ID), database.Name(w.name)).Exist(ctx)
		if err != nil {
			return uuid.Nil, err
		}
		if taken {
			held = true // for another environment
			continue
		}
		count := 0
		if w.plan.Capacity > 0 || len(services) > 1 { // it matters
			if count, err = tx.Database.Query().Where(database.ServiceID(s.ID)).Count(ctx); err != nil {
				return uuid.Nil, err
			}
		}
		free := w.plan.Capacity - count
		if w.plan.Capacity == 0 {
			free = 1<<30 - count
		}
		if s.HealthStatus == "critical" {
			free -= 1 << 31 // only when no other has room
		}
		if (w.plan.Capacity == 0 || count < w.plan.Capacity) && (best == uuid.Nil || free > room) {
			best, room = s.ID, free
		}
	}
	switch {
	case best != uuid.Nil:
		return best, nil
	case held:
		return uuid.Nil, nameTaken()
	default:
		return uuid.Nil, refuse("No server of this plan has room for another database.")
	}
}

func (a *Admin) subject(row *ent.Database, env *ent.Environment, p *ent.Plan) operation.Subject {
	return operation.Subject{
		Class: classDatabase, ID: row.ID, DatabaseName: row.Name, Project: row.Project,
		Environment: env.Name, Engine: p.Edges.Engine.EngineType + " " + p.Edges.Engine.Version,
	}
}

// insertCredential writes a credential whose login is not made yet.
func (a *Admin) insertCredential(ctx context.Context, tx *store.Tx, rules connectors.EngineRules, db *ent.Database, user string, p connectors.Privilege) (*ent.Credential, error) {
	user, err := freeUser(user, func(name string) (bool, error) { return userTaken(ctx, tx, rules, db, name) })
	if err != nil {
		return nil, err
	}
	now := time.Now().UnixMicro()
	cred, err := tx.Credential.Create().SetDatabaseID(db.ID).SetUser(user).SetBaseUser(user).SetPrivilege(string(p)).
		SetSealed([]byte{}).SetCreatedAt(now).SetRotatedAt(now).SetCreatedBy(store.ActorFrom(ctx).Name).Save(ctx)
	if err != nil {
		return nil, err
	}
	cred.Sealed = a.Keys.Seal([]byte(newPassword()), keys.CredentialPlace(cred.ID))
	if err := tx.Credential.Update().Where(credential.ID(cred.ID)).SetSealed(cred.Sealed).Exec(ctx); err != nil {
		return nil, err
	}
	return cred, reserveLogin(ctx, tx, rules, db, cred.ID, user)
}

// loginScope is where the names of a database's logins must be unique.
func loginScope(rules connectors.EngineRules, db *ent.Database) string {
	if rules.UsersPerDatabase {
		return db.Name
	}
	return ""
}

func userTaken(ctx context.Context, tx *store.Tx, rules connectors.EngineRules, db *ent.Database, user string) (bool, error) {
	if slices.Contains(rules.ReservedUsers, user) {
		return true, nil
	}
	return tx.Login.Query().Where(login.ServiceID(db.ServiceID), login.Scope(loginScope(rules, db)), login.User(user)).Exist(ctx)
}

func reserveLogin(ctx context.Context, tx *store.Tx, rules connectors.EngineRules, db *ent.Database, credential int, user string) error {
	return tx.Login.Create().SetCredentialID(credential).SetServiceID(db.ServiceID).SetScope(loginScope(rules, db)).SetUser(user).Exec(ctx)
}

// await waits for an operation that a call began, and makes of a failure what
// the caller is told.
func (a *Admin) await(ctx context.Context, id int) error {
	if id == 0 {
		return nil
	}
	wait, cancel := context.WithTimeout(ctx, awaitFor)
	defer cancel()
	err := a.ops.Await(wait, id)
	var f *connectors.Failure
	var e *errs.Error
	switch {
	case err == nil, errors.As(err, &e):
		return err
	case errors.Is(err, connectors.ErrExists):
		return errs.Invalid(errs.Field{Path: "error", Message: err.Error()})
	case errors.As(err, &f):
		return &errs.Error{Reason: errs.BackendFailed, Message: "The database server refused: " + f.Error(), Err: err}
	default:
		return err
	}
}

// The kinds of operations on databases.
const (
	kindCreate     = "create_database"
	kindQuarantine = "quarantine_database"
	kindDrop       = "drop_database"
)

// classDatabase is the object class of databases in tasks.
const classDatabase = "logical_database"
