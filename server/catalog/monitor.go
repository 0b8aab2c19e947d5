package catalog

import (
	"container/heap"
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/predicate"
	"github.com/backplane/backplane/ent/service"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/lease"
	"github.com/backplane/backplane/server/store"
)

const (
	monitorLease = "monitor"
	pruneEvery   = time.Hour
)

// Monitor checks the services that ask for it until ctx ends. Of all processes
// on one store, the holder of a lease does it.
func (c *Catalog) Monitor(ctx context.Context) {
	lease.Hold(ctx, c.Store, c.Log, monitorLease, c.monitorWhileHeld)
}

func (c *Catalog) monitorWhileHeld(ctx context.Context) {
	held, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	all.Go(func() {
		for {
			select {
			case <-time.After(pruneEvery):
			case <-held.Done():
				return
			}
			if err := c.pruneHealth(held); err != nil && held.Err() == nil {
				c.Log.ErrorContext(held, "forget old health", "error", err)
			}
		}
	})
	if err := c.checkAll(held); err != nil && held.Err() == nil {
		c.Log.ErrorContext(held, "monitor", "error", err)
	}
	stop()
	all.Wait()
}

// due is when a service is to be checked next.
type due struct {
	id       uuid.UUID
	interval time.Duration
	at       time.Time
	pos      int
}

// schedule is a heap of services by time.
type schedule struct {
	list []*due
	byID map[uuid.UUID]*due
}

func (s *schedule) Len() int           { return len(s.list) }
func (s *schedule) Less(i, j int) bool { return s.list[i].at.Before(s.list[j].at) }
func (s *schedule) Swap(i, j int) {
	s.list[i], s.list[j] = s.list[j], s.list[i]
	s.list[i].pos, s.list[j].pos = i, j
}

// Push implements heap.Interface.
func (s *schedule) Push(x any) {
	d := x.(*due)
	d.pos = len(s.list)
	s.list = append(s.list, d)
	s.byID[d.id] = d
}

// Pop implements heap.Interface.
func (s *schedule) Pop() any {
	d := s.list[len(s.list)-1]
	s.list = s.list[:len(s.list)-1]
	delete(s.byID, d.id)
	return d
}

func (s *schedule) remove(id uuid.UUID) {
	if d, ok := s.byID[id]; ok {
		heap.Remove(s, d.pos)
	}
}

// set schedules a service anew: soon when it is new or changed.
func (s *schedule) set(id uuid.UUID, interval, first time.Duration) {
	s.remove(id)
	heap.Push(s, &due{id: id, interval: interval, at: time.Now().Add(first)})
}

// jitter moves an interval by up to a tenth of it.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// monitored services are those that the monitor is to check.
func monitored() predicate.Service {
	return service.And(service.CheckIntervalUsGT(0), service.Enabled(true), service.Active(true), service.AuthFailuresLT(pauseAfterAuthFailures))
}

// checkAll loads the schedule and follows the catalogue's changes.
func (c *Catalog) checkAll(ctx context.Context) error {
	at, _, err := c.Store.CurrentRevision(ctx)
	if err != nil {
		return err
	}
	plan := &schedule{byID: map[uuid.UUID]*due{}}
	rows, err := c.Store.Service.Query().
		Where(monitored()).
		Select(service.FieldID, service.FieldCheckIntervalUs, service.FieldLastChecked).All(ctx)
	if err != nil {
		return err
	}
	for _, row := range rows {
		interval := time.Duration(row.CheckIntervalUs) * time.Microsecond
		// Spread the first checks over the interval, but keep an old rhythm.
		first := time.Until(time.UnixMicro(row.LastChecked).Add(interval))
		if first <= 0 {
			first = rand.N(interval)
		}
		plan.set(row.ID, interval, first)
	}
	changes := make(chan *catalogv1.WatchServicesResponse)
	followed := make(chan error, 1)
	ctx, stop := context.WithCancel(ctx)
	go func() {
		followed <- c.follow(ctx, at, func(ch *ent.Change) error {
			if !store.OfService(ch) {
				return nil
			}
			s, err := serviceOf(ch)
			if err != nil {
				return err
			}
			select {
			case changes <- &catalogv1.WatchServicesResponse{Event: ch.Event, Service: s}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	var checks sync.WaitGroup
	defer checks.Wait()
	defer stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if plan.Len() > 0 {
			timer.Reset(time.Until(plan.list[0].at))
		}
		select {
		case <-ctx.Done():
			<-followed
			return ctx.Err()
		case err := <-followed:
			return err
		case ev := <-changes:
			plan.note(ev)
		case <-timer.C:
			for plan.Len() > 0 && !plan.list[0].at.After(time.Now()) {
				d := heap.Pop(plan).(*due)
				plan.set(d.id, d.interval, jitter(d.interval))
				c.check(ctx, &checks, d.id)
			}
		}
	}
}

// note brings the schedule up to date with a change.
func (s *schedule) note(ev *catalogv1.WatchServicesResponse) {
	svc := ev.GetService()
	id, err := uuid.Parse(svc.GetId())
	if err != nil {
		return
	}
	interval := svc.GetCheck().GetInterval().AsDuration()
	if ev.GetEvent() == "deleted" || interval == 0 || !svc.GetEnabled() || !svc.GetActive() || svc.GetHealth().GetPaused() {
		s.remove(id)
		return
	}
	if old, ok := s.byID[id]; ok && ev.GetEvent() == "health" && old.interval == interval {
		return
	}
	s.set(id, interval, rand.N(min(interval, 2*time.Second)))
}

// check runs one check beside the schedule. The shared test makes sure that
// checks of one service never overlap.
func (c *Catalog) check(ctx context.Context, all *sync.WaitGroup, id uuid.UUID) {
	all.Go(func() {
		// The schedule may lag behind the store; one login too many can lock an account.
		due, err := c.Store.Service.Query().Where(service.ID(id), monitored()).Exist(ctx)
		if due {
			_, err = c.tester.share(ctx, id, func(ctx context.Context) (*catalogv1.TestResult, error) {
				return c.testBehind(ctx, id, 0)
			})
		}
		if err != nil && ctx.Err() == nil && !ent.IsNotFound(err) && errs.Convert(err).Reason != errs.NotFound && !errors.Is(err, context.Canceled) {
			c.Log.ErrorContext(ctx, "check a service", "service", id, "error", err)
		}
	})
}
