package ratelimiting

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
	"github.com/backplane/backplane/testbed"
)

func redisPlugin(s *testbed.Redis, more string) *entity.Plugin {
	return gatewaytest.Plugin("rate-limiting", fmt.Sprintf(
		`{"year": 3, "policy": "redis", "redis": {"host": "127.0.0.1", "port": %d, "password": "secret"} %s}`, s.Port, more))
}

func TestGatewaysShareALimitInRedis(t *testing.T) {
	s := testbed.StartRedis(t, testbed.RedisOptions{Password: "secret"})
	one, two := start(t, redisPlugin(s, "")), start(t, redisPlugin(s, ""))
	var got []string
	for i := range 5 {
		res := []*gatewaytest.Gateway{one, two}[i%2].Get("/")
		got = append(got, fmt.Sprint(res.StatusCode, " ", res.Header.Get("X-RateLimit-Remaining-Year")))
	}
	if all := strings.Join(got, ", "); all != "200 2, 200 1, 200 0, 429 0, 429 0" {
		t.Error(all)
	}
	c := redis.NewClient(&redis.Options{Addr: testbed.Addr(s.Port), Password: "secret"})
	defer c.Close()
	keys, err := c.Keys(t.Context(), "ratelimit:*").Result()
	if err != nil || len(keys) != 1 {
		t.Fatalf("%v %v", keys, err)
	}
	left, err := c.TTL(t.Context(), keys[0]).Result()
	if err != nil || left <= 0 || left > 367*24*time.Hour {
		t.Errorf("the counter is kept for %v: %v", left, err)
	}
}

func TestCountsAreSyncedFromTimeToTime(t *testing.T) {
	s := testbed.StartRedis(t, testbed.RedisOptions{Password: "secret"})
	one, two := start(t, redisPlugin(s, `, "sync_rate": 0.02`)), start(t, redisPlugin(s, `, "sync_rate": 0.02`))
	if res := one.Get("/"); res.Header.Get("X-RateLimit-Remaining-Year") != "2" {
		t.Fatalf("%s %v", res.Status, res.Header)
	}
	c := redis.NewClient(&redis.Options{Addr: testbed.Addr(s.Port), Password: "secret"})
	defer c.Close()
	waitFor(t, func() bool {
		keys, err := c.Keys(t.Context(), "ratelimit:*").Result()
		return err == nil && len(keys) == 1
	})
	if res := two.Get("/"); res.Header.Get("X-RateLimit-Remaining-Year") != "1" {
		t.Errorf("the other gateway does not know: %s %v", res.Status, res.Header)
	}
	two.Get("/")
	waitFor(t, func() bool { return one.Get("/").StatusCode == http.StatusTooManyRequests })
}

func TestRedisIsDown(t *testing.T) {
	s := testbed.StartRedis(t, testbed.RedisOptions{})
	s.Stop()
	for _, test := range []struct {
		name, more string
		status     int
	}{
		{"requests pass", ``, http.StatusOK},
		{"requests pass where counts are synced", `, "sync_rate": 1`, http.StatusOK},
		{"requests fail without tolerance", `, "fault_tolerant": false`, http.StatusInternalServerError},
	} {
		t.Run(test.name, func(t *testing.T) {
			res := start(t, redisPlugin(s, test.more)).Get("/")
			if res.StatusCode != test.status || res.Header.Get("RateLimit-Limit") != "" {
				t.Errorf("%s %v", res.Status, res.Header)
			}
		})
	}
}

func TestConnectionsAreSharedAndClosed(t *testing.T) {
	s := testbed.StartRedis(t, testbed.RedisOptions{Password: "secret"})
	p := redisPlugin(s, "")
	g := start(t, p)
	g.Get("/")
	c := redis.NewClient(&redis.Options{Addr: testbed.Addr(s.Port), Password: "secret"})
	defer c.Close()
	clients := func() int {
		list, err := c.ClientList(t.Context()).Result()
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(list, "\n")
	}
	if n := clients(); n < 2 {
		t.Fatalf("%d clients", n)
	}
	g.Remove(httpproxy.Key{Kind: httpproxy.Plugins, ID: p.ID})
	waitFor(t, func() bool { return clients() == 1 })
}

func TestTLSIsAsConfigured(t *testing.T) {
	for _, test := range []struct {
		config redisConfig
		name   string
		verify bool
	}{
		{redisConfig{Host: "h", Port: 1, SSL: true}, "h", false},
		{redisConfig{Host: "h", Port: 1, SSL: true, SSLVerify: true, ServerName: "s"}, "s", true},
	} {
		o := test.config.options()
		if o.TLSConfig == nil || o.TLSConfig.ServerName != test.name || o.TLSConfig.InsecureSkipVerify == test.verify {
			t.Errorf("%+v", o.TLSConfig)
		}
	}
	o := (&redisConfig{Host: "::1", Port: 2, Timeout: 3, Username: "u", Password: "p", Database: 4}).options()
	if o.TLSConfig != nil || o.Addr != "[::1]:2" || o.ReadTimeout != 3*time.Millisecond || o.Username != "u" || o.Password != "p" || o.DB != 4 {
		t.Errorf("%+v", o)
	}
}

func TestNamesInRedisTellClientsApart(t *testing.T) {
	id := uuid.New()
	names := map[string]bool{}
	for _, k := range []key{
		{kind: byConsumer, id: id}, {kind: byHeader, text: "x"}, {kind: byPath, text: "/"}, {},
		{kind: byConsumer, id: id, route: id}, {kind: byConsumer, id: id, service: id},
	} {
		names[redisName(&k, minute, 60)] = true
	}
	if len(names) != 6 {
		t.Errorf("%v", names)
	}
}

// waitFor waits until something is so.
func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-deadline:
			t.Fatal("it has not come to pass")
		case <-tick.C:
		}
	}
}
