// Package ratelimiting is the plugin rate-limiting: it bounds how many requests
// a client may make in windows of the calendar.
package ratelimiting

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
)

// Module is the kind of plugin.
func Module() httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: "rate-limiting", Version: "3.10.0", Priority: 910, Config: configSchema(), New: newPlugin,
	}
}

// store counts requests.
type store interface {
	// take counts a request unless a limit is reached, which it tells, and
	// gives the counts before it, in step with the limits.
	take(ctx context.Context, k *key, now time.Time, limits []limit, used *usage) (full bool, err error)
}

// waiting is a store that may have to wait for a server.
type waiting interface {
	store
	// waits tells whether take would.
	waits(k *key, now time.Time, limits []limit) bool
}

// usage is how many requests there were, in step with limits.
type usage [windowCount]int64

// plugin is an instance.
type plugin struct {
	limits     []limit
	store      store
	waiting    waiting // the store; nil if it never waits
	release    func()  // of the store
	identify   func(x *httpproxy.Exchange, k *key)
	scope      key
	tolerant   bool
	hide       bool
	code       int
	message    string
	verdicts   sync.Pool
	limitNames [windowCount]string
	leftNames  [windowCount]string
	warned     atomic.Int64 // the last second in which that was told
}

// verdict is what was found out about a request, for the head of its response.
type verdict struct {
	used  usage
	now   time.Time
	full  bool
	known bool
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	c, limits, err := readConfig(o.Config)
	if err != nil {
		return nil, err
	}
	p := &plugin{
		limits: limits, tolerant: c.FaultTolerant, hide: c.HideClientHeaders, code: int(c.ErrorCode), message: c.ErrorMessage,
		identify: identifier(c), release: func() {},
		verdicts: sync.Pool{New: func() any { return new(verdict) }},
	}
	if p.code == 0 {
		p.code = 429
	}
	if o.Entity.Route != nil {
		p.scope.route = o.Entity.Route.ID
	}
	if o.Entity.Service != nil {
		p.scope.service = o.Entity.Service.ID
	}
	for i, l := range limits {
		name := windowNames[l.window]
		name = string(name[0]-'a'+'A') + name[1:]
		p.limitNames[i], p.leftNames[i] = "X-RateLimit-Limit-"+name, "X-RateLimit-Remaining-"+name
	}
	// Nodes that share their counts do so in Redis: without one, each of them
	// counts for itself.
	if c.Policy == "redis" || c.Policy == "cluster" && c.Redis.Host != "" {
		p.store, p.release = redisOf(o.Host).open(o.Host, o.Log, c.Redis, c.SyncRate)
		p.waiting, _ = p.store.(waiting)
	} else {
		p.store = o.Host.Shared("rate-limiting: counters", func() any {
			c := newCounters()
			o.Host.Go(c.run)
			return c
		}).(*counters)
	}
	return p, nil
}

// Close implements io.Closer.
func (p *plugin) Close() error {
	p.release()
	return nil
}

// Access implements httpproxy.Accesser.
func (p *plugin) Access(x *httpproxy.Exchange) error {
	v := p.verdicts.Get().(*verdict)
	*v = verdict{now: x.Started}
	x.SetValue(p, v)
	k := p.scope
	p.identify(x, &k)
	full, err := p.take(x, &k, v)
	if err != nil {
		if !p.tolerant {
			return fmt.Errorf("requests cannot be counted: %w", err)
		}
		p.warn(x, err)
		return nil
	}
	v.full, v.known = full, true
	if full {
		x.Refuse(p.code, p.message)
	}
	return nil
}

// take counts a request, where other requests are not held up.
func (p *plugin) take(x *httpproxy.Exchange, k *key, v *verdict) (bool, error) {
	if p.waiting != nil && p.waiting.waits(k, v.now, p.limits) {
		return p.takeOutside(x, *k, v)
	}
	return p.store.take(x.Context(), k, v.now, p.limits, &v.used)
}

func (p *plugin) takeOutside(x *httpproxy.Exchange, k key, v *verdict) (full bool, err error) {
	x.Outside(func() { full, err = p.store.take(x.Context(), &k, v.now, p.limits, &v.used) })
	return full, err
}

// warn tells that requests are not counted, once a second at most.
func (p *plugin) warn(x *httpproxy.Exchange, err error) {
	now, last := x.Started.Unix(), p.warned.Load()
	if now != last && p.warned.CompareAndSwap(last, now) {
		x.Log().Warn("requests are not counted", "plugin", "rate-limiting", "request_id", x.ID, "error", err)
	}
}

// Respond implements httpproxy.Responder.
func (p *plugin) Respond(x *httpproxy.Exchange) error {
	v, _ := x.Value(p).(*verdict)
	if v == nil || !v.known || p.hide {
		return nil
	}
	// The numbers are parts of one text.
	var digits [(windowCount + 1) * maxDigits]byte
	var ends [windowCount]int
	text := digits[:0]
	tightest, least := 0, int64(math.MaxInt64)
	for i := range p.limits {
		l := &p.limits[i]
		left := l.most - v.used[i]
		if !v.full {
			left--
		}
		left = max(left, 0)
		if left <= least {
			tightest, least = i, left
		}
		text = strconv.AppendInt(text, left, 10)
		ends[i] = len(text)
	}
	l := &p.limits[tightest]
	text = strconv.AppendInt(text, max(1, spanAt(l.window, v.now).end-v.now.Unix()), 10)
	p.tell(&x.Response.Header, v, string(text), &ends, tightest)
	return nil
}

// maxDigits is how long a number can be.
const maxDigits = len("-9223372036854775808")

// tell adds the fields. The numbers are what is left of each limit, which ends
// where ends says, and when the tightest one begins anew.
func (p *plugin) tell(h *httpproxy.Header, v *verdict, numbers string, ends *[windowCount]int, tightest int) {
	var fields [2*windowCount + 4]httpproxy.Field
	all := fields[:0]
	from, least := 0, ""
	for i := range p.limits {
		left := numbers[from:ends[i]]
		if from = ends[i]; i == tightest {
			least = left
		}
		all = append(all, httpproxy.Field{Name: p.limitNames[i], Value: p.limits[i].text},
			httpproxy.Field{Name: p.leftNames[i], Value: left})
	}
	reset := numbers[from:]
	all = append(all, httpproxy.Field{Name: "RateLimit-Limit", Value: p.limits[tightest].text},
		httpproxy.Field{Name: "RateLimit-Remaining", Value: least}, httpproxy.Field{Name: "RateLimit-Reset", Value: reset})
	if v.full {
		all = append(all, httpproxy.Field{Name: "Retry-After", Value: reset})
	}
	h.SetAll(all)
}

// Log implements httpproxy.Logger.
func (p *plugin) Log(x *httpproxy.Exchange) {
	if v, _ := x.Value(p).(*verdict); v != nil {
		x.SetValue(p, nil)
		p.verdicts.Put(v)
	}
}

// identity is what a client is told apart by.
type identity uint8

const (
	byAddress identity = iota
	byConsumer
	byCredential
	byService
	byHeader
	byPath
)

// identifier is how clients are told apart, by their addresses if they cannot
// be otherwise.
func identifier(c *config) func(x *httpproxy.Exchange, k *key) {
	address := func(x *httpproxy.Exchange, k *key) { k.kind, k.id = byAddress, x.Request.Client.As16() }
	entity := func(kind identity, find func(x *httpproxy.Exchange) *uuid.UUID) func(x *httpproxy.Exchange, k *key) {
		return func(x *httpproxy.Exchange, k *key) {
			if id := find(x); id != nil {
				k.kind, k.id = kind, *id
			} else {
				address(x, k)
			}
		}
	}
	switch c.LimitBy {
	case "consumer":
		return entity(byConsumer, consumerID)
	case "credential":
		return entity(byCredential, credentialID)
	case "service":
		return entity(byService, serviceID)
	case "header":
		return func(x *httpproxy.Exchange, k *key) {
			if value := x.Request.Header.Get(c.HeaderName); value != "" {
				k.kind, k.text = byHeader, value
			} else {
				address(x, k)
			}
		}
	case "path":
		return func(x *httpproxy.Exchange, k *key) {
			if x.Request.Path == c.Path {
				k.kind, k.text = byPath, c.Path
			} else {
				address(x, k)
			}
		}
	default:
		return address
	}
}

func consumerID(x *httpproxy.Exchange) *uuid.UUID {
	if x.Consumer != nil {
		return &x.Consumer.ID
	}
	return credentialID(x)
}

func credentialID(x *httpproxy.Exchange) *uuid.UUID {
	if x.Credential != nil {
		return &x.Credential.ID
	}
	return nil
}

func serviceID(x *httpproxy.Exchange) *uuid.UUID {
	if x.Service != nil {
		return &x.Service.ID
	}
	return nil
}
