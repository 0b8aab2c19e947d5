package gateway_test

import (
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/status"

	"github.com/backplane/backplane/server/servertest"
)

// statusOf is what the gateway of a server answers to a login.
func statusOf(t *testing.T, s *servertest.Server, user, password string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+s.GatewayHTTP+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(user, password)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// TestLoginsAreRestored: with the document of one gateway, another one lets the
// same people in, also where somebody of that name was there before.
func TestLoginsAreRestored(t *testing.T) {
	t.Parallel()
	from, to := servertest.Start(t, servertest.Options{}), servertest.Start(t, servertest.Options{})
	old, is := &world{ClientConnInterface: from.Conn}, &world{ClientConnInterface: to.Conn}
	applied(t, old, `{_format_version: "3.0", routes: [{name: all, paths: [/]}], plugins: [{name: basic-auth}, {name: request-termination, config: {status_code: 200}}],
		consumers: [{username: ann, tags: [people], basicauth_credentials: [{username: ann, password: open, tags: [login]}]}]}`)
	must(t, to.Conn, "CreateConsumer", `{"document":{"username":"ann"}}`)
	must(t, to.Conn, "CreateBasicAuth", `{"consumer":"ann","document":{"username":"ann","password":"other"}}`)
	applied(t, is, dump(t, old))
	for _, s := range []*servertest.Server{from, to} {
		if got := []int{statusOf(t, s, "ann", "open"), statusOf(t, s, "ann", "other")}; got[0] != 200 || got[1] != 401 {
			t.Errorf("logins are answered with %v", got)
		}
	}
	// A document of the login alone is about this consumer, and no other of the
	// same name: with that one nobody could log in.
	part := dump(t, old, "login")
	if got, err := declare(t, is, part, true, "login"); err != nil || len(got) != 0 {
		t.Errorf("a part of the same document would %v, %v", got, err)
	}
	must(t, to.Conn, "DeleteConsumer", `{"id":"ann"}`)
	must(t, to.Conn, "CreateConsumer", `{"document":{"username":"ann"}}`)
	if _, err := declare(t, is, part, false, "login"); !strings.Contains(status.Convert(err).Message(), "does not reference an existing 'consumers' entity") {
		t.Errorf("for another consumer it is answered %v", err)
	}
}
