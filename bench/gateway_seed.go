package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/server/store"
)

// seedRoutes fills the SQLite store in dir with a service for the upstream, and
// n routes to it.
func seedRoutes(o *owner, dir, upstream string, n int) {
	ctx := context.Background()
	st, err := store.Open(ctx, "", dir)
	o.must(err)
	defer func() { o.must(st.Close()) }()
	service := uuid.New()
	o.must(st.Change(ctx, func(tx *store.Tx) error {
		return gatewayObject(tx, "services", service, nil, map[string]any{"name": "origin", "url": "http://" + upstream}).SetNameKey("origin").Exec(ctx)
	}))
	for from := 0; from < n; from += seedTx {
		o.must(st.Change(ctx, func(tx *store.Tx) error {
			for at := from; at < min(from+seedTx, n); at += seedBatch {
				var routes []*ent.GatewayObjectCreate
				for i := at; i < min(at+seedBatch, n); i++ {
					routes = append(routes, gatewayObject(tx, "routes", uuid.New(), &service, map[string]any{
						"paths": []any{fmt.Sprintf("/r%06d/", i+1)}, "strip_path": false, "service": map[string]any{"id": service.String()},
					}))
				}
				if err := tx.GatewayObject.CreateBulk(routes...).Exec(ctx); err != nil {
					return err
				}
			}
			return nil
		}))
	}
}

func gatewayObject(tx *store.Tx, kind string, id uuid.UUID, service *uuid.UUID, sent map[string]any) *ent.GatewayObjectCreate {
	now := time.Now()
	sent["id"] = id.String()
	doc, wrong := entity.Find(kind).New(sent, now)
	if wrong != nil {
		panic(fault{fmt.Errorf("an entity of %s that is not valid: %v", kind, wrong)})
	}
	text, err := json.Marshal(doc)
	if err != nil {
		panic(fault{err})
	}
	return tx.GatewayObject.Create().SetKind(kind).SetObjectID(id).SetNillableServiceID(service).SetDocument(text).
		SetSealed(map[string][]byte{}).SetCreatedAt(now.UnixMilli()).SetUpdatedAt(now.UnixMilli()).SetVersion(1)
}
