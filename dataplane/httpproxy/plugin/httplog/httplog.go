// Package httplog is the plugin http-log: it sends what it logs of requests to
// an HTTP server.
package httplog

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/logrecord"
)

// Module is the kind of plugin.
func Module() httpproxy.PluginModule {
	return httpproxy.PluginModule{
		Name: "http-log", Version: "3.10.0", Priority: 12, Config: configSchema(), New: newPlugin,
	}
}

// queues are the queues by the ID of their plugin: entries outlive a change of
// the configuration.
type queues struct {
	mu  sync.Mutex
	all map[uuid.UUID]*queue
}

// plugin is an instance.
type plugin struct {
	id         uuid.UUID
	queues     *queues
	queue      *queue
	custom     *logrecord.Fields
	serializer *logrecord.Serializer
	sender     *sender
	log        *slog.Logger
}

func newPlugin(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
	c := &config{}
	if err := json.Unmarshal(o.Config, c); err != nil {
		return nil, err
	}
	c.complete()
	s, err := newSender(c)
	if err != nil {
		return nil, err
	}
	all := o.Host.Shared("http-log", func() any { return &queues{all: map[uuid.UUID]*queue{}} }).(*queues)
	p := &plugin{
		id: o.ID, queues: all, custom: logrecord.NewFields(c.Custom, o.Log), serializer: new(logrecord.Serializer),
		sender: s, log: o.Log,
	}
	p.queue = all.take(o, c.Queue, s)
	return p, nil
}

// take gives the queue of an instance, which sends by its configuration from now
// on.
func (qs *queues) take(o httpproxy.PluginOptions, c queueConfig, s *sender) *queue {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	q := qs.all[o.ID]
	if q == nil {
		q = &queue{log: o.Log, wake: make(chan struct{}, 1), idle: make(chan struct{})}
		qs.all[o.ID] = q
		q.configure(c, s)
	} else {
		q.configure(c, s)
	}
	workers := 1
	if c.ConcurrencyLimit < 0 {
		workers = unlimitedWorkers
	}
	for ; q.workers < workers; q.workers++ {
		o.Host.Go(q.run)
	}
	q.uses++
	return q
}

// Close implements io.Closer: what is in the queue is still sent.
func (p *plugin) Close() error {
	p.queues.mu.Lock()
	defer p.queues.mu.Unlock()
	if p.queue.uses--; p.queue.uses == 0 {
		delete(p.queues.all, p.id)
		close(p.queue.idle)
	}
	p.sender.client.CloseIdleConnections()
	return nil
}

// Log implements httpproxy.Logger.
func (p *plugin) Log(x *httpproxy.Exchange) {
	entry, err := p.serializer.Append(nil, x, p.custom)
	if err != nil {
		p.log.Error("a request cannot be logged", "request_id", x.ID, "error", err)
		return
	}
	p.queue.add(entry)
}

// sender sends batches to a server.
type sender struct {
	client  *http.Client
	url     *url.URL
	method  string
	header  http.Header
	timeout time.Duration
	batched bool
}

func newSender(c *config) (*sender, error) {
	u, err := url.Parse(c.Endpoint)
	if err != nil {
		return nil, errors.New("http_endpoint is no URL") // the error has the URL, which may have a password
	}
	s := &sender{
		url: u, method: c.Method, header: http.Header{}, timeout: time.Duration(c.Timeout) * time.Millisecond,
		batched: c.Queue.MaxBatchSize > 1,
	}
	if s.method == "" {
		s.method = http.MethodPost
	}
	if s.timeout <= 0 {
		s.timeout = 10 * time.Second
	}
	for name, value := range c.Headers {
		s.header.Set(name, value)
	}
	s.header.Set("Content-Type", c.ContentType)
	s.client = &http.Client{
		Transport: &http.Transport{
			MaxIdleConnsPerHost: unlimitedWorkers, IdleConnTimeout: max(time.Duration(c.KeepAlive)*time.Millisecond, time.Millisecond),
			DisableCompression: true,
			// As gateways of this kind do: whether a server's certificate can be
			// trusted is not configurable, and not asked for.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return s, nil
}

// send sends a batch: an array, or the entry itself where one is sent at a time.
func (s *sender) send(ctx context.Context, batch [][]byte) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	body := batch[0]
	if s.batched {
		body = append(append([]byte{'['}, bytes.Join(batch, []byte{','})...), ']')
	}
	req, err := http.NewRequestWithContext(ctx, s.method, s.url.String(), bytes.NewReader(body))
	if err != nil {
		return errors.New("the request cannot be made")
	}
	req.Header = s.header.Clone()
	if u := s.url.User; u != nil {
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	res, err := s.client.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // without the URL
		}
		return fmt.Errorf("%s: %w", s.url.Host, err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // so that the connection can be used again
	if res.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("%s: it has answered %s", s.url.Host, res.Status)
	}
	return nil
}
