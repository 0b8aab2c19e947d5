package catalog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql/sqlgraph"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/backup"
	"github.com/backplane/backplane/ent/database"
	"github.com/backplane/backplane/ent/plan"
	"github.com/backplane/backplane/ent/project"
	"github.com/backplane/backplane/ent/proxyobject"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/ent/service"
	"github.com/backplane/backplane/ent/servicelabel"
	"github.com/backplane/backplane/ent/servicetag"
	"github.com/backplane/backplane/ent/serviceversion"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/store"
)

// keepVersions is how many versions of a service can be rolled back to.
const keepVersions = 100

// errRaced means that another change came between reading and writing.
var errRaced = errors.New("changed in between")

// CreateService implements the RPC.
func (c *Catalog) CreateService(ctx context.Context, req *catalogv1.CreateServiceRequest) (*catalogv1.CreateServiceResponse, error) {
	in := req.GetService()
	conn, err := c.connector(in.GetServiceType())
	if in.GetServiceType() == "" {
		err = errs.Invalid(errs.Field{Path: "service_type", Message: "is required: one of " + c.Registry.TypeList()})
	}
	if err != nil {
		var e *errs.Error
		if _, bad := checkName(in.GetName()); errors.As(err, &e) && len(bad) > 0 {
			return nil, errs.Invalid(append(bad, e.Fields...)...)
		}
		return nil, err
	}
	d := newDraft(conn)
	if d.project = in.GetProject(); d.project == "" {
		d.project = store.DefaultProject
	}
	if err := auth.AllowIn(ctx, d.project); err != nil {
		return nil, err
	}
	var faults []errs.Field
	if in.GetConfig() == nil {
		faults = append(faults, errs.Field{Path: "config", Message: "is required: an object"})
	}
	faults = append(faults, d.apply(in, []string{"name", "config", "enabled", "description", "tags", "labels", "check"}, false)...)
	if in.GetConfig() != nil {
		faults = append(faults, d.validate(c.Env)...)
	}
	if len(faults) > 0 {
		return nil, errs.Invalid(faults...)
	}
	if req.GetVerify() {
		// Nothing is contacted for what could not be stored.
		if err := c.wantProject(ctx, d.project); err != nil {
			return nil, err
		}
		if err := c.verify(ctx, d); err != nil {
			return nil, err
		}
	}
	out, err := c.insert(ctx, d)
	if err != nil {
		return nil, err
	}
	return &catalogv1.CreateServiceResponse{Ok: true, Data: out}, setHeaders(ctx, "location", "/api/services/"+out.GetId(), "etag", etagOf(out.GetVersion()))
}

// wantProject fails when there is no project of that name.
func (c *Catalog) wantProject(ctx context.Context, name string) error {
	found, err := c.Store.Project.Query().Where(project.ID(name)).Exist(ctx)
	if err == nil && !found {
		return noProject()
	}
	return err
}

func noProject() error {
	return errs.Invalid(errs.Field{Path: "project", Message: "must be the name of a project"})
}

func (c *Catalog) insert(ctx context.Context, d *draft) (out *catalogv1.Service, err error) {
	defer c.Keys.Writing()()
	d.seal(c.Keys)
	if err := d.freshen(c.Keys); err != nil {
		return nil, err
	}
	out, err = c.insertSealed(ctx, d)
	if errors.Is(err, keys.ErrRetired) {
		if err := d.freshen(c.Keys); err != nil {
			return nil, err
		}
		out, err = c.insertSealed(ctx, d)
	}
	return out, err
}

func (c *Catalog) insertSealed(ctx context.Context, d *draft) (out *catalogv1.Service, err error) {
	now := time.Now().UnixMicro()
	err = c.Store.Change(ctx, func(tx *store.Tx) error {
		s := d.state
		row, err := tx.Service.Create().SetID(d.id).SetServiceType(d.conn.Spec().Type).SetProject(d.project).
			SetName(s.Name).SetNameKey(nameKey(s.Name)).SetConfig(s.Config).SetSealed(s.Sealed).SetEnabled(s.Enabled).
			SetDescription(s.Description).SetSearch(fold(s.Name + "\n" + s.Description)).SetTags(s.Tags).SetLabels(s.Labels).
			SetCheckIntervalUs(s.CheckIntervalUs).SetCheckTimeoutUs(s.CheckTimeoutUs).
			SetFailuresBeforeCritical(s.FailuresBeforeCritical).SetSuccessesBeforePassing(s.SuccessesBeforePassing).
			SetCreatedAt(now).SetUpdatedAt(now).SetHealthSince(now).Save(ctx)
		if sqlgraph.IsForeignKeyConstraintError(err) {
			return noProject()
		}
		if err != nil {
			return nameTaken(err, s.Name)
		}
		if err := writeLabels(ctx, tx, d.id, s); err != nil {
			return err
		}
		if err := writeVersion(ctx, tx, row); err != nil {
			return err
		}
		tx.Audit(auditOf("CreateService", row, schema.Snapshot{}, snapshotOf(row)))
		if out, err = c.emit(tx, "created", row); err != nil {
			return err
		}
		return c.Keys.Guard(ctx, tx, d.sealedValues()...)
	})
	if err == nil {
		c.cache.drop(d.id) // a caller may have asked for the id before
	}
	return out, err
}

func nameTaken(err error, name string) error {
	if ent.IsConstraintError(err) {
		return &errs.Error{Reason: errs.NameTaken, Message: fmt.Sprintf("There is a service named %q already; names are unique ignoring case", name), Err: err}
	}
	return err
}

func writeLabels(ctx context.Context, tx *store.Tx, id uuid.UUID, s schema.Snapshot) error {
	tags := make([]*ent.ServiceTagCreate, len(s.Tags))
	for i, t := range s.Tags {
		tags[i] = tx.ServiceTag.Create().SetServiceID(id).SetTag(t)
	}
	var labels []*ent.ServiceLabelCreate
	for k, v := range s.Labels {
		labels = append(labels, tx.ServiceLabel.Create().SetServiceID(id).SetKey(k).SetValue(v))
	}
	if len(tags) > 0 {
		if err := tx.ServiceTag.CreateBulk(tags...).Exec(ctx); err != nil {
			return err
		}
	}
	if len(labels) > 0 {
		return tx.ServiceLabel.CreateBulk(labels...).Exec(ctx)
	}
	return nil
}

func writeVersion(ctx context.Context, tx *store.Tx, row *ent.Service) error {
	err := tx.ServiceVersion.Create().SetServiceID(row.ID).SetVersion(row.Version).SetCreatedAt(row.UpdatedAt).
		SetCreatedBy(store.ActorFrom(ctx).Name).SetSnapshot(snapshotOf(row)).Exec(ctx)
	if err != nil || row.Version <= keepVersions {
		return err
	}
	_, err = tx.ServiceVersion.Delete().Where(serviceversion.ServiceID(row.ID), serviceversion.VersionLTE(row.Version-keepVersions)).Exec(ctx)
	return err
}

// emit tells watchers of a change, and returns the service as the API shows it.
func (c *Catalog) emit(tx *store.Tx, kind string, row *ent.Service) (*catalogv1.Service, error) {
	out, err := c.toProto(row)
	if err != nil {
		return nil, err
	}
	payload, err := proto.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode event: %w", err)
	}
	tx.Emit(store.Event{Kind: kind, ServiceID: row.ID, Project: row.Project, Payload: payload})
	return out, nil
}

// UpdateService implements the RPC.
func (c *Catalog) UpdateService(ctx context.Context, req *catalogv1.UpdateServiceRequest) (*catalogv1.UpdateServiceResponse, error) {
	fields, err := fieldsOf(req.GetService(), req.GetUpdateMask().GetPaths())
	if err != nil {
		return nil, err
	}
	if slices.Contains(fields, "config") && req.GetService().GetConfig() == nil {
		return nil, errs.Invalid(errs.Field{Path: "config", Message: "must be an object; leave it out to keep it"})
	}
	out, err := c.change(ctx, "UpdateService", req.GetId(), etagOrHeader(ctx, req.GetEtag()), req.GetVerify(), func(row *ent.Service) (*draft, error) {
		if p := req.GetService().GetProject(); p != "" && p != row.Project {
			return nil, errs.Invalid(errs.Field{Path: "project", Message: "cannot change; create the service in the other project instead"})
		}
		if t := req.GetService().GetServiceType(); t != "" && t != row.ServiceType {
			return nil, errs.New(errs.TypeImmutable, "The type of a service cannot change: it is %s; create another service instead", row.ServiceType)
		}
		d, err := c.draftOf(row)
		if err != nil {
			return nil, err
		}
		faults := d.apply(req.GetService(), fields, req.GetReplace())
		faults = append(faults, d.validate(c.Env)...)
		faults = append(faults, c.retargetFaults(d, req.GetService().GetConfig().AsMap())...)
		if len(faults) > 0 {
			return nil, errs.Invalid(faults...)
		}
		return d, nil
	})
	if err != nil {
		return nil, err
	}
	return &catalogv1.UpdateServiceResponse{Ok: true, Data: out}, setHeaders(ctx, "etag", etagOf(out.GetVersion()))
}

// retargetFaults guards, where the installation asks for it, against sending a
// stored secret to a server of the caller's choice.
func (c *Catalog) retargetFaults(d *draft, patch map[string]any) (faults []errs.Field) {
	if !c.RequireSecretOnRetarget || len(d.retarget) == 0 {
		return nil
	}
	for field := range d.secrets {
		if v, _ := patch[field].(string); v == "" || v == secretMask {
			faults = append(faults, errs.Field{Path: "config." + field, Message: "must be sent again when " + strings.Join(d.retarget, ", ") + " changes"})
		}
	}
	return faults
}

// change is a read-modify-write of one service. edit makes the draft of the
// next state from the stored row; it may be called again when another change
// came first. Equal states leave the service untouched.
func (c *Catalog) change(ctx context.Context, action, id, etag string, verify bool, edit func(*ent.Service) (*draft, error)) (*catalogv1.Service, error) {
	key, err := parseID(id)
	if err != nil {
		return nil, err
	}
	const attempts = 10
	for range attempts {
		row, err := c.Store.Service.Get(ctx, key)
		if err != nil {
			return nil, notFound(err)
		}
		if err := allow(ctx, row); err != nil {
			return nil, err
		}
		if err := checkETag(ctx, etag, row.Version); err != nil {
			return nil, err
		}
		d, err := edit(row)
		if err != nil {
			return nil, err
		}
		if verify {
			if err := c.verify(ctx, d); err != nil {
				return nil, err
			}
		}
		d.seal(c.Keys)
		if same(d.state, snapshotOf(row)) {
			return c.toProto(row)
		}
		out, err := c.replace(ctx, action, row, d)
		if !errors.Is(err, errRaced) && !errors.Is(err, keys.ErrRetired) {
			return out, err
		}
	}
	return nil, errs.New(errs.VersionMismatch, "The service is being changed by others; try again")
}

// replace stores a draft over the row it was made from, or returns errRaced.
func (c *Catalog) replace(ctx context.Context, action string, row *ent.Service, d *draft) (out *catalogv1.Service, err error) {
	defer c.Keys.Writing()()
	now := max(time.Now().UnixMicro(), row.UpdatedAt)
	s, was := d.state, snapshotOf(row)
	configChanged := !same(schema.Snapshot{Config: s.Config, Sealed: s.Sealed}, schema.Snapshot{Config: was.Config, Sealed: was.Sealed})
	if err := d.freshen(c.Keys); err != nil {
		return nil, err
	}
	err = c.Store.Change(ctx, func(tx *store.Tx) error {
		u := tx.Service.Update().Where(service.ID(row.ID), service.Version(row.Version)).
			SetName(s.Name).SetNameKey(nameKey(s.Name)).SetConfig(s.Config).SetSealed(s.Sealed).SetEnabled(s.Enabled).
			SetDescription(s.Description).SetSearch(fold(s.Name + "\n" + s.Description)).SetTags(s.Tags).SetLabels(s.Labels).
			SetCheckIntervalUs(s.CheckIntervalUs).SetCheckTimeoutUs(s.CheckTimeoutUs).
			SetFailuresBeforeCritical(s.FailuresBeforeCritical).SetSuccessesBeforePassing(s.SuccessesBeforePassing).
			SetVersion(row.Version + 1).SetUpdatedAt(now)
		if configChanged {
			u.SetHealthStatus(statusUnknown).SetHealthSince(now).SetLastCode("").SetLastMessage("").SetFailures(0).SetSuccesses(0).SetAuthFailures(0)
		}
		n, err := u.Save(ctx)
		if err != nil {
			return nameTaken(err, s.Name)
		}
		if n == 0 {
			return errRaced
		}
		if !slices.Equal(s.Tags, was.Tags) || !maps.Equal(s.Labels, was.Labels) {
			if _, err := tx.ServiceTag.Delete().Where(servicetag.ServiceID(row.ID)).Exec(ctx); err != nil {
				return err
			}
			if _, err := tx.ServiceLabel.Delete().Where(servicelabel.ServiceID(row.ID)).Exec(ctx); err != nil {
				return err
			}
			if err := writeLabels(ctx, tx, row.ID, s); err != nil {
				return err
			}
		}
		next, err := tx.Service.Get(ctx, row.ID)
		if err != nil {
			return err
		}
		if err := writeVersion(ctx, tx, next); err != nil {
			return err
		}
		tx.Audit(auditOf(action, next, was, snapshotOf(next)))
		if out, err = c.emit(tx, "updated", next); err != nil {
			return err
		}
		return c.Keys.Guard(ctx, tx, d.sealedValues()...)
	})
	c.cache.drop(row.ID)
	return out, err
}

// DeleteService implements the RPC.
func (c *Catalog) DeleteService(ctx context.Context, req *catalogv1.DeleteServiceRequest) (*catalogv1.DeleteServiceResponse, error) {
	id, err := parseID(req.GetId())
	if err != nil {
		return nil, err
	}
	etag := etagOrHeader(ctx, req.GetEtag())
	err = c.Store.Change(ctx, func(tx *store.Tx) error {
		if err := tx.TakeTurn(ctx); err != nil { // so that nobody begins to use it
			return err
		}
		row, err := tx.Service.Get(ctx, id)
		if err != nil {
			return notFound(err)
		}
		if err := allow(ctx, row); err != nil {
			return err
		}
		if err := checkETag(ctx, etag, row.Version); err != nil {
			return err
		}
		if err := unused(ctx, tx, id); err != nil {
			return err
		}
		if err := tx.Service.DeleteOne(row).Exec(ctx); err != nil {
			return notFound(err)
		}
		payload, err := proto.Marshal(&catalogv1.Service{Id: row.ID.String(), Name: row.Name, ServiceType: row.ServiceType, Project: row.Project})
		tx.Emit(store.Event{Kind: "deleted", ServiceID: id, Project: row.Project, Payload: payload})
		tx.Audit(auditOf("DeleteService", row, snapshotOf(row), schema.Snapshot{}))
		return err
	})
	c.cache.drop(id)
	if err != nil {
		return nil, err
	}
	return &catalogv1.DeleteServiceResponse{Ok: true}, nil
}

// unused fails when databases or snapshots are on a service, a plan makes
// databases there, or the database proxy reaches a server by it.
func unused(ctx context.Context, tx *store.Tx, id uuid.UUID) error {
	held, err := tx.Database.Query().Where(database.ServiceID(id)).Exist(ctx)
	if err != nil {
		return err
	}
	if held {
		return errs.New(errs.InUse, "Databases are on this service; delete them first")
	}
	if held, err = tx.Backup.Query().Where(backup.StoreServiceID(id)).Exist(ctx); err != nil {
		return err
	}
	if held {
		return errs.New(errs.InUse, "Snapshots of databases are on this service; delete them first")
	}
	behind, err := tx.ProxyObject.Query().Where(proxyobject.Kind("servers")).Order(proxyobject.ByCreatedAt()).All(ctx)
	if err != nil {
		return err
	}
	for _, o := range behind {
		if o.Parameters["catalog_service"] == id.String() {
			return errs.New(errs.InUse, "The database proxy reaches its server %s by this service; delete that first", o.Name)
		}
	}
	plans, err := tx.Plan.Query().Where(plan.HasServicesWith(service.ID(id))).Order(plan.ByID()).Limit(1).All(ctx)
	if err == nil && len(plans) > 0 {
		return errs.New(errs.InUse, "The plan %q makes databases on this service; take it out of the plan first", plans[0].Name)
	}
	return err
}

// ActivateService implements the RPC.
func (c *Catalog) ActivateService(ctx context.Context, req *catalogv1.ActivateServiceRequest) (*catalogv1.ActivateServiceResponse, error) {
	a, err := c.setActive(ctx, req.GetId(), true)
	return &catalogv1.ActivateServiceResponse{Ok: true, Data: a}, err
}

// DeactivateService implements the RPC.
func (c *Catalog) DeactivateService(ctx context.Context, req *catalogv1.DeactivateServiceRequest) (*catalogv1.DeactivateServiceResponse, error) {
	a, err := c.setActive(ctx, req.GetId(), false)
	return &catalogv1.DeactivateServiceResponse{Ok: true, Data: a}, err
}

func (c *Catalog) setActive(ctx context.Context, id string, active bool) (*catalogv1.Activation, error) {
	key, err := parseID(id)
	if err != nil {
		return nil, err
	}
	action, out := "DeactivateService", &catalogv1.Activation{Active: active, Message: "Service deactivated"}
	if active {
		action, out.Message = "ActivateService", "Service activated"
	}
	err = c.Store.Change(ctx, func(tx *store.Tx) error {
		row, err := tx.Service.Get(ctx, key)
		if err != nil {
			return notFound(err)
		}
		if err := allow(ctx, row); err != nil {
			return err
		}
		if !row.Enabled {
			return errs.New(errs.Disabled, "Service is disabled; enable it first")
		}
		out.Id, out.Name, out.ServiceType = row.ID.String(), row.Name, row.ServiceType
		if row.Active == active {
			return nil
		}
		if row, err = tx.Service.UpdateOneID(key).SetActive(active).Save(ctx); err != nil {
			return notFound(err)
		}
		entry := auditOf(action, row, snapshotOf(row), snapshotOf(row))
		entry.Changes = []schema.AuditChange{{Field: "active", Before: fmt.Sprint(!active), After: fmt.Sprint(active)}}
		tx.Audit(entry)
		_, err = c.emit(tx, "updated", row)
		return err
	})
	c.cache.drop(key)
	return out, err
}

// RollbackService implements the RPC.
func (c *Catalog) RollbackService(ctx context.Context, req *catalogv1.RollbackServiceRequest) (*catalogv1.RollbackServiceResponse, error) {
	out, err := c.change(ctx, "RollbackService", req.GetId(), etagOrHeader(ctx, ""), false, func(row *ent.Service) (*draft, error) {
		v, err := c.Store.ServiceVersion.Query().Where(serviceversion.ServiceID(row.ID), serviceversion.Version(req.GetVersion())).Only(ctx)
		if ent.IsNotFound(err) {
			return nil, errs.Invalid(errs.Field{Path: "version", Message: fmt.Sprintf("must be a kept version of the service; %d is not", req.GetVersion())})
		}
		if err != nil {
			return nil, err
		}
		d, err := c.draftFrom(row.ID, row.ServiceType, v.Snapshot)
		if err != nil {
			return nil, err
		}
		if len(d.damaged) > 0 {
			lost := strings.Join(slices.Sorted(maps.Keys(d.damaged)), ", ")
			return nil, errs.Invalid(errs.Field{Path: "version", Message: "must be a version whose secrets can be opened; that version's " + lost + " is damaged"})
		}
		// Rules may have become stricter since.
		if faults := d.validate(c.Env); len(faults) > 0 {
			return nil, errs.Invalid(faults...)
		}
		return d, nil
	})
	if err != nil {
		return nil, err
	}
	return &catalogv1.RollbackServiceResponse{Ok: true, Data: out}, setHeaders(ctx, "etag", etagOf(out.GetVersion()))
}

// verify tests a draft and turns a failure into an error that carries the
// result.
func (c *Catalog) verify(ctx context.Context, d *draft) error {
	result, err := c.testDraft(ctx, d, 0)
	if err != nil {
		return err
	}
	if result.GetConnected() {
		return nil
	}
	return &errs.Error{
		Reason: errs.TestFailed, Message: "The connection test failed, nothing was stored: " + result.GetError(),
		Details: []protoadapt.MessageV1{protoadapt.MessageV1Of(result)},
	}
}

// etagOf is a version as an entity tag (RFC 9110, section 8.8.3).
func etagOf(version uint32) string { return `"` + strconv.FormatUint(uint64(version), 10) + `"` }

// etagOrHeader is the request's etag, or the If-Match header of a REST caller.
func etagOrHeader(ctx context.Context, etag string) string {
	if etag != "" {
		return etag
	}
	if v := metadata.ValueFromIncomingContext(ctx, "if-match"); len(v) > 0 {
		return v[0]
	}
	return ""
}

// checkETag compares strongly (RFC 9110, section 13.1.1): a list of tags, or *.
func checkETag(ctx context.Context, want string, version uint32) error {
	if want == "" {
		return nil
	}
	for _, tag := range strings.Split(want, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || tag == etagOf(version) || tag == fmt.Sprint(version) {
			return nil
		}
	}
	if err := setHeaders(ctx, "etag", etagOf(version)); err != nil {
		return err
	}
	return errs.New(errs.VersionMismatch, "The service has changed: its version is now %d; get it again and repeat the change", version)
}

// setHeaders sends headers to the caller: names and values in turn.
func setHeaders(ctx context.Context, kv ...string) error {
	if grpc.ServerTransportStreamFromContext(ctx) == nil {
		return nil // called within the program
	}
	return grpc.SetHeader(ctx, metadata.Pairs(kv...))
}
