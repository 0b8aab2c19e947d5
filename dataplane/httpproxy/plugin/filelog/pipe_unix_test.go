//go:build unix

package filelog

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/backplane/backplane/dataplane/httpproxy"
	"github.com/backplane/backplane/dataplane/httpproxy/gatewaytest"
)

// TestPipe: a pipe that nobody reads, or not all the time, holds nobody up; one
// that is read gets its lines.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	g := gatewaytest.Plugged(t, []httpproxy.PluginModule{Module()}, gatewaytest.Plugin("file-log", `{"path": "`+path+`"}`))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 2 { // lines are written after responses
			if res := g.Get("/"); res.StatusCode != http.StatusOK {
				t.Error(res.Status)
			}
		}
		r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			t.Error(err)
			return
		}
		defer r.Close()
		g.Get("/read")
		g.Stop()
		b := make([]byte, 64<<10)
		n, err := r.Read(b)
		if got := string(b[:n]); err != nil || !strings.Contains(got, `"uri":"/read"`) {
			t.Errorf("%q %v", got, err)
		}
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the gateway waits for who reads")
		if r, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err == nil {
			defer r.Close() // it waits no longer
		}
		<-ended
	}
}
