package gateway

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/server/store"
)

// Generation is what generated entities are to be.
type Generation struct {
	// Action is what it is recorded as.
	Action string
	// Owners are those whose entities are generated.
	Owners []Owner
	// Whole tells that there are no others: what other owners have goes.
	Whole bool
	// Pages take the place of those that are stored; nil leaves them as they are.
	Pages []*entity.Page
}

// Owner is something that entities are generated for.
type Owner struct {
	Name     string
	Entities []OwnedEntity
}

// OwnedEntity is an entity as the admin API takes it, with its id. It may refer
// to others by their ids. Services, routes, upstreams, targets and plugins can
// be generated.
type OwnedEntity struct {
	Collection string
	Doc        map[string]any
}

// Outcome is what came of a generation.
type Outcome struct {
	RoutesAdded, RoutesChanged, RoutesRemoved int
	// Refused are the owners that could not have what they were to have, and
	// why. What they had is as it was.
	Refused map[string]error
}

// Generate makes the entities of owners what is given, in one change: what is
// so already is not touched, and what is not given any more is removed. What
// users attached to that goes with it, as when they remove it, but routes of
// theirs to a service lose that and stay. The names of entities may not be
// those of users' or of other owners': an owner is refused alone.
//
// also is run in the same transaction, which may be tried again; it may be nil.
// Requests are served as before until all is made, and then as after it.
func (g *Gateway) Generate(ctx context.Context, gen Generation, also func(ctx context.Context, tx *store.Tx) error) (Outcome, error) {
	if err := checkOwners(gen.Owners); err != nil {
		return Outcome{}, err
	}
	now := time.Now()
	prepared := make([]*owned, len(gen.Owners))
	for i := range gen.Owners {
		prepared[i] = g.prepareOwner(&gen.Owners[i], now)
	}
	var m *making
	err := g.change(ctx, gen.Action, func(e *edit) error {
		m = &making{edit: e, pages: gen.Pages, whole: gen.Whole, owners: make([]*owned, len(prepared)), byName: map[string]*owned{}}
		for i, p := range prepared {
			again := *p // an earlier try has left nothing in it
			m.owners[i], m.byName[p.name] = &again, &again
		}
		if err := m.make(ctx); err != nil || also == nil {
			return err
		}
		return also(ctx, e.tx)
	})
	if err != nil {
		return Outcome{}, err
	}
	return m.outcome, nil
}

func checkOwners(owners []Owner) error {
	seen := map[string]bool{}
	for _, o := range owners {
		if o.Name == "" || seen[o.Name] {
			return fmt.Errorf("generate: %q cannot be the name of an owner, or is there twice", o.Name)
		}
		seen[o.Name] = true
	}
	return nil
}

// owned is what an owner has and is to have.
type owned struct {
	name    string
	refused error
	wanted  []*object // completed, in the order in which they were given
	ids     map[httpproxy.Key]*object

	puts []*object // of wanted, those that are not stored so; with rows if they are
	gone []*object // stored, and not wanted
}

// prepareOwner completes and checks what an owner is to have.
func (g *Gateway) prepareOwner(from *Owner, now time.Time) *owned {
	to := &owned{name: from.Name, wanted: make([]*object, 0, len(from.Entities)), ids: make(map[httpproxy.Key]*object, len(from.Entities))}
	for i := range from.Entities {
		o, err := g.prepareOwned(&from.Entities[i], now)
		if err == nil && to.ids[o.key()] != nil {
			err = keyTaken(o.id.String())
		}
		if err != nil {
			to.refused = err
			return to
		}
		to.wanted, to.ids[o.key()] = append(to.wanted, o), o
	}
	return to
}

var errNotGenerated = errors.New("they are not generated")

func (g *Gateway) prepareOwned(from *OwnedEntity, now time.Time) (*object, error) {
	switch from.Collection {
	case services, routes, upstreams, targets, plugins:
	default:
		return nil, fmt.Errorf("%s: %w", from.Collection, errNotGenerated)
	}
	id, ok := isID(text(from.Doc, "id"))
	if !ok || id == uuid.Nil {
		return nil, invalidField("id", "expected a valid UUID")
	}
	c := entity.Find(from.Collection)
	kind, err := g.kindOf(c, from.Doc)
	if err != nil {
		return nil, err
	}
	doc, wrong := kind.New(from.Doc, now)
	if wrong != nil {
		return nil, invalid(wrong)
	}
	return &object{c: c, id: id, doc: doc}, nil
}
