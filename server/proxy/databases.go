package proxy

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/backplane/backplane/dataplane/dbproxy/param"
	"github.com/backplane/backplane/ent"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
)

// AddServiceDatabase implements the RPC.
func (p *Proxy) AddServiceDatabase(ctx context.Context, req *proxyv1.AddServiceDatabaseRequest) (*proxyv1.ServerDocument, error) {
	var name string
	err := p.change(ctx, "AddServiceDatabase", func(e *estate) error {
		service, err := e.get(services, req.GetName())
		if err != nil {
			return err
		}
		host, err := p.hostOfDatabase(ctx, req.GetDatabase())
		if err != nil {
			return err
		}
		server, err := p.serverOn(e, host)
		if err != nil {
			return err
		}
		name = server.name
		if slices.Contains(service.links[servers], name) {
			return nil
		}
		service.links[servers] = append(service.links[servers], name)
		e.touch(service)
		return nil
	})
	if err != nil {
		return nil, err
	}
	e, o, err := p.get(ctx, servers, name)
	if err != nil {
		return nil, err
	}
	return p.serverDocument(ctx, e, o)
}

// hostOfDatabase is the service of the catalogue that a database is on.
func (p *Proxy) hostOfDatabase(ctx context.Context, text string) (*ent.Service, error) {
	wrong := invalid("database", "must be the number, or the URL, of a database on a MySQL server")
	parts := strings.Split(strings.Trim(text, "/"), "/")
	id, err := strconv.Atoi(parts[len(parts)-1])
	if err != nil || len(parts) > 1 && parts[len(parts)-2] != "database" {
		return nil, wrong
	}
	row, err := p.Store.Database.Get(ctx, id)
	if ent.IsNotFound(err) {
		return nil, wrong
	}
	if err != nil {
		return nil, err
	}
	host, err := p.Store.Service.Get(ctx, row.ServiceID)
	if err != nil {
		return nil, err
	}
	if host.ServiceType != "mysql" {
		return nil, wrong
	}
	return host, nil
}

// serverOn is the server that stands for a service of the catalogue. It is made
// when there is none.
func (p *Proxy) serverOn(e *estate, host *ent.Service) (*object, error) {
	for _, o := range e.of(servers) {
		if o.set.String(catalogService) == host.ID.String() {
			return o, nil
		}
	}
	k := kindOf(servers)
	base := nameFrom(host.Name)
	name := base
	for n := 2; ; n++ {
		if _, there := e.lookup(servers, name); !there {
			break
		}
		name = fmt.Sprintf("%s-%d", base, n)
	}
	o := p.newObject(k, name, "")
	e.add(o)
	set, faults := param.Parse(serverSpecs(), map[string]any{catalogService: host.ID.String()})
	if len(faults) > 0 {
		return nil, faults
	}
	o.set = set
	return o, nil
}

// nameFrom is a name for an object that is like another name.
func nameFrom(text string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune(nameLetters, r):
			return r
		case isSpace(r):
			return '-'
		}
		return '_'
	}, text)
	if len(name) > 200 {
		name = name[:200]
	}
	return name
}
