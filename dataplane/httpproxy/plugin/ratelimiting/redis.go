package ratelimiting

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/backplane/backplane/dataplane/httpproxy"
)

// redisStores are the connections to Redis, which instances with the same
// settings share.
type redisStores struct {
	mu     sync.Mutex
	stores map[redisKey]*openStore
}

type redisKey struct {
	redisConfig
	rate float64
}

type openStore struct {
	store
	end  func()
	uses int
}

func redisOf(h httpproxy.Host) *redisStores {
	return h.Shared("rate-limiting: redis", func() any {
		return &redisStores{stores: map[redisKey]*openStore{}}
	}).(*redisStores)
}

// open gives a store, which is to be released.
func (r *redisStores) open(h httpproxy.Host, log *slog.Logger, c redisConfig, rate float64) (store, func()) {
	if rate <= 0 {
		rate = -1
	}
	k := redisKey{c, rate}
	r.mu.Lock()
	defer r.mu.Unlock()
	o := r.stores[k]
	if o == nil {
		o = openRedis(h, log, c, rate)
		r.stores[k] = o
	}
	o.uses++
	return o.store, sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if o.uses--; o.uses == 0 {
			delete(r.stores, k)
			o.end()
		}
	})
}

func openRedis(h httpproxy.Host, log *slog.Logger, c redisConfig, rate float64) *openStore {
	r := &redisStore{client: redis.NewClient(c.options()), timeout: c.timeout(), script: redis.NewScript(takeScript)}
	if rate < 0 {
		return &openStore{store: r, end: func() { _ = r.client.Close() }}
	}
	s := newSynced(r, log)
	ctx, cancel := context.WithCancel(h.Context())
	h.Go(func(context.Context) {
		defer r.client.Close()
		s.run(ctx, time.Duration(max(rate, leastRate)*float64(time.Second)))
	})
	return &openStore{store: s, end: cancel}
}

func (c *redisConfig) timeout() time.Duration {
	if c.Timeout <= 0 {
		return 2 * time.Second
	}
	return time.Duration(c.Timeout) * time.Millisecond
}

func (c *redisConfig) options() *redis.Options {
	o := &redis.Options{
		Addr: net.JoinHostPort(c.Host, strconv.Itoa(c.Port)), Username: c.Username, Password: c.Password, DB: c.Database,
		DialTimeout: c.timeout(), ReadTimeout: c.timeout(), WriteTimeout: c.timeout(), PoolTimeout: c.timeout(),
		ContextTimeoutEnabled: true, MaxRetries: 1, DialerRetries: 1, Protocol: 2, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	if c.SSL {
		name := c.ServerName
		if name == "" {
			name = c.Host
		}
		// Whether certificates are checked is for who configures it to say.
		o.TLSConfig = &tls.Config{ServerName: name, InsecureSkipVerify: !c.SSLVerify, MinVersion: tls.VersionTLS12}
	}
	return o
}

// redisStore counts requests in Redis, in one round trip for each.
type redisStore struct {
	client  *redis.Client
	script  *redis.Script
	timeout time.Duration
}

// takeScript counts a request unless a limit is reached: KEYS are the counters
// of the windows, ARGV the limits and then the seconds until they are over. It
// gives the counts before.
const takeScript = `
local used, full = {}, false
for i, key in ipairs(KEYS) do
  used[i] = tonumber(redis.call('GET', key) or '0')
  full = full or used[i] >= tonumber(ARGV[i])
end
if not full then
  for i, key in ipairs(KEYS) do
    if redis.call('INCR', key) == 1 then
      redis.call('EXPIRE', key, ARGV[#KEYS + i])
    end
  end
end
return used`

// waits implements waiting.
func (*redisStore) waits(*key, time.Time, []limit) bool { return true }

// take implements store.
func (r *redisStore) take(ctx context.Context, k *key, now time.Time, limits []limit, used *usage) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	n := len(limits)
	keys, args := make([]string, n), make([]any, 2*n)
	for i := range limits {
		at := spanAt(limits[i].window, now)
		keys[i] = redisName(k, limits[i].window, at.start)
		args[i], args[n+i] = limits[i].most, lifetime(at, now)
	}
	counts, err := r.script.Run(ctx, r.client, keys, args...).Int64Slice()
	if err != nil {
		return false, err
	}
	if len(counts) != n {
		return false, fmt.Errorf("redis has answered with %d counts for %d", len(counts), n)
	}
	full := false
	for i, c := range counts {
		used[i] = c
		full = full || c >= limits[i].most
	}
	return full, nil
}

// lifetime is how many seconds Redis keeps a counter: a little longer than the
// window, as clocks may differ.
func lifetime(at span, now time.Time) int64 { return max(1, at.end-now.Unix()) + 1 }

// redisName is the name of a counter in Redis.
func redisName(k *key, window int, start int64) string {
	id := k.text
	switch k.kind {
	case byAddress:
		id = netip.AddrFrom16(k.id).Unmap().String()
	case byConsumer, byCredential, byService:
		id = uuid.UUID(k.id).String()
	}
	return "ratelimit:" + k.route.String() + ":" + k.service.String() + ":" + id + ":" +
		strconv.FormatInt(start*1000, 10) + ":" + windowNames[window]
}
