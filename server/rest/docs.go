package rest

import (
	"net/http"

	"github.com/backplane/backplane/server/reference"
)

// docs serves the API reference at /docs.
func docs(mux *http.ServeMux) {
	mux.Handle("GET /docs", http.RedirectHandler("/docs/", http.StatusMovedPermanently))
	mux.Handle("GET /docs/", reference.Handler("/docs/"))
}

func (f *facade) openapi(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Access-Control-Allow-Origin", "*") // it is public, and tools fetch it from pages of their own
	w.Write(f.OpenAPI)                                 //nolint:errcheck // the client has gone
}
