package catalog

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/predicate"
	"github.com/backplane/backplane/ent/service"
	"github.com/backplane/backplane/ent/servicelabel"
	"github.com/backplane/backplane/ent/servicetag"
	"github.com/backplane/backplane/ent/serviceversion"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/store"
)

const (
	maxPage     = 1000
	defaultWait = 5 * time.Minute
	maxWait     = 10 * time.Minute
)

// GetHealth implements the RPC.
func (c *Catalog) GetHealth(context.Context, *catalogv1.GetHealthRequest) (*catalogv1.GetHealthResponse, error) {
	return &catalogv1.GetHealthResponse{Status: "healthy", Version: c.Version}, nil
}

// GetService implements the RPC.
func (c *Catalog) GetService(ctx context.Context, req *catalogv1.GetServiceRequest) (*catalogv1.GetServiceResponse, error) {
	id, err := parseID(req.GetId())
	if err != nil {
		return nil, err
	}
	out, generation := c.cache.get(id)
	if out == nil {
		row, err := c.Store.Service.Get(ctx, id)
		if err != nil {
			return nil, notFound(err)
		}
		s, err := c.toProto(row)
		if err != nil {
			return nil, err
		}
		out = &catalogv1.GetServiceResponse{Ok: true, Data: s}
		c.cache.put(id, out, generation)
	}
	if err := auth.Allow(ctx, out.GetData().GetProject(), missing); err != nil {
		return nil, err
	}
	return out, setHeaders(ctx, "etag", etagOf(out.GetData().GetVersion()))
}

// ListServices implements the RPC.
func (c *Catalog) ListServices(ctx context.Context, req *catalogv1.ListServicesRequest) (*catalogv1.ListServicesResponse, error) {
	where, faults := c.filters(req)
	if req.Limit != nil && (req.GetLimit() < 1 || req.GetLimit() > maxPage) {
		faults = append(faults, errs.Field{Path: "limit", Message: "must be 1 to 1000"})
	}
	after, err := parseCursor(req.GetCursor())
	if err != nil {
		faults = append(faults, errs.Field{Path: "cursor", Message: "must be a cursor from an earlier answer"})
	}
	wait, err := parseWait(req.GetWait())
	if err != nil {
		faults = append(faults, errs.Field{Path: "wait", Message: "must be a duration such as 30s or 5m, at most 10m"})
	}
	if len(faults) > 0 {
		return nil, badParameters(faults)
	}
	if where, err = visible(ctx, where); err != nil {
		return nil, err
	}
	if req.Index != nil {
		if err := c.await(ctx, req.GetIndex(), wait); err != nil {
			return nil, err
		}
	}
	// Read before the list: a watch from here may repeat a change, never miss one.
	index, _, err := c.Store.CurrentRevision(ctx)
	if err != nil {
		return nil, err
	}
	if after != nil {
		where = append(where, after.predicate())
	}
	q := c.Store.Service.Query().Where(where...).Order(service.ByCreatedAt(), service.ByID())
	if req.Limit != nil {
		q.Limit(int(req.GetLimit()) + 1)
	}
	rows, err := q.All(ctx)
	if err != nil {
		return nil, err
	}
	out := &catalogv1.ListServicesResponse{Ok: true}
	headers := []string{"x-index", strconv.FormatUint(index, 10)}
	if req.Limit != nil && len(rows) > int(req.GetLimit()) {
		rows = rows[:req.GetLimit()]
		last := rows[len(rows)-1]
		out.NextCursor = proto.String(cursor{last.CreatedAt, last.ID}.String())
		headers = append(headers, "x-next-cursor", out.GetNextCursor())
	}
	out.Data = make([]*catalogv1.Service, len(rows))
	for i, row := range rows {
		if out.Data[i], err = c.toProto(row); err != nil {
			return nil, err
		}
	}
	return out, setHeaders(ctx, headers...)
}

func badParameters(faults []errs.Field) error {
	e := errs.Invalid(faults...)
	e.Reason = errs.BadRequest
	return e
}

type filter interface {
	GetTag() []string
	GetLabel() []string
	GetServiceType() string
	GetProject() string
}

// filters turns the query parameters of a list into predicates.
func (c *Catalog) filters(req filter) (where []predicate.Service, faults []errs.Field) {
	for _, t := range req.GetTag() {
		where = append(where, service.HasTagRowsWith(servicetag.Tag(t)))
	}
	for _, l := range req.GetLabel() {
		k, v, ok := strings.Cut(l, "=")
		if !ok {
			faults = append(faults, errs.Field{Path: "label", Message: "must be key=value"})
		}
		where = append(where, service.HasLabelRowsWith(servicelabel.Key(k), servicelabel.Value(v)))
	}
	if t := req.GetServiceType(); t != "" {
		if _, ok := c.Registry.Lookup(t); !ok {
			faults = append(faults, errs.Field{Path: "service_type", Message: "must be one of " + c.Registry.TypeList()})
		}
		where = append(where, service.ServiceType(t))
	}
	if p := req.GetProject(); p != "" {
		where = append(where, service.Project(p))
	}
	list, ok := req.(*catalogv1.ListServicesRequest)
	if !ok {
		return where, faults
	}
	if list.Enabled != nil {
		where = append(where, service.Enabled(list.GetEnabled()))
	}
	switch s := list.GetStatus(); s {
	case "":
	case statusPassing, statusWarning, statusCritical, statusUnknown:
		where = append(where, service.HealthStatus(s))
	default:
		faults = append(faults, errs.Field{Path: "status", Message: "must be passing, warning, critical or unknown"})
	}
	if q := list.GetQ(); q != "" {
		where = append(where, service.SearchContains(fold(q)))
	}
	return where, faults
}

// cursor is where a page ended.
type cursor struct {
	createdAt int64
	id        uuid.UUID
}

func (k cursor) String() string {
	return base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint64(nil, uint64(k.createdAt)), k.id[:]...))
}

func parseCursor(text string) (*cursor, error) {
	if text == "" {
		return nil, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != 24 {
		return nil, errors.New("not a cursor")
	}
	return &cursor{int64(binary.BigEndian.Uint64(raw)), uuid.UUID(raw[8:])}, nil
}

// predicate is written as "at least, and" so that every store walks the index.
func (k cursor) predicate() predicate.Service {
	return service.And(
		service.CreatedAtGTE(k.createdAt),
		service.Or(service.CreatedAtGT(k.createdAt), service.IDGT(k.id)),
	)
}

func parseWait(text string) (time.Duration, error) {
	if text == "" {
		return defaultWait, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxWait {
		return 0, errors.New("not a duration")
	}
	return d, nil
}

// errChanged ends the wait of a long poll.
var errChanged = errors.New("something changed")

// await holds a long poll until something that the caller may see changes
// after index, or the wait is over. A little is added at random so that many
// clients do not return at once.
func (c *Catalog) await(ctx context.Context, index uint64, wait time.Duration) error {
	current, oldest, err := c.Store.CurrentRevision(ctx)
	if err != nil || index < oldest || index > current {
		return err
	}
	scope, err := auth.Where(ctx)
	if err != nil {
		return err
	}
	timed, cancel := context.WithTimeout(ctx, wait+rand.N(wait/16+1))
	defer cancel()
	timed, stop := c.untilEnd(timed)
	defer stop()
	c.Metrics.Watchers.Inc()
	defer c.Metrics.Watchers.Dec()
	err = c.follow(timed, index, func(ch *ent.Change) error {
		if store.OfService(ch) && scope.Includes(ch.Project) {
			return errChanged
		}
		return nil
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !errors.Is(err, errChanged) && timed.Err() == nil && errs.Convert(err).Reason != errs.IndexGone:
		return err
	}
	return auth.Recheck(ctx) // it was a while
}

// ListServiceVersions implements the RPC.
func (c *Catalog) ListServiceVersions(ctx context.Context, req *catalogv1.ListServiceVersionsRequest) (*catalogv1.ListServiceVersionsResponse, error) {
	id, err := parseID(req.GetId())
	if err != nil {
		return nil, err
	}
	row, err := c.Store.Service.Get(ctx, id)
	if err != nil {
		return nil, notFound(err)
	}
	if err := allow(ctx, row); err != nil {
		return nil, err
	}
	versions, err := c.Store.ServiceVersion.Query().Where(serviceversion.ServiceID(id)).Order(serviceversion.ByVersion(descending)).All(ctx)
	if err != nil {
		return nil, err
	}
	out := &catalogv1.ListServiceVersionsResponse{Ok: true}
	for _, v := range versions {
		s, err := c.snapshotToProto(row.ServiceType, v.Snapshot)
		if err != nil {
			return nil, err
		}
		s.Id, s.Version, s.Project = row.ID.String(), v.Version, row.Project
		s.CreatedAt, s.UpdatedAt = seconds(row.CreatedAt), seconds(v.CreatedAt)
		out.Data = append(out.Data, &catalogv1.ServiceVersion{Version: v.Version, CreatedAt: seconds(v.CreatedAt), CreatedBy: v.CreatedBy, Service: s})
	}
	return out, nil
}
