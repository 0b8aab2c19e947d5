package registry

import (
	"context"
	"strconv"
	"time"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/registeredservice"
	"github.com/backplane/backplane/ent/schema"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/store"
)

// RegisterService implements the RPC.
func (r *Registry) RegisterService(ctx context.Context, req *gatewayv1.RegisterServiceRequest) (*gatewayv1.RegisterServiceResponse, error) {
	if err := r.enabled(); err != nil {
		return nil, err
	}
	s := settings{
		name: req.GetNameService(), domain: req.GetDomain(), port: defaultPort, documentPath: req.GetDocumentPath(),
		auth: req.GetAuth(), requests: req.GetValidateRequests(), responses: req.GetValidateResponses(),
	}
	if req.Port != nil {
		s.port = req.GetPort()
	}
	s, err := r.check(s)
	if err != nil {
		return nil, err
	}
	r.writing.RLock()
	defer r.writing.RUnlock()
	var row *ent.RegisteredService
	err = r.Store.Change(ctx, func(tx *store.Tx) error {
		if err := free(ctx, tx, s.name); err != nil {
			return err
		}
		var err error
		row, err = tx.RegisteredService.Create().SetName(s.name).SetDomain(s.domain).SetPort(s.port).SetDocumentPath(s.documentPath).SetAuth(s.auth).
			SetValidateRequests(s.requests).SetValidateResponses(s.responses).
			SetError("").SetFaults([]string{}).SetOperations([]schema.RegisteredOperation{}).SetDocumentHash("").
			SetRegisteredAt(time.Now().UnixMicro()).Save(ctx)
		if err != nil {
			return taken(err, s.name)
		}
		audit(tx, "RegisterService", nil, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.settle(row.ID)
	return &gatewayv1.RegisterServiceResponse{Registration: details(row)}, nil
}

// check are settings as they are stored.
func (r *Registry) check(s settings) (settings, error) {
	s, d, faults := s.normal()
	if len(faults) > 0 {
		return s, errs.Invalid(faults...)
	}
	if err := r.rules.register(d.host, uint16(s.port)); err != nil {
		return s, refusal(errs.BadRequest, codeOther, "A service cannot be there: %v.", err)
	}
	return s, nil
}

// free checks that no service has a name, not even one that is marked as
// deleted.
func free(ctx context.Context, tx *store.Tx, name string) error {
	there, err := tx.RegisteredService.Query().Where(registeredservice.Name(name)).Exist(ctx)
	if err == nil && there {
		err = errExists(name)
	}
	return err
}

// taken is the error of a write that may have met a service of the same name,
// which came in between.
func taken(err error, name string) error {
	if ent.IsConstraintError(err) {
		return errExists(name)
	}
	return err
}

// UpdateRegistration implements the RPC.
func (r *Registry) UpdateRegistration(ctx context.Context, req *gatewayv1.UpdateRegistrationRequest) (*gatewayv1.RegistrationDetails, error) {
	if err := r.enabled(); err != nil {
		return nil, err
	}
	r.writing.RLock()
	defer r.writing.RUnlock()
	id := req.GetIdService()
	var row *ent.RegisteredService
	err := r.Store.Change(ctx, func(tx *store.Tx) error {
		was, err := locked(ctx, tx, id)
		if err != nil {
			return err
		}
		s, err := r.check(updated(was, req))
		if err != nil {
			return err
		}
		if s.name != was.Name {
			if err := free(ctx, tx, s.name); err != nil {
				return err
			}
		}
		row, err = tx.RegisteredService.UpdateOneID(id).SetName(s.name).SetDomain(s.domain).SetPort(s.port).SetDocumentPath(s.documentPath).SetAuth(s.auth).
			SetValidateRequests(s.requests).SetValidateResponses(s.responses).Save(ctx)
		if err != nil {
			return taken(err, s.name)
		}
		audit(tx, "UpdateRegistration", was, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.settle(id)
	return details(row), nil
}

// locked is a service that is not marked as deleted, and stays so until the
// transaction ends.
func locked(ctx context.Context, tx *store.Tx, id int64) (*ent.RegisteredService, error) {
	row, err := tx.RegisteredService.Query().Where(registeredservice.ID(id)).Where(store.Locked).Only(ctx)
	switch {
	case ent.IsNotFound(err):
		return nil, errUnknown(id)
	case err != nil:
		return nil, err
	case row.DeletedAt > 0:
		return nil, errMarked(id)
	}
	return row, nil
}

// updated are the settings that a request leaves a service with.
func updated(row *ent.RegisteredService, req *gatewayv1.UpdateRegistrationRequest) settings {
	s := settingsOf(row)
	set(&s.domain, req.Domain)
	set(&s.name, req.NameService)
	set(&s.port, req.Port)
	set(&s.documentPath, req.DocumentPath)
	set(&s.auth, req.Auth)
	set(&s.requests, req.ValidateRequests)
	set(&s.responses, req.ValidateResponses)
	return s
}

func set[T any](to, v *T) {
	if v != nil {
		*to = *v
	}
}

func settingsOf(row *ent.RegisteredService) settings {
	return settings{
		name: row.Name, domain: row.Domain, port: row.Port, documentPath: row.DocumentPath, auth: row.Auth,
		requests: row.ValidateRequests, responses: row.ValidateResponses,
	}
}

// UnregisterService implements the RPC.
func (r *Registry) UnregisterService(ctx context.Context, req *gatewayv1.UnregisterServiceRequest) (*gatewayv1.UnregisterServiceResponse, error) {
	if err := r.enabled(); err != nil {
		return nil, err
	}
	r.writing.RLock()
	defer r.writing.RUnlock()
	id := req.GetIdService()
	var row *ent.RegisteredService
	err := r.Store.Change(ctx, func(tx *store.Tx) error {
		was, err := locked(ctx, tx, id)
		if err != nil {
			return err
		}
		if row, err = tx.RegisteredService.UpdateOneID(id).SetDeletedAt(time.Now().UnixMicro()).Save(ctx); err != nil {
			return err
		}
		audit(tx, "UnregisterService", was, row)
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.settle(id)
	return &gatewayv1.UnregisterServiceResponse{Registration: details(row)}, nil
}

// audit records what becomes of a service; nil is none.
func audit(tx *store.Tx, action string, before, after *ent.RegisteredService) {
	of := after
	if of == nil {
		of = before
	}
	tx.Audit(store.Audit{
		Action: action, Kind: "registered_service", ID: strconv.FormatInt(of.ID, 10), Name: of.Name, Changes: store.Changes(auditFields(before), auditFields(after)),
	})
}

func auditFields(row *ent.RegisteredService) map[string]string {
	if row == nil {
		return nil
	}
	out := map[string]string{
		"name_service": strconv.Quote(row.Name), "domain": strconv.Quote(row.Domain), "port": strconv.Itoa(int(row.Port)),
		"document_path": strconv.Quote(row.DocumentPath),
	}
	if row.Auth != "" {
		out["auth"] = strconv.Quote(row.Auth)
	}
	for name, on := range map[string]bool{
		"validate_requests": row.ValidateRequests, "validate_responses": row.ValidateResponses, "delete": row.DeletedAt > 0,
	} {
		if on {
			out[name] = "true"
		}
	}
	return out
}
