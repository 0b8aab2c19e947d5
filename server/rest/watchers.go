package rest

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

// watch is a stream of changes, whatever it is that changes.
type watch interface {
	Header() (metadata.MD, error)
	next() (event, error)
}

// event is one change for a server-sent event.
type event struct {
	index uint64
	kind  string
	body  proto.Message
}

// watcher opens a watch after an index, or from now on.
type watcher func(ctx context.Context, after *uint64) (watch, error)

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
	return func(ctx context.Context, after *uint64) (watch, error) {
		s, err := c.WatchServices(ctx, &catalogv1.WatchServicesRequest{Index: after})
		return stream[catalogv1.WatchServicesResponse]{s, func(m *catalogv1.WatchServicesResponse) event {
			return event{m.GetIndex(), m.GetEvent(), m}
		}}, err
	}
}

func watchAudit(c identityv1.IdentityAdminClient) watcher {
	return func(ctx context.Context, after *uint64) (watch, error) {
		s, err := c.WatchAudit(ctx, &identityv1.WatchAuditRequest{Index: after})
		return stream[identityv1.WatchAuditResponse]{s, func(m *identityv1.WatchAuditResponse) event {
			return event{m.GetIndex(), "audit", m}
		}}, err
	}
}
