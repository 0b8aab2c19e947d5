package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/json"
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
	// Yields tells that it is not made where something of a user's has what only
	// one may have, such as the place of a plugin: that is as the user wants it.
	Yields bool
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
	prepared := make([]*owned, len(gen.Owners))
	known := g.generatedNow()
	for i := range gen.Owners {
		prepared[i] = g.prepareOwner(&gen.Owners[i], known)
	}
	var m *making
	err := g.change(ctx, gen.Action, func(e *edit) error {
		m = &making{edit: e, pages: gen.Pages, whole: gen.Whole, owners: make([]*owned, len(prepared)), byName: map[string]*owned{}}
		for i, p := range prepared {
			again := *p // an earlier try has left nothing in it
			m.owners[i], m.byName[p.name] = &again, &again
		}
		if err := m.make(ctx, known); err != nil || also == nil {
			return err
		}
		return also(ctx, e.tx)
	})
	if err != nil {
		return Outcome{}, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.generated = m.found
	return m.outcome, nil
}

// generated is what a generated entity was made of, while its row has a version.
type generated struct {
	digest  [sha256.Size]byte
	row     int
	version uint64
}

// generatedNow are the entities that this process has seen to be as they are to
// be: they need not be read, nor completed, to be compared.
func (g *Gateway) generatedNow() map[httpproxy.Key]generated {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.generated
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
	keys    []httpproxy.Key // of what it is to have, in the order in which that was given
	wanted  map[httpproxy.Key]*wanting

	puts []*object // of that, what is not stored so; with rows if it is stored at all
	gone []*object // stored, and not wanted
}

// wanting is an entity that an owner is to have.
type wanting struct {
	from   *OwnedEntity
	id     uuid.UUID
	digest [sha256.Size]byte // of the document that was given
	doc    map[string]any    // completed, once it is needed
}

// prepareOwner checks what an owner is to have, and completes what is not known
// to be so.
func (g *Gateway) prepareOwner(from *Owner, known map[httpproxy.Key]generated) *owned {
	to := &owned{
		name: from.Name, keys: make([]httpproxy.Key, 0, len(from.Entities)), wanted: make(map[httpproxy.Key]*wanting, len(from.Entities)),
	}
	now := time.Now()
	for i := range from.Entities {
		w, err := newWanting(&from.Entities[i])
		if err != nil {
			to.refused = err
			return to
		}
		key := httpproxy.Key{Kind: httpproxy.Kind(w.from.Collection), ID: w.id}
		switch is, ok := known[key]; {
		case to.wanted[key] != nil:
			err = keyTaken(w.id.String())
		case !ok || is.digest != w.digest:
			err = g.complete(w, now)
		}
		if err != nil {
			to.refused = err
			return to
		}
		to.keys, to.wanted[key] = append(to.keys, key), w
	}
	return to
}

var errNotGenerated = errors.New("they are not generated")

func newWanting(from *OwnedEntity) (*wanting, error) {
	switch from.Collection {
	case services, routes, upstreams, targets, plugins:
	default:
		return nil, fmt.Errorf("%s: %w", from.Collection, errNotGenerated)
	}
	id, ok := isID(text(from.Doc, "id"))
	if !ok || id == uuid.Nil {
		return nil, invalidField("id", "expected a valid UUID")
	}
	given, err := json.Marshal(from.Doc)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", from.Collection, id, err)
	}
	return &wanting{from: from, id: id, digest: sha256.Sum256(given)}, nil
}

// complete completes and checks an entity, as the admin API does.
func (g *Gateway) complete(w *wanting, now time.Time) error {
	if w.doc != nil {
		return nil
	}
	kind, err := g.kindOf(entity.Find(w.from.Collection), w.from.Doc)
	if err != nil {
		return err
	}
	w.doc, err = g.makeNew(kind, w.from.Doc, now)
	return err
}
