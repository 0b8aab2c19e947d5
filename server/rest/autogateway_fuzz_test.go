package rest

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
)

// FuzzRegister sends queries and bodies through the façade: the RPC gets what is
// the same when it is said as JSON, or the answer tells what is wrong and where.
func FuzzRegister(f *testing.F) {
	for _, c := range []struct{ query, kind, body string }{
		{"ip=127.0.0.1&port=8080&name_service=Hello", "", ""}, {"", jsonType, `{"domain":"http://a.test","name_service":"a","port":"80"}`}, {"", formType, "ip=::1&name_service=a"},
		{"domain=%FF&name_service=%zz&port=1_0", "", "x"}, {"", jsonType, `{"domain":{},"port":1e400,"validate_requests":"no"}`}, {"", "text/plain", " {\"a\":\n"}, {"", jsonType, "\xff"},
		{"", "multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"ip\"\r\n\r\n::1\r\n--b--"}, {"form=details", jsonType, `[{"a":null}]`}, {"", jsonType, "\uFEFFnull"},
	} {
		f.Add(c.query, c.kind, []byte(c.body))
	}
	back := &fake{}
	s := facadeOf(f, back, nil)
	f.Fuzz(func(t *testing.T, query, kind string, body []byte) {
		if values, err := url.ParseQuery(query); err != nil || values.Has("form") || !plainHeader(kind) {
			return
		}
		back.says(nil, "", nil)
		a := ask(t, s, http.MethodPost, "/service?"+(&url.URL{RawQuery: query}).Query().Encode(), string(body), "Content-Type", kind)
		_, got, _ := back.last()
		switch a.status {
		case 200:
			sameAsJSON(t, back, func(text string) answer { return ask(t, s, http.MethodPost, "/service", text) }, got.(*gatewayv1.RegisterServiceRequest))
		case 400, 413:
			var refusal struct{ Detail string }
			if err := json.Unmarshal([]byte(a.body), &refusal); err != nil || refusal.Detail == "" {
				t.Fatalf("%q %q %q: %d %s", query, kind, body, a.status, a.body)
			}
		case 422:
			var refusal struct {
				Detail []struct {
					Loc       []any
					Msg, Type string
				}
			}
			if err := json.Unmarshal([]byte(a.body), &refusal); err != nil || len(refusal.Detail) == 0 {
				t.Fatalf("%q %q %q: %s: %v", query, kind, body, a.body, err)
			}
			for _, d := range refusal.Detail {
				if len(d.Loc) == 0 || d.Loc[0] != "body" && d.Loc[0] != "query" || d.Msg == "" || d.Type == "" {
					t.Fatalf("%q %q %q: %s", query, kind, body, a.body)
				}
			}
		default:
			t.Fatalf("%q %q %q: %d %s", query, kind, body, a.status, a.body)
		}
	})
}

// sameAsJSON fails unless what the RPC got is what it gets when that is sent as
// JSON.
func sameAsJSON(t *testing.T, back *fake, send func(string) answer, got *gatewayv1.RegisterServiceRequest) {
	t.Helper()
	said := map[string]any{
		"domain": got.GetDomain(), "name_service": got.GetNameService(), "document_path": got.GetDocumentPath(), "auth": got.GetAuth(),
		"validate_requests": got.GetValidateRequests(), "validate_responses": got.GetValidateResponses(),
	}
	if got.Port != nil {
		said["port"] = got.GetPort()
		if got.GetPort() < 1 || got.GetPort() > 65535 {
			t.Fatalf("the RPC got %v", got)
		}
	}
	if !utf8.ValidString(got.GetDomain() + got.GetNameService() + got.GetDocumentPath() + got.GetAuth()) {
		t.Fatalf("the RPC got %v", got)
	}
	text, err := json.Marshal(said)
	if err != nil {
		t.Fatal(err)
	}
	back.says(nil, "", nil)
	a := send(string(text))
	_, again, _ := back.last()
	if a.status != 200 || !proto.Equal(again, got) {
		t.Fatalf("%s is answered %d %s, and the RPC gets %v, not %v", text, a.status, a.body, again, got)
	}
}

// plainHeader reports whether text can be a header's value.
func plainHeader(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}
