package registry

import (
	"context"
	"encoding/json"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/registeredservice"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
)

// pageSize is how many services are on a page.
const pageSize = 10

// ListRegistrations implements the RPC.
func (r *Registry) ListRegistrations(ctx context.Context, req *gatewayv1.ListRegistrationsRequest) (*gatewayv1.ListRegistrationsResponse, error) {
	if err := r.enabled(); err != nil {
		return nil, err
	}
	page := 1
	if req.Page != nil {
		page = int(req.GetPage())
	}
	if page < 1 {
		return nil, errs.Invalid(errs.Field{Path: "page", Message: "must be 1 or more"})
	}
	n, err := r.Store.RegisteredService.Query().Count(ctx)
	if err != nil {
		return nil, err
	}
	pages := (n + pageSize - 1) / pageSize
	switch {
	case n == 0:
		return nil, refusal(errs.NotFound, codeEmpty, "Not a single service has been created yet.")
	case page > pages:
		return nil, refusal(errs.NotFound, codePage, "Page not found.")
	}
	rows, err := r.Store.RegisteredService.Query().Order(registeredservice.ByID()).Offset((page - 1) * pageSize).Limit(pageSize).
		Select(columns()...).All(ctx)
	if err != nil {
		return nil, err
	}
	out := &gatewayv1.ListRegistrationsResponse{Metadata: &gatewayv1.RegistrationPage{Page: int32(page), CountPage: int32(pages)}}
	for _, row := range rows {
		out.Services = append(out.Services, registration(row))
	}
	return out, nil
}

// registration is a row as lists show it.
func registration(row *ent.RegisteredService) *gatewayv1.Registration {
	out := &gatewayv1.Registration{
		Id: row.ID, Domain: row.Domain, Port: row.Port, Name: row.Name, StatusCode: row.StatusCode, Delete: row.DeletedAt > 0,
	}
	seen := make(map[string]bool, len(row.Operations))
	for _, o := range row.Operations {
		if !seen[o.Path] {
			seen[o.Path] = true
			out.Urls = append(out.Urls, o.Path)
		}
	}
	return out
}

// details are a row, with its document, as clients see all of it.
func details(row *ent.RegisteredService) *gatewayv1.RegistrationDetails {
	out := &gatewayv1.RegistrationDetails{
		Service: registration(row), DocumentPath: row.DocumentPath, Auth: row.Auth,
		ValidateRequests: row.ValidateRequests, ValidateResponses: row.ValidateResponses,
		Error: row.Error, Faults: row.Faults, DocumentHash: row.DocumentHash,
		RegisteredAt: timestamp(row.RegisteredAt), CheckedAt: timestamp(row.CheckedAt), FetchedAt: timestamp(row.FetchedAt), DeletedAt: timestamp(row.DeletedAt),
	}
	var head struct {
		OpenAPI string `json:"openapi"`
		Info    struct {
			Title   string `json:"title"`
			Version string `json:"version"`
		} `json:"info"`
	}
	body, err := unpack(row.Document)
	if err == nil && json.Unmarshal(body, &head) == nil {
		out.Title, out.Version, out.Openapi = clean(head.Info.Title), clean(head.Info.Version), head.OpenAPI
	}
	for _, o := range row.Operations {
		out.Operations = append(out.Operations, &gatewayv1.RegisteredOperation{
			Method: o.Method, Path: o.Path, Protected: o.Protected, OperationId: o.OperationID, Route: o.Route,
		})
	}
	return out
}

func timestamp(micros int64) *timestamppb.Timestamp {
	if micros == 0 {
		return nil
	}
	return timestamppb.New(time.UnixMicro(micros))
}
