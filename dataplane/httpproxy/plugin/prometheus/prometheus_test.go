package prometheus

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

type named struct{}

func (named) Access(x *httpproxy.Exchange) error {
	if c := x.View().Consumer(x.Request.Header.Get("X-Who")); c != nil {
		x.SetConsumer(c, nil)
	}
	return nil
}

// start starts a gateway, and gives what tells its metrics: a line for each,
// without the ID of the node.
func start(t *testing.T, entities ...any) (*gatewaytest.Gateway, func() []string) {
	t.Helper()
	registry := prom.NewPedanticRegistry()
	s := gatewaytest.Service(gatewaytest.Echo(t, "echo"), func(s *entity.Service) { s.Name = "svc" })
	r := gatewaytest.Route(s, "/a", func(r *entity.Route) { r.Name = "rt" })
	modules := []httpproxy.PluginModule{Module(), {Name: "named", Priority: 1000,
		New: func(httpproxy.PluginOptions) (httpproxy.Plugin, error) { return named{}, nil }}}
	g := gatewaytest.Start(t, httpproxy.Options{Modules: modules, Metrics: registry}, gatewaytest.All(append(entities, s, r,
		gatewaytest.Consumer("ann", ""), gatewaytest.Plugin("named", `{}`))...))
	return g, func() []string {
		w := httptest.NewRecorder()
		promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if w.Code != http.StatusOK {
			t.Fatal(w.Body)
		}
		text := nodeID.ReplaceAllString(strings.ReplaceAll(w.Body.String(), `"`, ""), "")
		return strings.Split(strings.TrimSpace(text), "\n")
	}
}

var nodeID = regexp.MustCompile(`node_id=[^,}]*,?`)

// of are the metrics that begin with a name.
func of(lines []string, prefix string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(l string) bool { return !strings.HasPrefix(l, prefix) })
}

func TestMetricsAreSwitchedOneByOne(t *testing.T) {
	const (
		requests = "kong_http_requests_total{code=200,consumer=,route=rt,service=svc,source=service,workspace=default} 2"
		ann      = "kong_http_requests_total{code=200,consumer=ann,route=rt,service=svc,source=service,workspace=default} 1"
		nobody   = "kong_http_requests_total{code=200,consumer=,route=rt,service=svc,source=service,workspace=default} 1"
		lost     = "kong_http_requests_total{code=404,consumer=,route=,service=,source=kong,workspace=default} 1"
		where    = "{route=rt,service=svc,workspace=default} 2"
	)
	for _, test := range []struct {
		config    string
		want, not []string
	}{
		{`{}`, nil, []string{"kong_http", "kong_kong", "kong_bandwidth", "kong_upstream"}},
		{`{"status_code_metrics": true}`, []string{requests, lost}, []string{"kong_kong", "kong_bandwidth", "kong_upstream"}},
		{`{"status_code_metrics": true, "per_consumer": true}`, []string{ann, nobody, lost}, []string{"kong_kong"}},
		{`{"latency_metrics": true}`, []string{"kong_kong_latency_ms_count" + where, "kong_upstream_latency_ms_count" + where, "kong_request_latency_ms_count" + where},
			[]string{"kong_http", "kong_bandwidth"}},
		{`{"ai_metrics": true, "wasm_metrics": true}`, nil, []string{"kong_http", "kong_kong", "kong_bandwidth"}},
	} {
		t.Run(test.config, func(t *testing.T) {
			g, lines := start(t, gatewaytest.Plugin("prometheus", test.config))
			g.Get("/a")
			g.Get("/a", "X-Who", "ann")
			g.Get("/lost")
			g.Stop() // what is logged is logged by then
			got := lines()
			for _, line := range append(test.want, "kong_node_info{version=3.10.0} 1", "kong_datastore_reachable 1",
				"kong_nginx_requests_total{subsystem=http} 3", "kong_nginx_connections_total{state=total,subsystem=http} 3",
				"kong_nginx_connections_total{state=active,subsystem=http} 0") {
				if !slices.Contains(got, line) {
					t.Errorf("%s is not among\n%s", line, strings.Join(got, "\n"))
				}
			}
			for _, name := range test.not {
				if lines := of(got, name); len(lines) > 0 {
					t.Errorf("there are %v", lines)
				}
			}
		})
	}
}

func TestBandwidth(t *testing.T) {
	g, lines := start(t, gatewaytest.Plugin("prometheus", `{"bandwidth_metrics": true}`))
	res := g.Do(http.MethodPost, "/a", strings.Repeat("x", 1000))
	g.Stop()
	for direction, least := range map[string]float64{"ingress": 1000, "egress": float64(len(res.Text))} {
		prefix := "kong_bandwidth_bytes{consumer=,direction=" + direction + ",route=rt,service=svc,workspace=default} "
		got := of(lines(), prefix)
		var n float64
		if len(got) != 1 {
			t.Fatalf("%s: %v", direction, lines())
		}
		if _, err := fmt.Sscan(strings.TrimPrefix(got[0], prefix), &n); err != nil || n < least || n > least+1000 {
			t.Errorf("%s: %v %v", direction, got, err)
		}
	}
}

func TestUpstreamHealth(t *testing.T) {
	all := []any{gatewaytest.Upstream("up", "127.0.0.1:7"), gatewaytest.Plugin("prometheus", `{"upstream_health_metrics": true}`)}
	_, lines := start(t, all...)
	got := of(lines(), "kong_upstream_target_health")
	for _, want := range []string{
		"kong_upstream_target_health{address=127.0.0.1:7,state=healthchecks_off,subsystem=http,target=127.0.0.1:7,upstream=up} 1",
		"kong_upstream_target_health{address=127.0.0.1:7,state=unhealthy,subsystem=http,target=127.0.0.1:7,upstream=up} 0",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among\n%s", want, strings.Join(got, "\n"))
		}
	}
}

func TestMetricsOutliveAnInstance(t *testing.T) {
	p := gatewaytest.Plugin("prometheus", `{"status_code_metrics": true, "latency_metrics": true}`)
	g, lines := start(t, p)
	g.Get("/a")
	changed := *p
	changed.Config = []byte(`{"status_code_metrics": true, "bandwidth_metrics": true}`)
	g.Put(&changed)
	g.Get("/a")
	g.Stop()
	if got := of(lines(), "kong_http_requests_total"); len(got) != 1 || !strings.HasSuffix(got[0], " 2") {
		t.Errorf("%v", got)
	}
}
