package proxy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/internal/errs"
)

// check holds what a change concerns against the rules. Others are left alone:
// what has become wrong by itself must not keep everything else from changing.
func (p *Proxy) check(ctx context.Context, e *estate) error {
	for _, o := range slices.Concat(e.added, e.touched) {
		if o.fault != nil {
			return errs.New(errs.ValidationFailed, "%s: %v", o.name, o.fault)
		}
		var err error
		switch o.plural {
		case servers:
			err = p.checkServer(ctx, e, o)
		case listeners:
			err = checkListener(o)
		case services:
			err = e.checkService(o)
		case monitors:
			err = e.checkMonitor(o)
		case filters:
			err = e.checkFilter(o)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *Proxy) checkServer(ctx context.Context, e *estate, o *object) error {
	given := 0
	for _, name := range []string{"address", "socket", catalogService} {
		if o.set.Has(name) {
			given++
		}
	}
	switch {
	case given == 0:
		return invalid("parameters.address", "must be given, or a socket, or a service of the catalogue")
	case given > 1:
		return invalid("parameters.address", "and socket, or a service of the catalogue, cannot be given together")
	case o.set.Has("monitoruser") && !o.set.Has("monitorpw"):
		return invalid("parameters.monitorpw", "must be given with monitoruser")
	case o.row != nil && o.row.Parameters["ssl"] == true && !o.set.Bool("ssl"):
		return invalid("parameters.ssl", "can be turned on, but not off; make another server instead")
	}
	if id := o.set.String(catalogService); id != "" {
		return p.checkCatalogService(ctx, id)
	}
	for _, other := range e.of(servers) {
		if other == o || other.set.Has(catalogService) {
			continue
		}
		same := other.set.String("socket") == o.set.String("socket") && strings.EqualFold(other.set.String("address"), o.set.String("address"))
		if same && (o.set.Has("socket") || other.set.Int("port") == o.set.Int("port")) {
			return errs.New(errs.ValidationFailed, "The server %s has this address already", other.name)
		}
	}
	return nil
}

func (p *Proxy) checkCatalogService(ctx context.Context, text string) error {
	wrong := invalid("parameters."+catalogService, "must be the id of a MySQL service of the catalogue")
	id, err := uuid.Parse(text)
	if err != nil {
		return wrong
	}
	row, err := p.Store.Service.Get(ctx, id)
	if ent.IsNotFound(err) || err == nil && row.ServiceType != "mysql" {
		return wrong
	}
	return err
}

func checkListener(o *object) error {
	port, socket := o.set.Int("port") != 0, o.set.Has("socket")
	switch {
	case port && socket:
		return invalid("parameters.port", "and socket cannot be given together")
	case !port && !socket:
		return invalid("parameters.port", "must be given, or a socket")
	case len(o.links[services]) != 1:
		return invalid("relationships.services", "must name one service")
	}
	var missing []string
	for _, name := range []string{"ssl_key", "ssl_cert", "ssl_ca"} {
		if !o.set.Has(name) {
			missing = append(missing, name)
		}
	}
	_, said := o.set.Given()["ssl"]
	switch {
	case !said && len(missing) > 0 && len(missing) < 3:
		return invalid("parameters."+missing[0], "must be given, as all of ssl_key, ssl_cert and ssl_ca_cert must when one of them is")
	case o.set.Bool("ssl") && (!o.set.Has("ssl_cert") || !o.set.Has("ssl_key")):
		return invalid("parameters.ssl", "needs ssl_cert and ssl_key")
	}
	return nil
}

func (e *estate) checkService(o *object) error {
	if len(o.links[monitors]) > 1 {
		return invalid("relationships.monitors", "must name one monitor at most")
	}
	if len(o.links[monitors]) > 0 && len(o.links[servers])+len(o.links[services]) > 0 {
		return invalid("relationships.monitors", "cannot be there together with servers or services: the servers are those of the monitor then")
	}
	if e.reaches(o, o, map[*object]bool{}) {
		return invalid("relationships.services", "must not lead back to the service itself")
	}
	return nil
}

// reaches tells whether a service routes to another one in the end.
func (e *estate) reaches(from, to *object, seen map[*object]bool) bool {
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, name := range from.links[services] {
		next, ok := e.lookup(services, name)
		if ok && (next == to || e.reaches(next, to, seen)) {
			return true
		}
	}
	return false
}

func (e *estate) checkMonitor(o *object) error {
	for i, name := range o.links[servers] {
		if slices.Contains(o.links[servers][:i], name) {
			return invalid("relationships.servers", fmt.Sprintf("has %s twice", name))
		}
		for _, other := range e.of(monitors) {
			if other != o && slices.Contains(other.links[servers], name) {
				return errs.New(errs.ValidationFailed, "The server %s is watched by the monitor %s already", name, other.name)
			}
		}
	}
	return nil
}

func (e *estate) checkFilter(o *object) error {
	for _, t := range targetsOf(o) {
		_, server := e.lookup(servers, t.name)
		_, service := e.lookup(services, t.name)
		if !server && !service {
			return invalid("parameters."+t.param, "must be the name of a server or a service")
		}
	}
	return nil
}

// relate replaces what an object is related to.
func (e *estate) relate(o *object, relation string, names []string) error {
	if !slices.Contains(o.relations, relation) {
		if len(names) == 0 || slices.Equal(names, e.related(o, relation)) || o.plural == services && relation == listeners {
			return nil // clients send back all that they were shown
		}
		return invalid("relationships."+relation, "cannot be changed here")
	}
	var found []*object
	for _, name := range names {
		other, ok := e.lookup(relation, name)
		if !ok {
			return invalid("relationships."+relation, fmt.Sprintf("must be there: %s is not %s %s", name, article(kindOf(relation).singular), kindOf(relation).singular))
		}
		if o.plural == services && slices.Contains(found, other) && relation != filters {
			continue // named twice, the first place counts
		}
		found = append(found, other)
	}
	if o.plural == listeners && o.row != nil {
		if !slices.Equal(namesOf(found), o.links[services]) {
			return invalid("relationships.services", "cannot be changed; make another listener instead")
		}
		return nil
	}
	if kept(o.plural, relation) {
		o.links[relation] = namesOf(found)
		return nil
	}
	if o.plural == servers && relation == monitors && len(found) > 1 {
		return invalid("relationships.monitors", "must name one monitor at most")
	}
	for _, other := range e.of(relation) {
		has, wanted := slices.Contains(other.links[o.plural], o.name), slices.Contains(found, other)
		switch {
		case wanted && !has:
			other.links[o.plural] = append(other.links[o.plural], o.name)
			e.touch(other)
		case has && !wanted:
			e.unlink(other, o)
		}
	}
	return nil
}

func namesOf(objects []*object) (names []string) {
	for _, o := range objects {
		names = append(names, o.name)
	}
	return names
}

// unlink takes an object out of what another one is related to.
func (e *estate) unlink(from, o *object) {
	from.links[o.plural] = slices.DeleteFunc(from.links[o.plural], func(name string) bool { return name == o.name })
	e.touch(from)
}

// drop removes an object. What it uses and what uses it keeps it, unless that
// is to be parted by force.
func (e *estate) drop(o *object, force bool) error {
	if !force {
		return e.dropUnused(o)
	}
	for _, f := range e.pointing(o) {
		for _, t := range targetsOf(f) {
			if !strings.EqualFold(t.name, o.name) {
				continue
			}
			if err := e.merge(f, map[string]any{t.param: nil}); err != nil {
				return errs.New(errs.InUse, "The filter %s sends requests to %s and cannot be without; change it first", f.name, o.name)
			}
			e.touch(f)
		}
	}
	for _, other := range slices.Clone(e.objects) {
		if !slices.Contains(other.links[o.plural], o.name) {
			continue
		}
		if other.plural == listeners {
			e.remove(other)
			continue
		}
		e.unlink(other, o)
	}
	e.remove(o)
	return nil
}

func (e *estate) dropUnused(o *object) error {
	if by := e.users(o); len(by) > 0 {
		return errs.New(errs.InUse, "%s is used by the %s", o.name, strings.Join(by, ", the "))
	}
	for _, relation := range relationsOf(o.plural) {
		uses := (o.plural == services || o.plural == monitors) && kept(o.plural, relation)
		if names := o.links[relation]; uses && len(names) > 0 {
			return errs.New(errs.InUse, "%s still has %s: %s; take them out first", o.name, relation, strings.Join(names, ", "))
		}
	}
	e.remove(o)
	return nil
}
