package prometheus

import (
	"strings"
	"sync/atomic"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/backplane/backplane/dataplane/httpproxy"
)

// node tells how the gateway is.
type node struct {
	host                                       httpproxy.Host
	id                                         string
	health                                     *atomic.Int64
	connections, requests, store, info, target *prom.Desc
}

func newNode(h httpproxy.Host, health *atomic.Int64) *node {
	desc := prom.NewDesc
	return &node{
		host: h, id: h.Node(), health: health,
		connections: desc("kong_nginx_connections_total", "Number of connections by subsystem",
			[]string{"node_id", "subsystem", "state"}, nil),
		requests: desc("kong_nginx_requests_total", "Total number of requests", []string{"node_id", "subsystem"}, nil),
		store:    desc("kong_datastore_reachable", "Datastore reachable from Kong, 0 is unreachable", nil, nil),
		info:     desc("kong_node_info", "Kong Node metadata information", []string{"node_id", "version"}, nil),
		target: desc("kong_upstream_target_health", "Health status of targets of upstream. "+
			"States = healthchecks_off|healthy|unhealthy|dns_error, value is 1 when state is populated.",
			[]string{"upstream", "target", "address", "state", "subsystem"}, nil),
	}
}

// Describe implements prom.Collector.
func (n *node) Describe(to chan<- *prom.Desc) {
	for _, d := range []*prom.Desc{n.connections, n.requests, n.store, n.info, n.target} {
		to <- d
	}
}

// Collect implements prom.Collector.
func (n *node) Collect(to chan<- prom.Metric) {
	gauge := func(d *prom.Desc, v float64, labels ...string) {
		to <- prom.MustNewConstMetric(d, prom.GaugeValue, v, labels...)
	}
	s := n.host.Statistics()
	for _, state := range []struct {
		name  string
		value int64
	}{
		{"accepted", s.Accepted}, {"handled", s.Handled}, {"total", s.Requests}, {"active", s.Active},
		{"reading", s.Reading}, {"writing", s.Writing}, {"waiting", max(s.Active-s.Reading-s.Writing, 0)},
	} {
		gauge(n.connections, float64(state.value), n.id, "http", state.name)
	}
	to <- prom.MustNewConstMetric(n.requests, prom.CounterValue, float64(s.Requests), n.id, "http")
	// The gateway has its configuration in memory: there is nothing to reach.
	gauge(n.store, 1)
	gauge(n.info, 1, n.id, version)
	if n.health.Load() > 0 {
		n.collectHealth(gauge)
	}
}

func (n *node) collectHealth(gauge func(d *prom.Desc, v float64, labels ...string)) {
	states := func(upstream, target, address, is string) {
		for _, state := range []string{"healthchecks_off", "healthy", "unhealthy", "dns_error"} {
			value := 0.0
			if strings.EqualFold(state, is) {
				value = 1
			}
			gauge(n.target, value, upstream, target, address, state, "http")
		}
	}
	for _, u := range n.host.Upstreams() {
		for _, t := range u.Targets {
			if len(t.Addresses) == 0 {
				states(u.Name, t.Target.Target, "", "dns_error")
			}
			for _, a := range t.Addresses {
				states(u.Name, t.Target.Target, a.Addr.String(), string(a.Health))
			}
		}
	}
}
