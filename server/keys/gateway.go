package keys

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/google/uuid"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/gatewayobject"
	"github.com/backplane/backplane/server/store"
)

// GatewayPlace is where a secret of an object of the gateway is kept.
func GatewayPlace(kind string, id uuid.UUID, field string) string {
	return "gateway/" + kind + "/" + id.String() + "/" + field
}

// gatewayObjects are what the HTTP gateway is configured with.
type gatewayObjects struct{}

func (gatewayObjects) Rows(ctx context.Context, c *ent.Client, after string, limit int) ([]Row, error) {
	q := c.GatewayObject.Query()
	if after != "" {
		id, err := strconv.Atoi(after)
		if err != nil {
			return nil, err
		}
		q.Where(gatewayobject.IDGT(id))
	}
	found, err := q.Order(gatewayobject.ByID()).Limit(limit).
		Select(gatewayobject.FieldID, gatewayobject.FieldKind, gatewayobject.FieldObjectID, gatewayobject.FieldVersion, gatewayobject.FieldSealed).All(ctx)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(found))
	for i, o := range found {
		fields := slices.Sorted(maps.Keys(o.Sealed))
		values := make([]Value, len(fields))
		for n, f := range fields {
			values[n] = Value{Place: GatewayPlace(o.Kind, o.ObjectID, f), Sealed: o.Sealed[f]}
		}
		rows[i] = Row{
			Cursor: strconv.Itoa(o.ID), Values: values,
			// Whoever changes an object moves its version on.
			Replace: func(ctx context.Context, tx *store.Tx, fresh [][]byte) (bool, error) {
				sealed := make(map[string][]byte, len(fields))
				for n, f := range fields {
					sealed[f] = fresh[n]
				}
				n, err := tx.GatewayObject.Update().Where(gatewayobject.ID(o.ID), gatewayobject.Version(o.Version)).SetSealed(sealed).Save(ctx)
				return n == 1, err
			},
		}
	}
	return rows, nil
}
