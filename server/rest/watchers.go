package rest

import (
	"cmp"
	"context"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/internal/errs"
)

// watch is a stream of changes, whatever it is that changes.
type watch interface {
	Header() (metadata.MD, error)
	next() (event, error)
}

// event is one change for a server-sent event.
type event struct {
	index uint64 // 0: the watch cannot go on after it
	kind  string
	body  proto.Message
}

// watcher opens the watch that a request asks for.
type watcher func(ctx context.Context, r *http.Request) (watch, error)

// stream adapts the stream of an RPC.
type stream[M any] struct {
	grpc.ServerStreamingClient[M]
	event func(*M) event
}

func (s stream[M]) next() (event, error) {
	m, err := s.Recv()
	if err != nil {
		return event{}, err
	}
	return s.event(m), nil
}

func watchServices(c catalogv1.ServiceCatalogClient) watcher {
	return func(ctx context.Context, r *http.Request) (watch, error) {
		after, err := indexOf(r)
		if err != nil {
			return nil, err
		}
		s, err := c.WatchServices(ctx, &catalogv1.WatchServicesRequest{Index: after})
		return stream[catalogv1.WatchServicesResponse]{s, func(m *catalogv1.WatchServicesResponse) event {
			return event{m.GetIndex(), m.GetEvent(), m}
		}}, err
	}
}

func watchAudit(c identityv1.IdentityAdminClient) watcher {
	return func(ctx context.Context, r *http.Request) (watch, error) {
		after, err := indexOf(r)
		if err != nil {
			return nil, err
		}
		s, err := c.WatchAudit(ctx, &identityv1.WatchAuditRequest{Index: after})
		return stream[identityv1.WatchAuditResponse]{s, func(m *identityv1.WatchAuditResponse) event {
			return event{m.GetIndex(), "audit", m}
		}}, err
	}
}

func watchTasks(c dbaasv1.DatabaseAdminClient) watcher {
	return func(ctx context.Context, r *http.Request) (watch, error) {
		req := &dbaasv1.WatchTasksRequest{}
		if text := r.URL.Query().Get("id"); text != "" {
			id, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return nil, errs.Invalid(errs.Field{Path: "id", Message: notInteger})
			}
			req.Id = id
		}
		s, err := c.WatchTasks(ctx, req)
		return stream[dbaasv1.WatchTasksResponse]{s, func(m *dbaasv1.WatchTasksResponse) event {
			return event{0, cmp.Or(strings.ToLower(m.GetTask().GetTaskStatus()), "task"), m}
		}}, err
	}
}

func watchLogs(c proxyv1.ProxyServiceClient) watcher {
	return func(ctx context.Context, r *http.Request) (watch, error) {
		query := r.URL.Query()
		s, err := c.WatchLogs(ctx, &proxyv1.WatchLogsRequest{PageCursor: query.Get("page[cursor]"), Priority: query.Get("priority")})
		return stream[proxyv1.LogLine]{s, func(m *proxyv1.LogLine) event { return event{0, "log", m} }}, err
	}
}
