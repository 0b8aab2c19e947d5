package testbed

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
)

// FastAPI is a running application of FastAPI, that of testbed/fastapi/app.py: a
// service whose OpenAPI document says what of it a gateway should expose.
type FastAPI struct {
	*Running
	process Process
	Port    int
}

// StartFastAPI starts the application's first release until t ends.
func StartFastAPI(t TB) *FastAPI {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatalf("testbed: %v", err)
	}
	s := &FastAPI{Port: FreePort(t)}
	s.process = Process{
		Path: installed(t, "fastapi", "uvicorn"), Dir: Folder(t, ""), Ready: s.answers,
		Args: []string{
			"app:app", "--app-dir", filepath.Join(root, "testbed", "fastapi"), "--host", "127.0.0.1", "--port", strconv.Itoa(s.Port),
			"--log-level", "warning", "--no-access-log", "--timeout-graceful-shutdown", "1",
		},
		Env: release(1),
	}
	s.Running = Start(t, s.process)
	return s
}

// release is the environment of a release of the application, which leaves no
// files beside it.
func release(n int) []string {
	return []string{"PYTHONDONTWRITEBYTECODE=1", fmt.Sprintf("SHOP_RELEASE=%d", n)}
}

// URL is where it is.
func (s *FastAPI) URL() string { return "http://" + Addr(s.Port) }

// Restart stops the application if it runs, and starts a release of it, 1 or 2,
// on the same port. Some clients of the first do not get along with the second.
func (s *FastAPI) Restart(t TB, n int) {
	t.Helper()
	s.Close()
	s.process.Env = release(n)
	s.Running = Start(t, s.process)
}

func (s *FastAPI) answers(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/openapi.json", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the document: %s", resp.Status)
	}
	return nil
}
