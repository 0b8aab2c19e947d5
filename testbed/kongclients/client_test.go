// Package kongclients tries the admin API of the HTTP gateway with the clients
// of the Kong Admin API that others maintain. It is a module of its own: the
// program does not depend on them.
package kongclients

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/kong/go-kong/kong"

	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/servertest"
)

// connect runs a server and returns a client of it.
func connect(t *testing.T) (*servertest.Server, *kong.Client) {
	t.Helper()
	s := servertest.Start(t, servertest.Options{LogLevel: "warn"})
	login := s.SignIn(t, servertest.Basic(auth.AdminUser, servertest.Password))
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client, err := kong.NewClient(&s.URL, kong.HTTPClientWithHeaders(&http.Client{Transport: transport}, http.Header{"Authorization": {login}}))
	if err != nil {
		t.Fatal(err)
	}
	return s, client
}

// pair makes a certificate that is its own authority, with its key.
func pair(t *testing.T) (certificate, key *string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	text := func(kind string, der []byte) *string {
		return kong.String(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	return text("CERTIFICATE", der), text("PRIVATE KEY", plain)
}

// calls are those of a client for a kind of entities.
type calls[T any] struct {
	create func(context.Context, *T) (*T, error)
	get    func(context.Context, *string) (*T, error)
	update func(context.Context, *T) (*T, error)
	remove func(context.Context, *string) error
	list   func(context.Context) ([]*T, error)
}

// life is an entity from its making to its end: made without an id by POST and,
// with one, by PUT.
type life[T any] struct {
	what   string
	calls  calls[T]
	sent   T
	id     func(*T) **string
	tags   func(*T) *[]*string
	absent bool // whether what is gone cannot be removed
}

func (l life[T]) run(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	for _, id := range []*string{nil, kong.String("0b6d1c0e-53a3-4a53-9f4d-1d2b2f4b6a10")} {
		sent := l.sent
		*l.id(&sent) = id
		*l.tags(&sent) = kong.StringSlice("a", "b c")
		made, err := l.calls.create(ctx, &sent)
		if err != nil {
			t.Errorf("%s: create: %v", l.what, err)
			return
		}
		key := *l.id(made)
		if key == nil || id != nil && *key != *id {
			t.Errorf("%s: made %+v", l.what, made)
			return
		}
		if got, err := l.calls.get(ctx, key); err != nil || *(*l.id(got)) != *key || len(*l.tags(got)) != 2 {
			t.Errorf("%s: get: %+v, %v", l.what, got, err)
		}
		change := l.sent
		*l.id(&change) = key
		*l.tags(&change) = kong.StringSlice("c")
		if got, err := l.calls.update(ctx, &change); err != nil || len(*l.tags(got)) != 1 {
			t.Errorf("%s: update: %+v, %v", l.what, got, err)
		}
		if all, err := l.calls.list(ctx); err != nil || len(all) != 1 {
			t.Errorf("%s: list: %+v, %v", l.what, all, err)
		}
		if err := l.calls.remove(ctx, key); err != nil {
			t.Errorf("%s: delete: %v", l.what, err)
		}
		if err := l.calls.remove(ctx, key); (err != nil) != l.absent {
			t.Errorf("%s: delete again: %v", l.what, err)
		}
		if got, err := l.calls.get(ctx, key); !kong.IsNotFoundErr(err) {
			t.Errorf("%s: get what is gone: %+v, %v", l.what, got, err)
		}
	}
}

// TestEntities makes, reads, changes, lists and removes one of each kind.
func TestEntities(t *testing.T) {
	t.Parallel()
	_, c := connect(t)
	certificate, key := pair(t)
	life[kong.Service]{
		what: "service", sent: kong.Service{Name: kong.String("a"), Host: kong.String("h.test"), Port: kong.Int(8080)},
		calls: calls[kong.Service]{c.Services.Create, c.Services.Get, c.Services.Update, c.Services.Delete, c.Services.ListAll},
		id:    func(e *kong.Service) **string { return &e.ID }, tags: func(e *kong.Service) *[]*string { return &e.Tags },
	}.run(t)
	life[kong.Route]{
		what: "route", sent: kong.Route{Name: kong.String("a"), Paths: kong.StringSlice("/a"), Headers: map[string][]string{"x-v": {"1"}}},
		calls: calls[kong.Route]{c.Routes.Create, c.Routes.Get, c.Routes.Update, c.Routes.Delete, c.Routes.ListAll},
		id:    func(e *kong.Route) **string { return &e.ID }, tags: func(e *kong.Route) *[]*string { return &e.Tags },
	}.run(t)
	life[kong.Upstream]{
		what: "upstream", sent: kong.Upstream{Name: kong.String("u.test"), Slots: kong.Int(100)},
		calls: calls[kong.Upstream]{c.Upstreams.Create, c.Upstreams.Get, c.Upstreams.Update, c.Upstreams.Delete, c.Upstreams.ListAll},
		id:    func(e *kong.Upstream) **string { return &e.ID }, tags: func(e *kong.Upstream) *[]*string { return &e.Tags },
	}.run(t)
	life[kong.Certificate]{
		what: "certificate", sent: kong.Certificate{Cert: certificate, Key: key, SNIs: kong.StringSlice("a.test")},
		calls: calls[kong.Certificate]{c.Certificates.Create, c.Certificates.Get, c.Certificates.Update, c.Certificates.Delete, c.Certificates.ListAll},
		id:    func(e *kong.Certificate) **string { return &e.ID }, tags: func(e *kong.Certificate) *[]*string { return &e.Tags },
	}.run(t)
	life[kong.CACertificate]{
		what: "authority", sent: kong.CACertificate{Cert: certificate},
		calls: calls[kong.CACertificate]{c.CACertificates.Create, c.CACertificates.Get, c.CACertificates.Update, c.CACertificates.Delete, c.CACertificates.ListAll},
		id:    func(e *kong.CACertificate) **string { return &e.ID }, tags: func(e *kong.CACertificate) *[]*string { return &e.Tags },
	}.run(t)
	life[kong.Consumer]{
		what: "consumer", sent: kong.Consumer{Username: kong.String("a"), CustomID: kong.String("c")},
		calls: calls[kong.Consumer]{c.Consumers.Create, c.Consumers.Get, c.Consumers.Update, c.Consumers.Delete, c.Consumers.ListAll},
		id:    func(e *kong.Consumer) **string { return &e.ID }, tags: func(e *kong.Consumer) *[]*string { return &e.Tags },
	}.run(t)
	life[kong.Plugin]{
		what: "plugin", sent: kong.Plugin{Name: kong.String("rate-limiting"), Config: kong.Configuration{"minute": 5}},
		calls: calls[kong.Plugin]{c.Plugins.Create, c.Plugins.Get, c.Plugins.Update, c.Plugins.Delete, c.Plugins.ListAll},
		id:    func(e *kong.Plugin) **string { return &e.ID }, tags: func(e *kong.Plugin) *[]*string { return &e.Tags },
	}.run(t)
	shown, err := c.Certificates.Create(t.Context(), &kong.Certificate{Cert: certificate, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	life[kong.SNI]{
		what: "server name", sent: kong.SNI{Name: kong.String("a.test"), Certificate: &kong.Certificate{ID: shown.ID}},
		calls: calls[kong.SNI]{c.SNIs.Create, c.SNIs.Get, c.SNIs.Update, c.SNIs.Delete, c.SNIs.ListAll},
		id:    func(e *kong.SNI) **string { return &e.ID }, tags: func(e *kong.SNI) *[]*string { return &e.Tags },
	}.run(t)
}

// below are the calls for entities below one that is named.
func below[T any](
	parent string, create, update func(context.Context, *string, *T) (*T, error), get func(context.Context, *string, *string) (*T, error),
	remove func(context.Context, *string, *string) error, list func(context.Context) ([]*T, error),
) calls[T] {
	return calls[T]{
		create: func(ctx context.Context, e *T) (*T, error) { return create(ctx, &parent, e) },
		get:    func(ctx context.Context, key *string) (*T, error) { return get(ctx, &parent, key) },
		update: func(ctx context.Context, e *T) (*T, error) { return update(ctx, &parent, e) },
		remove: func(ctx context.Context, key *string) error { return remove(ctx, &parent, key) },
		list:   list,
	}
}

// TestCredentials does the same with what consumers log in with.
func TestCredentials(t *testing.T) {
	t.Parallel()
	_, c := connect(t)
	if _, err := c.Consumers.Create(t.Context(), &kong.Consumer{Username: kong.String("u")}); err != nil {
		t.Fatal(err)
	}
	life[kong.KeyAuth]{
		what: "key-auth", sent: kong.KeyAuth{Key: kong.String("k")}, absent: true,
		calls: below("u", c.KeyAuths.Create, c.KeyAuths.Update, c.KeyAuths.Get, c.KeyAuths.Delete, c.KeyAuths.ListAll),
		id:    func(e *kong.KeyAuth) **string { return &e.ID }, tags: func(e *kong.KeyAuth) *[]*string { return &e.Tags },
	}.run(t)
	life[kong.BasicAuth]{
		what: "basic-auth", sent: kong.BasicAuth{Username: kong.String("k"), Password: kong.String("p")}, absent: true,
		calls: below("u", c.BasicAuths.Create, c.BasicAuths.Update, c.BasicAuths.Get, c.BasicAuths.Delete, c.BasicAuths.ListAll),
		id:    func(e *kong.BasicAuth) **string { return &e.ID }, tags: func(e *kong.BasicAuth) *[]*string { return &e.Tags },
	}.run(t)
	life[kong.JWTAuth]{
		what: "jwt", sent: kong.JWTAuth{Key: kong.String("k")}, absent: true,
		calls: below("u", c.JWTAuths.Create, c.JWTAuths.Update, c.JWTAuths.Get, c.JWTAuths.Delete, c.JWTAuths.ListAll),
		id:    func(e *kong.JWTAuth) **string { return &e.ID }, tags: func(e *kong.JWTAuth) *[]*string { return &e.Tags },
	}.run(t)
	life[kong.ACLGroup]{
		what: "acl", sent: kong.ACLGroup{Group: kong.String("k")}, absent: true,
		calls: below("u", c.ACLs.Create, c.ACLs.Update, c.ACLs.Get, c.ACLs.Delete, c.ACLs.ListAll),
		id:    func(e *kong.ACLGroup) **string { return &e.ID }, tags: func(e *kong.ACLGroup) *[]*string { return &e.Tags },
	}.run(t)
}

// TestTargets: those of an upstream, and how healthy they are.
func TestTargets(t *testing.T) {
	t.Parallel()
	_, c := connect(t)
	ctx, upstream := t.Context(), kong.String("u.test")
	checks := &kong.Healthcheck{Passive: &kong.PassiveHealthcheck{Unhealthy: &kong.Unhealthy{TCPFailures: kong.Int(1)}}}
	if _, err := c.Upstreams.Create(ctx, &kong.Upstream{Name: upstream, Healthchecks: checks}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []*string{nil, kong.String("0b6d1c0e-53a3-4a53-9f4d-1d2b2f4b6a10")} {
		made, err := c.Targets.Create(ctx, upstream, &kong.Target{ID: id, Target: kong.String("127.0.0.1"), Weight: kong.Int(5)})
		if err != nil || *made.Target != "127.0.0.1:8000" || made.CreatedAt == nil || id != nil && *made.ID != *id {
			t.Fatalf("made %+v, %v", made, err)
		}
		if got, err := c.Targets.Update(ctx, upstream, made.ID, &kong.Target{ID: made.ID, Target: made.Target, Weight: kong.Int(7)}); err != nil || *got.Weight != 7 {
			t.Errorf("update: %+v, %v", got, err)
		}
		if all, err := c.Targets.ListAll(ctx, upstream); err != nil || len(all) != 1 || *all[0].Weight != 7 {
			t.Errorf("list: %v, %v", all, err)
		}
		for want, set := range map[string]func(context.Context, *string, *kong.Target) error{"HEALTHY": c.Targets.MarkHealthy, "UNHEALTHY": c.Targets.MarkUnhealthy} {
			if err := set(ctx, upstream, made); err != nil {
				t.Errorf("mark %s: %v", want, err)
			}
			if all, err := c.UpstreamNodeHealth.ListAll(ctx, upstream); err != nil || len(all) != 1 || *all[0].Health != want {
				t.Errorf("health: %+v, %v, want %s", all, err, want)
			}
		}
		if err := c.Targets.Delete(ctx, upstream, made.Target); err != nil {
			t.Errorf("delete: %v", err)
		}
	}
}

// TestQuestions: what is asked about the gateway, relations and schemas.
func TestQuestions(t *testing.T) {
	t.Parallel()
	_, c := connect(t)
	ctx := t.Context()
	root, err := c.Root(ctx)
	if err != nil || kong.VersionFromInfo(root) != "3.10.0" {
		t.Errorf("the root is %v, %v", root, err)
	}
	if server, err := c.Server(ctx); err != nil || server != "kong/3.10.0" {
		t.Errorf("the server is %q, %v", server, err)
	}
	if info, err := c.Info.Get(ctx); err != nil || info.Configuration.Database != "postgres" {
		t.Errorf("the information is %+v, %v", info, err)
	}
	if status, err := c.Status(ctx); err != nil || !status.Database.Reachable {
		t.Errorf("the status is %+v, %v", status, err)
	}
	if ok, err := c.Tags.Exists(ctx); err != nil || !ok {
		t.Errorf("tags: %v, %v", ok, err)
	}
	service, err := c.Services.Create(ctx, &kong.Service{Name: kong.String("s"), Host: kong.String("h.test")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Routes.CreateInService(ctx, service.ID, &kong.Route{Name: kong.String("r"), Paths: kong.StringSlice("/r")}); err != nil {
		t.Error(err)
	}
	if got, err := c.Services.GetForRoute(ctx, kong.String("r")); err != nil || *got.ID != *service.ID {
		t.Errorf("the service of a route is %+v, %v", got, err)
	}
	if all, _, err := c.Routes.ListForService(ctx, service.Name, nil); err != nil || len(all) != 1 {
		t.Errorf("the routes of a service are %v, %v", all, err)
	}
	plugin, err := c.Plugins.CreateForService(ctx, service.Name, &kong.Plugin{Name: kong.String("cors")})
	if err != nil || plugin.Service == nil || *plugin.Service.ID != *service.ID {
		t.Errorf("a plugin of a service is %+v, %v", plugin, err)
	}
	if all, err := c.Plugins.ListAllForService(ctx, service.Name); err != nil || len(all) != 1 {
		t.Errorf("the plugins of a service are %v, %v", all, err)
	}
	if _, err := c.Consumers.Create(ctx, &kong.Consumer{Username: kong.String("u"), CustomID: kong.String("c")}); err != nil {
		t.Error(err)
	}
	if got, err := c.Consumers.GetByCustomID(ctx, kong.String("c")); err != nil || *got.Username != "u" {
		t.Errorf("by its custom id: %+v, %v", got, err)
	}
	for _, entity := range []string{"services", "routes", "upstreams", "targets", "plugins/rate-limiting"} {
		if schema, err := c.Schemas.Get(ctx, entity); err != nil || schema["fields"] == nil {
			t.Errorf("the schema of %s is %v, %v", entity, schema, err)
		}
	}
	if schema, err := c.Plugins.GetSchema(ctx, kong.String("key-auth")); err != nil || schema["fields"] == nil {
		t.Errorf("the schema of a plugin is %v, %v", schema, err)
	}
	if ok, message, err := c.Plugins.Validate(ctx, &kong.Plugin{Name: kong.String("key-auth"), Config: kong.Configuration{"key_names": []string{"k"}}}); !ok || err != nil {
		t.Errorf("a good plugin: %v %q %v", ok, message, err)
	}
	if ok, message, err := c.Routes.Validate(ctx, &kong.Route{}); ok || err != nil || !strings.HasPrefix(message, "schema violation") {
		t.Errorf("a bad route: %v %q %v", ok, message, err)
	}
	if got, err := c.Services.Create(ctx, &kong.Service{Name: kong.String("s"), Host: kong.String("h.test")}); err == nil || !strings.Contains(err.Error(), "UNIQUE violation") {
		t.Errorf("a name that is taken: %+v, %v", got, err)
	}
}

// TestPages: a list of more than a page.
func TestPages(t *testing.T) {
	t.Parallel()
	_, c := connect(t)
	ctx := t.Context()
	for range 25 {
		if _, err := c.Services.Create(ctx, &kong.Service{Host: kong.String("h.test"), Tags: kong.StringSlice("t", "中 1")}); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	opt, pages := &kong.ListOpt{Size: 10, Tags: kong.StringSlice("t", "中 1"), MatchAllTags: true}, 0
	for opt != nil {
		page, next, err := c.Services.List(ctx, opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page {
			seen[*s.ID] = true
		}
		opt, pages = next, pages+1
	}
	if len(seen) != 25 || pages != 3 {
		t.Errorf("%d services in %d pages", len(seen), pages)
	}
}
