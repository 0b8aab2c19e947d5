package registry

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"unicode"

	"github.com/backplane/backplane/dataplane/httpproxy/plugin/oasvalidation"
	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/ent/registeredservice"
	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/server/gateway"
	"github.com/backplane/backplane/server/gateway/apidoc"
)

// Bounds of what is kept of a document besides itself.
const (
	maxFaults = 200
	maxText   = 1000
	// maxValidated is how long a document may be that requests are checked
	// against: it is part of an entity.
	maxValidated = 4 << 20
)

// prepared is what a service becomes with a document.
type prepared struct {
	key        string // of the settings and the document
	hash       string // of the document
	doc        *apidoc.Document
	size       int // of the document
	entities   []gateway.OwnedEntity
	operations []schema.RegisteredOperation
	faults     []string
}

// keyOf is the same for settings and documents that come to the same entities.
func (r *Registry) keyOf(s settings, hash string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%+v %s %s", s, r.authOf(s), hash))
	return hex.EncodeToString(sum[:])
}

func (r *Registry) authOf(s settings) string {
	if s.auth != "" {
		return s.auth
	}
	return r.Auth
}

// prepare reads a document, as far as that has not been done, and makes entities
// of it. A fault of the document is told as text that users can act on; a
// document that breaks what reads it is recorded like one that cannot be read.
func (r *Registry) prepare(ctx context.Context, s settings, hash string, body []byte, doc *apidoc.Document) (p *prepared, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			r.Log.ErrorContext(ctx, "an OpenAPI document cannot be processed", "service", s.name, "panic", broken, "stack", string(debug.Stack()))
			p, err = nil, errors.New("its document cannot be processed")
		}
	}()
	if doc == nil {
		if doc, err = r.parse(body); err != nil {
			return nil, errors.New(clean(err.Error()))
		}
	}
	against, faults := r.validation(s, doc, body)
	p = &prepared{key: r.keyOf(s, hash), hash: hash, doc: doc, size: len(body)}
	var more []string
	p.entities, p.operations, more = makeEntities(s, r.authOf(s), doc, against)
	for i := range p.operations {
		o := &p.operations[i]
		o.Path, o.OperationID = clean(o.Path), clean(o.OperationID)
	}
	p.faults = bounded(append(faults, more...))
	return p, nil
}

// validation is what requests and responses are checked against; nil for nothing.
type validation struct {
	document string
	prefix   string // of paths of requests, which the document does not have
}

// validation is the document that requests and responses are checked against, if
// they are: that of the service, or, where a part of it is of no use, what else
// is in it.
func (r *Registry) validation(s settings, doc *apidoc.Document, body []byte) (*validation, []string) {
	if !s.requests && !s.responses {
		return nil, nil
	}
	if len(body) > maxValidated {
		return nil, []string{fmt.Sprintf("requests and responses are not checked: the document is longer than %d MiB", maxValidated>>20)}
	}
	whole := &validation{document: string(body), prefix: "/" + s.name}
	wrong := oasvalidation.Check(whole.document)
	if wrong == nil {
		return whole, nil
	}
	part, _, err := apidoc.Merge(apidoc.Info{}, []apidoc.Source{{Name: s.name, Document: doc, Auth: r.authOf(s)}})
	if err == nil {
		err = oasvalidation.Check(string(part))
	}
	if err != nil {
		return nil, []string{"requests and responses are not checked: " + err.Error()}
	}
	return &validation{document: string(part)}, []string{"requests and responses are checked against what the merged document has of it: " + wrong.Error()}
}

// bounded are faults as there is room for them.
func bounded(faults []string) []string {
	out := make([]string, 0, min(len(faults), maxFaults+1))
	for i, f := range faults {
		if i == maxFaults {
			return append(out, fmt.Sprintf("and %d more", len(faults)-maxFaults))
		}
		out = append(out, clean(f))
	}
	return out
}

// clean is a text of a document as every store takes it.
func clean(text string) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return text
}

// pack and unpack are between a document and the column that it is stored in.
func pack(body []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

func unpack(stored []byte) ([]byte, error) {
	if len(stored) == 0 {
		return nil, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(stored))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(r, maxDocument+1))
	if err == nil && len(body) > maxDocument {
		err = errTooLong
	}
	return body, err
}

// stored is the document of a service, which another process may have changed.
func (r *Registry) stored(ctx context.Context, id int64, hash string) ([]byte, error) {
	row, err := r.Store.RegisteredService.Query().Where(registeredservice.ID(id)).
		Select(registeredservice.FieldDocument, registeredservice.FieldDocumentHash).Only(ctx)
	switch {
	case ent.IsNotFound(err), err == nil && row.DocumentHash != hash:
		return nil, errStale
	case err != nil:
		return nil, err
	}
	body, err := unpack(row.Document)
	if err != nil {
		return nil, fmt.Errorf("the stored document of service %d: %w", id, err)
	}
	return body, nil
}
