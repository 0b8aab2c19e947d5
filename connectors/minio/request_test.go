package minio

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/backplane/backplane/connectors"
)

func FuzzReadAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "HTTP/1.1 403 Forbidden\r\n\r\n<Error><Code>AccessDenied</Code></Error>",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", "SSH-2.0-x\r\n", "HTTP/", "HTTP/1.1 100 Continue\r\n\r\n",
	} {
		f.Add(s)
	}
	cl := &client{c: connectors.Config{}, endpoint: endpoint{host: "localhost"}, bucket: "uploads"}
	f.Fuzz(func(_ *testing.T, s string) {
		a, err := readAnswer(bufio.NewReader(strings.NewReader(s)), &http.Request{Method: http.MethodGet})
		if err == nil {
			cl.genuine(a)
		}
	})
}

func TestStyles(t *testing.T) {
	for _, c := range []struct{ endpoint, style, bucket, want string }{
		{"minio:9000", "auto", "uploads", "http://minio:9000/uploads/?list-type=2&max-keys=1"},
		{"minio:9000", "dns", "uploads", "http://uploads.minio:9000/?list-type=2&max-keys=1"},
		{"minio:9000", "dns", "", "http://minio:9000/"},
		{"s3.amazonaws.com", "auto", "uploads", "http://uploads.s3.amazonaws.com/?list-type=2&max-keys=1"},
		{"s3.amazonaws.com", "path", "uploads", "http://s3.amazonaws.com/uploads/?list-type=2&max-keys=1"},
		{"::1", "auto", "uploads", "http://[::1]/uploads/?list-type=2&max-keys=1"},
	} {
		e, err := parseEndpoint(c.endpoint)
		if err != nil {
			t.Fatal(err)
		}
		cl := &client{c: connectors.Config{"path_style": c.style, "region": "us-east-1", "access_key": "a", "secret_key": "s"}, endpoint: e, bucket: c.bucket}
		r, err := cl.request(t.Context(), http.MethodGet)
		if err != nil || r.URL.String() != c.want || r.Header.Get("Authorization") == "" {
			t.Errorf("%+v: %s, %v", c, r.URL, err)
		}
	}
}
