package gateway

import (
	"context"
	"net/url"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/dataplane/httpproxy/schema"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/dbaas"
)

// request is a request about entities of a collection. All of them have the
// same fields: the entity, the document, and what selects by which entity it
// is reached.
type request struct {
	c *entity.Collection
	m protoreflect.Message
}

func about(collection string, req proto.Message) request {
	return request{entity.Find(collection), req.ProtoReflect()}
}

// text is a field of the request; "" where it has none of that name.
func (r request) text(name protoreflect.Name) string {
	f := r.m.Descriptor().Fields().ByName(name)
	if f == nil || f.Kind() != protoreflect.StringKind {
		return ""
	}
	return r.m.Get(f).String()
}

func (r request) id() string { return r.text("id") }

// selected calls f for each other entity by which the request selects.
func (r request) selected(f func(c *entity.Collection, key string) error) error {
	fields := r.m.Descriptor().Fields()
	for i := range fields.Len() {
		name := fields.Get(i).Name()
		c := bySelector(string(name))
		if key := r.text(name); c != nil && key != "" {
			if err := f(c, key); err != nil {
				return err
			}
		}
	}
	return nil
}

// sent is the document of the request.
func (r request) sent() (map[string]any, error) {
	fields := r.m.Descriptor().Fields()
	if f := fields.ByName("document"); f != nil && r.m.Has(f) {
		if v, ok := r.m.Get(f).Message().Interface().(*structpb.Value); ok {
			doc, ok := schema.Normal(v.AsInterface()).(map[string]any)
			if !ok {
				return nil, errs.New(errs.BadRequest, "Cannot parse JSON body")
			}
			return doc, nil
		}
	}
	var mask []string
	if f := fields.ByName("update_mask"); f != nil {
		if m, ok := r.m.Get(f).Message().Interface().(*fieldmaskpb.FieldMask); ok {
			mask = m.GetPaths()
		}
	}
	return documentOf(r.m.Get(fields.ByName(protoreflect.Name(selectorOf(r.c)))).Message(), mask)
}

// scope finds what the request is about: what its entities belong to, or the
// one that refers to the entity, with the field by which it does.
func (r request) scope(ctx context.Context, from reader) (s scope, child *object, by entity.ForeignKey, err error) {
	err = r.selected(func(c *entity.Collection, key string) error {
		up, below := foreignTo(r.c, c.Name)
		o, err := r.parent(ctx, from, c, key)
		if err != nil {
			return err
		}
		if below {
			s = append(s, belongs{up.Field, o})
			return nil
		}
		child = o
		by, _ = foreignTo(c, r.c.Name)
		return nil
	})
	return s, child, by, err
}

func (r request) parent(ctx context.Context, from reader, c *entity.Collection, key string) (*object, error) {
	o, err := from.find(ctx, c, key, nil)
	if err != nil {
		return nil, err
	}
	if _, isUUID := isID(key); o == nil && c.Name == certificates && !isUUID {
		return nil, errs.New(errs.NotFound, "SNI not found")
	}
	if o == nil {
		return nil, absent()
	}
	return o, nil
}

// base is the scheme and host that links begin with; "" where nobody has said.
func base(ctx context.Context) string {
	values := metadata.ValueFromIncomingContext(ctx, dbaas.RequestURLKey)
	if len(values) == 0 {
		return ""
	}
	u, err := url.Parse(values[0])
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// seesSecrets tells whether the caller may see secrets.
func seesSecrets(ctx context.Context) bool { return auth.IsEverywhere(ctx, auth.Admin) }

func (g *Gateway) reader(ctx context.Context) reader {
	return reader{g, g.Store.GatewayObject, seesSecrets(ctx)}
}
