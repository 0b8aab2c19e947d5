package reference

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/dataplane/httpproxy/entity"
)

// TestSameEverywhere: what the handler serves is what the pages are.
func TestSameEverywhere(t *testing.T) {
	pages, err := Pages()
	if err != nil {
		t.Fatal(err)
	}
	handler := Handler("/docs/")
	byPath := map[string]*entity.Page{}
	for _, p := range pages {
		if byPath[p.Path] != nil || len(p.Body) == 0 || len(p.ETag) != 34 || p.Header["Content-Security-Policy"] != policy {
			t.Errorf("%s: %d bytes, %s, %v", p.Path, len(p.Body), p.ETag, p.Header)
		}
		byPath[p.Path] = p
		if !strings.HasPrefix(p.Path, "/docs/") {
			continue
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, p.Path, nil))
		if w.Code != http.StatusOK || w.Body.String() != string(p.Body) || w.Header().Get("Content-Security-Policy") != policy {
			t.Errorf("%s: %d, %d bytes, %v", p.Path, w.Code, w.Body.Len(), w.Header())
		}
		if got := w.Header().Get("Content-Type"); strings.Contains(p.Path, ".") && !strings.HasSuffix(p.Path, ".txt") && got != p.ContentType {
			t.Errorf("%s: %s, and as a page %s", p.Path, got, p.ContentType)
		}
	}
	for _, want := range []string{"/docs", "/docs/", "/docs/page.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/LICENSE", "/redoc"} {
		if byPath[want] == nil {
			t.Errorf("there is no %s", want)
		}
	}
	if got := string(byPath["/docs"].Body); !strings.Contains(got, "<head>\n<base href=\"docs/\">\n") {
		t.Errorf("/docs is %s", got)
	}
	if !strings.Contains(string(byPath["/redoc"].Body), "url=docs\"") {
		t.Errorf("/redoc is %s", byPath["/redoc"].Body)
	}
}

// TestOnlyItsOwn: the page names nothing but its files and the document.
func TestOnlyItsOwn(t *testing.T) {
	pages, err := Pages()
	if err != nil {
		t.Fatal(err)
	}
	reference := regexp.MustCompile(`(?:src|href|url)(?:=|: )"([^"]*)"`)
	var found []string
	for _, p := range pages {
		if p.Path == "/docs/" || p.Path == "/docs/page.js" {
			for _, m := range reference.FindAllStringSubmatch(string(p.Body), -1) {
				found = append(found, m[1])
			}
		}
	}
	slices.Sort(found)
	if want := []string{"../openapi.json", "data:,", "page.js", "swagger-ui-bundle.js", "swagger-ui.css"}; !slices.Equal(found, want) {
		t.Errorf("it names %q, want %q", found, want)
	}
}
