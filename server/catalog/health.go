package catalog

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"entgo.io/ent/dialect/sql"
	"google.golang.org/protobuf/proto"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/healthentry"
	"github.com/backplane/backplane/ent/predicate"
	"github.com/backplane/backplane/ent/service"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/store"
)

// The health of a service.
const (
	statusPassing  = "passing"
	statusWarning  = "warning"
	statusCritical = "critical"
	statusUnknown  = "unknown"
)

const (
	keepHealth    = 1000
	keepHealthFor = 7 * 24 * time.Hour
	maxOutput     = 4 << 10
)

var descending = sql.OrderDesc()

// nextStatus is the health after one more test: a service becomes critical
// after so many failures in a row, and passing again after so many successes.
func nextStatus(row *ent.Service, connected bool) string {
	if connected {
		need := max(row.SuccessesBeforePassing, 1)
		if row.HealthStatus == statusCritical && row.Successes+1 < need {
			return statusCritical
		}
		if row.HealthStatus == statusWarning && row.Successes+1 < need {
			return statusWarning
		}
		return statusPassing
	}
	if row.HealthStatus == statusCritical || row.Failures+1 >= max(row.FailuresBeforeCritical, 1) {
		return statusCritical
	}
	return statusWarning
}

// recordHealth stores the outcome of a test of the service as row has it. A
// service that was changed since is left alone: the outcome is not its own.
func (c *Catalog) recordHealth(ctx context.Context, row *ent.Service, r connectors.Report, f *connectors.Failure, at time.Time) error {
	code, message := "", r.Message
	if f != nil {
		code, message = string(f.Code), f.Error()
	}
	message = storable(message)
	err := c.Store.Change(ctx, func(tx *store.Tx) error {
		now, err := tx.Service.Get(ctx, row.ID)
		if ent.IsNotFound(err) || err == nil && now.Version != row.Version {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := tx.HealthEntry.Create().SetServiceID(row.ID).SetAt(at.UnixMicro()).SetConnected(f == nil).
			SetLatencyMs(milliseconds(r.Latency)).SetCode(code).SetMessage(message).Save(ctx); err != nil {
			return err
		}
		u := tx.Service.Update().Where(service.ID(row.ID), service.Version(row.Version)).SetLastChecked(at.UnixMicro()).SetLastCode(code).SetLastMessage(message)
		status := nextStatus(now, f == nil)
		if status != now.HealthStatus {
			u.SetHealthStatus(status).SetHealthSince(at.UnixMicro())
		}
		switch {
		case f == nil:
			u.SetSuccesses(now.Successes + 1).SetFailures(0).SetAuthFailures(0)
		case f.Code == connectors.AuthFailed:
			u.SetSuccesses(0).SetFailures(now.Failures + 1).SetAuthFailures(now.AuthFailures + 1)
		default:
			u.SetSuccesses(0).SetFailures(now.Failures + 1).SetAuthFailures(0)
		}
		if n, err := u.Save(ctx); err != nil {
			return err
		} else if n == 0 {
			return errRaced // the entry goes with the transaction
		}
		next, err := tx.Service.Get(ctx, row.ID)
		if err != nil {
			return err
		}
		paused := next.AuthFailures >= pauseAfterAuthFailures
		if status == now.HealthStatus && paused == (now.AuthFailures >= pauseAfterAuthFailures) {
			return nil
		}
		_, err = c.emit(tx, "health", next)
		return err
	})
	c.cache.drop(row.ID)
	if errors.Is(err, errRaced) {
		return nil
	}
	return err
}

// storable cuts a server's words to what every store takes.
func storable(text string) string {
	text = strings.ReplaceAll(text[:min(len(text), maxOutput)], "\x00", "")
	return strings.ToValidUTF8(text, "")
}

// pruneHealth forgets old tests. It runs once across all processes.
func (c *Catalog) pruneHealth(ctx context.Context) error {
	old := time.Now().Add(-keepHealthFor).UnixMicro()
	if err := c.forgetHealth(ctx, healthentry.AtLT(old)); err != nil {
		return err
	}
	var counts []struct {
		ServiceID string `json:"service_id"`
		Count     int    `json:"count"`
	}
	err := c.Store.HealthEntry.Query().GroupBy(healthentry.FieldServiceID).Aggregate(ent.Count()).Scan(ctx, &counts)
	if err != nil {
		return err
	}
	for _, n := range counts {
		id, err := parseID(n.ServiceID)
		if err != nil || n.Count <= keepHealth {
			continue
		}
		oldest, err := c.Store.HealthEntry.Query().Where(healthentry.ServiceID(id)).Order(healthentry.ByID(descending)).Offset(keepHealth).Limit(1).OnlyID(ctx)
		if err != nil {
			return err
		}
		if err := c.forgetHealth(ctx, healthentry.ServiceID(id), healthentry.IDLTE(oldest)); err != nil {
			return err
		}
	}
	return nil
}

func (c *Catalog) forgetHealth(ctx context.Context, where ...predicate.HealthEntry) error {
	return c.Store.Change(ctx, func(tx *store.Tx) error {
		_, err := tx.HealthEntry.Delete().Where(where...).Exec(ctx)
		return err
	})
}

// GetServiceHealth implements the RPC.
func (c *Catalog) GetServiceHealth(ctx context.Context, req *catalogv1.GetServiceHealthRequest) (*catalogv1.GetServiceHealthResponse, error) {
	id, err := parseID(req.GetId())
	if err != nil {
		return nil, err
	}
	limit := int(req.GetLimit())
	if limit == 0 {
		limit = 100
	}
	if limit > keepHealth {
		return nil, badParameters([]errs.Field{{Path: "limit", Message: "must be 1 to 1000"}})
	}
	row, err := c.Store.Service.Query().Where(service.ID(id)).Only(ctx)
	if err != nil {
		return nil, notFound(err)
	}
	if err := allow(ctx, row); err != nil {
		return nil, err
	}
	entries, err := c.Store.HealthEntry.Query().Where(healthentry.ServiceID(id)).Order(healthentry.ByID(descending)).Limit(keepHealth).All(ctx)
	if err != nil {
		return nil, err
	}
	out := &catalogv1.HealthHistory{Health: healthToProto(row)}
	summarize(out, entries, time.Now())
	for _, e := range entries {
		if len(out.Entries) == limit {
			break
		}
		if req.GetBefore() > 0 && uint64(e.ID) >= req.GetBefore() {
			continue
		}
		out.Entries = append(out.Entries, &catalogv1.HealthEntry{
			Id: uint64(e.ID), At: seconds(e.At), Connected: e.Connected, LatencyMs: e.LatencyMs, Code: e.Code, Message: e.Message,
		})
	}
	return &catalogv1.GetServiceHealthResponse{Ok: true, Data: out}, nil
}

// summarize fills in uptime and latencies from the kept tests.
func summarize(out *catalogv1.HealthHistory, entries []*ent.HealthEntry, now time.Time) {
	out.Uptime = map[string]float64{}
	for name, period := range map[string]time.Duration{"1h": time.Hour, "24h": 24 * time.Hour, "7d": 7 * 24 * time.Hour} {
		good, all := 0, 0
		for _, e := range entries {
			if now.Sub(time.UnixMicro(e.At)) > period {
				break
			}
			all++
			if e.Connected {
				good++
			}
		}
		if all > 0 {
			out.Uptime[name] = 100 * float64(good) / float64(all)
		}
	}
	var latencies []uint32
	for _, e := range entries {
		if e.Connected {
			latencies = append(latencies, e.LatencyMs)
		}
	}
	if n := len(latencies); n > 0 {
		slices.Sort(latencies)
		rank := func(percent int) *uint32 { return proto.Uint32(latencies[(n*percent+99)/100-1]) } // the nearest, rounded up
		out.LatencyP50Ms, out.LatencyP95Ms = rank(50), rank(95)
	}
}
