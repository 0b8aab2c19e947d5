package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/server/keys"
	"github.com/backplane/backplane/server/store"
)

// noteSize is how many objects an event names at most.
const noteSize = 500

// note is the payload of an event: which objects a change has put or removed.
type note struct {
	// By names the change, for the process that made it.
	By      uuid.UUID       `json:"by"`
	Objects []httpproxy.Key `json:"objects"`
	// More tells that another note of the same change follows.
	More bool `json:"more,omitempty"`
	// Act is something to be done, of which the store keeps nothing.
	Act *act `json:"act,omitempty"`
}

// change makes a change: edit does it in a transaction, with its records and
// events. Once it is committed, the data plane is told.
func (g *Gateway) change(ctx context.Context, action string, do func(*edit) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	by := uuid.New()
	var done *edit
	var err error
	for range 3 {
		done, err = g.changeOnce(ctx, action, by, do)
		if !errors.Is(err, keys.ErrRetired) {
			break
		}
	}
	if err != nil {
		return err
	}
	put, removed := done.put.all(), done.removed.all()
	if len(put)+len(removed) == 0 && !done.paged {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	var pages []*entity.Page
	if done.paged {
		pages, err = g.storedPages(ctx)
	}
	if g.tell(err); err == nil {
		g.own[by] = struct{}{} // else it is read again, as changes of others are
	}
	g.apply(ctx, put, keysOf(removed), pages)
	return nil
}

func (g *Gateway) changeOnce(ctx context.Context, action string, by uuid.UUID, do func(*edit) error) (done *edit, err error) {
	defer g.Keys.Writing()()
	err = g.Store.Change(ctx, func(tx *store.Tx) error {
		// One change at a time: what a change refers to stays while it is made.
		if err := tx.TakeTurn(ctx); err != nil {
			return err
		}
		done = &edit{reader: reader{g, tx.GatewayObject, true}, tx: tx, action: action, now: time.Now()}
		if err := do(done); err != nil {
			return err
		}
		concerned := append(keysOf(done.put.all()), keysOf(done.removed.all())...)
		if done.paged {
			concerned = append(concerned, httpproxy.Key{Kind: pagesKind})
		}
		for len(concerned) > 0 {
			part := concerned[:min(noteSize, len(concerned))]
			concerned = concerned[len(part):]
			payload, err := json.Marshal(note{By: by, Objects: part, More: len(concerned) > 0})
			if err != nil {
				return err
			}
			tx.Emit(store.Event{Kind: store.GatewayEvent, Payload: payload})
		}
		return g.Keys.Guard(ctx, tx, done.sealed...)
	})
	return done, err
}

func keysOf(objects []*object) []httpproxy.Key {
	out := make([]httpproxy.Key, len(objects))
	for i, o := range objects {
		out[i] = o.key()
	}
	return out
}
