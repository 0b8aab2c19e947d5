package registry

import (
	"testing"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/gateway/apidoc"
)

// ParseWith has documents be read by another function.
func (r *Registry) ParseWith(parse func([]byte) (*apidoc.Document, error)) { r.parse = parse }

// Forget is forget.
var Forget = forget

// Waiting tells whether somebody waits for the next refresh.
func (r *Registry) Waiting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.flights.next != nil
}

// Flight is a refresh.
type Flight struct{ f *flight }

// Join begins a refresh, or joins the next.
func (r *Registry) Join(t *testing.T) Flight {
	t.Helper()
	f, err := r.launch(wish{all: true, asked: true})
	if err != nil {
		t.Fatal(err)
	}
	return Flight{f}
}

// Wait waits for what it comes to.
func (f Flight) Wait(t *testing.T) *gatewayv1.RefreshServicesResponse {
	t.Helper()
	<-f.f.done
	if f.f.err != nil {
		t.Fatal(f.f.err)
	}
	return f.f.out
}

// Together bounds how long all documents may be.
func (r *Registry) Together(n int64) { r.fetcher.together = n }
