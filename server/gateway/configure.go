package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/ent"
)

// apply hands a change to the data plane, with the pages if they are others.
// g.mu is held.
func (g *Gateway) apply(ctx context.Context, put []*object, removed []httpproxy.Key, pages []*entity.Page) {
	u := httpproxy.Update{Remove: removed, Pages: pages}
	for _, key := range removed {
		delete(g.hosts, key)
	}
	for _, o := range put {
		doc, err := json.Marshal(o.doc)
		if err == nil {
			err = g.addEntity(ctx, &u, o.c.Name, o.id, doc)
		}
		if err != nil {
			g.tell(fmt.Errorf("%s %s: %w", o.c.Name, o.id, err))
		}
	}
	g.tell(g.plane.Update(u))
}

// tell logs what the data plane does without.
func (g *Gateway) tell(err error) {
	if err != nil {
		g.Log.Error("the gateway does without some of its objects", "error", err)
	}
}

// add adds the entity of a row to an update. One that cannot be read is left
// out, and told in the log.
func (g *Gateway) add(ctx context.Context, u *httpproxy.Update, row *ent.GatewayObject) {
	doc := row.Document
	if len(row.Sealed) > 0 {
		o, err := g.read(row, true)
		if err == nil {
			doc, err = json.Marshal(o.doc)
		}
		if err != nil {
			g.tell(err)
			return
		}
	}
	if err := g.addEntity(ctx, u, row.Kind, row.ObjectID, doc); err != nil {
		g.tell(fmt.Errorf("%s %s: %w", row.Kind, row.ObjectID, err))
	}
}

func (g *Gateway) addEntity(ctx context.Context, u *httpproxy.Update, kind string, id uuid.UUID, doc []byte) error {
	v, err := entityOf(kind)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(doc, v); err != nil {
		return err
	}
	key := httpproxy.Key{Kind: httpproxy.Kind(kind), ID: id}
	switch v := v.(type) {
	case *entity.Service:
		v.Host, v.Port = g.locate(ctx, key, v.Host, v.Port)
	case *entity.Target:
		if at, err := schema.ParseAddress(v.Target); err == nil {
			host, port := g.locate(ctx, key, at.Host, at.Port)
			v.Target = entity.TargetAddress(net.JoinHostPort(host, strconv.Itoa(port)))
		}
	}
	return u.Put.Add(v)
}

// entityOf is an empty entity of a collection.
func entityOf(kind string) (any, error) {
	switch kind {
	case services:
		return &entity.Service{}, nil
	case routes:
		return &entity.Route{}, nil
	case certificates:
		return &entity.Certificate{}, nil
	case snis:
		return &entity.SNI{}, nil
	case caCertificates:
		return &entity.CACertificate{}, nil
	case upstreams:
		return &entity.Upstream{}, nil
	case targets:
		return &entity.Target{}, nil
	case consumers:
		return &entity.Consumer{}, nil
	case plugins:
		return &entity.Plugin{}, nil
	case keyAuths, basicAuths, jwts, acls:
		return &entity.Credential{Kind: entity.CredentialKind(kind)}, nil
	}
	return nil, fmt.Errorf("there is no collection %q", kind)
}

// catalogSuffix follows the id of a service of the catalogue in a host.
const catalogSuffix = ".catalog"

// locate is where an entity is whose host may be a service of the catalogue: at
// the address of that, which is followed.
func (g *Gateway) locate(ctx context.Context, key httpproxy.Key, host string, port int) (string, int) {
	delete(g.hosts, key)
	name, ok := strings.CutSuffix(strings.ToLower(host), catalogSuffix)
	if !ok {
		return host, port
	}
	of, ok := isID(name)
	if !ok {
		return host, port
	}
	g.hosts[key] = of
	_, _, config, err := g.Catalog.Backend(ctx, of)
	if err == nil {
		var is string
		if is, port, err = address(config, port); err == nil {
			return is, port
		}
	}
	// The name stays, which nobody can resolve.
	g.Log.WarnContext(ctx, "what the gateway carries requests to is not in the catalogue", "kind", key.Kind, "id", key.ID, "host", host, "error", err)
	return host, port
}

// address is the host and the port of a configuration, where that has one.
func address(config connectors.Config, port int) (string, int, error) {
	if host := config.String("host"); host != "" {
		return host, cmp.Or(int(config.Int("port")), port), nil
	}
	for _, field := range []string{"endpoint", "url"} {
		given := config.String(field)
		if given == "" {
			continue
		}
		if !strings.Contains(given, "://") {
			given = "//" + given
		}
		u, err := url.Parse(given)
		if err != nil || u.Hostname() == "" {
			return "", port, fmt.Errorf("its %s has no host", field)
		}
		switch u.Scheme {
		case "http":
			port = 80
		case "https":
			port = 443
		}
		if p, err := strconv.Atoi(u.Port()); err == nil {
			port = p
		}
		return u.Hostname(), port, nil
	}
	return "", port, errNoHost
}

var errNoHost = errors.New("it has no host")
