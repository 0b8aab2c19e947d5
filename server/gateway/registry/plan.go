package registry

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/server/gateway"
)

// plan is what a refresh is going to do.
type plan struct {
	r    *Registry
	now  int64 // in microseconds
	wish wish

	rows       []*ent.RegisteredService // what it is made of
	verdicts   []*verdict
	page       *page // nil: it stays
	whole      bool  // it makes all there is
	prune      bool
	generation gateway.Generation
	keys       map[string]string // of its owners
	sizes      map[int64]int     // of the documents of services, as far as they are known
}

// verdict is what becomes of a service.
type verdict struct {
	row      *ent.RegisteredService
	marked   bool // as deleted
	gone     bool // from the store
	fetched  bool // its document was asked for
	barred   bool // it is where no service may be, and is not served there
	status   int32
	problem  string
	body     []byte    // a new document; nil if it stays what it is
	prepared *prepared // nil if it has no document
	faults   []string
	changes  []*ent.ServiceChange
}

// usable tells whether a service can be used as far as is known.
func (v *verdict) usable() bool {
	return v.status == http.StatusOK && v.problem == "" && v.prepared != nil
}

// plan works out what is to be done with what was fetched.
func (r *Registry) plan(ctx context.Context, w wish, f *fetch) (*plan, error) {
	now := time.Now()
	p := &plan{r: r, now: now.UnixMicro(), wish: w, keys: map[string]string{}, sizes: map[int64]int{}, prune: now.Sub(r.known.pruned) > pruneEvery}
	var err error
	if p.rows, err = rows(ctx, r.Store.RegisteredService, false); err != nil {
		return nil, err
	}
	there := map[int64]*prepared{}
	for id, known := range r.known.services {
		p.sizes[id] = known.size
	}
	for _, row := range p.rows {
		v, err := p.judge(ctx, row, f)
		if err != nil {
			return nil, err
		}
		p.verdicts = append(p.verdicts, v)
		if v.prepared != nil {
			there[row.ID], p.sizes[row.ID] = v.prepared, v.prepared.size
		}
	}
	r.known.services = there
	objects, err := count(ctx, r.Store.GatewayObject)
	if err != nil {
		return nil, err
	}
	p.whole = w.asked || r.known.objects == nil || objects == nil || *objects != *r.known.objects
	if err := p.document(); err != nil {
		return nil, err
	}
	p.generate()
	return p, nil
}

// judge finds out what becomes of a service.
func (p *plan) judge(ctx context.Context, row *ent.RegisteredService, f *fetch) (*verdict, error) {
	v := &verdict{row: row, status: row.StatusCode, problem: row.Error}
	if row.DeletedAt > 0 {
		v.marked = true
		v.gone = p.wish.asked || p.now-row.DeletedAt >= keepMarked.Microseconds()
		return v, nil
	}
	s := settingsOf(row)
	if _, refused := p.r.known.refused[row.ID]; !refused && row.StatusCode == http.StatusOK {
		v.problem = "" // the refusal of an earlier time, if there is one
	}
	// Who has been changed meanwhile has nothing to do with what was fetched.
	if was := f.of[row.ID]; was != nil && settingsOf(was) == s && was.DocumentHash == row.DocumentHash {
		if err := p.take(ctx, v, s, f); err != nil {
			return nil, err
		}
	}
	if v.prepared == nil && row.DocumentHash != "" && !v.barred {
		if err := p.keep(ctx, v, s); err != nil {
			return nil, err
		}
	}
	if v.prepared != nil {
		v.faults = v.prepared.faults
	}
	if said, ok := p.r.known.refused[row.ID]; ok && v.status == http.StatusOK && v.problem == "" {
		v.problem = said
	}
	return v, nil
}

// take judges a service by what was fetched.
func (p *plan) take(ctx context.Context, v *verdict, s settings, f *fetch) error {
	got := f.got[v.row.ID]
	v.fetched, v.barred, v.status, v.problem = true, got.barred, got.status, got.problem
	if got.hash == "" || got.hash == v.row.DocumentHash {
		return nil // keep has the document
	}
	if !p.fits(v.row.ID, len(got.body)) {
		v.status, v.problem = statusUnreadable, errTogether.Error()
		return nil
	}
	ready, err := p.ready(ctx, v.row.ID, s, got.hash, got.body)
	if err != nil {
		v.status, v.problem = statusUnreadable, err.Error()
		return nil
	}
	if v.changes, err = p.r.compare(ctx, v.row, got, ready, f); err != nil {
		return err
	}
	v.prepared, v.body = ready, got.body
	return nil
}

// fits tells whether there is room for a document beside those of others.
func (p *plan) fits(id int64, size int) bool {
	for of, known := range p.sizes {
		if of != id {
			size += known
		}
	}
	return int64(size) <= p.r.fetcher.together
}

// keep has a service stay what its stored document says.
func (p *plan) keep(ctx context.Context, v *verdict, s settings) error {
	hash := v.row.DocumentHash
	if known := p.r.known.document(v.row.ID, hash); known != nil && known.key == p.r.keyOf(s, hash) {
		v.prepared = known
		return nil
	}
	body, err := p.r.stored(ctx, v.row.ID, hash)
	if err != nil {
		return err
	}
	if v.prepared, err = p.ready(ctx, v.row.ID, s, hash, body); err != nil {
		v.prepared, v.status, v.problem = nil, statusUnreadable, err.Error()
	}
	return nil
}

// ready is prepare, unless that was done before.
func (p *plan) ready(ctx context.Context, id int64, s settings, hash string, body []byte) (*prepared, error) {
	known := p.r.known.document(id, hash)
	switch {
	case known == nil:
		return p.r.prepare(ctx, s, hash, body, nil)
	case known.key == p.r.keyOf(s, hash):
		return known, nil
	}
	return p.r.prepare(ctx, s, hash, body, known.doc)
}

// generate adds what the gateway is to be made: of all services, or of those
// that are not as the gateway was made last.
func (p *plan) generate() {
	k := &p.r.known
	p.generation = gateway.Generation{Action: action, Whole: p.whole}
	switch {
	case p.page != nil:
		p.generation.Pages = p.page.pages
	case p.whole:
		p.generation.Pages = k.page.pages
	}
	names := map[string]bool{}
	for _, v := range p.verdicts {
		if v.marked || v.prepared == nil {
			continue
		}
		owner := ownerOf(v.row.Name)
		names[owner] = true
		if p.whole || k.owners[owner] != v.prepared.key {
			p.keys[owner] = v.prepared.key
			p.generation.Owners = append(p.generation.Owners, gateway.Owner{Name: owner, Entities: v.prepared.entities})
		}
	}
	if p.whole {
		return
	}
	var left []string
	for owner := range k.owners {
		if !names[owner] {
			left = append(left, owner)
		}
	}
	slices.Sort(left)
	for _, owner := range left {
		p.generation.Owners = append(p.generation.Owners, gateway.Owner{Name: owner})
	}
}

// generates tells whether entities or pages are to be made.
func (p *plan) generates() bool {
	return p.whole || p.page != nil || len(p.generation.Owners) > 0
}

// any tells whether there is anything to do.
func (p *plan) any() bool {
	return p.generates() || p.prune || slices.ContainsFunc(p.verdicts, func(v *verdict) bool { return v.gone || v.differs() || v.due(p.now) })
}

// differs tells whether a row is to be written.
func (v *verdict) differs() bool {
	if v.gone {
		return false
	}
	return v.body != nil || v.barred && v.row.DocumentHash != "" || v.status != v.row.StatusCode || v.problem != v.row.Error ||
		!slices.Equal(v.faults, v.row.Faults) || !slices.Equal(v.operations(), v.row.Operations)
}

// due tells whether it is time to note that a service was looked at.
func (v *verdict) due(now int64) bool {
	return v.fetched && now-v.row.CheckedAt >= checkedEvery.Microseconds()
}

// operations are those that are served.
func (v *verdict) operations() []schema.RegisteredOperation {
	if v.prepared == nil {
		return nil
	}
	return v.prepared.operations
}
