package httplog

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/header"
	"github.com/backplane/backplane/dataplane/httpproxy/plugin/logrecord"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
)

// config is the configuration.
type config struct {
	Endpoint     string            `json:"http_endpoint"`
	Method       string            `json:"method"`
	ContentType  string            `json:"content_type"`
	Timeout      float64           `json:"timeout"`   // ms
	KeepAlive    float64           `json:"keepalive"` // ms
	Headers      map[string]string `json:"headers"`
	Custom       map[string]string `json:"custom_fields_by_lua"`
	QueueSize    *int              `json:"queue_size"`
	FlushTimeout *float64          `json:"flush_timeout"`
	Queue        queueConfig       `json:"queue"`
}

type queueConfig struct {
	MaxBatchSize       int     `json:"max_batch_size"`
	MaxCoalescingDelay float64 `json:"max_coalescing_delay"` // seconds, as the following
	MaxEntries         int     `json:"max_entries"`
	MaxBytes           *int    `json:"max_bytes"`
	MaxRetryTime       float64 `json:"max_retry_time"`
	InitialRetryDelay  float64 `json:"initial_retry_delay"`
	MaxRetryDelay      float64 `json:"max_retry_delay"`
	ConcurrencyLimit   int     `json:"concurrency_limit"`
}

// complete takes over what is configured under old names.
func (c *config) complete() {
	q := &c.Queue
	if c.QueueSize != nil && *c.QueueSize > 1 {
		q.MaxBatchSize = *c.QueueSize
	}
	if c.FlushTimeout != nil && *c.FlushTimeout != 2 && *c.FlushTimeout >= 0 {
		q.MaxCoalescingDelay = *c.FlushTimeout
	}
	q.MaxBatchSize = max(q.MaxBatchSize, 1)
	q.MaxEntries = max(q.MaxEntries, 1)
}

// seconds is a time of a configuration, at most some hundred years.
func seconds(s float64) time.Duration {
	return time.Duration(min(s, 1e10/3) * float64(time.Second))
}

func configSchema() schema.Record {
	number := func(name string, byDefault any) schema.Field {
		return schema.Field{Name: name, Type: schema.Number, Default: byDefault}
	}
	between := func(name string, least, most float64, byDefault any) schema.Field {
		return schema.Field{Name: name, Type: schema.Number, Between: schema.Between(least, most), Default: byDefault}
	}
	return schema.Record{
		Name: "http-log",
		Fields: []schema.Field{
			{Name: "http_endpoint", Type: schema.String, Required: true, Hidden: true, Check: endpoint},
			schema.Choice("method", "POST", "POST", "PUT", "PATCH"),
			schema.Choice("content_type", "application/json", "application/json", "application/json; charset=utf-8"),
			number("timeout", 10000),
			number("keepalive", 60000),
			{Name: "retry_count", Type: schema.Integer},
			{Name: "queue_size", Type: schema.Integer},
			{Name: "flush_timeout", Type: schema.Number},
			{Name: "headers", Type: schema.Map, Keys: &schema.Field{Type: schema.String, Check: headerName},
				Values: &schema.Field{Type: schema.String, Hidden: true, Check: schema.Text(headerValue)}},
			schema.Nested("queue",
				schema.Int("max_batch_size", 1, 1000000, 1),
				between("max_coalescing_delay", 0, 3600, 1),
				schema.Int("max_entries", 1, 1000000, 10000),
				schema.Field{Name: "max_bytes", Type: schema.Integer},
				number("max_retry_time", 60),
				between("initial_retry_delay", 0.001, 1000000, 0.01),
				between("max_retry_delay", 0.001, 1000000, 60),
				schema.Field{Name: "concurrency_limit", Type: schema.Integer, OneOf: []any{-1, 1}, Default: 1}),
			logrecord.FieldsSchema(),
		},
		Checks: []schema.Check{{Needs: []string{"http_endpoint", "headers"}, Func: oneAuthorization}},
	}
}

// endpoint wants a URL that can be asked.
func endpoint(v any) error {
	if err := schema.URL(v); err != nil {
		return err
	}
	return schema.Text(func(s string) error {
		if u, _ := url.Parse(s); u.Scheme != "http" && u.Scheme != "https" {
			return errors.New("unsupported scheme in url")
		}
		return nil
	})(v)
}

func headerName(v any) error {
	if err := schema.HeaderName(v); err != nil {
		return err
	}
	return schema.Text(func(s string) error {
		for _, name := range []string{"Host", "Content-Length", "Content-Type"} {
			if strings.EqualFold(s, name) {
				return fmt.Errorf("cannot contain '%s' header", name)
			}
		}
		return nil
	})(v)
}

func headerValue(s string) error {
	if !header.ValidValue(s) {
		return errors.New("not a valid value of a header")
	}
	return nil
}

func oneAuthorization(record map[string]any, report func(field, message string)) {
	raw, _ := record["http_endpoint"].(string)
	u, err := url.Parse(raw)
	if err != nil || u.User == nil {
		return
	}
	set, _ := record["headers"].(map[string]any)
	for name := range set {
		if strings.EqualFold(name, "Authorization") {
			report("", "specifying both an 'Authorization' header and user info in 'http_endpoint' is not allowed")
			return
		}
	}
}
