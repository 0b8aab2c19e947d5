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
	serviceErrors    = metric("service_errors_total", "Requests that were answered by an error.", "service")
	serviceLatency   = metric("service_request_seconds", "Time from a request to the end of its answer.", "service")
	routedRequests   = metric("routed_requests_total", "Requests sent to the server for the service, by kind.", "service", "server", "kind")
	routedNow        = metric("routed_connections", "Connections of the service to the server.", "service", "server")
	serverConnection = metric("server_connections", "Connections of sessions to the server.", "server")
	serverTotal      = metric("server_connections_total", "Connections of sessions that the server has had.", "server")
	serverLatency    = metric("server_request_seconds", "Time that the server took, by kind of request, where the router tells kinds apart.", "server", "kind")
	serverOperations = metric("server_operations", "Requests that the server works on.", "server")
	serverFailed     = metric("server_failed_logins_total", "Logins of sessions that the server refused.", "server")
	serverState      = metric("server_state", "1 for each state that the server is in.", "server", "state")
	serverLag        = metric("server_replication_lag_seconds", "How far the server is behind the master.", "server")
	listenerUp       = metric("listener_running", "1 while the listener takes clients.", "listener", "service")
	listenerTotal    = metric("listener_sessions_total", "Clients that came by the listener.", "listener", "service")
	listenerSessions = metric("listener_sessions", "Sessions that came by the listener.", "listener", "service")
)

// Describe implements prometheus.Collector. What there is to collect depends on
// the configuration.
func (p *Proxy) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		serviceSessions, serviceTotal, serviceFailed, serviceErrors, serviceLatency, routedRequests, routedNow, serverConnection, serverTotal,
		serverLatency, serverOperations, serverFailed, serverState, serverLag, listenerUp, listenerTotal, listenerSessions,
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
	histogram := func(d *prometheus.Desc, l *latency, labels ...string) {
		count, sum, below := l.read()
		ch <- prometheus.MustNewConstHistogram(d, count, sum, below, labels...)
	}
	st := p.current.Load()
	for _, name := range slices.Sorted(maps.Keys(st.services)) {
		s := st.services[name]
		stats := s.Statistics()
		gauge(serviceSessions, float64(stats.Connections), name)
		counter(serviceTotal, stats.TotalConnections, name)
		counter(serviceFailed, stats.FailedLogins, name)
		counter(serviceErrors, s.failures.Load(), name)
		histogram(serviceLatency, &s.latency, name)
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
		histogram(serverLatency, &srv.counts.readTimes, name, "read")
		histogram(serverLatency, &srv.counts.writeTimes, name, "write")
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
		counter(listenerTotal, l.taken.Load(), name, l.Config().Service)
		gauge(listenerSessions, float64(taken[l]), name, l.Config().Service)
	}
}

func flag(on bool) float64 {
	if on {
		return 1
	}
	return 0
}
