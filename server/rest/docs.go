package rest

import (
	"embed"
	"io/fs"
	"net/http"
)

// reference is the API reference page: Swagger UI, as its npm package
// swagger-ui-dist ships it, and a page that points it at /openapi.json.
//
//go:embed reference
var reference embed.FS

// docs serves the API reference at /docs. It loads nothing from elsewhere.
func docs(mux *http.ServeMux) {
	files, err := fs.Sub(reference, "reference")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	server := http.StripPrefix("/docs/", http.FileServerFS(files))
	mux.Handle("GET /docs", http.RedirectHandler("/docs/", http.StatusMovedPermanently))
	mux.HandleFunc("GET /docs/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'")
		server.ServeHTTP(w, r)
	})
}

func (f *facade) openapi(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Access-Control-Allow-Origin", "*") // it is public, and tools fetch it from pages of their own
	w.Write(f.OpenAPI)                                 //nolint:errcheck // the client has gone
}
