package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/gateway/declarative"
)

// partSize is how long the parts of documents that are sent are.
const partSize = 256 << 10

// ApplyDeclaration implements the RPC.
func (g *Gateway) ApplyDeclaration(stream gatewayv1.DeclarationService_ApplyDeclarationServer) error {
	var text bytes.Buffer
	var first *gatewayv1.ApplyDeclarationRequest
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if first == nil {
			first = req
		}
		if text.Len()+len(req.GetPart()) > declarative.MaxSize {
			return errs.New(errs.TooLarge, "The document is longer than %d MiB", declarative.MaxSize>>20)
		}
		text.Write(req.GetPart())
	}
	doc, err := declarative.Parse(text.Bytes(), first.GetSelectTags())
	if err != nil {
		return err
	}
	changes, err := g.declare(stream.Context(), doc, first.GetDryRun())
	if err != nil {
		return err
	}
	for _, c := range changes {
		if err := stream.Send(&gatewayv1.ApplyDeclarationResponse{Change: c}); err != nil {
			return err
		}
	}
	return nil
}

// errDryRun takes back a change that was only to be tried.
var errDryRun = errors.New("only to be tried")

// declare makes the gateway what a document says, or tells what would change.
func (g *Gateway) declare(ctx context.Context, doc *declarative.Document, dryRun bool) ([]*gatewayv1.DeclarationChange, error) {
	var p *plan
	err := g.change(ctx, "ApplyDeclaration", func(e *edit) error {
		p = &plan{edit: e, doc: doc}
		if err := p.make(ctx); err != nil {
			return err
		}
		if err := p.carryOut(ctx); err != nil {
			return err
		}
		if dryRun {
			return errDryRun
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return nil, err
	}
	return p.changes, nil
}

// DumpDeclaration implements the RPC.
func (g *Gateway) DumpDeclaration(req *gatewayv1.DumpDeclarationRequest, stream gatewayv1.DeclarationService_DumpDeclarationServer) error {
	all, err := g.everything(stream.Context())
	if err != nil {
		return err
	}
	var stored []declarative.Stored
	for _, o := range all {
		// What is generated is so again without a document.
		unwanted := o.row.Owner != "" || !o.hasTags(req.GetSelectTags())
		stored = append(stored, declarative.Stored{Collection: g.collectionOf(o.c, o.doc), Doc: o.doc, Unwanted: unwanted})
	}
	text, err := declarative.Write(stored, declarative.Options{SelectTags: req.GetSelectTags(), IDs: req.GetWithIds()})
	if err != nil {
		return err
	}
	for len(text) > 0 {
		part := text[:min(partSize, len(text))]
		text = text[len(part):]
		if err := stream.Send(&gatewayv1.DumpDeclarationResponse{Part: part}); err != nil {
			return err
		}
	}
	return nil
}

// everything is all that is stored, as it is at one time.
func (g *Gateway) everything(ctx context.Context) ([]*object, error) {
	const attempts = 5
	r := reader{g, g.Store.GatewayObject, true}
	for range attempts {
		var out []*object
		before, _, err := g.Store.CurrentRevision(ctx)
		if err != nil {
			return nil, err
		}
		for _, c := range entity.Collections() {
			if out, err = r.all(ctx, out, c); err != nil {
				return nil, err
			}
		}
		after, _, err := g.Store.CurrentRevision(ctx)
		if err != nil || before == after {
			return out, err
		}
	}
	return nil, errs.New(errs.Unavailable, "The configuration changes too often to be read as one; try again")
}
