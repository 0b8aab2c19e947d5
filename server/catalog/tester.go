package catalog

import (
	"cmp"
	"context"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/service"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/store"
)

const (
	// maxTests bounds the connection tests under way.
	maxTests = 16
	// maxBackground is the part of them that the monitor and batches may take,
	// so that a test on request finds a place.
	maxBackground = 12
	maxBatch      = 1000
)

// tester bounds connection tests and lets callers who test the same service at
// the same time share one test.
type tester struct {
	all        *semaphore.Weighted
	background *semaphore.Weighted

	mu      sync.Mutex
	running map[uuid.UUID]*sharedTest
}

// sharedTest is a test under way. It ends early when nobody waits for it.
type sharedTest struct {
	done    chan struct{}
	cancel  context.CancelFunc
	waiters int
	result  *catalogv1.TestResult
	err     error
}

func newTester() *tester {
	return &tester{
		all: semaphore.NewWeighted(maxTests), background: semaphore.NewWeighted(maxBackground),
		running: map[uuid.UUID]*sharedTest{},
	}
}

// share runs fn for a service, or joins the run that is under way.
func (t *tester) share(ctx context.Context, id uuid.UUID, fn func(context.Context) (*catalogv1.TestResult, error)) (*catalogv1.TestResult, error) {
	t.mu.Lock()
	run, joined := t.running[id]
	if !joined {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		run = &sharedTest{done: make(chan struct{}), cancel: cancel}
		t.running[id] = run
		go func() {
			defer cancel()
			run.result, run.err = fn(own)
			t.mu.Lock()
			if t.running[id] == run {
				delete(t.running, id)
			}
			t.mu.Unlock()
			close(run.done)
		}()
	}
	run.waiters++
	t.mu.Unlock()
	select {
	case <-run.done:
		return run.result, run.err
	case <-ctx.Done():
	}
	t.mu.Lock()
	if run.waiters--; run.waiters == 0 {
		run.cancel()
		if t.running[id] == run {
			delete(t.running, id) // nobody may join a cancelled test
		}
	}
	t.mu.Unlock()
	return nil, ctx.Err()
}

// enter takes a place for a test on request, or refuses at once.
func (t *tester) enter() (leave func(), err error) {
	if !t.all.TryAcquire(1) {
		return nil, errs.New(errs.TooManyTests, "Too many connection tests are running; try again in a moment")
	}
	return func() { t.all.Release(1) }, nil
}

// enterBackground waits for a place for a test that nobody waits for.
func (t *tester) enterBackground(ctx context.Context) (leave func(), err error) {
	if err := t.background.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	if err := t.all.Acquire(ctx, 1); err != nil {
		t.background.Release(1)
		return nil, err
	}
	return func() { t.all.Release(1); t.background.Release(1) }, nil
}

func checkTimeout(secs uint32) (time.Duration, error) {
	d := time.Duration(secs) * time.Second
	if d != 0 && (d < connectors.MinTimeout || d > connectors.MaxTimeout) {
		return 0, badParameters([]errs.Field{{Path: "timeout", Message: "must be 1 to 30 seconds"}})
	}
	return d, nil
}

// TestService implements the RPC.
func (c *Catalog) TestService(ctx context.Context, req *catalogv1.TestServiceRequest) (*catalogv1.TestServiceResponse, error) {
	id, err := parseID(req.GetId())
	if err != nil {
		return nil, err
	}
	timeout, err := checkTimeout(req.GetTimeout())
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
	result, err := c.tester.share(ctx, id, func(ctx context.Context) (*catalogv1.TestResult, error) {
		leave, err := c.tester.enter()
		if err != nil {
			return nil, err
		}
		defer leave()
		return c.testStored(ctx, id, timeout)
	})
	if err != nil {
		return nil, err
	}
	return &catalogv1.TestServiceResponse{Ok: true, Data: result}, nil
}

// testStored tests a service as it is stored now and records how it went.
func (c *Catalog) testStored(ctx context.Context, id uuid.UUID, timeout time.Duration) (*catalogv1.TestResult, error) {
	row, err := c.Store.Service.Get(ctx, id)
	if err != nil {
		return nil, notFound(err)
	}
	d, err := c.draftOf(row)
	if err != nil {
		return nil, err
	}
	if timeout == 0 {
		timeout = time.Duration(row.CheckTimeoutUs) * time.Microsecond
	}
	var report connectors.Report
	var failure *connectors.Failure
	if faults := d.validate(c.Env); len(faults) > 0 {
		// Rules may have become stricter since it was stored.
		failure = &connectors.Failure{Code: connectors.InvalidConfig, Stage: connectors.StageConfig, Detail: faults[0].Path + " " + faults[0].Message}
	} else {
		report, failure = c.run(ctx, d, timeout)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err() // an abandoned test says nothing about the service
	}
	now := time.Now()
	if err := c.recordHealth(ctx, row, report, failure, now); err != nil {
		return nil, err
	}
	if failure == nil && len(report.Learned) > 0 {
		if err := c.learn(ctx, row, report.Learned); err != nil {
			return nil, err
		}
	}
	return resultToProto(report, failure, now), nil
}

// learn stores what a good test found out, such as a host key to pin.
func (c *Catalog) learn(ctx context.Context, row *ent.Service, learned map[string]string) error {
	_, err := c.change(ctx, "TestService", row.ID.String(), etagOf(row.Version), false, func(row *ent.Service) (*draft, error) {
		d, err := c.draftOf(row)
		if err != nil {
			return nil, err
		}
		for k, v := range learned {
			d.state.Config[k] = v
		}
		if faults := d.validate(c.Env); len(faults) > 0 {
			return nil, errs.Invalid(faults...)
		}
		return d, nil
	})
	return err
}

func (c *Catalog) run(ctx context.Context, d *draft, timeout time.Duration) (connectors.Report, *connectors.Failure) {
	start := time.Now()
	report, failure := connectors.Run(ctx, d.conn, d.config, c.Env, timeout)
	code := "ok"
	if failure != nil {
		code = string(failure.Code)
	}
	name := d.conn.Spec().Type
	c.Metrics.Tests.WithLabelValues(name, code).Inc()
	c.Metrics.TestDuration.WithLabelValues(name).Observe(time.Since(start).Seconds())
	if failure != nil && failure.Code == connectors.Internal {
		c.Log.ErrorContext(ctx, "connection test failed in the program", "service_type", name, "error", failure.Err)
	}
	return report, failure
}

// testDraft tests what is not stored.
func (c *Catalog) testDraft(ctx context.Context, d *draft, timeout time.Duration) (*catalogv1.TestResult, error) {
	leave, err := c.tester.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	report, failure := c.run(ctx, d, timeout)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return resultToProto(report, failure, time.Now()), nil
}

// TestConfig implements the RPC.
func (c *Catalog) TestConfig(ctx context.Context, req *catalogv1.TestConfigRequest) (*catalogv1.TestConfigResponse, error) {
	timeout, err := checkTimeout(req.GetTimeout())
	if err != nil {
		return nil, err
	}
	in := req.GetService()
	if in.GetConfig() == nil {
		return nil, errs.Invalid(errs.Field{Path: "config", Message: "is required: an object"})
	}
	var d *draft
	var faults []errs.Field
	if in.GetId() == "" {
		conn, err := c.connector(in.GetServiceType())
		if err != nil {
			return nil, err
		}
		if err := auth.AllowIn(ctx, cmp.Or(in.GetProject(), store.DefaultProject)); err != nil {
			return nil, err
		}
		d = newDraft(conn)
		faults = d.merge(in.GetConfig().AsMap(), false)
	} else if d, faults, err = c.lend(ctx, in); err != nil {
		return nil, err
	}
	if faults = append(faults, d.validate(c.Env)...); len(faults) > 0 {
		return nil, errs.Invalid(faults...)
	}
	if d.reading != nil {
		err := c.Store.Change(ctx, func(tx *store.Tx) error {
			tx.Audit(*d.reading)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	result, err := c.testDraft(ctx, d, timeout)
	if err != nil {
		return nil, err
	}
	return &catalogv1.TestConfigResponse{Ok: true, Data: result}, nil
}

// lend makes a draft of an unsaved configuration with the secrets of a stored
// service.
func (c *Catalog) lend(ctx context.Context, in *catalogv1.Service) (*draft, []errs.Field, error) {
	id, err := parseID(in.GetId())
	if err != nil {
		return nil, nil, err
	}
	row, err := c.Store.Service.Get(ctx, id)
	if err != nil {
		return nil, nil, notFound(err)
	}
	if err := allow(ctx, row); err != nil {
		return nil, nil, err
	}
	if t := in.GetServiceType(); t != "" && t != row.ServiceType {
		return nil, nil, errs.Invalid(errs.Field{Path: "service_type", Message: "must be the type of the stored service, " + row.ServiceType})
	}
	d, err := c.draftOf(row)
	if err != nil {
		return nil, nil, err
	}
	patch := in.GetConfig().AsMap()
	for field := range d.state.Sealed {
		if _, sent := patch[field]; !sent {
			patch[field] = secretMask
		}
	}
	stored := maps.Clone(d.secrets)
	faults := d.merge(patch, true)
	if len(d.retarget) > 0 && lends(stored, d.secrets) {
		// Whoever runs that server has read the secret.
		entry := auditOf("TestConfig", row, snapshotOf(row), d.state)
		d.reading = &entry
	}
	return d, append(faults, c.retargetFaults(d, patch)...), nil
}

// lends reports whether a stored secret is among those to be used.
func lends(stored, used map[string]string) bool {
	for field, value := range stored {
		if now, ok := used[field]; ok && now == value {
			return true
		}
	}
	return false
}

// TestServices implements the RPC.
func (c *Catalog) TestServices(ctx context.Context, req *catalogv1.TestServicesRequest) (*catalogv1.TestServicesResponse, error) {
	timeout, err := checkTimeout(req.GetTimeout())
	if err != nil {
		return nil, err
	}
	where, faults := c.filters(req)
	if len(faults) > 0 {
		return nil, badParameters(faults)
	}
	if where, err = visible(ctx, where); err != nil {
		return nil, err
	}
	rows, err := c.Store.Service.Query().Where(append(where, service.Enabled(true))...).
		Order(service.ByCreatedAt(), service.ByID()).Limit(maxBatch).All(ctx)
	if err != nil {
		return nil, err
	}
	out := &catalogv1.TestServicesResponse{Ok: true, Data: make([]*catalogv1.ServiceTestResult, len(rows))}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(maxTests)
	for i, row := range rows {
		group.Go(func() error {
			result, err := c.tester.share(ctx, row.ID, func(ctx context.Context) (*catalogv1.TestResult, error) {
				return c.testBehind(ctx, row.ID, timeout)
			})
			if errs.Convert(err).Reason == errs.NotFound {
				return nil // deleted in between
			}
			out.Data[i] = &catalogv1.ServiceTestResult{Id: row.ID.String(), Name: row.Name, ServiceType: row.ServiceType, Result: result}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	kept := out.Data[:0]
	for _, r := range out.Data {
		if r != nil {
			kept = append(kept, r)
		}
	}
	out.Data = kept
	return out, nil
}

// testBehind tests a stored service when there is a place for it.
func (c *Catalog) testBehind(ctx context.Context, id uuid.UUID, timeout time.Duration) (*catalogv1.TestResult, error) {
	leave, err := c.tester.enterBackground(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return c.testStored(ctx, id, timeout)
}
