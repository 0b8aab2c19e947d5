// Package prometheus is the plugin prometheus: it measures requests, and tells
// how the gateway and its upstreams are.
package prometheus

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/logrecord"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

const version = "3.10.0"

// Module is the kind of plugin.
func Module() httpproxy.PluginModule {
	m := httpproxy.PluginModule{
		Name: "prometheus", Version: version, Priority: 13, New: newPlugin, Config: schema.Record{Name: "prometheus"},
	}
	for _, name := range []string{
		"per_consumer", "status_code_metrics", "ai_metrics", "latency_metrics", "bandwidth_metrics",
		"upstream_health_metrics", "wasm_metrics",
	} {
		m.Config.Fields = append(m.Config.Fields, schema.Field{Name: name, Type: schema.Boolean, Default: false})
	}
	return m
}

// plugin is an instance.
type plugin struct {
	metrics                                 *metrics
	perConsumer, status, latency, bandwidth bool
	health                                  bool
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	var c struct {
		PerConsumer bool `json:"per_consumer"`
		Status      bool `json:"status_code_metrics"`
		Latency     bool `json:"latency_metrics"`
		Bandwidth   bool `json:"bandwidth_metrics"`
		Health      bool `json:"upstream_health_metrics"`
	}
	if err := json.Unmarshal(o.Config, &c); err != nil {
		return nil, err
	}
	m := o.Host.Shared("prometheus", func() any { return newMetrics(o.Host) }).(*metrics)
	if m.err != nil {
		return nil, m.err
	}
	p := &plugin{m, c.PerConsumer, c.Status, c.Latency, c.Bandwidth, c.Health}
	if p.health {
		m.healthWanted.Add(1)
	}
	return p, nil
}

// Close implements io.Closer.
func (p *plugin) Close() error {
	if p.health {
		p.metrics.healthWanted.Add(-1)
	}
	return nil
}

// metrics are those of a gateway, which all instances share.
type metrics struct {
	requests                *prom.CounterVec
	kong, upstream, request *prom.HistogramVec
	bandwidth               *prom.CounterVec
	series                  sync.Map // of *series by seriesKey
	healthWanted            atomic.Int64
	err                     error
}

// seriesKey is what most metrics are told apart by, with what is measured.
type seriesKey struct {
	service, route, consumer string
	latency, bandwidth       bool
}

// series are the metrics of a seriesKey, as far as they were needed.
type series struct {
	kong, upstream, request prom.Observer
	ingress, egress         prom.Counter
	codes                   sync.Map // of prom.Counter by codeKey
}

type codeKey struct {
	code    int
	service bool
}

func newMetrics(h httpproxy.Host) *metrics {
	m := &metrics{}
	latency := []string{"service", "route", "workspace"}
	upstreamBuckets := []float64{25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000}
	histogram := func(name, help string, buckets []float64) *prom.HistogramVec {
		return register(m, h, prom.NewHistogramVec(prom.HistogramOpts{Name: name, Help: help, Buckets: buckets}, latency))
	}
	m.requests = register(m, h, prom.NewCounterVec(prom.CounterOpts{
		Name: "kong_http_requests_total", Help: "HTTP status codes per consumer/service/route in Kong",
	}, []string{"service", "route", "code", "source", "workspace", "consumer"}))
	m.kong = histogram("kong_kong_latency_ms", "Latency added by Kong and enabled plugins for each service/route in Kong",
		[]float64{1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000})
	m.upstream = histogram("kong_upstream_latency_ms",
		"Latency added by upstream response for each service/route in Kong", upstreamBuckets)
	m.request = histogram("kong_request_latency_ms",
		"Total latency incurred during requests for each service/route in Kong", upstreamBuckets)
	m.bandwidth = register(m, h, prom.NewCounterVec(prom.CounterOpts{
		Name: "kong_bandwidth_bytes", Help: "Total bandwidth (ingress/egress) throughput in bytes",
	}, []string{"service", "route", "direction", "workspace", "consumer"}))
	register[prom.Collector](m, h, newNode(h, &m.healthWanted))
	return m
}

// register registers a collector, or gives the one that is there already.
func register[C prom.Collector](m *metrics, h httpproxy.Host, c C) C {
	err := h.Metrics().Register(c)
	var there prom.AlreadyRegisteredError
	if errors.As(err, &there) {
		if had, ok := there.ExistingCollector.(C); ok {
			return had
		}
	}
	m.err = errors.Join(m.err, err)
	return c
}

// Log implements httpproxy.Logger.
func (p *plugin) Log(x *httpproxy.Exchange) {
	if !p.status && !p.latency && !p.bandwidth {
		return
	}
	s, k := p.find(x)
	measured := logrecord.Measure(x)
	if p.status {
		s.code(p.metrics, k, x.Response.Status, x.Response.Source == httpproxy.FromService).Inc()
	}
	if p.latency {
		s.kong.Observe(milliseconds(measured.Gateway))
		s.request.Observe(milliseconds(measured.Request))
		if measured.HasUpstream {
			s.upstream.Observe(milliseconds(measured.Upstream))
		}
	}
	if p.bandwidth {
		s.ingress.Add(float64(measured.RequestSize))
		s.egress.Add(float64(measured.ResponseSize))
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// find is the series of a request.
func (p *plugin) find(x *httpproxy.Exchange) (*series, seriesKey) {
	k := seriesKey{latency: p.latency, bandwidth: p.bandwidth}
	if v := x.Service; v != nil {
		if k.service = v.Name; k.service == "" {
			k.service = v.Host
		}
	}
	if v := x.Route; v != nil {
		if k.route = v.Name; k.route == "" {
			k.route = v.ID.String()
		}
	}
	if v := x.Consumer; v != nil && p.perConsumer {
		if k.consumer = v.Username; k.consumer == "" {
			k.consumer = v.CustomID
		}
	}
	if s, ok := p.metrics.series.Load(k); ok {
		return s.(*series), k
	}
	m, w := p.metrics, logrecord.Workspace
	s := &series{}
	// What an instance does not measure is not to show up.
	if p.latency {
		s.kong = m.kong.WithLabelValues(k.service, k.route, w)
		s.upstream = m.upstream.WithLabelValues(k.service, k.route, w)
		s.request = m.request.WithLabelValues(k.service, k.route, w)
	}
	if p.bandwidth {
		s.ingress = m.bandwidth.WithLabelValues(k.service, k.route, "ingress", w, k.consumer)
		s.egress = m.bandwidth.WithLabelValues(k.service, k.route, "egress", w, k.consumer)
	}
	kept, _ := m.series.LoadOrStore(k, s)
	return kept.(*series), k
}

// code counts responses with a status.
func (s *series) code(m *metrics, k seriesKey, status int, fromService bool) prom.Counter {
	ck := codeKey{status, fromService}
	if c, ok := s.codes.Load(ck); ok {
		return c.(prom.Counter)
	}
	source := "kong"
	if fromService {
		source = "service"
	}
	c := m.requests.WithLabelValues(k.service, k.route, strconv.Itoa(status), source, logrecord.Workspace, k.consumer)
	s.codes.Store(ck, c)
	return c
}

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
