package rest

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/backplane/backplane/internal/errs"
)

func TestHTMLIsNotEscaped(t *testing.T) {
	t.Parallel()
	const text = `</a> & "<b>"`
	want := `"</a> & \"<b>\""`
	for _, v := range []any{made(t, nullableFile, `id: '`+text+`'`), map[string]string{"id": text}} {
		if got, err := newStrictJSON().Marshal(v); err != nil || !strings.Contains(string(got), want) {
			t.Errorf("error %v, got %s, want it to have %s", err, got, want)
		}
	}
	for _, path := range []string{"/api/services", "/v1/auth"} {
		answer := httptest.NewRecorder()
		r := httptest.NewRequest("GET", path, nil)
		r = r.WithContext(&exchange{Context: r.Context(), dialect: DialectOf(path).speaker()})
		(&facade{json: newStrictJSON()}).writeError(answer, r, errs.New(errs.NotFound, text))
		if !strings.Contains(answer.Body.String(), want) {
			t.Errorf("the error at %s is %s, want it to have %s", path, answer.Body, want)
		}
	}
}
