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

	routes      *route.Table[*servedRoute]
	services    table[uuid.UUID, *servedService]
	upstreams   table[string, *servedUpstream] // by name
	balancers   table[uuid.UUID, *balance.Balancer]
	consumers   table[uuid.UUID, *entity.Consumer]
	usernames   table[string, *entity.Consumer]
	customIDs   table[string, *entity.Consumer]
	credentials table[credentialKey, *entity.Credential]
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

// Consumer implements View.
func (s *snapshot) Consumer(key string) *entity.Consumer {
	if id, err := uuid.Parse(key); err == nil && len(key) == 36 {
		if c, ok := s.consumers.get(id); ok {
			return c
		}
	}
	if c, ok := s.usernames.get(key); ok {
		return c
	}
	c, _ := s.customIDs.get(key)
	return c
}

// Credential implements View.
func (s *snapshot) Credential(kind entity.CredentialKind, shown string) *entity.Credential {
	c, _ := s.credentials.get(credentialKey{kind, shown})
	return c
}

// Groups implements View.
func (s *snapshot) Groups(consumer uuid.UUID) []string {
	g, _ := s.groups.get(consumer)
	return g
}

// servedRoute is a route with what is worked out once. What requests need of
// most routes is in it, so that among many routes nothing else of them has to be
// fetched from memory.
type servedRoute struct {
	*entity.Route
	chain    atomic.Pointer[cachedChain]
	service  uuid.UUID // zero for none
	v1       bool      // how paths are handled
	strip    bool
	keepHost bool
	buffered bool // requests are read before they are sent
}

func newServedRoute(r *entity.Route) *servedRoute {
	s := &servedRoute{Route: r, v1: r.PathHandling == "v1", strip: r.StripPath, keepHost: r.PreserveHost, buffered: r.RequestBuffering}
	if r.Service != nil {
		s.service = r.Service.ID
	}
	return s
}

// servedService is a service with what is worked out once.
type servedService struct {
	*entity.Service
	connect, read, write time.Duration
	tls                  *upstreamTLS // nil without TLS
	authority            string       // what is sent as Host
}
