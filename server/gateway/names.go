package gateway

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/ent/gatewayobject"
)

// names are the server names that were sent with a certificate.
type names struct {
	list  []string
	given bool
}

func withName(n names, name string) names {
	if !slices.Contains(n.list, name) {
		n.list = append(slices.Clone(n.list), name)
		slices.Sort(n.list)
	}
	n.given = true
	return n
}

// setNames makes a certificate be shown under names, and no others.
func (e *edit) setNames(ctx context.Context, cert *object, n names) error {
	if cert.c.Name != certificates || !n.given {
		return nil
	}
	c := entity.Find(snis)
	rows, err := e.client.Query().Where(gatewayobject.Kind(snis), refers(certificates, cert.id)).Order(gatewayobject.ByObjectID()).All(ctx)
	if err != nil {
		return err
	}
	left := slices.Clone(n.list)
	for _, row := range rows {
		o, err := e.g.read(row, true)
		if err != nil {
			return err
		}
		if at := slices.Index(left, text(o.doc, "name")); at >= 0 {
			left = slices.Delete(left, at, at+1)
		} else if err := e.remove(ctx, o); err != nil {
			return err
		}
	}
	for _, name := range left {
		other, err := e.named(ctx, c, "name", name)
		if err != nil {
			return err
		}
		if other != nil {
			return invalidField("snis", fmt.Sprintf("%s already associated with existing certificate '%s'", name, reference(other.doc, "certificate")))
		}
		if _, err := e.create(ctx, c, scope{{"certificate", cert}}, map[string]any{"name": name}); err != nil {
			return err
		}
	}
	return nil
}

// addNames puts the server names into the documents of certificates.
func (r reader) addNames(ctx context.Context, certs []*object) error {
	byID := map[uuid.UUID]*object{}
	for _, o := range certs {
		if o.c.Name == certificates {
			byID[o.id] = o
		}
	}
	if len(byID) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, 0, len(byID))
	for _, o := range certs {
		o.doc["snis"] = []any{}
		ids = append(ids, o.id)
	}
	for part := range slices.Chunk(ids, 500) {
		rows, err := r.client.Query().Where(gatewayobject.Kind(snis), gatewayobject.CertificateIDIn(part...)).Order(gatewayobject.ByNameKey()).All(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			sni, err := r.g.read(row, false)
			if err != nil {
				return err
			}
			cert := byID[*row.CertificateID]
			cert.doc["snis"] = append(cert.doc["snis"].([]any), text(sni.doc, "name"))
		}
	}
	for _, o := range certs {
		slices.SortFunc(o.doc["snis"].([]any), func(a, b any) int { return compareText(a, b) })
	}
	return nil
}

func compareText(a, b any) int {
	x, _ := a.(string)
	y, _ := b.(string)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}
