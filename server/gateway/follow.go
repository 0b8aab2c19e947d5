package gateway

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/gatewayobject"
	"github.com/backplane/backplane/server/store"
)

// loadPage is how many objects are read at once.
const loadPage = 1000

// load configures the data plane with all that the store holds. g.mu is held.
func (g *Gateway) load(ctx context.Context) error {
	clear(g.hosts)
	u := httpproxy.Update{Reset: true}
	for after := 0; ; {
		rows, err := g.Store.GatewayObject.Query().Where(gatewayobject.IDGT(after)).Order(gatewayobject.ByID()).Limit(loadPage).All(ctx)
		if err != nil {
			return err
		}
		for _, row := range rows {
			after = row.ID
			g.add(ctx, &u, row)
		}
		if len(rows) < loadPage {
			break
		}
	}
	pages, err := g.storedPages(ctx)
	if err != nil {
		return err
	}
	u.Pages = pages
	g.tell(g.plane.Update(u))
	return nil
}

// Start configures a data plane with what the store holds, and from then on
// with what changes. No RPC may be called before.
func (g *Gateway) Start(ctx context.Context, plane Plane) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.plane = plane
	at, _, err := g.Store.CurrentRevision(ctx)
	if err != nil {
		return err
	}
	if err := g.load(ctx); err != nil {
		return err
	}
	g.at = at
	return nil
}

// Follow applies what other processes change, and what changes in the
// catalogue, until ctx ends. Start comes before it.
func (g *Gateway) Follow(ctx context.Context) {
	for ctx.Err() == nil {
		err := g.Store.AwaitChange(ctx, g.at)
		if err == nil {
			err = g.catchUp(ctx)
		}
		if err != nil && ctx.Err() == nil {
			g.Log.ErrorContext(ctx, "follow the objects of the gateway", "error", err)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}
}

// catchUp applies the changes that there are.
func (g *Gateway) catchUp(ctx context.Context) error {
	const batch = 1000
	changes, err := g.changesAfter(ctx, g.at, batch)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(changes) == 0 || changes[0].ID != g.at+1 {
		return g.startOver(ctx) // what came in between is not kept any more
	}
	var stale []httpproxy.Key
	var acts []*act
	whole := false
	for _, ch := range changes {
		n, ok := g.concerns(ch)
		stale, whole = append(stale, n.Objects...), whole || !ok
		if n.Act != nil {
			acts = append(acts, n.Act)
		}
	}
	switch {
	case whole:
		err = g.startOver(ctx)
	case len(stale) > 0:
		err = g.refresh(ctx, stale)
	}
	if err != nil {
		return err
	}
	g.at = max(g.at, changes[len(changes)-1].ID)
	for _, a := range acts { // now that what they are about is there
		g.follow(a)
	}
	return nil
}

// changesAfter are the changes after one. None of several notes is the last, so
// that a change is applied as one.
func (g *Gateway) changesAfter(ctx context.Context, at uint64, batch int) ([]*ent.Change, error) {
	var out []*ent.Change
	for {
		more, err := g.Store.ChangesAfter(ctx, at, batch)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
		if len(more) < batch || !hasMore(more[len(more)-1]) {
			return out, nil
		}
		at = more[len(more)-1].ID
	}
}

// hasMore tells whether another note of the same change follows.
func hasMore(ch *ent.Change) bool {
	var n note
	return ch.Event == store.GatewayEvent && json.Unmarshal(ch.Payload, &n) == nil && n.More
}

func (g *Gateway) startOver(ctx context.Context) error {
	at, _, err := g.Store.CurrentRevision(ctx)
	if err != nil {
		return err
	}
	if err := g.load(ctx); err != nil {
		return err
	}
	g.at = max(at, g.at)
	clear(g.own)
	return nil
}

// concerns is what a change concerns and what was not applied when it was made;
// not ok when that cannot be told.
func (g *Gateway) concerns(ch *ent.Change) (n note, ok bool) {
	if store.OfService(ch) {
		if ch.Event == "health" {
			return n, true
		}
		for key, host := range g.hosts {
			if host == ch.ServiceID {
				n.Objects = append(n.Objects, key)
			}
		}
		return n, true
	}
	if ch.Event != store.GatewayEvent {
		return n, true
	}
	if err := json.Unmarshal(ch.Payload, &n); err != nil {
		return note{}, false
	}
	if _, own := g.own[n.By]; own {
		if !n.More {
			delete(g.own, n.By)
		}
		return note{}, true
	}
	return n, true
}

// refresh applies objects as the store has them now.
func (g *Gateway) refresh(ctx context.Context, stale []httpproxy.Key) error {
	byKind := map[httpproxy.Kind][]uuid.UUID{}
	gone := map[httpproxy.Key]struct{}{}
	for _, key := range stale {
		if _, known := gone[key]; !known {
			gone[key] = struct{}{}
			byKind[key.Kind] = append(byKind[key.Kind], key.ID)
		}
	}
	var u httpproxy.Update
	if _, paged := byKind[pagesKind]; paged {
		pages, err := g.storedPages(ctx)
		if err != nil {
			return err
		}
		u.Pages = pages
		delete(byKind, pagesKind)
		delete(gone, httpproxy.Key{Kind: pagesKind})
	}
	for kind, ids := range byKind {
		for part := range slices.Chunk(ids, noteSize) {
			rows, err := g.Store.GatewayObject.Query().Where(gatewayobject.Kind(string(kind)), gatewayobject.ObjectIDIn(part...)).All(ctx)
			if err != nil {
				return err
			}
			for _, row := range rows {
				g.add(ctx, &u, row)
				delete(gone, httpproxy.Key{Kind: kind, ID: row.ObjectID})
			}
		}
	}
	for key := range gone {
		delete(g.hosts, key)
		u.Remove = append(u.Remove, key)
	}
	g.tell(g.plane.Update(u))
	return nil
}
