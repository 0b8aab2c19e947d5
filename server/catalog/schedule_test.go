package catalog

import (
	"container/heap"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/backplane/backplane/ent"
	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
)

func TestScheduleNotesChanges(t *testing.T) {
	t.Parallel()
	s := &schedule{byID: map[uuid.UUID]*due{}}
	id := uuid.New()
	change := func(event string, adjust func(*catalogv1.Service)) {
		svc := &catalogv1.Service{
			Id: id.String(), Enabled: proto.Bool(true), Active: proto.Bool(true), Check: &catalogv1.Check{Interval: durationpb.New(time.Hour)},
		}
		if adjust != nil {
			adjust(svc)
		}
		s.note(&catalogv1.WatchServicesResponse{Event: event, Service: svc})
	}
	change("created", nil)
	if s.Len() != 1 || time.Until(s.list[0].at) > 2*time.Second {
		t.Fatalf("a new service is not checked soon: %+v", s.list)
	}
	s.set(id, time.Hour, time.Hour)
	change("health", nil)
	if s.Len() != 1 || time.Until(s.list[0].at) < 59*time.Minute {
		t.Error("the outcome of a check moves the next one")
	}
	for name, gone := range map[string]func(*catalogv1.Service){
		"disabled": func(s *catalogv1.Service) { s.Enabled = proto.Bool(false) },
		"inactive": func(s *catalogv1.Service) { s.Active = proto.Bool(false) },
		"no check": func(s *catalogv1.Service) { s.Check = nil },
		"paused":   func(s *catalogv1.Service) { s.Health = &catalogv1.Health{Paused: true} },
	} {
		change("updated", nil)
		change("updated", gone)
		if s.Len() != 0 {
			t.Errorf("%s: it is still to be checked", name)
		}
	}
	change("updated", nil)
	change("deleted", nil)
	if s.Len() != 0 || len(s.byID) != 0 {
		t.Error("a deleted service is still to be checked")
	}
}

func TestScheduleOrder(t *testing.T) {
	t.Parallel()
	s := &schedule{byID: map[uuid.UUID]*due{}}
	var ids []uuid.UUID
	for i := range 50 {
		ids = append(ids, uuid.New())
		s.set(ids[i], time.Minute, time.Duration((i*37)%50)*time.Second)
	}
	for _, id := range ids[:10] {
		s.remove(id)
		s.remove(id)
	}
	last := time.Time{}
	for s.Len() > 0 {
		d := heap.Pop(s).(*due)
		if d.at.Before(last) {
			t.Fatal("out of order")
		}
		last = d.at
	}
	if len(s.byID) != 0 {
		t.Errorf("%d are left in the index", len(s.byID))
	}
}

func TestJitter(t *testing.T) {
	t.Parallel()
	for range 1000 {
		if d := jitter(time.Minute); d < 54*time.Second || d > 66*time.Second {
			t.Fatalf("a minute became %s", d)
		}
	}
}

func TestNextStatus(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		row       ent.Service
		connected bool
		want      string
	}{
		{ent.Service{HealthStatus: "unknown"}, true, "passing"},
		{ent.Service{HealthStatus: "unknown"}, false, "critical"},
		{ent.Service{HealthStatus: "unknown", FailuresBeforeCritical: 2}, false, "warning"},
		{ent.Service{HealthStatus: "warning", FailuresBeforeCritical: 2, Failures: 1}, false, "critical"},
		{ent.Service{HealthStatus: "passing", FailuresBeforeCritical: 3, Failures: 0}, false, "warning"},
		{ent.Service{HealthStatus: "critical", FailuresBeforeCritical: 3, Failures: 0}, false, "critical"},
		{ent.Service{HealthStatus: "critical", SuccessesBeforePassing: 2}, true, "critical"},
		{ent.Service{HealthStatus: "critical", SuccessesBeforePassing: 2, Successes: 1}, true, "passing"},
		{ent.Service{HealthStatus: "warning", SuccessesBeforePassing: 2}, true, "warning"},
		{ent.Service{HealthStatus: "warning"}, true, "passing"},
	} {
		if got := nextStatus(&c.row, c.connected); got != c.want {
			t.Errorf("%s, %d failures, %d successes, then %v: %s, want %s", c.row.HealthStatus, c.row.Failures, c.row.Successes, c.connected, got, c.want)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ago := func(d time.Duration, connected bool, ms uint32) *ent.HealthEntry {
		return &ent.HealthEntry{At: now.Add(-d).UnixMicro(), Connected: connected, LatencyMs: ms}
	}
	out := &catalogv1.HealthHistory{}
	summarize(out, []*ent.HealthEntry{
		ago(time.Minute, true, 10), ago(30*time.Minute, false, 999), ago(2*time.Hour, true, 30), ago(3*time.Hour, true, 20), ago(48*time.Hour, false, 1),
	}, now)
	for period, want := range map[string]float64{"1h": 50, "24h": 75, "7d": 60} {
		if got := out.GetUptime()[period]; math.Abs(got-want) > 1e-9 {
			t.Errorf("uptime of %s is %v, want %v", period, got, want)
		}
	}
	if out.GetLatencyP50Ms() != 20 || out.GetLatencyP95Ms() != 30 {
		t.Errorf("latencies are %d and %d", out.GetLatencyP50Ms(), out.GetLatencyP95Ms())
	}
	empty := &catalogv1.HealthHistory{}
	summarize(empty, nil, now)
	if len(empty.GetUptime()) != 0 || empty.LatencyP50Ms != nil {
		t.Errorf("nothing is summed up as %v", empty)
	}
}

func TestStorable(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain": "plain", "a\x00b": "ab", "a\xffb": "ab", strings.Repeat("x", maxOutput+1): strings.Repeat("x", maxOutput),
		strings.Repeat("é", maxOutput) + "tail": strings.Repeat("é", maxOutput/2),
		"x" + strings.Repeat("é", maxOutput):    "x" + strings.Repeat("é", maxOutput/2-1),
	} {
		if got := storable(in); got != want || !utf8.ValidString(got) {
			t.Errorf("%.20q… becomes %d bytes, want %d", in, len(got), len(want))
		}
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("")
	f.Add(cursor{1700000000000000, uuid.MustParse("550e8400-e29b-41d4-a716-446655440000")}.String())
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(text)
		if err != nil || c == nil {
			return
		}
		again, err := parseCursor(c.String())
		if err != nil || *again != *c {
			t.Errorf("%q is %v, and then %v, %v", text, c, again, err)
		}
	})
}
