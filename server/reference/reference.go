// Package reference is the page that shows an API: Swagger UI, as its npm
// package swagger-ui-dist ships it, and a page that points it at the document
// openapi.json beside its folder. It loads nothing from elsewhere.
package reference

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

//go:embed page
var embedded embed.FS

// policy is the Content-Security-Policy of what is served.
const policy = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'"

// index is the file of the page itself.
const index = "index.html"

func files() fs.FS {
	below, err := fs.Sub(embedded, "page")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	return below
}

// Handler serves the page at a path that ends in a slash, with its files below.
func Handler(at string) http.Handler {
	server := http.StripPrefix(at, http.FileServerFS(files()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		server.ServeHTTP(w, r)
	})
}

// types are the content types of files.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
}

// Pages are the page at /docs and /docs/ with its files, and one at /redoc, where
// some look for it, that leads to it.
func Pages() ([]*entity.Page, error) {
	all := files()
	entries, err := fs.ReadDir(all, ".")
	if err != nil {
		return nil, err
	}
	var out []*entity.Page
	for _, e := range entries {
		body, err := fs.ReadFile(all, e.Name())
		if err != nil {
			return nil, err
		}
		kind, ok := types[path.Ext(e.Name())]
		if !ok {
			kind = "text/plain; charset=utf-8"
		}
		if e.Name() != index {
			out = append(out, page("/docs/"+e.Name(), kind, body))
			continue
		}
		out = append(out, page("/docs/", kind, body), page("/docs", kind, within("docs/", body)), page("/redoc", kind, []byte(leading)))
	}
	return out, nil
}

// within has a page find its files in a folder.
func within(folder string, body []byte) []byte {
	return bytes.Replace(body, []byte("<head>"), []byte("<head>\n<base href=\""+folder+"\">"), 1)
}

// leading is a page that leads to the reference.
const leading = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="0; url=docs">
<title>API reference</title>
</head>
<body><a href="docs">API reference</a></body>
</html>
`

func page(path, kind string, body []byte) *entity.Page {
	sum := sha256.Sum256(body)
	return &entity.Page{
		Path: path, ContentType: kind, Body: body, ETag: `"` + hex.EncodeToString(sum[:16]) + `"`,
		Header: map[string]string{"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"},
	}
}
