package httplog

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// received is a request that a server of logs has got.
type received struct {
	method string
	header http.Header
	path   string
	body   string
}

// server starts a server of logs that answers with a status.
func server(t *testing.T, status func() int) (url string, got chan received) {
	t.Helper()
	got = make(chan received, 100)
	return gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s := status()
		w.WriteHeader(s)
		if s < 400 {
			got <- received{r.Method, r.Header, r.URL.Path, string(body)}
		}
	})), got
}

func ok() int { return http.StatusOK }

func start(t *testing.T, config string, args ...any) (*gatewaytest.Gateway, *entity.Plugin) {
	t.Helper()
	p := gatewaytest.Plugin("http-log", fmt.Sprintf(config, args...))
	return gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()}, p), p
}

// uris are the requests in what was received.
func uris(t *testing.T, body string) string {
	t.Helper()
	type entry struct {
		Request struct{ URI string }
		Custom  string
	}
	var all []entry
	if !strings.HasPrefix(body, "[") {
		body = "[" + body + "]"
	}
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var text []string
	for _, e := range all {
		text = append(text, e.Request.URI+e.Custom)
	}
	return strings.Join(text, " ")
}

func TestAnObjectForEachRequest(t *testing.T) {
	url, got := server(t, ok)
	g, _ := start(t, `{"http_endpoint": "%s/logs", "method": "PUT", "headers": {"X-Key": "v"}, "timeout": 5000, "keepalive": 1000,
		"content_type": "application/json; charset=utf-8", "custom_fields_by_lua": {"custom": "return '!'"}}`,
		strings.Replace(url, "http://", "http://user:pass@", 1))
	for _, path := range []string{"/a", "/b"} {
		g.Get(path)
		r := <-got
		if uris(t, r.body) != path+"!" || strings.HasPrefix(r.body, "[") || r.method != "PUT" || r.path != "/logs" ||
			r.header.Get("X-Key") != "v" || r.header.Get("Content-Type") != "application/json; charset=utf-8" ||
			r.header.Get("Authorization") != "Basic dXNlcjpwYXNz" {
			t.Errorf("%+v", r)
		}
	}
}

func TestBatches(t *testing.T) {
	for name, config := range map[string]string{
		"a full batch is sent at once":    `{"http_endpoint": "%s", "queue": {"max_batch_size": 3, "max_coalescing_delay": 3600}}`,
		"the old name of the size counts": `{"http_endpoint": "%s", "queue_size": 3, "flush_timeout": 3600, "retry_count": 1}`,
	} {
		t.Run(name, func(t *testing.T) {
			url, got := server(t, ok)
			g, _ := start(t, config, url)
			for _, path := range []string{"/a", "/b", "/c"} {
				g.Get(path)
			}
			if r := <-got; uris(t, r.body) != "/a /b /c" || !strings.HasPrefix(r.body, "[") {
				t.Errorf("%+v", r)
			}
		})
	}
	t.Run("a batch that is not full is sent after a while", func(t *testing.T) {
		url, got := server(t, ok)
		g, _ := start(t, `{"http_endpoint": "%s", "queue": {"max_batch_size": 3, "max_coalescing_delay": 0.01}}`, url)
		g.Get("/a")
		if r := <-got; uris(t, r.body) != "/a" || !strings.HasPrefix(r.body, "[") {
			t.Errorf("%+v", r)
		}
	})
	t.Run("many at once are all sent", func(t *testing.T) {
		url, got := server(t, ok)
		g, _ := start(t, `{"http_endpoint": "%s", "queue": {"concurrency_limit": -1}}`, url)
		seen := map[string]bool{}
		for i := range 20 {
			g.Get(fmt.Sprint("/", i))
		}
		for range 20 {
			seen[uris(t, (<-got).body)] = true
		}
		if len(seen) != 20 {
			t.Errorf("%v", seen)
		}
	})
}

func TestWhatFailsIsSentAgain(t *testing.T) {
	var n atomic.Int64
	url, got := server(t, func() int {
		if n.Add(1) < 4 {
			return http.StatusServiceUnavailable
		}
		return http.StatusNoContent
	})
	g, _ := start(t, `{"http_endpoint": "%s", "queue": {"initial_retry_delay": 0.001, "max_retry_delay": 0.002}}`, url)
	g.Get("/a")
	if r := <-got; uris(t, r.body) != "/a" {
		t.Errorf("%+v", r)
	}
	if n.Load() != 4 {
		t.Errorf("it took %d times", n.Load())
	}
}

func TestWhatFailsForTooLongIsGivenUp(t *testing.T) {
	var n atomic.Int64
	url, got := server(t, func() int {
		if n.Add(1) == 1 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	})
	g, _ := start(t, `{"http_endpoint": "%s", "queue": {"max_retry_time": 0}}`, url)
	g.Get("/a")
	g.Get("/b")
	if r := <-got; uris(t, r.body) != "/b" {
		t.Errorf("%+v", r)
	}
}

func TestTheQueueIsSentAtTheEnd(t *testing.T) {
	url, got := server(t, ok)
	g, _ := start(t, `{"http_endpoint": "%s", "queue": {"max_batch_size": 10, "max_coalescing_delay": 3600}}`, url)
	g.Get("/a")
	g.Get("/b")
	g.Stop()
	select {
	case r := <-got:
		if uris(t, r.body) != "/a /b" {
			t.Errorf("%+v", r)
		}
	default:
		t.Error("nothing was sent")
	}
}

func TestTheQueueSurvivesAChangeOfTheConfiguration(t *testing.T) {
	nowhere, _ := server(t, func() int { return http.StatusServiceUnavailable })
	url, got := server(t, ok)
	const config = `{"http_endpoint": "%s", "queue": {"max_batch_size": 10, "max_coalescing_delay": %d}}`
	g, p := start(t, config, nowhere, 3600)
	g.Get("/a")
	changed := *p
	changed.Config = json.RawMessage(fmt.Sprintf(config, url, 0))
	g.Put(&changed)
	if r := <-got; uris(t, r.body) != "/a" {
		t.Errorf("%+v", r)
	}
	g.Get("/b")
	if r := <-got; uris(t, r.body) != "/b" {
		t.Errorf("%+v", r)
	}
}

func TestTheQueueOfAPluginThatIsRemovedIsStillSent(t *testing.T) {
	url, got := server(t, ok)
	g, p := start(t, `{"http_endpoint": "%s", "queue": {"max_batch_size": 10, "max_coalescing_delay": 3600}}`, url)
	g.Get("/a")
	g.Remove(httpproxy.Key{Kind: httpproxy.Plugins, ID: p.ID})
	if r := <-got; uris(t, r.body) != "/a" {
		t.Errorf("%+v", r)
	}
}

func TestTheQueueIsBounded(t *testing.T) {
	for _, test := range []struct {
		name   string
		config queueConfig
		want   string
	}{
		{"by its length", queueConfig{MaxBatchSize: 9, MaxEntries: 2}, "cc dd"},
		{"by its size", queueConfig{MaxBatchSize: 9, MaxEntries: 9, MaxBytes: new(3)}, "dd"},
		{"by nothing", queueConfig{MaxBatchSize: 9, MaxEntries: 9}, "aa bb cccc cc dd"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, p := start(t, `{"http_endpoint": "http://127.0.0.1:1"}`)
			q := &queue{log: newLog(t), wake: make(chan struct{}, 1)}
			q.configure(test.config, nil)
			for _, e := range []string{"aa", "bb", "cccc", "cc", "dd"} {
				q.add([]byte(e))
			}
			batch, _, _ := q.take(time.Now(), true)
			var all []string
			for _, e := range batch {
				all = append(all, string(e))
			}
			if got := strings.Join(all, " "); got != test.want || q.bytes != 0 {
				t.Errorf("%s, not %s; %d bytes are left of %s", got, test.want, q.bytes, p.Name)
			}
		})
	}
}

func TestSecretsAreNotToldInErrors(t *testing.T) {
	c := &config{Endpoint: "http://user:secret@127.0.0.1:1/?key=secret", Queue: queueConfig{}}
	c.complete()
	s, err := newSender(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.send(t.Context(), [][]byte{{'1'}}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	if _, err := newSender(&config{Endpoint: "http://secret:%zz"}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	r := configSchema()
	for config, want := range map[string]string{
		`{"http_endpoint": "http://h/x"}`: "",
		`{}`:                              "required field missing",
		`{"http_endpoint": "h"}`:          "missing host in url",
		`{"http_endpoint": "ftp://h"}`:    "unsupported scheme",
		`{"http_endpoint": "http://h", "method": "GET"}`:                             "expected one of",
		`{"http_endpoint": "http://h", "headers": {"host": "x"}}`:                    "cannot contain 'Host' header",
		`{"http_endpoint": "http://h", "headers": {"content-type": "x"}}`:            "cannot contain 'Content-Type' header",
		`{"http_endpoint": "http://u:p@h", "headers": {"authorization": "x"}}`:       "specifying both",
		`{"http_endpoint": "http://h", "queue": {"max_batch_size": 0}}`:              "value should be between 1 and 1000000",
		`{"http_endpoint": "http://h", "queue": {"concurrency_limit": 2}}`:           "expected one of",
		`{"http_endpoint": "http://h", "queue": {"initial_retry_delay": 0.0000001}}`: "value should be between",
	} {
		if got := gatewaytest.Violations(t, &r, config); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, not %q", config, got, want)
		}
	}
}
