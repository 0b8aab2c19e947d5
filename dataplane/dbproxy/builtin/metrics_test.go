package builtin_test

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/backplane/backplane/dataplane/dbproxy/proxytest"
)

// TestMetricsTellOfTraffic counts what clients do, by service, listener and
// server.
func TestMetricsTellOfTraffic(t *testing.T) {
	t.Parallel()
	p, _ := start(t, proxytest.Options{Router: "readwritesplit"})
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(p.Proxy); err != nil {
		t.Fatal(err)
	}
	db := p.Open(t, "app", "secret", "shop", nil)
	db.SetMaxOpenConns(1)
	execute(t, db, "CREATE TABLE counted (a INT)")
	execute(t, db, "INSERT INTO counted VALUES (1)")
	execute(t, db, "SELECT a FROM counted")
	if _, err := db.ExecContext(t.Context(), "INSERT INTO nowhere VALUES (1)"); err == nil {
		t.Fatal("a table that is not there was written")
	}
	got := gather(t, registry)
	for name, want := range map[string]float64{
		"listener_sessions listener service": 1, "listener_sessions_total listener service": 1, "listener_running listener service": 1,
		"routed_requests_total read server1 service": 1, "routed_requests_total write server1 service": 3, "routed_connections server1 service": 1,
		"service_errors_total service": 1, "service_sessions service": 1, "service_request_seconds service": 4,
		"server_request_seconds read server1": 1, "server_request_seconds write server1": 3, "server_state server1 Master": 1, "server_state server1 Running": 1, "server_state server1 Slave": 0,
	} {
		if n, ok := got["backplane_dbproxy_"+name]; !ok || n != want {
			t.Errorf("%s is %v (there: %v), want %v", name, n, ok, want)
		}
	}
}

// gather reads all metrics, named with the values of their labels: the value,
// or of a histogram the count.
func gather(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			out[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return out
}
