package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// maxPage is how long the document of all services may be.
const maxPage = 12 << 20

// document makes the document of all services, unless nothing in it changes.
func (p *plan) document(ctx context.Context) error {
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
			if err := p.r.merge(ctx, of, is); err != nil {
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
