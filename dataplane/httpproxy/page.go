package httpproxy

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// servedPage is a page with what is worked out once.
type servedPage struct {
	*entity.Page
	fields []Field // those of its header, sorted
}

// servedPages are pages by path.
func servedPages(pages []*entity.Page) map[string]*servedPage {
	served := make(map[string]*servedPage, len(pages))
	for _, p := range pages {
		s := &servedPage{Page: p}
		for _, name := range slices.Sorted(maps.Keys(p.Header)) {
			s.fields = append(s.fields, Field{Name: name, Value: p.Header[name]})
		}
		served[p.Path] = s
	}
	return served
}

// answerPage answers with the page of the path, and tells whether there is one.
func (x *Exchange) answerPage() bool {
	p := x.snapshot.pages[x.Request.Path]
	if p == nil {
		return false
	}
	if m := x.Request.Method; m != http.MethodGet && m != http.MethodHead {
		x.refuse(http.StatusMethodNotAllowed, msgNotAllowed, FromPlugin)
		x.Response.Header.Set("Allow", "GET, HEAD")
		return true
	}
	h := &x.Response.Header
	if p.ETag != "" && holdsTag(x.Request.Header.Join("If-None-Match"), p.ETag) {
		x.Exit(http.StatusNotModified, "", nil)
		x.Response.ContentLength = -1 // if there is one it is that of the page (RFC 9110, 8.6)
	} else {
		x.Exit(http.StatusOK, p.ContentType, p.Body)
	}
	for _, f := range p.fields {
		h.Set(f.Name, f.Value)
	}
	if p.ETag != "" {
		h.Set("ETag", p.ETag)
	}
	return true
}

// holdsTag tells whether an If-None-Match field has an entity tag, weak or not
// (RFC 9110, 13.1.2).
func holdsTag(field, tag string) bool {
	if strings.TrimSpace(field) == "*" {
		return true
	}
	tag = strings.TrimPrefix(tag, "W/")
	for field != "" {
		field = strings.TrimPrefix(strings.TrimLeft(field, " \t,"), "W/")
		if !strings.HasPrefix(field, `"`) {
			return false
		}
		end := strings.IndexByte(field[1:], '"')
		if end < 0 {
			return false
		}
		if field[:end+2] == tag {
			return true
		}
		field = field[end+2:]
	}
	return false
}
