package prometheus

import (
	"errors"
	"sync"
	"sync/atomic"

	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/backplane/backplane/dataplane/httpproxy"
)

// metrics are those of a gateway, which all instances share.
type metrics struct {
	host                    httpproxy.Host
	requests                *prom.CounterVec
	kong, upstream, request *prom.HistogramVec
	bandwidth               *prom.CounterVec
	healthWanted            atomic.Int64
	err                     error

	series sync.Map // of *series by seriesKey
	// mu is held while series are made, and while those go whose entities are
	// not there any more.
	mu sync.Mutex
}

func newMetrics(h httpproxy.Host) *metrics {
	m := &metrics{host: h}
	latency := []string{"service", "route", "workspace"}
	upstreamBuckets := []float64{25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000}
	histogram := func(name, help string, buckets []float64) *prom.HistogramVec {
		return registerVec(m, prom.NewHistogramVec(prom.HistogramOpts{Name: name, Help: help, Buckets: buckets}, latency))
	}
	m.requests = registerVec(m, prom.NewCounterVec(prom.CounterOpts{
		Name: "kong_http_requests_total", Help: "HTTP status codes per consumer/service/route in Kong",
	}, []string{"service", "route", "code", "source", "workspace", "consumer"}))
	m.kong = histogram("kong_kong_latency_ms", "Latency added by Kong and enabled plugins for each service/route in Kong",
		[]float64{1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000})
	m.upstream = histogram("kong_upstream_latency_ms",
		"Latency added by upstream response for each service/route in Kong", upstreamBuckets)
	m.request = histogram("kong_request_latency_ms",
		"Total latency incurred during requests for each service/route in Kong", upstreamBuckets)
	m.bandwidth = registerVec(m, prom.NewCounterVec(prom.CounterOpts{
		Name: "kong_bandwidth_bytes", Help: "Total bandwidth (ingress/egress) throughput in bytes",
	}, []string{"service", "route", "direction", "workspace", "consumer"}))
	register[prom.Collector](m, newNode(h, &m.healthWanted))
	return m
}

// register registers a collector, or gives the one that is there already.
func register[C prom.Collector](m *metrics, c C) C {
	err := m.host.Metrics().Register(c)
	var there prom.AlreadyRegisteredError
	if errors.As(err, &there) {
		if had, ok := there.ExistingCollector.(C); ok {
			return had
		}
	}
	m.err = errors.Join(m.err, err)
	return c
}

// vec are series that nobody is told of after their entities have gone.
type vec[C prom.Collector] struct {
	of    C
	prune func()
}

func registerVec[C prom.Collector](m *metrics, c C) C {
	return register(m, &vec[C]{c, m.prune}).of
}

// Describe implements prom.Collector.
func (v *vec[C]) Describe(to chan<- *prom.Desc) { v.of.Describe(to) }

// Collect implements prom.Collector.
func (v *vec[C]) Collect(to chan<- prom.Metric) {
	v.prune()
	v.of.Collect(to)
}
