package httpproxy_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// tried is an instance that runs something beside it, and shares something.
type tried struct{ closed *int }

func (p tried) Close() error { *p.closed++; return nil }

// TestTry: a plugin is made apart from every gateway, and leaves nothing behind.
func TestTry(t *testing.T) {
	closed, ran := 0, 0
	m := httpproxy.PluginModule{Name: "tried", New: func(o httpproxy.PluginOptions) (httpproxy.Plugin, error) {
		var c struct {
			Port int `json:"port"`
		}
		if err := json.Unmarshal(o.Config, &c); err != nil {
			return nil, err
		}
		switch c.Port {
		case 1:
			return nil, &httpproxy.ConfigError{Field: "port", Err: errors.New("is taken")}
		case 2:
			panic("Zebra9-secret")
		}
		o.Host.Shared("state", func() any { return tried{&closed} })
		o.Host.Go(func(ctx context.Context) { <-ctx.Done(); ran++ })
		if o.Host.Snapshot().Consumer("ann") != nil || o.Host.Upstreams() != nil || o.Host.Metrics() == nil {
			return nil, errors.New("there is something")
		}
		return tried{&closed}, nil
	}}
	for _, tt := range []struct{ config, want string }{
		{`{}`, ""},
		{`{"port":1}`, "port: is taken"},
		{`{"port":2}`, "it has panicked"},
		{`{"port":"x"}`, "port: a string does not fit"},
	} {
		got := ""
		if err := m.Try(&entity.Plugin{Name: "tried", Config: json.RawMessage(tt.config)}); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.config, got, tt.want)
		}
	}
	if ran != 1 || closed != 2 {
		t.Errorf("%d goroutines have ended, and %d things are closed", ran, closed)
	}
}
