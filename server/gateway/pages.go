package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/gatewaypage"
)

// pagesKind stands for the pages in notes.
const pagesKind httpproxy.Kind = "pages"

// storedPages are the pages that the data plane serves: those that are stored,
// and with them the others. It is never nil.
func (g *Gateway) storedPages(ctx context.Context) ([]*entity.Page, error) {
	rows, err := g.Store.GatewayPage.Query().Order(gatewaypage.ByPath()).All(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]*entity.Page, len(rows), len(rows)+len(g.Pages))
	for i, row := range rows {
		out[i] = &entity.Page{Path: row.Path, ContentType: row.ContentType, Body: row.Body, ETag: row.Etag}
	}
	if len(rows) > 0 {
		out = append(out, g.Pages...)
	}
	return out, nil
}

// putPages makes the stored pages what is given; nil leaves them as they are.
// Header fields of pages are not stored.
func (e *edit) putPages(ctx context.Context, pages []*entity.Page) error {
	if pages == nil {
		return nil
	}
	rows, err := e.tx.GatewayPage.Query().Select(gatewaypage.FieldID, gatewaypage.FieldPath, gatewaypage.FieldContentType, gatewaypage.FieldEtag).All(ctx)
	if err != nil {
		return err
	}
	left := map[string]*ent.GatewayPage{}
	for _, row := range rows {
		left[row.Path] = row
	}
	for _, p := range pages {
		tag, was := tagOf(p), left[p.Path]
		delete(left, p.Path)
		switch {
		case was == nil:
			err = e.tx.GatewayPage.Create().SetPath(p.Path).SetContentType(p.ContentType).SetBody(p.Body).SetEtag(tag).Exec(ctx)
		case was.Etag != tag || was.ContentType != p.ContentType:
			err = e.tx.GatewayPage.UpdateOneID(was.ID).SetContentType(p.ContentType).SetBody(p.Body).SetEtag(tag).Exec(ctx)
		default:
			continue
		}
		if err != nil {
			return err
		}
		e.paged = true
	}
	for _, row := range rows {
		if left[row.Path] == nil {
			continue
		}
		if err := e.tx.GatewayPage.DeleteOneID(row.ID).Exec(ctx); err != nil {
			return err
		}
		e.paged = true
	}
	return nil
}

// tagOf is the entity tag of a page: what its body is compared by.
func tagOf(p *entity.Page) string {
	if p.ETag != "" {
		return p.ETag
	}
	sum := sha256.Sum256(p.Body)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}
