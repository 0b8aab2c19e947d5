package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/gatewayobject"
	"github.com/backplane/backplane/ent/registeredservice"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/gateway"
	"github.com/backplane/backplane/server/gateway/apidoc"
	"github.com/backplane/backplane/server/store"
)

const (
	// tries is how often a refresh is worked out anew, because rows have changed
	// meanwhile; freeTries, how often before this process changes none meanwhile.
	tries     = 12
	freeTries = 3
	// keepMarked is how long a service stays that is marked as deleted, if nobody
	// calls for a refresh.
	keepMarked = time.Minute
	// checkedEvery is how often it is noted that a service is as it was.
	checkedEvery = time.Minute

	action = "RefreshServices"
)

// errStale is the error of what was worked out with rows that have changed.
var errStale = errors.New("services have changed meanwhile")

// knowledge is what refreshes remember, so that those to which nothing has
// changed cost little.
type knowledge struct {
	services map[int64]*prepared
	// owners have the keys of what the gateway was made for them last.
	owners map[string]string
	// refused are the services that could not be made in the gateway, and why.
	refused map[int64]string
	page    *page
	merger  *apidoc.Merger
	// objects tells whether somebody else has changed generated entities; nil
	// when they are not known.
	objects *census
	pruned  time.Time
}

func newKnowledge() knowledge {
	return knowledge{services: map[int64]*prepared{}, owners: map[string]string{}, refused: map[int64]string{}, merger: new(apidoc.Merger)}
}

// census is the number of generated entities, and how often they were written.
type census struct{ entities, writes int64 }

func count(ctx context.Context, client *ent.GatewayObjectClient) (*census, error) {
	var found []struct {
		Count int64  `json:"count"`
		Sum   *int64 `json:"sum"`
	}
	err := client.Query().Where(gatewayobject.OwnerGT("")).Aggregate(ent.Count(), ent.Sum(gatewayobject.FieldVersion)).Scan(ctx, &found)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	out := &census{entities: found[0].Count}
	if found[0].Sum != nil {
		out.writes = *found[0].Sum
	}
	return out, nil
}

// rows are all services without their documents, by number.
func rows(ctx context.Context, client *ent.RegisteredServiceClient, locked bool) ([]*ent.RegisteredService, error) {
	query := client.Query().Order(registeredservice.ByID())
	if locked {
		query = query.Where(store.Locked)
	}
	return query.Select(columns()...).All(ctx)
}

// fetch is what a refresh has fetched: of which rows, and what came of it.
type fetch struct {
	of  map[int64]*ent.RegisteredService
	got map[int64]fetched
	// changes are those of documents, once they are known.
	changes map[int64][]*ent.ServiceChange
}

// refresh fetches documents, and makes the gateway what they say.
func (r *Registry) refresh(ctx context.Context, w wish) (*gatewayv1.RefreshServicesResponse, error) {
	before, err := rows(ctx, r.Store.RegisteredService, false)
	if err != nil {
		return nil, err
	}
	f := &fetch{of: map[int64]*ent.RegisteredService{}, changes: map[int64][]*ent.ServiceChange{}}
	for _, row := range before {
		if _, some := w.some[row.ID]; row.DeletedAt == 0 && (w.all || some) {
			f.of[row.ID] = row
		}
	}
	f.got = r.fetcher.all(ctx, f.of)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var total gateway.Outcome
	for try := range tries {
		p, out, err := r.attempt(ctx, w, f, try >= freeTries)
		total.RoutesAdded += out.RoutesAdded
		total.RoutesChanged += out.RoutesChanged
		total.RoutesRemoved += out.RoutesRemoved
		switch {
		case errors.Is(err, errStale):
			continue
		case err != nil:
			return nil, err
		case p.learn(out):
			continue // so that rows and the page tell who was refused
		}
		return p.answer(total), nil
	}
	return nil, errs.New(errs.Unavailable, "Services change faster than they can be refreshed; try again in a moment")
}

// attempt works out what is to be done, and does it.
func (r *Registry) attempt(ctx context.Context, w wish, f *fetch, alone bool) (*plan, gateway.Outcome, error) {
	if alone {
		r.writing.Lock()
		defer r.writing.Unlock()
	}
	var out gateway.Outcome
	p, err := r.plan(ctx, w, f)
	if err != nil || !p.any() {
		return p, out, err
	}
	if !p.generates() {
		return p, out, r.Store.Change(ctx, func(tx *store.Tx) error { return p.record(ctx, tx) })
	}
	// Until it is known that it was done, nothing is known of the entities.
	r.known.objects = nil
	var after *census
	out, err = r.Generator.Generate(ctx, p.generation, func(ctx context.Context, tx *store.Tx) error {
		if err := p.record(ctx, tx); err != nil {
			return err
		}
		after, err = count(ctx, tx.GatewayObject)
		return err
	})
	if err != nil {
		return p, out, err
	}
	r.known.objects = after
	return p, out, nil
}

// learn notes what a plan that was carried out has come to, and tells whether
// there is more to do: other services were refused than was thought.
func (p *plan) learn(out gateway.Outcome) bool {
	k := &p.r.known
	if p.whole {
		k.owners = map[string]string{}
	}
	for _, o := range p.generation.Owners {
		if out.Refused[o.Name] != nil || len(o.Entities) == 0 {
			delete(k.owners, o.Name)
		} else {
			k.owners[o.Name] = p.keys[o.Name]
		}
	}
	if p.page != nil {
		k.page = p.page
	}
	if p.prune {
		k.pruned = time.UnixMicro(p.now)
	}
	refused := map[int64]string{}
	for _, v := range p.verdicts {
		if _, ran := p.keys[ownerOf(v.row.Name)]; !ran && !v.marked {
			if was, ok := k.refused[v.row.ID]; ok {
				refused[v.row.ID] = was
			}
			continue
		}
		if err := out.Refused[ownerOf(v.row.Name)]; err != nil {
			refused[v.row.ID] = clean("its routes cannot be made: " + errs.Convert(err).Message)
		}
	}
	again := !maps.Equal(refused, k.refused)
	k.refused = refused
	return again
}

// answer tells what a refresh came to.
func (p *plan) answer(out gateway.Outcome) *gatewayv1.RefreshServicesResponse {
	answer := &gatewayv1.RefreshServicesResponse{
		RoutesAdded: int32(out.RoutesAdded), RoutesChanged: int32(out.RoutesChanged), RoutesRemoved: int32(out.RoutesRemoved),
	}
	for _, v := range p.verdicts {
		if v.marked {
			continue
		}
		answer.Services++
		if v.usable() {
			answer.Usable++
		}
	}
	return answer
}

// page is the document of all services, with what it was made of.
type page struct {
	key    string
	pages  []*entity.Page // none where no service is registered
	faults map[int64][]string
}

func (k *knowledge) document(id int64, hash string) *prepared {
	if p := k.services[id]; p != nil && p.hash == hash {
		return p
	}
	return nil
}

func pageOf(body []byte) *entity.Page {
	return &entity.Page{Path: DocumentPath, ContentType: "application/json", Body: body, ETag: fmt.Sprintf("%q", hashOf(body))}
}
