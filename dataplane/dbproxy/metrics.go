package dbproxy

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// metric describes a metric of the proxy with its labels.
func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("backplane_dbproxy_"+name, help, labels, nil)
}

var (
	serviceSessions  = metric("service_sessions", "Sessions of the service.", "service")
	serviceTotal     = metric("service_sessions_total", "Sessions that the service has had.", "service")
	serviceFailed    = metric("service_failed_logins_total", "Logins that were refused.", "service")
	serviceLatency   = metric("service_request_seconds", "Time from a request to the end of its answer.", "service")
	routedRequests   = metric("routed_requests_total", "Requests sent to the server for the service, by kind.", "service", "server", "kind")
	routedNow        = metric("routed_connections", "Connections of the service to the server.", "service", "server")
	serverConnection = metric("server_connections", "Connections of sessions to the server.", "server")
	serverTotal      = metric("server_connections_total", "Connections of sessions that the server has had.", "server")
	serverOperations = metric("server_operations", "Requests that the server works on.", "server")
	serverFailed     = metric("server_failed_logins_total", "Logins of sessions that the server refused.", "server")
	serverState      = metric("server_state", "1 for each state that the server is in.", "server", "state")
	serverLag        = metric("server_replication_lag_seconds", "How far the server is behind the master.", "server")
	listenerUp       = metric("listener_running", "1 while the listener takes clients.", "listener", "service")
	listenerSessions = metric("listener_sessions", "Sessions that came by the listener.", "listener", "service")
)

// Describe implements prometheus.Collector. What there is to collect depends on
// the configuration.
func (p *Proxy) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		serviceSessions, serviceTotal, serviceFailed, serviceLatency, routedRequests, routedNow, serverConnection, serverTotal,
		serverOperations, serverFailed, serverState, serverLag, listenerUp, listenerSessions,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (p *Proxy) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	st := p.current.Load()
	for _, name := range slices.Sorted(maps.Keys(st.services)) {
		s := st.services[name]
		stats := s.Statistics()
		gauge(serviceSessions, float64(stats.Connections), name)
		counter(serviceTotal, stats.TotalConnections, name)
		counter(serviceFailed, stats.FailedLogins, name)
		count, sum, below := s.latency.read()
		ch <- prometheus.MustNewConstHistogram(serviceLatency, count, sum, below, name)
		for srv, c := range s.config.Load().counts {
			reads, writes := c.reads.Load(), c.writes.Load()
			counter(routedRequests, reads, name, srv.name, "read")
			counter(routedRequests, writes, name, srv.name, "write")
			counter(routedRequests, c.requests.Load()-reads-writes, name, srv.name, "other")
			gauge(routedNow, float64(c.connections.Load()), name, srv.name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(st.servers)) {
		srv := st.servers[name]
		stats := srv.Statistics()
		gauge(serverConnection, float64(stats.Connections), name)
		counter(serverTotal, stats.TotalConnections, name)
		gauge(serverOperations, float64(stats.ActiveOperations), name)
		counter(serverFailed, stats.FailedLogins, name)
		for _, w := range statusWords {
			gauge(serverState, flag(srv.Status().Has(w.bit)), name, w.word)
		}
		gauge(serverState, flag(srv.Status().Has(Running)), name, "Running")
		if lag, known := srv.Lag(); known {
			gauge(serverLag, lag.Seconds(), name)
		}
	}
	taken := map[*Listener]int{}
	for _, s := range p.Sessions() {
		taken[s.listener]++
	}
	for _, name := range slices.Sorted(maps.Keys(st.listeners)) {
		l := st.listeners[name]
		gauge(listenerUp, flag(l.Running()), name, l.Config().Service)
		gauge(listenerSessions, float64(taken[l]), name, l.Config().Service)
	}
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
