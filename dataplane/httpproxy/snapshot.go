package httpproxy

import (
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/balance"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/route"
)

// snapshot is what requests are served by. It never changes; one shares with
// the next what is the same.
type snapshot struct {
	generation uint64

	routes      *route.Table[servedRoute]
	services    table[uuid.UUID, *servedService]
	upstreams   table[string, *servedUpstream] // by name
	balancers   table[uuid.UUID, *balance.Balancer]
	consumers   table[uuid.UUID, *servedConsumer]
	usernames   table[string, *entity.Consumer]
	customIDs   table[string, *entity.Consumer]
	credentials table[credentialKey, *servedCredential]
	groups      table[uuid.UUID, []string]
	certs       table[string, *certificate] // by the names of SNIs
	clientCerts table[uuid.UUID, *certificate]
	plugins     *pluginIndex
	pages       map[string]*servedPage // by path
}

type credentialKey struct {
	kind  entity.CredentialKind
	shown string
}

// shown is what the holder of a credential shows, "" if it shows nothing.
func shown(c *entity.Credential) string {
	switch c.Kind {
	case entity.KeyAuth, entity.JWT:
		return c.Key
	case entity.BasicAuth:
		return c.Username
	default:
		return ""
	}
}

// Service implements View.
func (s *snapshot) Service(id uuid.UUID) *entity.Service {
	if found, ok := s.services.get(id); ok {
		return found.Service
	}
	return nil
}

// Route implements View.
func (s *snapshot) Route(id uuid.UUID) *entity.Route {
	if found := s.routes.Get(id); found != nil {
		return found.Route
	}
	return nil
}

// Consumer implements View.
func (s *snapshot) Consumer(key string) *entity.Consumer {
	if id, err := uuid.Parse(key); err == nil && len(key) == 36 {
		if c, ok := s.consumers.get(id); ok {
			return c.Consumer
		}
	}
	if c, ok := s.usernames.get(key); ok {
		return c
	}
	c, _ := s.customIDs.get(key)
	return c
}

// ConsumerByID implements View.
func (s *snapshot) ConsumerByID(id uuid.UUID) (c *entity.Consumer, text string) {
	if found, ok := s.consumers.get(id); ok {
		return found.Consumer, found.text
	}
	return nil, ""
}

// Credential implements View.
func (s *snapshot) Credential(kind entity.CredentialKind, shown string) *entity.Credential {
	c, _ := s.CredentialWithID(kind, shown)
	return c
}

// CredentialWithID implements View.
func (s *snapshot) CredentialWithID(kind entity.CredentialKind, shown string) (c *entity.Credential, id string) {
	if found, ok := s.credentials.get(credentialKey{kind, shown}); ok {
		return found.Credential, found.text
	}
	return nil, ""
}

// Groups implements View.
func (s *snapshot) Groups(consumer uuid.UUID) []string {
	g, _ := s.groups.get(consumer)
	return g
}

// servedRoute is a route with what is worked out once. What requests need of
// most routes is in it, so that among many routes nothing else of them has to be
// fetched from memory: it is a part of what the table finds, and no longer than
// fits a line of memory with the rest of that.
type servedRoute struct {
	*entity.Route
	chain    atomic.Pointer[cachedChain]
	service  *uuid.UUID // which all routes of a service share; nil for none
	v1       bool       // how paths are handled
	strip    bool
	keepHost bool
	buffered bool // requests are read before they are sent
}

func (s *servedRoute) init(r *entity.Route, service *entity.Service) {
	s.Route, s.v1, s.strip, s.keepHost, s.buffered = r, r.PathHandling == "v1", r.StripPath, r.PreserveHost, r.RequestBuffering
	if service != nil {
		s.service = &service.ID
	}
}

// serviceID is zero if there is none.
func (s *servedRoute) serviceID() uuid.UUID {
	if s.service == nil {
		return uuid.Nil
	}
	return *s.service
}

// servedConsumer is a consumer, and its ID as text.
type servedConsumer struct {
	*entity.Consumer
	text string
}

// servedCredential is a credential, and its ID as text.
type servedCredential struct {
	*entity.Credential
	text string
}

// servedService is a service with what is worked out once.
type servedService struct {
	*entity.Service
	connect, read, write time.Duration
	tls                  *upstreamTLS // nil without TLS
	authority            string       // what is sent as Host
}
