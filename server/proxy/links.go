package proxy

import (
	"context"
	"net/url"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
	"github.com/backplane/backplane/server/dbaas"
)

// linker makes the URLs of an answer. Over gRPC they are paths.
type linker struct{ base string }

func linksOf(ctx context.Context) linker {
	values := metadata.ValueFromIncomingContext(ctx, dbaas.RequestURLKey)
	if len(values) == 0 {
		return linker{}
	}
	u, err := url.Parse(values[0])
	if err != nil || u.Host == "" {
		return linker{}
	}
	return linker{u.Scheme + "://" + u.Host}
}

// collection is the URL of a collection.
func (l linker) collection(path string) string { return l.base + "/v1/" + path + "/" }

// resource is the URL of a resource. Unlike that of a collection it has no
// slash at its end ("Service Resource", MaxScale 2.3 documentation).
func (l linker) resource(path, name string) string {
	return l.collection(path) + url.PathEscape(name)
}

func self(url string) *proxyv1.Links { return &proxyv1.Links{Self: url} }

// relationship is what is related to a resource, nil when that is nothing.
func (l linker) relationship(path, name, relation string, members []string) *proxyv1.Relationship {
	if len(members) == 0 {
		return nil
	}
	out := &proxyv1.Relationship{Links: &proxyv1.Links{
		Related: proto.String(l.collection(relation)), Self: l.resource(path, name) + "/relationships/" + relation + "/",
	}}
	for _, m := range members {
		out.Data = append(out.Data, &proxyv1.Member{Id: m, Type: relation})
	}
	return out
}

// relationships are all that an object has.
func (l linker) relationships(e *estate, o *object) *proxyv1.Relationships {
	out := &proxyv1.Relationships{}
	for _, relation := range relationsOf(o.plural) {
		r := l.relationship(o.plural, o.name, relation, e.related(o, relation))
		switch relation {
		case servers:
			out.Servers = r
		case services:
			out.Services = r
		case filters:
			out.Filters = r
		case monitors:
			out.Monitors = r
		case listeners:
			out.Listeners = r
		}
	}
	return out
}
