package proxycache

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// start starts a gateway whose upstream answers with the number of the request.
// Arguments of the query named "h" are fields of the answer, "s" is its status.
func start(t *testing.T, config string, entities ...any) (*gatewaytest.Gateway, string) {
	t.Helper()
	var n atomic.Int64
	s := gatewaytest.Service(gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		for _, h := range r.URL.Query()["h"] {
			name, value, _ := strings.Cut(h, ":")
			w.Header().Set(name, value)
		}
		if s, err := strconv.Atoi(r.URL.Query().Get("s")); err == nil {
			w.WriteHeader(s)
		}
		fmt.Fprint(w, n.Add(1))
	})))
	p := gatewaytest.Plugin("proxy-cache", config)
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{Module()}},
		gatewaytest.All(append(entities, s, gatewaytest.Route(s, "/"), p)...))
	return g, p.ID.String()
}

// story asks for paths, each with header fields after it, and tells what came:
// the body and X-Cache-Status.
func story(g *gatewaytest.Gateway, asked ...[]string) string {
	var all []string
	for _, a := range asked {
		method, path, ok := strings.Cut(a[0], " ")
		if !ok {
			method, path = http.MethodGet, a[0]
		}
		res := g.Do(method, path, "", a[1:]...)
		text := res.Text
		if res.StatusCode >= 400 && res.StatusCode != 404 {
			text = strconv.Itoa(res.StatusCode)
		}
		all = append(all, text+" "+res.Header.Get("X-Cache-Status"))
	}
	return strings.Join(all, ", ")
}

func TestCache(t *testing.T) {
	get := func(s ...string) []string { return s }
	for _, test := range []struct {
		name, config string
		asked        [][]string
		want         string
	}{
		{"the same is answered from memory", ``, [][]string{get("/a"), get("/a"), get("/b")}, "1 Miss, 1 Hit, 2 Miss"},
		{"other arguments are another request", ``, [][]string{get("/a?x=1"), get("/a?x=2"), get("/a"), get("/a?x=1")},
			"1 Miss, 2 Miss, 3 Miss, 1 Hit"},
		{"the order of arguments does not matter", ``, [][]string{get("/a?x=1&y=2"), get("/a?y=2&x=1")}, "1 Miss, 1 Hit"},
		{"what looks like other arguments is not taken for them", ``, [][]string{get("/a?x=1&y=2"), get("/a?x=1:y=2")}, "1 Miss, 2 Miss"},
		{"another host is another request", ``, [][]string{get("/a"), get("/a", "Host", "other.test")}, "1 Miss, 2 Miss"},
		{"only some arguments matter", `, "vary_query_params": ["x"]`, [][]string{get("/a?x=1&y=1"), get("/a?y=2&x=1"), get("/a?x=2")},
			"1 Miss, 1 Hit, 2 Miss"},
		{"arguments are the same however they are escaped", `, "vary_query_params": ["x"]`,
			[][]string{get("/a?%78=1"), get("/a"), get("/a?x=1")}, "1 Miss, 2 Miss, 1 Hit"},
		{"fields of the request matter", `, "vary_headers": ["X-V", "Accept"]`,
			[][]string{get("/a", "X-V", "1"), get("/a", "x-v", "1"), get("/a"), get("/a", "Accept", "1")}, "1 Miss, 1 Hit, 2 Miss, 3 Miss"},
		{"what the response depends on matters", ``,
			[][]string{get("/a?h=Vary:X-V", "X-V", "1"), get("/a?h=Vary:X-V", "X-V", "1"), get("/a?h=Vary:X-V", "X-V", "2")},
			"1 Miss, 1 Hit, 2 Miss"},
		{"what depends on everything is not kept", ``, [][]string{get("/a?h=Vary:*"), get("/a?h=Vary:*")}, "1 Bypass, 2 Bypass"},
		{"the case of paths matters", ``, [][]string{get("/a"), get("/A")}, "1 Miss, 2 Miss"},
		{"the case of paths does not matter", `, "ignore_uri_case": true`, [][]string{get("/a"), get("/A")}, "1 Miss, 1 Hit"},
		{"other statuses are not kept", ``, [][]string{get("/a?s=201"), get("/a?s=201"), get("/a?s=404"), get("/a?s=404")},
			"1 Bypass, 2 Bypass, 3 Miss, 3 Hit"},
		{"statuses are as configured", `, "response_code": [201]`, [][]string{get("/a?s=201"), get("/a?s=201"), get("/a")},
			"1 Miss, 1 Hit, 2 Bypass"},
		{"other methods are not looked at", ``, [][]string{get("POST /a"), get("POST /a")}, "1 Bypass, 2 Bypass"},
		{"methods are as configured", `, "request_method": ["POST"]`, [][]string{get("POST /a"), get("POST /a"), get("/a")},
			"1 Miss, 1 Hit, 2 Bypass"},
		{"HEAD is another request", ``, [][]string{get("HEAD /a"), get("HEAD /a"), get("/a")}, " Miss,  Hit, 2 Miss"},
		{"other types are not kept", ``, [][]string{get("/a?h=Content-Type:text/html"), get("/a?h=Content-Type:text/html")},
			"1 Bypass, 2 Bypass"},
		{"parameters of types matter", ``, [][]string{get("/a?h=Content-Type:text/plain%3bcharset=utf-8"), get("/a")}, "1 Bypass, 2 Miss"},
		{"parameters of types are as configured", `, "content_type": ["text/plain; charset=UTF-8"]`,
			[][]string{get("/a?h=Content-Type:text/plain%3bcharset=utf-8"), get("/a?h=Content-Type:text/plain%3bcharset=utf-8")}, "1 Miss, 1 Hit"},
		{"Cache-Control is for others by default", ``,
			[][]string{get("/a?h=Cache-Control:no-store", "Cache-Control", "no-store"), get("/a?h=Cache-Control:no-store")}, "1 Miss, 1 Hit"},
		{"a response says how long it is fresh", `, "cache_control": true`,
			[][]string{get("/a?h=Cache-Control:max-age=9"), get("/a?h=Cache-Control:max-age=9"), get("/a"), get("/a?h=Cache-Control:s-maxage=0,max-age=9")},
			"1 Miss, 1 Hit, 2 Bypass, 3 Bypass"},
		{"a response says that it is not to be kept", `, "cache_control": true`,
			[][]string{get("/a?h=Cache-Control:no-store,max-age=9"), get("/a?h=Cache-Control:private,max-age=9"), get("/a?h=Cache-Control:no-cache,max-age=9")},
			"1 Bypass, 2 Bypass, 3 Bypass"},
		{"a request says that nothing is to be kept", `, "cache_control": true`,
			[][]string{get("/a?h=Cache-Control:max-age=9", "Cache-Control", "no-store"), get("/a?h=Cache-Control:max-age=9", "Cache-Control", "no-cache"),
				get("/a?h=Cache-Control:max-age=9", "Authorization", "x")}, "1 Bypass, 2 Bypass, 3 Bypass"},
		{"a request wants what is kept or nothing", `, "cache_control": true`,
			[][]string{get("/a?h=Cache-Control:max-age=9", "Cache-Control", "only-if-cached"), get("/a?h=Cache-Control:max-age=9"),
				get("/a?h=Cache-Control:max-age=9", "Cache-Control", "only-if-cached")}, "504 Bypass, 1 Miss, 1 Hit"},
		{"a request wants something fresher", `, "cache_control": true`,
			[][]string{get("/a?h=Cache-Control:max-age=9"), get("/a?h=Cache-Control:max-age=9", "Cache-Control", "min-fresh=60"),
				get("/a?h=Cache-Control:max-age=9")}, "1 Miss, 2 Refresh, 2 Hit"},
		{"storage_ttl bounds how long it is there", `, "storage_ttl": 0`, [][]string{get("/a"), get("/a")}, "1 Miss, 2 Miss"},
		{"the fields can be hidden", `, "response_headers": {"X-Cache-Status": false}`, [][]string{get("/a"), get("/a")}, "1 , 1 "},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, _ := start(t, `{"strategy": "memory"`+test.config+`}`)
			if got := story(g, test.asked...); got != test.want {
				t.Errorf("%s, not %s", got, test.want)
			}
		})
	}
}

func TestAHitIsTheResponseThatWasKept(t *testing.T) {
	g, _ := start(t, `{"strategy": "memory"}`)
	first, hit := g.Get("/a?s=404&h=X-A:1"), g.Get("/a?s=404&h=X-A:1")
	if hit.StatusCode != 404 || hit.Text != first.Text || hit.Header.Get("X-A") != "1" || hit.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("%s %v %s", hit.Status, hit.Header, hit.Text)
	}
	if first.Header.Get("Age") != "" || hit.Header.Get("Age") != "0" {
		t.Errorf("Age is %q, then %q", first.Header.Get("Age"), hit.Header.Get("Age"))
	}
	if key := hit.Header.Get("X-Cache-Key"); len(key) != 64 || key != first.Header.Get("X-Cache-Key") {
		t.Errorf("the keys are %q and %q", key, first.Header.Get("X-Cache-Key"))
	}
	head, again := g.Do(http.MethodHead, "/b", ""), g.Do(http.MethodHead, "/b", "")
	if head.ContentLength != 1 || again.ContentLength != 1 || again.Header.Get("X-Cache-Status") != "Hit" {
		t.Errorf("HEAD: %d, then %d %v", head.ContentLength, again.ContentLength, again.Header)
	}
	g, _ = start(t, `{"strategy": "memory", "response_headers": {"age": false, "X-Cache-Key": false}}`)
	g.Get("/a")
	if hit = g.Get("/a"); hit.Header.Get("Age") != "" || hit.Header.Get("X-Cache-Key") != "" || hit.Header.Get("X-Cache-Status") != "Hit" {
		t.Errorf("%v", hit.Header)
	}
}

func TestPurge(t *testing.T) {
	g, id := start(t, `{"strategy": "memory"}`)
	c := Of(g.Host())
	key := g.Get("/a").Header.Get("X-Cache-Key")
	if e := c.Get(key); e == nil || string(e.Body) != "1" || e.Status != 200 || e.Plugin.String() != id || e.TTL != 5*time.Minute {
		t.Fatalf("%+v", e)
	}
	if !c.Purge(key) || c.Purge(key) || c.Get(key) != nil {
		t.Error("it is not purged by its key")
	}
	g.Get("/a")
	c.PurgePlugin(uuid.New())
	if c.Get(key) == nil {
		t.Error("it is purged with another plugin")
	}
	c.PurgePlugin(uuid.MustParse(id))
	if c.Get(key) != nil {
		t.Error("it is not purged with its plugin")
	}
	g.Get("/a")
	c.PurgeAll()
	if got := story(g, []string{"/a"}, []string{"/a"}); got != "4 Miss, 4 Hit" {
		t.Error(got)
	}
}

func TestALongResponseIsNotKeptAndNotDelayed(t *testing.T) {
	next := make(chan struct{})
	part := strings.Repeat("x", 1<<20)
	s := gatewaytest.Service(gatewaytest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		for i := range maxEntry>>20 + 2 {
			_, _ = io.WriteString(w, part)
			if i == 0 {
				_ = http.NewResponseController(w).Flush()
				<-next
			}
		}
	})))
	g := gatewaytest.Start(t, httpproxy.Options{Modules: []httpproxy.PluginModule{Module()}},
		gatewaytest.All(s, gatewaytest.Route(s, "/"), gatewaytest.Plugin("proxy-cache", `{"strategy": "memory"}`)))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, g.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := g.Client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, len(part))); err != nil {
		t.Fatalf("the first part waits for the others: %v", err)
	}
	close(next)
	if n, err := io.Copy(io.Discard, res.Body); err != nil || n != int64(maxEntry>>20+1)<<20 {
		t.Errorf("%d %v", n, err)
	}
	if Of(g.Host()).Get(res.Header.Get("X-Cache-Key")) != nil {
		t.Error("it is kept")
	}
}

func TestABodyThatIsCutShortIsNotKept(t *testing.T) {
	kept := false
	r := &recorder{body: io.MultiReader(strings.NewReader("abc")), length: 5, entry: &Entry{}, keep: func() { kept = true }}
	if _, err := io.ReadAll(r); err != nil || kept {
		t.Errorf("kept: %v, %v", kept, err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c := newCache()
	for i := range 200 {
		c.put(strconv.Itoa(i), &Entry{Body: make([]byte, 4<<20), Stored: time.Now(), Kept: time.Hour})
	}
	total, there := 0, 0
	for i := range c.shards {
		total += c.shards[i].size
		there += len(c.shards[i].entries)
		if n := c.shards[i].order.Len(); n != len(c.shards[i].entries) {
			t.Errorf("%d in order", n)
		}
	}
	if total > memory || there == 0 || there > memory/(4<<20) {
		t.Errorf("%d entries of %d bytes", there, total)
	}
	c.put("large", &Entry{Body: make([]byte, maxEntry), Stored: time.Now(), Kept: time.Hour})
	if c.Get("large") != nil {
		t.Error("it has taken what is too large")
	}
}

func TestAnEntryIsUsableWhileItIsFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plugin{ttl: time.Minute}
		c, e := newCache(), &Entry{Stored: time.Now(), TTL: time.Minute, Kept: time.Hour}
		c.put("k", e)
		<-time.After(59 * time.Second)
		if c.Get("k") == nil || !p.usable(e, &directives{}, time.Now()) {
			t.Error("it is over before its time")
		}
		<-time.After(2 * time.Second)
		if c.Get("k") == nil || p.usable(e, &directives{}, time.Now()) {
			t.Error("it is not over in its time")
		}
		p.config.CacheControl = true
		for header, want := range map[string]bool{
			"": false, "max-stale": true, "max-stale=1": true, "max-stale=0": false, "max-age=60, max-stale": false,
		} {
			h := &httpproxy.Header{}
			h.Set("Cache-Control", header)
			cc := parseControl(h)
			if p.usable(e, &cc, time.Now()) != want {
				t.Errorf("%q: it is not %v", header, want)
			}
		}
		<-time.After(time.Hour)
		if c.Get("k") != nil {
			t.Error("it is kept for ever")
		}
	})
}

func TestCacheControl(t *testing.T) {
	for _, test := range []struct {
		values []string
		want   directives
	}{
		{nil, directives{maxAge: -1, sharedMaxAge: -1, maxStale: -1, minFresh: -1}},
		{[]string{"No-Store , private=\"a, no-cache\"", "max-age=\"10\""}, directives{noStore: true, private: true, maxAge: 10 * time.Second,
			sharedMaxAge: -1, maxStale: -1, minFresh: -1}},
		{[]string{"max-age=10, max-age=5", "s-maxage=x"}, directives{maxAge: 5 * time.Second, sharedMaxAge: 0, maxStale: -1, minFresh: -1}},
		{[]string{"max-stale, min-fresh=99999999999999999999,, only-if-cached,no-cache"}, directives{noCache: true, onlyIfCached: true,
			maxAge: -1, sharedMaxAge: -1, maxStale: forever, minFresh: 1 << 31 * time.Second}},
	} {
		h := &httpproxy.Header{}
		for _, v := range test.values {
			h.Add("cache-control", v)
		}
		if got := parseControl(h); got != test.want {
			t.Errorf("%q: %+v", test.values, got)
		}
	}
}

func TestExpires(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "Thu, 01 Jan 2026 00:01:00 GMT": time.Minute, "Wed, 31 Dec 2025 00:00:00 GMT": 0,
	} {
		h := &httpproxy.Header{}
		if value != "" {
			h.Add("Expires", value)
		}
		cc := parseControl(h)
		if got := cc.lifetime(h, now); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

func TestConfig(t *testing.T) {
	r := configSchema()
	for config, want := range map[string]string{
		`{"strategy": "memory"}`: "",
		`{}`:                     "required field missing",
		`{"strategy": "redis"}`:  "expected one of: memory",
		`{"strategy": "memory", "response_code": []}`:       "length must be at least 1",
		`{"strategy": "memory", "response_code": [99]}`:     "value should be between 100 and 900",
		`{"strategy": "memory", "request_method": ["DEL"]}`: "expected one of",
		`{"strategy": "memory", "cache_ttl": 0}`:            "value must be greater than 0",
	} {
		if got := gatewaytest.Violations(t, &r, config); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, not %q", config, got, want)
		}
	}
}

func FuzzCacheControl(f *testing.F) {
	f.Add(`max-age=1, private="a\"b", no-store`)
	f.Fuzz(func(t *testing.T, s string) {
		h := &httpproxy.Header{}
		h.Add("Cache-Control", s)
		for name, d := range map[string]time.Duration{"max-age": parseControl(h).maxAge, "min-fresh": parseControl(h).minFresh} {
			if d < -1 || d > 1<<31*time.Second {
				t.Errorf("%s is %v", name, d)
			}
		}
	})
}
