package httpproxy

import (
	"bytes"
	"slices"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// configuration is everything that a Proxy is configured with, and what refers
// to what. It is for who changes it alone: Proxy.updating guards it. Requests
// go by snapshots, which are made from it.
type configuration struct {
	services    map[uuid.UUID]*entity.Service
	routes      map[uuid.UUID]*entity.Route
	certs       map[uuid.UUID]*certificate
	snis        map[uuid.UUID]*entity.SNI
	cas         map[uuid.UUID]*authority
	upstreams   map[uuid.UUID]*entity.Upstream
	targets     map[uuid.UUID]*entity.Target
	consumers   map[uuid.UUID]*entity.Consumer
	credentials map[Key]*entity.Credential
	plugins     map[uuid.UUID]*instance

	routesOf    references // by service
	targetsOf   references // by upstream
	groupsOf    references // acls by consumer
	snisOf      references // by certificate
	servicesOf  references // by certificate or authority
	upstreamsOf references // by certificate
}

func newConfiguration() *configuration {
	return &configuration{
		services:    map[uuid.UUID]*entity.Service{},
		routes:      map[uuid.UUID]*entity.Route{},
		certs:       map[uuid.UUID]*certificate{},
		snis:        map[uuid.UUID]*entity.SNI{},
		cas:         map[uuid.UUID]*authority{},
		upstreams:   map[uuid.UUID]*entity.Upstream{},
		targets:     map[uuid.UUID]*entity.Target{},
		consumers:   map[uuid.UUID]*entity.Consumer{},
		credentials: map[Key]*entity.Credential{},
		plugins:     map[uuid.UUID]*instance{},
		routesOf:    references{}, targetsOf: references{}, groupsOf: references{},
		snisOf: references{}, servicesOf: references{}, upstreamsOf: references{},
	}
}

// references are the IDs of those that refer to an entity, by its ID.
type references map[uuid.UUID]map[uuid.UUID]struct{}

func (r references) add(to, from uuid.UUID) {
	if r[to] == nil {
		r[to] = map[uuid.UUID]struct{}{}
	}
	r[to][from] = struct{}{}
}

func (r references) del(to, from uuid.UUID) {
	delete(r[to], from)
	if len(r[to]) == 0 {
		delete(r, to)
	}
}

// set is a set of IDs.
type set map[uuid.UUID]struct{}

func (s set) add(id uuid.UUID) { s[id] = struct{}{} }

func (s set) addAll(ids map[uuid.UUID]struct{}) {
	for id := range ids {
		s[id] = struct{}{}
	}
}

// sortedPlugins are the instances by ID.
func (c *configuration) sortedPlugins() []*instance {
	all := make([]*instance, 0, len(c.plugins))
	for _, i := range c.plugins {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b *instance) int { return bytes.Compare(a.entity.ID[:], b.entity.ID[:]) })
	return all
}
