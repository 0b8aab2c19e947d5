package catalog

import (
	"context"
	"fmt"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/ent"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/store"
)

// watchBatch is how many changes are read from the store at a time.
const watchBatch = 500

// WatchServices implements the RPC.
func (c *Catalog) WatchServices(req *catalogv1.WatchServicesRequest, stream grpc.ServerStreamingServer[catalogv1.WatchServicesResponse]) error {
	ctx := stream.Context()
	current, oldest, err := c.Store.CurrentRevision(ctx)
	if err != nil {
		return err
	}
	at := current
	if req.Index != nil {
		at = max(req.GetIndex(), 1) // 0 asks for everything, which begins at 1
	}
	if at < oldest || at > current {
		return errs.New(errs.IndexGone, "Changes after index %d are not kept; list the services again and watch from that answer's X-Index", at)
	}
	scope, err := auth.Where(ctx)
	if err != nil {
		return err
	}
	c.Metrics.Watchers.Inc()
	defer c.Metrics.Watchers.Dec()
	// The caller learns at once that the watch has begun.
	if err := stream.SendHeader(metadata.Pairs("x-index", strconv.FormatUint(at, 10))); err != nil {
		return err
	}
	ctx, cancel := c.untilEnd(ctx)
	defer cancel()
	return c.follow(ctx, at, func(ch *ent.Change) error {
		if ch.Event == store.IdentityEvent {
			return auth.Recheck(ctx)
		}
		if !store.OfService(ch) || !scope.Includes(ch.Project) {
			return nil
		}
		s, err := serviceOf(ch)
		if err != nil {
			return err
		}
		return stream.Send(&catalogv1.WatchServicesResponse{Index: ch.ID, Event: ch.Event, Service: s})
	})
}

// follow delivers every change after a revision, in order, until ctx ends, the
// receiver fails, or it falls behind what is kept.
func (c *Catalog) follow(ctx context.Context, at uint64, deliver func(*ent.Change) error) error {
	for {
		if err := c.Store.AwaitChange(ctx, at); err != nil {
			return context.Cause(ctx)
		}
		changes, err := c.Store.ChangesAfter(ctx, at, watchBatch)
		if err != nil {
			return err
		}
		for _, ch := range changes {
			if ch.ID != at+1 {
				return errs.New(errs.IndexGone, "Changes after index %d are not kept any more; list the services again", at)
			}
			if err := deliver(ch); err != nil {
				return err
			}
			at = ch.ID
		}
	}
}

func serviceOf(ch *ent.Change) (*catalogv1.Service, error) {
	s := &catalogv1.Service{}
	if err := proto.Unmarshal(ch.Payload, s); err != nil {
		return nil, fmt.Errorf("change %d: %w", ch.ID, err)
	}
	return s, nil
}
