package prometheus

import (
	"strconv"
	"sync"

	"github.com/google/uuid"
	prom "github.com/prometheus/client_golang/prometheus"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/logrecord"
)

// labels are what most metrics are told apart by.
type labels struct{ service, route, consumer string }

// seriesKey are labels with whose they are, and with what is measured. Several
// may have the same labels.
type seriesKey struct {
	labels
	ids                struct{ service, route, consumer uuid.UUID }
	latency, bandwidth bool
}

// series are the metrics of a seriesKey, as far as they were needed.
type series struct {
	kong, upstream, request prom.Observer
	ingress, egress         prom.Counter
	codes                   sync.Map // of prom.Counter by codeKey
	gone                    bool     // metrics.mu guards it
}

type codeKey struct {
	code    int
	service bool
}

func (l labels) withoutConsumer() labels { return labels{service: l.service, route: l.route} }

func serviceLabel(v *entity.Service) string {
	if v.Name == "" {
		return v.Host
	}
	return v.Name
}

func routeLabel(v *entity.Route) string {
	if v.Name == "" {
		return v.ID.String()
	}
	return v.Name
}

func consumerLabel(v *entity.Consumer) string {
	if v.Username == "" {
		return v.CustomID
	}
	return v.Username
}

// find is the series of a request.
func (p *plugin) find(x *httpproxy.Exchange) (*series, labels) {
	k := seriesKey{latency: p.latency, bandwidth: p.bandwidth}
	if v := x.Service; v != nil {
		k.service, k.ids.service = serviceLabel(v), v.ID
	}
	if v := x.Route; v != nil {
		k.route, k.ids.route = routeLabel(v), v.ID
	}
	if v := x.Consumer; v != nil && p.perConsumer {
		k.consumer, k.ids.consumer = consumerLabel(v), v.ID
	}
	if s, ok := p.metrics.series.Load(k); ok {
		return s.(*series), k.labels
	}
	return p.metrics.make(k), k.labels
}

// make makes the series of a key, unless there are some by now.
func (m *metrics) make(k seriesKey) *series {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s, ok := m.series.Load(k); ok {
		return s.(*series)
	}
	const w = logrecord.Workspace
	s := &series{}
	// What an instance does not measure is not to show up.
	if k.latency {
		s.kong = m.kong.WithLabelValues(k.service, k.route, w)
		s.upstream = m.upstream.WithLabelValues(k.service, k.route, w)
		s.request = m.request.WithLabelValues(k.service, k.route, w)
	}
	if k.bandwidth {
		s.ingress = m.bandwidth.WithLabelValues(k.service, k.route, "ingress", w, k.consumer)
		s.egress = m.bandwidth.WithLabelValues(k.service, k.route, "egress", w, k.consumer)
	}
	m.series.Store(k, s)
	return s
}

// count counts a response with a status.
func (s *series) count(m *metrics, l labels, status int, fromService bool) {
	ck := codeKey{status, fromService}
	if c, ok := s.codes.Load(ck); ok {
		c.(prom.Counter).Inc()
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.gone {
		return // it would be there for ever
	}
	c := m.requests.WithLabelValues(ck.values(l)...)
	c.Inc()
	s.codes.Store(ck, c)
}

// values are the labels of the counter.
func (k codeKey) values(l labels) []string {
	source := "kong"
	if k.service {
		source = "service"
	}
	return []string{l.service, l.route, strconv.Itoa(k.code), source, logrecord.Workspace, l.consumer}
}

// prune takes out the series of services, routes and consumers that are not
// there any more, or have another name.
func (m *metrics) prune() {
	m.mu.Lock()
	defer m.mu.Unlock()
	view := m.host.Snapshot()
	gone := map[seriesKey]*series{}
	used, usedByAll := map[labels]bool{}, map[labels]bool{} // the second without consumers
	m.series.Range(func(k, v any) bool {
		key := k.(seriesKey)
		if key.isGone(view) {
			gone[key] = v.(*series)
			return true
		}
		used[key.labels], usedByAll[key.labels.withoutConsumer()] = true, true
		return true
	})
	for k, s := range gone {
		m.series.Delete(k)
		s.gone = true
		if !used[k.labels] {
			m.forget(k.labels, s)
		}
		if !usedByAll[k.labels.withoutConsumer()] {
			m.forgetLatency(k.labels)
		}
	}
}

// isGone tells whether something of a key is not there any more.
func (k *seriesKey) isGone(view httpproxy.View) bool {
	if k.ids.service != uuid.Nil {
		if v := view.Service(k.ids.service); v == nil || serviceLabel(v) != k.service {
			return true
		}
	}
	if k.ids.route != uuid.Nil {
		if v := view.Route(k.ids.route); v == nil || routeLabel(v) != k.route {
			return true
		}
	}
	if k.ids.consumer != uuid.Nil {
		if v, _ := view.ConsumerByID(k.ids.consumer); v == nil || consumerLabel(v) != k.consumer {
			return true
		}
	}
	return false
}

// forget takes the counters of a series out.
func (m *metrics) forget(l labels, s *series) {
	s.codes.Range(func(k, _ any) bool {
		m.requests.DeleteLabelValues(k.(codeKey).values(l)...)
		return true
	})
	for _, direction := range []string{"ingress", "egress"} {
		m.bandwidth.DeleteLabelValues(l.service, l.route, direction, logrecord.Workspace, l.consumer)
	}
}

// forgetLatency takes out what does not tell consumers apart.
func (m *metrics) forgetLatency(l labels) {
	for _, v := range []*prom.HistogramVec{m.kong, m.upstream, m.request} {
		v.DeleteLabelValues(l.service, l.route, logrecord.Workspace)
	}
}
