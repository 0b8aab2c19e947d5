package httpproxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/route"
)

// ConfigError is what PluginModule.New fails with where one field of the
// configuration is the cause.
type ConfigError struct {
	Field string // below the configuration, such as "redis.host"
	Err   error  // without secrets
}

func (e *ConfigError) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap is the cause.
func (e *ConfigError) Unwrap() error { return e.Err }

// Try tells why no instance of a plugin can be made; nil if one can. It makes
// one apart from every gateway and ends it at once. What the schema says of the
// configuration comes before that.
func (m *PluginModule) Try(e *entity.Plugin) error {
	if m.New == nil {
		return nil
	}
	h := &trialHost{metrics: prometheus.NewRegistry()}
	// What runs beside an instance is to end as soon as it has begun.
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h.ctx = ctx
	log := slog.New(slog.DiscardHandler)
	made, err := m.make(e, log, h)
	if c, ok := made.(io.Closer); ok && err == nil {
		_ = c.Close() // that it can be made was the question
	}
	h.running.Wait()
	h.shared.close(func(error) {})
	if errors.Is(err, errPanic) {
		return errPanic // what else a panic tells is not for everyone
	}
	return err
}

// make makes an instance. A panic is an error.
func (m *PluginModule) make(e *entity.Plugin, log *slog.Logger, h Host) (made Plugin, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errPanic, r)
		}
	}()
	made, err = m.New(PluginOptions{ID: e.ID, Entity: e, Config: e.Config, Log: log, Host: h})
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) && wrong.Field != "" {
		err = &ConfigError{Field: wrong.Field, Err: fmt.Errorf("a %s does not fit", wrong.Value)}
	}
	return made, err
}

// trialHost is the gateway of an instance that serves nobody.
type trialHost struct {
	ctx     context.Context
	running sync.WaitGroup
	shared  sharedStates
	metrics *prometheus.Registry
}

// Context implements Host. It has ended.
func (h *trialHost) Context() context.Context { return h.ctx }

// Go implements Host.
func (h *trialHost) Go(f func(context.Context)) { h.running.Go(func() { f(h.ctx) }) }

// Shared implements Host.
func (h *trialHost) Shared(name string, create func() any) any { return h.shared.get(name, create) }

// Node implements Host.
func (*trialHost) Node() string { return "" }

// Metrics implements Host.
func (h *trialHost) Metrics() prometheus.Registerer { return h.metrics }

// Snapshot implements Host.
func (*trialHost) Snapshot() View { return emptySnapshot() }

// Statistics implements Host.
func (*trialHost) Statistics() Statistics { return Statistics{} }

// Upstreams implements Host.
func (*trialHost) Upstreams() []UpstreamHealth { return nil }

// emptySnapshot is one of nothing.
func emptySnapshot() *snapshot {
	return &snapshot{generation: 1, routes: new(route.Table[servedRoute]), plugins: new(pluginIndex)}
}
