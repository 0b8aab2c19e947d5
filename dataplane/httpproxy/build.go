package httpproxy

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// build makes a snapshot from another one. First the configuration is changed
// and what is concerned is noted down; then that is made anew, so that the
// order of entities in an Update is of no account.
type build struct {
	*configuration
	proxy *Proxy
	next  snapshot
	// What is to be made anew.
	dirtyServices, dirtyRoutes, dirtyUpstreams, dirtyGroups set
	dirtyNames                                              map[string]uuid.UUID // of SNIs, with the one that has it
	dirtyPlugins                                            map[uuid.UUID]*entity.Plugin
	// oldUpstreams are the names that upstreams had before.
	oldUpstreams map[uuid.UUID]string
	consumers    *tableTxn[uuid.UUID, *servedConsumer]
	usernames    *tableTxn[string, *entity.Consumer]
	customIDs    *tableTxn[string, *entity.Consumer]
	credentials  *tableTxn[credentialKey, *servedCredential]
	clientCerts  *tableTxn[uuid.UUID, *certificate]
	retired      []*instance
	faults       []*EntityError
}

func (p *Proxy) begin() *build {
	next := *p.current.Load()
	next.generation++
	return &build{
		configuration: p.config, proxy: p, next: next,
		dirtyServices: set{}, dirtyRoutes: set{}, dirtyUpstreams: set{}, dirtyGroups: set{},
		dirtyNames: map[string]uuid.UUID{}, dirtyPlugins: map[uuid.UUID]*entity.Plugin{},
		oldUpstreams: map[uuid.UUID]string{},
		consumers:    next.consumers.txn(), usernames: next.usernames.txn(), customIDs: next.customIDs.txn(),
		credentials: next.credentials.txn(), clientCerts: next.clientCerts.txn(),
	}
}

func (b *build) fault(kind Kind, id uuid.UUID, err error) {
	b.faults = append(b.faults, &EntityError{Key{kind, id}, err})
}

// put takes entities into the configuration.
func (b *build) put(e *Entities) {
	for _, v := range e.CACertificates {
		b.putAuthority(v)
	}
	for _, v := range e.Certificates {
		b.putCertificate(v)
	}
	for _, v := range e.SNIs {
		b.putSNI(v.ID, v)
	}
	for _, v := range e.Services {
		b.putService(v.ID, v)
	}
	for _, v := range e.Routes {
		b.putRoute(v.ID, v)
	}
	for _, v := range e.Upstreams {
		b.putUpstream(v.ID, v)
	}
	for _, v := range e.Targets {
		b.putTarget(v.ID, v)
	}
	for _, v := range e.Consumers {
		b.putConsumer(v.ID, v)
	}
	for _, v := range e.Credentials {
		b.putCredential(Key{Kind(v.Kind), v.ID}, v)
	}
	for _, v := range e.Plugins {
		b.dirtyPlugins[v.ID] = v
	}
}

// remove takes an entity out of the configuration.
func (b *build) remove(k Key) {
	switch k.Kind {
	case CACertificates:
		b.dropAuthority(k.ID)
	case Certificates:
		b.dropCertificate(k.ID)
	case SNIs:
		b.putSNI(k.ID, nil)
	case Services:
		b.putService(k.ID, nil)
	case Routes:
		b.putRoute(k.ID, nil)
	case Upstreams:
		b.putUpstream(k.ID, nil)
	case Targets:
		b.putTarget(k.ID, nil)
	case Consumers:
		b.putConsumer(k.ID, nil)
	case Plugins:
		b.dirtyPlugins[k.ID] = nil
	default:
		b.putCredential(k, nil)
	}
}

// removeOthers takes out what is not put.
func (b *build) removeOthers(e *Entities) {
	removeOthers(b, CACertificates, b.cas, e.CACertificates, func(v *entity.CACertificate) uuid.UUID { return v.ID })
	removeOthers(b, Certificates, b.certs, e.Certificates, func(v *entity.Certificate) uuid.UUID { return v.ID })
	removeOthers(b, SNIs, b.snis, e.SNIs, func(v *entity.SNI) uuid.UUID { return v.ID })
	removeOthers(b, Services, b.services, e.Services, func(v *entity.Service) uuid.UUID { return v.ID })
	removeOthers(b, Routes, b.routes, e.Routes, func(v *entity.Route) uuid.UUID { return v.ID })
	removeOthers(b, Upstreams, b.upstreams, e.Upstreams, func(v *entity.Upstream) uuid.UUID { return v.ID })
	removeOthers(b, Targets, b.targets, e.Targets, func(v *entity.Target) uuid.UUID { return v.ID })
	removeOthers(b, Consumers, b.configuration.consumers, e.Consumers, func(v *entity.Consumer) uuid.UUID { return v.ID })
	removeOthers(b, Plugins, b.plugins, e.Plugins, func(v *entity.Plugin) uuid.UUID { return v.ID })
	kept := map[Key]struct{}{}
	for _, c := range e.Credentials {
		kept[Key{Kind(c.Kind), c.ID}] = struct{}{}
	}
	for k := range b.configuration.credentials {
		if _, ok := kept[k]; !ok {
			b.remove(k)
		}
	}
}

func removeOthers[H, E any](b *build, kind Kind, have map[uuid.UUID]H, put []E, id func(E) uuid.UUID) {
	kept := make(set, len(put))
	for _, v := range put {
		kept.add(id(v))
	}
	for id := range have {
		if _, ok := kept[id]; !ok {
			b.remove(Key{kind, id})
		}
	}
}

// putService puts a service, or takes it out if it is nil.
func (b *build) putService(id uuid.UUID, v *entity.Service) {
	old := b.services[id]
	if old == nil && v == nil {
		return
	}
	if old != nil {
		for _, used := range serviceUses(old) {
			b.servicesOf.del(used, id)
		}
	}
	if v == nil {
		delete(b.services, id)
	} else {
		b.services[id] = v
		for _, used := range serviceUses(v) {
			b.servicesOf.add(used, id)
		}
	}
	if served(old) != served(v) {
		b.dirtyRoutes.addAll(b.routesOf[id])
	}
	b.dirtyServices.add(id)
}

// served tells whether routes of a service are matched.
func served(s *entity.Service) bool { return s != nil && s.Enabled }

// serviceUses are the certificates and authorities that a service refers to.
func serviceUses(s *entity.Service) []uuid.UUID {
	uses := slices.Clone(s.CACertificates)
	if s.ClientCertificate != nil {
		uses = append(uses, s.ClientCertificate.ID)
	}
	return uses
}

func (b *build) putRoute(id uuid.UUID, v *entity.Route) {
	if old := b.routes[id]; old != nil && old.Service != nil {
		b.routesOf.del(old.Service.ID, id)
	}
	if v == nil {
		delete(b.routes, id)
	} else {
		b.routes[id] = v
		if v.Service != nil {
			b.routesOf.add(v.Service.ID, id)
		}
	}
	b.dirtyRoutes.add(id)
}

func (b *build) putConsumer(id uuid.UUID, v *entity.Consumer) {
	if old := b.configuration.consumers[id]; old != nil {
		b.consumers.del(id)
		dropOwn(b.usernames, old.Username, old)
		dropOwn(b.customIDs, old.CustomID, old)
		delete(b.configuration.consumers, id)
	}
	if v == nil {
		return
	}
	b.configuration.consumers[id] = v
	b.consumers.put(id, &servedConsumer{v, id.String()})
	if v.Username != "" {
		b.usernames.put(v.Username, v)
	}
	if v.CustomID != "" {
		b.customIDs.put(v.CustomID, v)
	}
}

// dropOwn takes a value out if the key has not gone to another one meanwhile:
// names may be exchanged in one Update.
func dropOwn[K, V comparable](t *tableTxn[K, V], k K, v V) {
	if now, ok := t.get(k); ok && now == v {
		t.del(k)
	}
}

func (b *build) putCredential(k Key, v *entity.Credential) {
	if old := b.configuration.credentials[k]; old != nil {
		if s := shown(old); s != "" {
			key := credentialKey{old.Kind, s}
			if now, ok := b.credentials.get(key); ok && now.Credential == old {
				b.credentials.del(key)
			}
		}
		if old.Kind == entity.ACL {
			b.groupsOf.del(old.Consumer.ID, old.ID)
			b.dirtyGroups.add(old.Consumer.ID)
		}
		delete(b.configuration.credentials, k)
	}
	if v == nil {
		return
	}
	b.configuration.credentials[k] = v
	if s := shown(v); s != "" {
		b.credentials.put(credentialKey{v.Kind, s}, &servedCredential{v, v.ID.String()})
	}
	if v.Kind == entity.ACL {
		b.groupsOf.add(v.Consumer.ID, v.ID)
		b.dirtyGroups.add(v.Consumer.ID)
	}
}

// finish makes everything that is concerned anew.
func (b *build) finish() *snapshot {
	n := &b.next
	n.consumers, n.usernames, n.customIDs = b.consumers.table, b.usernames.table, b.customIDs.table
	n.credentials, n.clientCerts = b.credentials.table, b.clientCerts.table
	b.makeGroups()
	b.makeNames()
	b.makeServices()
	b.makeUpstreams()
	b.makeRoutes()
	b.makePlugins()
	return n
}

func (b *build) makeGroups() {
	txn := b.next.groups.txn()
	for consumer := range b.dirtyGroups {
		var groups []string
		for id := range b.groupsOf[consumer] {
			groups = append(groups, b.configuration.credentials[Key{Kind(entity.ACL), id}].Group)
		}
		if groups == nil {
			txn.del(consumer)
			continue
		}
		slices.Sort(groups)
		txn.put(consumer, slices.Compact(groups))
	}
	b.next.groups = txn.table
}

func (b *build) makeServices() {
	txn := b.next.services.txn()
	for id := range b.dirtyServices {
		s := b.services[id]
		if s == nil {
			txn.del(id)
			continue
		}
		made := &servedService{
			Service: s,
			connect: time.Duration(s.ConnectTimeout) * time.Millisecond,
			read:    time.Duration(s.ReadTimeout) * time.Millisecond,
			write:   time.Duration(s.WriteTimeout) * time.Millisecond,
		}
		made.authority = authorityOf(s.Host, s.Port, s.Protocol)
		if s.Protocol == "https" || s.Protocol == "grpcs" {
			made.tls = b.serviceTLS(s)
		}
		txn.put(id, made)
	}
	b.next.services = txn.table
}

func (b *build) makeRoutes() {
	if len(b.dirtyRoutes) == 0 {
		return
	}
	txn := b.next.routes.Txn()
	for _, id := range slices.SortedFunc(maps.Keys(b.dirtyRoutes), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) }) {
		r := b.routes[id]
		var service *entity.Service
		if r != nil && r.Service != nil {
			service = b.services[r.Service.ID]
		}
		if r == nil || r.Service != nil && !served(service) {
			txn.Remove(id)
			continue
		}
		if err := txn.PutFunc(r, func(s *servedRoute) { s.init(r, service) }); err != nil {
			// The route as it was before would be served with what is new.
			txn.Remove(id)
			b.fault(Routes, id, fmt.Errorf("cannot be matched: %w", err))
		}
	}
	b.next.routes = txn.Commit()
}
