package catalog

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/ent"
)

// Backend is how to reach a service: its connector and its validated
// configuration, secrets included. It is for Backplane's own work on the
// service and asks for nobody's rights.
func (c *Catalog) Backend(ctx context.Context, id uuid.UUID) (*ent.Service, connectors.Connector, connectors.Config, error) {
	row, err := c.Store.Service.Get(ctx, id)
	if err != nil {
		return nil, nil, nil, notFound(err)
	}
	d, err := c.draftOf(row)
	if err != nil {
		return nil, nil, nil, err
	}
	if faults := d.validate(c.Env); len(faults) > 0 {
		return nil, nil, nil, fmt.Errorf("service %s: %s %s", row.Name, faults[0].Path, faults[0].Message)
	}
	return row, d.conn, d.config, nil
}
