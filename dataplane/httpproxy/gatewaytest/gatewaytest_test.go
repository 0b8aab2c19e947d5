package gatewaytest

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"github.com/backplane/backplane/dataplane/httpproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGateway(t *testing.T) {
	s := Service(Echo(t, "one") + "/base")
	g := Start(t, httpproxy.Options{}, All(s, Route(s, "/a")))
	for _, base := range []string{g.URL, g.SecureURL} {
		res := g.Do(http.MethodPost, base+"/a/b?c=d", "hello", "X-Test", "yes")
		if res.StatusCode != http.StatusOK || res.Header.Get("X-Echo") != "one" {
			t.Fatalf("%s: %v %s", base, res.Status, res.Text)
		}
		asked := res.Asked(t)
		if asked.Method != http.MethodPost || asked.Target != "/base/b?c=d" || asked.Body != "hello" {
			t.Errorf("%s: it was asked %+v", base, asked)
		}
	}
	if res := g.Get("/b"); res.StatusCode != http.StatusNotFound {
		t.Errorf("another path: %s", res.Status)
	}
}
