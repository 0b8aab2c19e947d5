// Package telemetry holds the logger and the metrics of the program.
package telemetry

import (
	"io"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewLogger logs JSON lines of the level and above.
func NewLogger(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
}

// Metrics are the numbers that /metrics shows. Labels come from closed sets.
type Metrics struct {
	Registry *prometheus.Registry
	// Calls counts finished calls by method and gRPC code.
	Calls *prometheus.CounterVec
	// Latency is the duration of calls by method, in seconds.
	Latency *prometheus.HistogramVec
	// Tests counts connection tests by type and failure code ("ok").
	Tests *prometheus.CounterVec
	// TestDuration is the duration of connection tests by type, in seconds.
	TestDuration *prometheus.HistogramVec
	// Watchers is the number of open watches and long polls.
	Watchers prometheus.Gauge
	// Logins counts verified and refused logins.
	Logins *prometheus.CounterVec
}

// NewMetrics makes a registry of its own, with the Go runtime's numbers.
func NewMetrics() *Metrics {
	m := &Metrics{
		Registry: prometheus.NewRegistry(),
		Calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backplane_calls_total", Help: "Finished API calls by method and gRPC code."}, []string{"method", "code"}),
		Latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "backplane_call_duration_seconds", Help: "Duration of API calls.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .1, .5, 2.5, 10}}, []string{"method"}),
		Tests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backplane_connection_tests_total", Help: "Connection tests by service type and result code."}, []string{"service_type", "code"}),
		TestDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "backplane_connection_test_duration_seconds", Help: "Duration of connection tests.",
			Buckets: []float64{.001, .005, .025, .1, .25, 1, 2.5, 5, 10, 30}}, []string{"service_type"}),
		Watchers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "backplane_watchers", Help: "Open watches and long polls of the catalogue."}),
		Logins: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "backplane_logins_total", Help: "Password checks by result."}, []string{"result"}),
	}
	m.Registry.MustRegister(m.Calls, m.Latency, m.Tests, m.TestDuration, m.Watchers, m.Logins,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}
