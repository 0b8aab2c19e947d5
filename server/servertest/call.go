package servertest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/backplane/backplane/server/auth"
)

// Object is a JSON object.
type Object = map[string]any

// Answer is what a REST call returned.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends a request as the admin. body is nil, a string or bytes to send as
// they are, or a value to send as JSON. headers are names and values in turn;
// an empty value leaves a header out that would be sent otherwise.
func (s *Server) Do(t testing.TB, method, path string, body any, headers ...string) Answer {
	t.Helper()
	a, err := s.Try(method, path, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

// Try is Do for other goroutines than the test's own, and for calls that may
// find no server.
func (s *Server) Try(method, path string, body any, headers ...string) (Answer, error) {
	req, err := NewRequest(method, s.URL+path, body, headers...)
	if err != nil {
		return Answer{}, err
	}
	resp, err := s.Client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return Answer{resp.StatusCode, resp.Header, text}, err
}

// NewRequest makes a request as Do sends it.
func NewRequest(method, url string, body any, headers ...string) (*http.Request, error) {
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	case []byte:
		content = bytes.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(text)
	}
	req, err := http.NewRequest(method, url, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", Basic(auth.AdminUser, Password))
	if content != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	return req, nil
}

// JSON decodes the body.
func (a Answer) JSON(t testing.TB) Object {
	t.Helper()
	var out Object
	if err := json.Unmarshal(a.Body, &out); err != nil {
		t.Fatalf("status %d, not a JSON object: %v\n%s", a.Status, err, a.Body)
	}
	return out
}

// Good fails the test unless the call succeeded, and returns its data.
func (a Answer) Good(t testing.TB) any {
	t.Helper()
	body := a.JSON(t)
	if a.Status != http.StatusOK || body["ok"] != true {
		t.Fatalf("status %d, want 200: %s", a.Status, a.Body)
	}
	return body["data"]
}

// Data is Good for an object.
func (a Answer) Data(t testing.TB) Object {
	t.Helper()
	data, ok := a.Good(t).(Object)
	if !ok {
		t.Fatalf("data is not an object: %s", a.Body)
	}
	return data
}

// List is Good for a list of objects.
func (a Answer) List(t testing.TB) []Object {
	t.Helper()
	list, ok := a.Good(t).([]any)
	if !ok {
		t.Fatalf("data is not a list: %s", a.Body)
	}
	out := make([]Object, len(list))
	for i, e := range list {
		if out[i], ok = e.(Object); !ok {
			t.Fatalf("data[%d] is not an object: %s", i, a.Body)
		}
	}
	return out
}

// Create creates a service and returns it.
func (s *Server) Create(t testing.TB, body any) Object {
	t.Helper()
	return s.Do(t, http.MethodPost, "/api/services", body).Data(t)
}

// Get returns a service.
func (s *Server) Get(t testing.TB, id string) Object {
	t.Helper()
	return s.Do(t, http.MethodGet, "/api/services/"+id, nil).Data(t)
}

// Buffer is a log that can be read while it is written.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

// String is everything written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
