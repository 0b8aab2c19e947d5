package gatewaytest

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// All makes Entities of pointers to entities, which may also be in slices of
// any.
func All(entities ...any) httpproxy.Entities {
	var e httpproxy.Entities
	add(&e, entities)
	return e
}

func add(e *httpproxy.Entities, entities []any) {
	for _, v := range entities {
		if many, ok := v.([]any); ok {
			add(e, many)
		} else if err := e.Add(v); err != nil {
			panic(err)
		}
	}
}

// Service makes a service with defaults for a URL. Changes are made before it
// is used.
func Service(upstream string, changes ...func(*entity.Service)) *entity.Service {
	u, err := url.Parse(upstream)
	if err != nil {
		panic(fmt.Sprintf("the URL of an upstream: %v", err))
	}
	port, _ := strconv.Atoi(u.Port())
	switch {
	case port != 0:
	case u.Scheme == "https":
		port = 443
	default:
		port = 80
	}
	s := &entity.Service{
		ID: uuid.New(), CreatedAt: time.Now().Unix(), Enabled: true, Retries: 5,
		Protocol: u.Scheme, Host: u.Hostname(), Port: port, Path: u.Path,
		ConnectTimeout: 60000, WriteTimeout: 60000, ReadTimeout: 60000,
	}
	for _, change := range changes {
		change(s)
	}
	return s
}

// Route makes a route with defaults for paths, which may be none; the service
// may be nil. Changes are made before it is used.
func Route(s *entity.Service, path string, changes ...func(*entity.Route)) *entity.Route {
	r := &entity.Route{
		ID: uuid.New(), CreatedAt: time.Now().Unix(), Protocols: []string{"http", "https"},
		HTTPSRedirectStatusCode: 426, StripPath: true, PathHandling: "v0", RequestBuffering: true, ResponseBuffering: true,
	}
	if path != "" {
		r.Paths = []string{path}
	}
	if s != nil {
		r.Service = &entity.Reference{ID: s.ID}
	}
	for _, change := range changes {
		change(r)
	}
	return r
}

// Plugin makes an instance of a plugin for all requests. Its configuration is
// JSON, and is completed by the schema of its module when it is put. Scopes are
// a service, a route, a consumer.
func Plugin(name, config string, scopes ...any) *entity.Plugin {
	p := &entity.Plugin{
		ID: uuid.New(), Name: name, Protocols: []string{"grpc", "grpcs", "http", "https"}, Enabled: true,
		Config: json.RawMessage(config),
	}
	for _, s := range scopes {
		switch s := s.(type) {
		case *entity.Service:
			p.Service = &entity.Reference{ID: s.ID}
		case *entity.Route:
			p.Route = &entity.Reference{ID: s.ID}
		case *entity.Consumer:
			p.Consumer = &entity.Reference{ID: s.ID}
		default:
			panic(fmt.Sprintf("a plugin cannot be for a %T", s))
		}
	}
	return p
}

// Consumer makes a consumer.
func Consumer(username, customID string) *entity.Consumer {
	return &entity.Consumer{ID: uuid.New(), Username: username, CustomID: customID}
}

// Key makes a key of key-auth.
func Key(c *entity.Consumer, key string) *entity.Credential {
	return credential(entity.KeyAuth, c, func(v *entity.Credential) { v.Key = key })
}

// Password makes a credential of basic-auth.
func Password(c *entity.Consumer, username, password string) *entity.Credential {
	return credential(entity.BasicAuth, c, func(v *entity.Credential) {
		sum := sha1.Sum([]byte(password + c.ID.String()))
		v.Username, v.Password = username, hex.EncodeToString(sum[:])
	})
}

// Secret makes a credential of jwt with HS256.
func Secret(c *entity.Consumer, key, secret string) *entity.Credential {
	return credential(entity.JWT, c, func(v *entity.Credential) { v.Key, v.Secret, v.Algorithm = key, secret, "HS256" })
}

// Group puts a consumer into a group.
func Group(c *entity.Consumer, group string) *entity.Credential {
	return credential(entity.ACL, c, func(v *entity.Credential) { v.Group = group })
}

func credential(kind entity.CredentialKind, c *entity.Consumer, fill func(*entity.Credential)) *entity.Credential {
	v := &entity.Credential{
		Kind: kind, ID: uuid.New(), CreatedAt: time.Now().Unix(), Consumer: entity.Reference{ID: c.ID},
	}
	fill(v)
	return v
}

// Upstream makes an upstream with defaults, and its targets with the same
// weight. They are to be put together: All takes the result.
func Upstream(name string, targets ...string) []any {
	u := NewUpstream(name)
	all := []any{u}
	for _, t := range targets {
		all = append(all, Target(u, t, 100))
	}
	return all
}

// NewUpstream makes an upstream with defaults.
func NewUpstream(name string, changes ...func(*entity.Upstream)) *entity.Upstream {
	u := &entity.Upstream{
		ID: uuid.New(), Name: name, Algorithm: "round-robin", HashOn: "none", HashFallback: "none", HashOnCookiePath: "/",
		Slots: 10000,
		HealthChecks: entity.HealthChecks{
			Active: entity.ActiveCheck{
				Type: "http", Timeout: 1, Concurrency: 10, HTTPPath: "/", HTTPSVerifyCertificate: true,
				Healthy:   entity.Healthy{HTTPStatuses: []int{200, 302}},
				Unhealthy: entity.Unhealthy{HTTPStatuses: []int{429, 404, 500, 501, 502, 503, 504, 505}},
			},
			Passive: entity.PassiveCheck{
				Type: "http",
				Healthy: entity.Healthy{HTTPStatuses: []int{
					200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 300, 301, 302, 303, 304, 305, 306, 307, 308,
				}},
				Unhealthy: entity.Unhealthy{HTTPStatuses: []int{429, 500, 503}},
			},
		},
	}
	for _, change := range changes {
		change(u)
	}
	return u
}

// Target makes a target of an upstream: an address, or a URL of which that is
// taken.
func Target(u *entity.Upstream, target string, weight int) *entity.Target {
	if parsed, err := url.Parse(target); err == nil && parsed.Host != "" {
		target = parsed.Host
	}
	return &entity.Target{
		ID: uuid.New(), CreatedAt: float64(time.Now().Unix()), Target: target, Weight: weight,
		Upstream: entity.Reference{ID: u.ID},
	}
}
