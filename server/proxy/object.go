package proxy

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/proxyobject"
	"github.com/backplane/backplane/server/keys"
)

// previousPassword is where the password of a service is kept that it had
// before.
const previousPassword = "previous_password"

// object is one object of the proxy.
type object struct {
	kind
	id      uuid.UUID
	name    string
	module  string
	set     param.Set // what was given, read
	secrets map[string]string
	links   map[string][]string
	states  []string // of a server, set by hand
	stopped bool
	version uint32
	changed int64
	created int64
	row     *ent.ProxyObject // nil for one that is being made
	// fault is why the object cannot be used: a module that is not there any
	// more, a parameter that has become wrong, a damaged secret.
	fault error
}

// estate is all objects of the proxy at one time.
type estate struct {
	objects  []*object // in the order in which they were made
	counters map[string]*ent.ProxyObject
	program  *object

	added, touched, removed []*object
	moved                   map[string]bool // collections that change
}

// load reads the objects. Without a ring, passwords are not opened, but only
// marked as there.
func (p *Proxy) load(ctx context.Context, c *ent.Client, ring *keys.Keys) (*estate, error) {
	rows, err := c.ProxyObject.Query().Order(proxyobject.ByCreatedAt(), proxyobject.ByID()).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the objects of the proxy: %w", err)
	}
	e := &estate{counters: map[string]*ent.ProxyObject{}, moved: map[string]bool{}}
	for _, row := range rows {
		if row.Kind == counters {
			e.counters[row.Name] = row
			continue
		}
		o := p.objectOf(row, ring)
		if row.Kind == program {
			e.program = o
			continue
		}
		e.objects = append(e.objects, o)
	}
	if e.program == nil {
		e.program = p.newObject(kindOf(program), program, "")
	}
	return e, nil
}

func (p *Proxy) newObject(k kind, name, module string) *object {
	o := &object{kind: k, id: uuid.New(), name: name, module: module, secrets: map[string]string{}, links: map[string][]string{}}
	if specs, ok := p.specs(k.plural, module); ok {
		o.set, _ = param.ParseSome(specs, nil)
	}
	return o
}

// objectOf reads a row.
func (p *Proxy) objectOf(row *ent.ProxyObject, ring *keys.Keys) *object {
	o := &object{
		kind: kindOf(row.Kind), id: row.ID, name: row.Name, module: row.Module, secrets: map[string]string{}, links: map[string][]string{},
		states: slices.Clone(row.States), stopped: row.Stopped, version: row.Version, changed: row.ChangedAt, created: row.CreatedAt, row: row,
	}
	for relation, names := range row.Links {
		o.links[relation] = slices.Clone(names)
	}
	given := maps.Clone(row.Parameters)
	if given == nil {
		given = map[string]any{}
	}
	for _, name := range slices.Sorted(maps.Keys(row.Sealed)) {
		o.secrets[name] = param.Hidden
		if ring != nil {
			plain, err := ring.Open(row.Sealed[name], keys.ProxyPlace(row.ID, name))
			if err != nil {
				o.fault = fmt.Errorf("the stored %s is damaged; set it again", name)
				continue
			}
			o.secrets[name] = string(plain)
		}
		if name != previousPassword {
			given[name] = o.secrets[name]
		}
	}
	specs, ok := p.specs(row.Kind, row.Module)
	if !ok {
		o.fault = fmt.Errorf("there is no module %q", row.Module)
		return o
	}
	set, faults := param.Parse(specs, given)
	if o.set = set; len(faults) > 0 {
		o.fault = cmp.Or(o.fault, error(faults))
	}
	return o
}

// of are the objects of a kind.
func (e *estate) of(kind string) (out []*object) {
	for _, o := range e.objects {
		if o.plural == kind {
			out = append(out, o)
		}
	}
	return out
}

// lookup finds an object by its name.
func (e *estate) lookup(kind, name string) (*object, bool) {
	k := kindOf(kind)
	key := k.key(name)
	for _, o := range e.objects {
		if o.plural == kind && k.key(o.name) == key {
			return o, true
		}
	}
	return nil, false
}

// get is lookup for an object that a request names.
func (e *estate) get(kind, name string) (*object, error) {
	if o, ok := e.lookup(kind, name); ok {
		return o, nil
	}
	return nil, kindOf(kind).missing(name)
}

// add, touch and remove note what a change does.
func (e *estate) add(o *object) {
	e.objects = append(e.objects, o)
	e.added = append(e.added, o)
	e.moved[o.plural] = true
}

func (e *estate) touch(o *object) {
	if !slices.Contains(e.added, o) && !slices.Contains(e.touched, o) && !slices.Contains(e.removed, o) {
		e.touched = append(e.touched, o)
		e.moved[o.plural] = true
	}
}

func (e *estate) remove(o *object) {
	same := func(other *object) bool { return other == o }
	e.objects = slices.DeleteFunc(e.objects, same)
	e.touched = slices.DeleteFunc(e.touched, same)
	e.removed = append(e.removed, o)
	e.moved[o.plural] = true
}

// changes tells whether an object is among those that a change is about.
func (e *estate) changes(kind, name string) bool {
	return slices.ContainsFunc(slices.Concat(e.added, e.touched), func(o *object) bool { return o.singular == kind && o.name == name })
}

// related are the names of what an object is related to, whichever of the two
// keeps it.
func (e *estate) related(o *object, relation string) []string {
	if kept(o.plural, relation) {
		return o.links[relation]
	}
	var out []string
	for _, other := range e.of(relation) {
		if slices.Contains(other.links[o.plural], o.name) {
			out = append(out, other.name)
		}
	}
	return out
}

// kept tells whether objects of a kind keep their relation themselves.
func kept(kind, relation string) bool {
	switch kind {
	case services:
		return relation != listeners
	case monitors:
		return relation == servers
	case listeners:
		return relation == services
	}
	return false
}

// relationsOf are all relations that a kind may show, in order.
func relationsOf(kind string) []string {
	switch kind {
	case services:
		return []string{servers, services, filters, monitors, listeners}
	case servers:
		return []string{services, monitors}
	case monitors:
		return []string{servers, services}
	default:
		return []string{services}
	}
}

// users of an object are what refers to it, as "service X", in order.
func (e *estate) users(o *object) (out []string) {
	for _, other := range e.objects {
		if other != o && slices.Contains(other.links[o.plural], o.name) {
			out = append(out, other.singular+" "+other.name)
		}
	}
	for _, f := range e.pointing(o) {
		out = append(out, f.singular+" "+f.name)
	}
	return out
}

// pointing are the filters with a parameter that names a server or a service.
func (e *estate) pointing(o *object) (out []*object) {
	if o.plural != servers && o.plural != services {
		return nil
	}
	for _, f := range e.of(filters) {
		if slices.ContainsFunc(targetsOf(f), func(t target) bool { return strings.EqualFold(t.name, o.name) }) {
			out = append(out, f)
		}
	}
	return out
}

// target is a parameter that names a server or a service.
type target struct{ param, name string }

func targetsOf(o *object) (out []target) {
	for _, spec := range o.set.Specs() {
		if spec.Type != param.TypeTarget {
			continue
		}
		if name := o.set.String(spec.Name); name != "" {
			out = append(out, target{spec.Name, name})
		}
	}
	return out
}
