package rest

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/backplane/backplane/internal/errs"
)

// settleDocument makes the body what the RPC of a route is to get. Whatever its
// media type, it is JSON; an empty one is none.
func settleDocument(w http.ResponseWriter, r *http.Request, x *exchange, route *route) error {
	x.deadline(time.Now().Add(bodyTimeout))
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
	if err != nil {
		return readError(err) // and what is left of the body may take no longer either
	}
	x.deadline(time.Time{})
	data = bytes.Trim(data, " \t\r\n")
	// A document of any form is the RPC's to read; what has fields of its own
	// is read by the decoder, which names those that it does not know.
	x.settled = route.content.FullName() == "google.protobuf.Value"
	if x.settled && len(data) > 0 {
		if err := wellFormed(data); err != nil {
			return err
		}
		if isPatch(r) && data[0] != '[' {
			return errs.New(errs.BadRequest, "A JSON Patch must be an array of operations (RFC 6902)")
		}
	}
	r.Body = &body{io.NopCloser(bytes.NewReader(data)), x}
	r.Header = r.Header.Clone()
	r.Header.Set("Content-Type", jsonType)
	return nil
}

// isPatch reports whether the client calls its body a JSON Patch.
func isPatch(r *http.Request) bool {
	kind := mediaType(r)
	return kind == patchType || strings.EqualFold(kind, patchType+"+json")
}
