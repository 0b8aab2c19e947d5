package httpproxy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// instance is a plugin with its configuration.
type instance struct {
	entity    *entity.Plugin
	name      string
	priority  int
	plugin    Plugin
	accesser  Accesser
	responder Responder
	logger    Logger
}

// newInstance makes an instance. If that fails it is one that refuses all
// requests, because a plugin is there to guard something, more often than not.
func (p *Proxy) newInstance(e *entity.Plugin) (*instance, error) {
	i := &instance{entity: e, name: e.Name}
	module, ok := p.modules[e.Name]
	err := fmt.Errorf("there is no plugin %q", e.Name)
	if ok {
		i.priority = module.Priority
		i.plugin, err = module.make(e, p.log.With("plugin", e.Name, "plugin_id", e.ID.String()), host{p})
	}
	if err != nil {
		i.plugin = nil
		i.accesser = brokenPlugin{err}
		return i, err
	}
	i.accesser, _ = i.plugin.(Accesser)
	i.responder, _ = i.plugin.(Responder)
	i.logger, _ = i.plugin.(Logger)
	return i, nil
}

// keeps tells whether an instance can go on when the entity is another one.
func (i *instance) keeps(e *entity.Plugin) bool {
	return i.plugin != nil && e.Enabled && i.entity.Name == e.Name && bytes.Equal(i.entity.Config, e.Config) &&
		i.scope() == scopeOf(e) && reflect.DeepEqual(i.entity.Protocols, e.Protocols)
}

func (i *instance) scope() scope { return scopeOf(i.entity) }

// close ends an instance that no request uses any more.
func (i *instance) close(log func(error)) {
	if c, ok := i.plugin.(io.Closer); ok {
		if err := c.Close(); err != nil {
			log(err)
		}
	}
}

// brokenPlugin is in the place of a plugin that could not be made.
type brokenPlugin struct{ err error }

func (b brokenPlugin) Access(*Exchange) error {
	return fmt.Errorf("the plugin is not usable: %w", b.err)
}

// makePlugins makes the instances anew that have changed.
func (b *build) makePlugins() {
	if len(b.dirtyPlugins) == 0 {
		return
	}
	next := b.next.plugins.next()
	ids := slices.SortedFunc(maps.Keys(b.dirtyPlugins), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	for _, id := range ids {
		e, old := b.dirtyPlugins[id], b.plugins[id]
		if old != nil && e != nil && old.keeps(e) {
			continue
		}
		if old != nil {
			next.del(old)
			delete(b.plugins, id)
			b.retired = append(b.retired, old)
		}
		if e == nil || !e.Enabled {
			continue
		}
		made, err := b.proxy.newInstance(e)
		if err != nil {
			b.fault(Plugins, id, err)
		}
		b.plugins[id] = made
		next.put(made)
	}
	b.next.plugins = next.finish()
}

// scope is what a plugin is for; zero IDs are for all.
type scope struct{ route, service, consumer uuid.UUID }

func scopeOf(e *entity.Plugin) (s scope) {
	if e.Route != nil {
		s.route = e.Route.ID
	}
	if e.Service != nil {
		s.service = e.Service.ID
	}
	if e.Consumer != nil {
		s.consumer = e.Consumer.ID
	}
	return s
}

// byPriority orders instances as they are run.
func byPriority(a, b *instance) int {
	return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.name, b.name),
		bytes.Compare(a.entity.ID[:], b.entity.ID[:]))
}

// errPanic is in the errors of what has panicked.
var errPanic = errors.New("it has panicked")

// byName orders instances by what they have in common with those for others.
func byName(a, b *instance) int {
	return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.name, b.name))
}
