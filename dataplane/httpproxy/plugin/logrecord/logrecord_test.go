package logrecord_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/logrecord"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// recorder is a plugin that gives the records of requests to a channel.
type recorder struct {
	to         chan map[string]any
	fields     *logrecord.Fields
	serializer logrecord.Serializer
	t          *testing.T
}

func (r *recorder) Access(x *httpproxy.Exchange) error {
	if c := x.View().Consumer(x.Request.Header.Get("X-Who")); c != nil {
		x.SetConsumer(c, x.View().Credential(entity.KeyAuth, "key"))
	}
	return nil
}

func (r *recorder) Log(x *httpproxy.Exchange) {
	data, err := r.serializer.Append([]byte("before "), x, r.fields)
	if err != nil {
		r.t.Error(err)
		return
	}
	var m map[string]any
	if err := json.Unmarshal([]byte(strings.TrimPrefix(string(data), "before ")), &m); err != nil {
		r.t.Errorf("%v: %s", err, data)
	}
	r.to <- m
}

func start(t *testing.T, fields map[string]string, entities ...any) (*gatewaytest.Gateway, chan map[string]any) {
	t.Helper()
	r := &recorder{to: make(chan map[string]any, 10), t: t, fields: logrecord.NewFields(fields, slog.New(slog.DiscardHandler))}
	m := httpproxy.PluginModule{Name: "recorder", New: func(httpproxy.PluginOptions) (httpproxy.Plugin, error) { return r, nil }}
	return gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{m}},
		gatewaytest.All(append(entities, gatewaytest.Plugin("recorder", `{}`))...)), r.to
}

// at finds a value in a record.
func at(m map[string]any, path string) any {
	var v any = m
	for name := range strings.SplitSeq(path, ".") {
		sub, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = sub[name]
	}
	return v
}

func check(t *testing.T, m map[string]any, want map[string]any) {
	t.Helper()
	for path, value := range want {
		got, _ := json.Marshal(at(m, path))
		if wanted, _ := json.Marshal(value); string(got) != string(wanted) {
			t.Errorf("%s is %s, not %s", path, got, wanted)
		}
	}
}

func TestRecord(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "echo")+"/base", func(s *entity.Service) { s.Name = "svc" })
	r := gatewaytest.Route(s, "/a")
	ann := gatewaytest.Consumer("ann", "7")
	key := gatewaytest.Key(ann, "key")
	g, records := start(t, nil, s, r, ann, key)
	res := g.Do(http.MethodPost, "/a/b?x=1&y&x=%202", "hello", "X-Who", "ann", "Authorization", "Bearer secret",
		"X-Two", "1", "X-Two", "2")
	m := <-records
	host := strings.TrimPrefix(g.URL, "http://")
	check(t, m, map[string]any{
		"request.id": res.Header.Get("X-Kong-Request-Id"), "request.method": "POST", "request.uri": "/a/b?x=1&y&x=%202",
		"request.url":         g.URL + "/a/b?x=1&y&x=%202",
		"request.querystring": map[string]any{"x": []any{"1", " 2"}, "y": true}, "request.tls": nil,
		"request.headers.host": host, "request.headers.authorization": "REDACTED", "request.headers.x-two": []any{"1", "2"},
		"response.status": 200, "response.headers.x-echo": "echo",
		"route.id": r.ID.String(), "route.name": nil, "route.paths": []any{"/a"},
		"service.name": "svc", "service.retries": 5,
		"consumer.username": "ann", "consumer.custom_id": "7", "authenticated_entity.id": key.ID.String(),
		"client_ip": "127.0.0.1", "upstream_uri": "/base/b?x=1&y&x=%202", "upstream_status": "200", "source": "upstream",
		"workspace": "default",
	})
	for _, path := range []string{"latencies.request", "latencies.kong", "latencies.proxy", "latencies.receive", "started_at"} {
		if n, ok := at(m, path).(float64); !ok || n < 0 {
			t.Errorf("%s is %v", path, at(m, path))
		}
	}
	if n, _ := at(m, "request.size").(float64); n < 100 || n > 400 {
		t.Errorf("the request has %v bytes", n)
	}
	if n, _ := at(m, "response.size").(float64); n < float64(len(res.Text)) || n > float64(len(res.Text))+600 {
		t.Errorf("the response has %v bytes", n)
	}
	tries, _ := m["tries"].([]any)
	if len(tries) != 1 || at(tries[0].(map[string]any), "ip") != "127.0.0.1" || at(tries[0].(map[string]any), "port") != float64(s.Port) {
		t.Errorf("the tries are %v", tries)
	}
}

func TestRecordOfTLS(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "echo"))
	g, records := start(t, nil, s, gatewaytest.Route(s, "/"))
	g.Get(g.SecureURL + "/")
	m := <-records
	check(t, m, map[string]any{"request.tls.version": "TLSv1.3", "request.tls.client_verify": "NONE", "consumer": nil,
		"authenticated_entity": nil, "request.url": g.SecureURL + "/"})
	if c, _ := at(m, "request.tls.cipher").(string); !strings.HasPrefix(c, "TLS_") {
		t.Errorf("the cipher is %q", c)
	}
}

func TestRecordOfFailures(t *testing.T) {
	s := gatewaytest.Service("http://127.0.0.1:1", func(s *entity.Service) { s.Retries = 1 })
	g, records := start(t, nil, s, gatewaytest.Route(s, "/down"))
	g.Get("/down")
	m := <-records
	check(t, m, map[string]any{"response.status": 502, "source": "kong", "upstream_status": "502, 502", "latencies.proxy": -1})
	tries, _ := m["tries"].([]any)
	if len(tries) != 2 || at(tries[0].(map[string]any), "state") != "failed" || at(tries[0].(map[string]any), "code") != float64(502) {
		t.Errorf("the tries are %v", tries)
	}
	g.Get("/nowhere")
	check(t, <-records, map[string]any{"response.status": 404, "route": nil, "service": nil, "tries": []any{}, "upstream_uri": ""})
}

func TestCustomFields(t *testing.T) {
	s := gatewaytest.Service(gatewaytest.Echo(t, "echo"))
	g, records := start(t, map[string]string{
		"a": "return 'x'", "b.c": `return "y";`, "n": " return 1.5 ", "yes": "return true", "request.id": "return nil",
		"request.more": "return false", "lua": "return kong.request.get_path()", "other": "local x = 1", "none.at.all": "return nil",
	}, s, gatewaytest.Route(s, "/"))
	g.Get("/")
	check(t, <-records, map[string]any{"a": "x", "b.c": "y", "n": 1.5, "yes": true, "request.id": nil, "request.more": false,
		"request.method": "GET", "lua": nil, "other": nil, "none": nil})
}
