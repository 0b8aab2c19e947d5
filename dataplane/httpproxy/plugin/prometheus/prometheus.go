// Package prometheus is the plugin prometheus: it measures requests, and tells
// how the gateway and its upstreams are.
package prometheus

import (
	"encoding/json"
	"time"

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

// Log implements httpproxy.Logger.
func (p *plugin) Log(x *httpproxy.Exchange) {
	if !p.status && !p.latency && !p.bandwidth {
		return
	}
	s, l := p.find(x)
	measured := logrecord.Measure(x)
	if p.status {
		s.count(p.metrics, l, x.Response.Status, x.Response.Source == httpproxy.FromService)
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
