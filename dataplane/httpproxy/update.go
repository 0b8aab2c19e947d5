package httpproxy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// Kind is a kind of entity: the name of its collection. Those of credentials
// are the entity.CredentialKinds.
type Kind string

// The kinds of entities, without those of credentials.
const (
	Services       Kind = "services"
	Routes         Kind = "routes"
	Certificates   Kind = "certificates"
	SNIs           Kind = "snis"
	CACertificates Kind = "ca_certificates"
	Upstreams      Kind = "upstreams"
	Targets        Kind = "targets"
	Consumers      Kind = "consumers"
	Plugins        Kind = "plugins"
)

// Key names an entity.
type Key struct {
	Kind Kind
	ID   uuid.UUID
}

// Entities are entities of all kinds.
type Entities struct {
	Services       []*entity.Service
	Routes         []*entity.Route
	Certificates   []*entity.Certificate
	SNIs           []*entity.SNI
	CACertificates []*entity.CACertificate
	Upstreams      []*entity.Upstream
	Targets        []*entity.Target
	Consumers      []*entity.Consumer
	Credentials    []*entity.Credential
	Plugins        []*entity.Plugin
}

// Add adds a pointer to an entity of any kind.
func (e *Entities) Add(v any) error {
	switch v := v.(type) {
	case *entity.Service:
		e.Services = append(e.Services, v)
	case *entity.Route:
		e.Routes = append(e.Routes, v)
	case *entity.Certificate:
		e.Certificates = append(e.Certificates, v)
	case *entity.SNI:
		e.SNIs = append(e.SNIs, v)
	case *entity.CACertificate:
		e.CACertificates = append(e.CACertificates, v)
	case *entity.Upstream:
		e.Upstreams = append(e.Upstreams, v)
	case *entity.Target:
		e.Targets = append(e.Targets, v)
	case *entity.Consumer:
		e.Consumers = append(e.Consumers, v)
	case *entity.Credential:
		e.Credentials = append(e.Credentials, v)
	case *entity.Plugin:
		e.Plugins = append(e.Plugins, v)
	default:
		return fmt.Errorf("%T is not an entity of the gateway", v)
	}
	return nil
}

// Update is a change of what a Proxy is configured with.
type Update struct {
	// Reset takes everything out that was there before and is not put, pages
	// too.
	Reset bool
	// Put are entities that are new, or take the place of those with the same
	// kind and ID.
	Put Entities
	// Remove are entities that are taken out; those that are not there are
	// passed over. Nothing is removed for the reason that it refers to what is.
	Remove []Key
	// Pages, if it is not nil, takes the place of all pages that there were.
	// They must not be changed afterwards.
	Pages []*entity.Page
}

// EntityError tells what is wrong with one entity of an Update.
type EntityError struct {
	Key
	Err error
}

// Error implements error.
func (e *EntityError) Error() string { return fmt.Sprintf("%s %s: %v", e.Kind, e.ID, e.Err) }

// Unwrap is the cause.
func (e *EntityError) Unwrap() error { return e.Err }

// ErrClosed is that the Proxy has ended.
var ErrClosed = errors.New("the gateway has ended")

// Update changes what is served. It has taken effect when it returns, for all
// requests that begin afterwards; those under way end as they have begun. An
// entity that cannot be used is left out, or is served with an error where to
// leave it out would let requests pass that it should stop: the error then has
// an EntityError for each. Everything else is in effect all the same.
func (p *Proxy) Update(u Update) error {
	p.updating.Lock()
	defer p.updating.Unlock()
	if p.ctx.Err() != nil {
		return ErrClosed
	}
	b := p.begin()
	if u.Reset {
		b.removeOthers(&u.Put)
	}
	for _, k := range u.Remove {
		b.remove(k)
	}
	b.put(&u.Put)
	if u.Reset || u.Pages != nil {
		b.next.pages = servedPages(u.Pages)
	}
	next := b.finish()
	p.current.Store(next)
	p.retire(next.generation, b.retired)
	slices.SortStableFunc(b.faults, func(a, b *EntityError) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), slices.Compare(a.ID[:], b.ID[:]))
	})
	var faults []error
	for _, f := range b.faults {
		faults = append(faults, f)
	}
	return errors.Join(faults...)
}
