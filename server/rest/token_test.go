package rest

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/errs"
)

// TestTokenInClear: a token leaves the machine encrypted, or because somebody
// has said that it may.
func TestTokenInClear(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		local        string
		tls, allowed bool
		ok           bool
	}{
		{local: "127.0.0.1", ok: true},
		{local: "127.9.0.1", ok: true},
		{local: "::1", ok: true},
		{local: "192.0.2.1"},
		{local: "2001:db8::1"},
		{local: "0.0.0.0"},
		{local: ""},
		{local: "192.0.2.1", tls: true, ok: true},
		{local: "192.0.2.1", allowed: true, ok: true},
	} {
		f := &facade{Options: Options{AllowPlaintext: c.allowed}, origin: http.NewCrossOriginProtection()}
		r := httptest.NewRequest(http.MethodGet, "http://backplane.example/v1/auth", nil)
		r.RemoteAddr = "127.0.0.1:1" // what tells nothing, behind a proxy
		if c.tls {
			r.TLS = &tls.ConnectionState{}
		}
		if c.local != "" {
			at := &net.TCPAddr{IP: net.ParseIP(c.local), Port: 8080}
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, at))
		}
		err := f.mayHoldToken(r, &identityv1.GetAuthTokenRequest{})
		if c.ok && err != nil || !c.ok && (err == nil || StatusOf(errs.Convert(err).Reason) != http.StatusForbidden) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
