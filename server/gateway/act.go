package gateway

import (
	"context"
	"encoding/json"
	"net/netip"
	"slices"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy/balance"
	"github.com/backplane/backplane/server/store"
)

// act is something that the data planes of all processes on a store do. Of those
// that start later it is not asked.
type act struct {
	Health *setHealth `json:"health,omitempty"`
	Purge  *purge     `json:"purge,omitempty"`
}

// setHealth makes addresses of a target healthy or not.
type setHealth struct {
	Upstream uuid.UUID      `json:"upstream"`
	Target   uuid.UUID      `json:"target"`
	Address  netip.AddrPort `json:"address"` // the zero one is all
	Healthy  bool           `json:"healthy"`
}

// purge forgets answers that were kept.
type purge struct {
	Plugin uuid.UUID `json:"plugin"` // zero is any
	Key    string    `json:"key"`    // "" is all
}

// announce has the other processes do something that this one has done.
func (g *Gateway) announce(ctx context.Context, a act) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	by := uuid.New()
	payload, err := json.Marshal(note{By: by, Act: &a})
	if err != nil {
		return err
	}
	err = g.Store.Change(ctx, func(tx *store.Tx) error {
		tx.Emit(store.Event{Kind: store.GatewayEvent, Payload: payload})
		return nil
	})
	if err == nil {
		g.own[by] = struct{}{}
	}
	return err
}

// follow does what another process has announced. What is not there here, such
// as an address that a name has not become yet, is passed over.
func (g *Gateway) follow(a *act) {
	if h := a.Health; h != nil {
		if b, ok := g.plane.(Balancers); ok {
			if err := h.on(b); err != nil {
				g.Log.Debug("the health of a target is as it was", "upstream", h.Upstream, "target", h.Target, "error", err)
			}
		}
	}
	if p := a.Purge; p != nil {
		if c, ok := g.plane.(Caches); ok {
			p.from(c)
		}
	}
}

// on has a data plane do it, which knows the target by the address that it has.
func (h *setHealth) on(b Balancers) error {
	now, _ := b.UpstreamStatus(h.Upstream)
	at := slices.IndexFunc(now.Targets, func(s balance.TargetStatus) bool { return s.Target.ID == h.Target })
	if at < 0 {
		return balance.ErrNoAddress
	}
	return b.SetTargetHealth(h.Upstream, now.Targets[at].Target.Target, h.Address, h.Healthy)
}

// from reports whether there was something.
func (p *purge) from(c Caches) bool {
	if p.Key == "" {
		c.PurgeCaches()
		return true
	}
	return c.DeleteCacheEntry(p.Plugin, p.Key)
}
