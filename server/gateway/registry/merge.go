package registry

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/server/gateway/apidoc"
)

// maxPage is how long the document of all services may be.
const maxPage = 12 << 20

// document makes the document of all services, unless nothing in it changes.
func (p *plan) document() error {
	var of []*verdict
	for _, v := range p.verdicts {
		if _, refused := p.r.known.refused[v.row.ID]; !refused && !v.marked && v.prepared != nil {
			of = append(of, v)
		}
	}
	slices.SortFunc(of, func(a, b *verdict) int { return strings.Compare(a.row.Name, b.row.Name) })
	left := slices.ContainsFunc(p.verdicts, func(v *verdict) bool { return !v.marked })
	key := sha256.New()
	fmt.Fprintln(key, left)
	for _, v := range of {
		fmt.Fprintln(key, v.prepared.key)
	}
	is := &page{key: hex.EncodeToString(key.Sum(nil)), pages: []*entity.Page{}, faults: map[int64][]string{}}
	if known := p.r.known.page; known != nil && known.key == is.key {
		is = known
	} else {
		if left {
			if err := p.r.merge(of, is); err != nil {
				return err
			}
		}
		p.page = is
	}
	for _, v := range of {
		if more := is.faults[v.row.ID]; len(more) > 0 {
			v.faults = bounded(slices.Concat(v.faults, more))
		}
	}
	return nil
}

// merge makes the page of services. Should they have too much to say for one,
// those that say the most are left out.
func (r *Registry) merge(of []*verdict, to *page) error {
	of = slices.Clone(of)
	for {
		sources := make([]apidoc.Source, len(of))
		for i, v := range of {
			sources[i] = apidoc.Source{Name: v.row.Name, Document: v.prepared.doc, Auth: r.authOf(settingsOf(v.row))}
		}
		info := apidoc.Info{Title: "Gateway", Description: "The operations of all services that are registered."}
		body, faults, err := r.known.merger.Merge(info, sources)
		if err != nil {
			return fmt.Errorf("merge OpenAPI documents: %w", err)
		}
		for _, v := range of {
			if said := faults[v.row.Name]; len(said) > 0 {
				to.faults[v.row.ID] = said
			}
		}
		if len(body) <= maxPage || len(of) == 0 {
			to.pages = append(to.pages, pageOf(body))
			return nil
		}
		slices.SortFunc(of, func(a, b *verdict) int {
			return cmp.Or(cmp.Compare(b.prepared.size, a.prepared.size), strings.Compare(a.row.Name, b.row.Name))
		})
		// As many at once as surely are too many, if none takes more room there
		// than twice what it has in its own document.
		out, over := 0, len(body)-maxPage
		for ; out < len(of) && over > 0; out++ {
			over -= 2 * of[out].prepared.size
			to.faults[of[out].row.ID] = []string{fmt.Sprintf("it is not in the merged document, which would be longer than %d MiB", maxPage>>20)}
		}
		of = of[out:]
	}
}
