package minio_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/backplane/backplane/connectors"
	"github.com/backplane/backplane/connectors/conformance"
	"github.com/backplane/backplane/connectors/minio"
)

// web is a web server that gives one answer to everything.
func web(t *testing.T, status int, header http.Header, body string) cfg {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range header {
			w.Header()[k] = v
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return cfg{"endpoint": strings.TrimPrefix(s.URL, "http://")}
}

// foreignCases are web servers that are no store, and answers of stores that
// can not be had here.
func foreignCases(t *testing.T) []conformance.Case {
	s3 := http.Header{"X-Amz-Request-Id": {"1"}}
	fault := func(code string) string {
		return fmt.Sprintf("<Error><Code>%s</Code><Message>told</Message></Error>", code)
	}
	region := http.Header{"X-Amz-Bucket-Region": {"eu-west-3"}}
	list := `<ListBucketResult><Name>%s</Name></ListBucketResult>`
	mismatch, busy := connectors.ProtocolMismatch, connectors.ServerBusy
	return []conformance.Case{
		{Name: "web server that likes everything", Change: web(t, 200, nil, "<html></html>"), Want: mismatch, Contain: "HTTP server"},
		{Name: "empty answer", Change: web(t, 200, nil, ""), Want: mismatch},
		{Name: "XML of something else", Change: web(t, 200, nil, "<feed/>"), Want: mismatch},
		{Name: "list of another bucket", Change: web(t, 200, s3, fmt.Sprintf(list, "downloads")), Want: mismatch},
		{Name: "list without a name", Change: web(t, 200, nil, fmt.Sprintf(list, "")), Want: mismatch},
		{Name: "list without a name, but a request id", Change: web(t, 200, s3, fmt.Sprintf(list, ""))},
		{Name: "web server that finds nothing", Change: web(t, 404, nil, "not found"), Want: mismatch},
		{Name: "web server that redirects", Change: web(t, 302, http.Header{"Location": {"http://no-such-host.invalid/"}}, ""), Want: mismatch},
		{Name: "web server that forbids", Change: web(t, 403, nil, "forbidden"), Want: mismatch},
		{Name: "nginx with HTTPS", Change: web(t, 400, nil, "<center>The plain HTTP request was sent to HTTPS port</center>"), Want: connectors.TLSRequired},
		{Name: "gateway without a store", Change: web(t, 503, nil, ""), Want: busy},
		{Name: "slow down", Change: web(t, 429, s3, fault("SlowDown")), Want: busy, Contain: "told"},
		{Name: "clock", Change: web(t, 403, s3, fault("RequestTimeTooSkewed")), Want: connectors.InvalidConfig, Contain: "clock"},
		{Name: "redirect to a region", Change: web(t, 301, region, fault("PermanentRedirect")), Want: connectors.InvalidConfig, Contain: "eu-west-3"},
		{Name: "redirect without a region", Change: web(t, 301, nil, fault("PermanentRedirect")), Want: connectors.InvalidConfig, Contain: "endpoint"},
		{Name: "refusal without a kind", Change: web(t, 400, s3, fault("InvalidRequest")), Want: mismatch, Contain: "told"},
		{Name: "endless answer", Change: web(t, 200, s3, strings.Repeat("x", 5<<20)), Want: mismatch, Contain: "no end"},
	}
}

// TestHead covers keys that may not list the bucket but may look at it, a
// right that MinIO does not know apart.
func TestHead(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Amz-Request-Id", "1")
		if r.Method == http.MethodGet {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, "<Error><Code>AccessDenied</Code></Error>")
		}
	}))
	t.Cleanup(s.Close)
	c := connectors.Config{"endpoint": strings.TrimPrefix(s.URL, "http://"), "access_key": "a", "secret_key": "secret", "bucket": "uploads", "region": "us-east-1"}
	r, f := connectors.Run(t.Context(), minio.New(), c, connectors.Env{}, 0)
	if f != nil || len(r.Warnings) != 1 || r.Warnings[0].Code != "restricted" {
		t.Errorf("%+v, %v", r, f)
	}
}
