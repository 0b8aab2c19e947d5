package oasvalidation

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestResponses(t *testing.T) {
	both(t, func(t *testing.T, version string) {
		testResponses(t, api(version, `"/a":{"get":{"responses":{
			"200":{"description":"","content":{"application/json":{"schema":`+item+`},"text/plain":{"schema":{"type":"integer"}}}},
			"4XX":{"description":"","content":{"application/problem+json":{"schema":{"type":"object","required":["title"]}}}},
			"default":{"description":"","content":{"*/*":{"schema":{"type":"array"}}}}}},"post":{}}`))
	})
}

func testResponses(t *testing.T, document string) {
	zip := func(s string) string { b := &bytes.Buffer{}; return compressed(t, gzip.NewWriter(b), b, s) }
	var status int
	var header []string
	var body string
	upstream := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
	g := start(t, document, settings{"validate_response_body": true, "verbose_response": true, "max_body": 200}, upstream)
	for _, c := range []struct {
		method string
		status int
		header []string
		body   string
		want   string // "" for what the upstream has sent
	}{
		{"GET", 200, nil, ` {"name":"a", "x":1.0}`, ""},
		{"GET", 200, nil, `{"name":1}`, "response body validation failed with error: name: it must be of type string"},
		{"GET", 200, nil, `{}`, "response body validation failed with error: name: it is required"},
		{"GET", 200, nil, `{`, "response body validation failed with error: it is no valid JSON: unexpected EOF"},
		{"GET", 200, nil, ``, "response body validation failed with error: it is no valid JSON: unexpected EOF"},
		{"GET", 200, []string{"Content-Type", "text/plain"}, `x`, ""},
		{"GET", 200, []string{"Content-Type", "text/event-stream"}, "data: {}\n\n", ""},
		{"GET", 200, []string{"Content-Encoding", "gzip"}, zip(`{"name":"a"}`), ""},
		{"GET", 200, []string{"Content-Encoding", "gzip"}, zip(`{"name":1}`), "response body validation failed with error: name: it must be of type string"},
		{"GET", 200, []string{"Content-Encoding", "br"}, `x`, ""},
		{"GET", 200, nil, `{"x":"` + strings.Repeat("a", 200) + `"}`, ""},
		{"GET", 204, nil, ``, ""}, {"GET", 304, nil, ``, ""}, {"GET", 206, nil, `x`, ""},
		{"HEAD", 200, nil, ``, ""}, {"POST", 200, nil, `x`, ""},
		{"GET", 404, nil, `{"title":"x"}`, ""}, {"GET", 418, []string{"Content-Type", "application/problem+json"}, `{}`,
			"response body validation failed with error: title: it is required"},
		{"GET", 500, nil, `[]`, ""}, {"GET", 500, nil, `{}`, "response body validation failed with error: it must be of type array"},
	} {
		status, header, body = c.status, c.header, c.body
		res := g.Do(c.method, "/a", "")
		switch {
		case c.want == "" && (res.StatusCode != c.status || res.Text != c.body):
			t.Errorf("%s %d %v %s: %s %s", c.method, c.status, c.header, c.body, res.Status, res.Text)
		case c.want != "" && (res.StatusCode != http.StatusNotAcceptable || res.JSON(t)["message"] != c.want || res.Header.Get("Content-Encoding") != ""):
			t.Errorf("%s %d %v %s: %s %s, not %s", c.method, c.status, c.header, c.body, res.Status, res.Text, c.want)
		}
	}
}

func TestAnswersInThePlaceOfResponses(t *testing.T) {
	document := api("3.0.3", `"/a":{"get":{"responses":{"200":{"description":"","content":{"application/json":{"schema":{"type":"array"}}}}}}}`)
	upstream := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("X-A", "1")
		_, _ = io.WriteString(w, `{"secret":1}`)
	})
	for _, c := range []struct {
		settings settings
		status   int
		text     string
	}{
		{settings{}, 200, `{"secret":1}`},
		{settings{"validate_response_body": true}, 406, `{"message":"response doesn't conform to schema"}`},
		{settings{"validate_response_body": true, "notify_only_response_body_validation_failure": true}, 200, `{"secret":1}`},
		{settings{"validate_response_body": true, "detail_errors": true}, 502, `{"detail":"response doesn't conform to schema"}`},
	} {
		res := start(t, document, c.settings, upstream).Get("/a")
		if res.StatusCode != c.status || res.Text != c.text || (res.Header.Get("X-A") != "") != (c.status == 200) {
			t.Errorf("%v: %s %s", c.settings, res.Status, res.Text)
		}
	}
}

// What is only to be sent in one direction is not required in the other.
func TestDirections(t *testing.T) {
	schema := `{"$ref":"#/components/schemas/User"}`
	both(t, func(t *testing.T, version string) {
		document := `{"openapi":"` + version + `","paths":{"/a":{"post":{"requestBody":{"content":{"application/json":{"schema":` + schema + `}}},
			"responses":{"200":{"content":{"application/json":{"schema":` + schema + `}}}}}}},
			"components":{"schemas":{"Base":{"type":"object","properties":{"id":{"type":"integer","readOnly":true},"password":{"$ref":"#/components/schemas/Password"}}},
			"Password":{"type":"string","writeOnly":true},"User":{"allOf":[{"$ref":"#/components/schemas/Base"},{"required":["id","password","name"]}]}}}}`
		upstream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, r.Header.Get("Answer"))
		})
		g := start(t, document, settings{"validate_response_body": true}, upstream)
		const asked, answered = `{"password":"x","name":"n"}`, `{"id":1,"name":"n"}`
		for _, c := range []struct {
			request, response string
			status            int
		}{
			{asked, answered, 200}, {`{"id":1,"password":"x","name":"n"}`, answered, 200},
			{`{"name":"n"}`, answered, 400}, {`{"password":"x"}`, answered, 400},
			{asked, `{"name":"n"}`, 406}, {asked, `{"id":1}`, 406}, {asked, `{"id":1,"name":"n","password":"x"}`, 406},
		} {
			res := g.Do(http.MethodPost, "/a", c.request, "Content-Type", "application/json", "Answer", c.response)
			if res.StatusCode != c.status {
				t.Errorf("%s, %s: %s %s", c.request, c.response, res.Status, res.Text)
			}
		}
	})
}
