package rest

import (
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"github.com/grpc-ecosystem/grpc-gateway/v2/utilities"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/internal/tlsconf"
	"github.com/backplane/backplane/server/auth"
)

// TokenCookie holds a signed token for callers that have no other place to keep
// it: browsers.
const TokenCookie = "token_sig"

// loginOfCookie turns the cookie into the header that it stands for, so that
// calls and streams know one kind of login. Any other login goes first.
func (e *exchange) loginOfCookie(r *http.Request) {
	if r.Header.Get("Authorization") != "" || r.Header.Get("Kong-Admin-Token") != "" {
		return
	}
	c, err := r.Cookie(TokenCookie)
	if err != nil {
		return
	}
	token := c.Value
	if strings.HasPrefix(token, auth.TokenPrefix) {
		token = "" // nothing but a signed token is ever put there
	}
	e.cookie = true
	r.Header = r.Header.Clone()
	r.Header.Set("Authorization", "Bearer "+token)
}

// setToken keeps a token in the cookie for a time: 0 for as long as the browser
// runs, less than 0 to delete it.
func setToken(w http.ResponseWriter, r *http.Request, token string, age time.Duration) {
	setCookie(w, TokenCookie, token, age, r.TLS != nil)
}

func setCookie(w http.ResponseWriter, name, token string, age time.Duration, secure bool) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: token, Path: "/", MaxAge: int(age / time.Second), HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: secure,
	})
}

// forgetToken deletes the cookie.
func forgetToken(w http.ResponseWriter, r *http.Request) { setToken(w, r, "", -time.Second) }

// serveToken hands out a signed token, in the body or the cookie, or takes the
// cookie away.
func (f *facade) serveToken(w http.ResponseWriter, r *http.Request) {
	var req identityv1.GetAuthTokenRequest
	if err := runtime.PopulateQueryParameters(&req, r.URL.Query(), utilities.NewDoubleArray(nil)); err != nil {
		f.writeError(w, r, &errs.Error{Reason: errs.BadRequest, Message: "The query string is malformed", Err: err})
		return
	}
	if err := f.mayHoldToken(r, &req); err != nil {
		f.writeError(w, r, err)
		return
	}
	resp, err := f.identities.GetAuthToken(r.Context(), &req)
	if err != nil {
		f.writeError(w, r, err)
		return
	}
	switch {
	case req.GetLogout():
		forgetToken(w, r)
		w.WriteHeader(http.StatusNoContent)
	case req.GetPersist():
		age, asked := auth.SignedFor(req.GetMaxAge())
		if !asked {
			age = 0
		}
		setToken(w, r, resp.GetMeta().GetToken(), age)
		w.WriteHeader(http.StatusNoContent)
	default:
		text, err := f.json.Marshal(resp)
		if err != nil {
			f.writeError(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write(text) //nolint:errcheck // the client has gone
	}
}

// mayHoldToken refuses a token where others could read it, and a cookie that a
// page of another site wants: it would make its visitor somebody else.
func (f *facade) mayHoldToken(r *http.Request, req *identityv1.GetAuthTokenRequest) error {
	if f.inClear(r) {
		return errs.New(errs.PermissionDenied, "This is possible over TLS, from this machine, or where the server runs with --allow-plaintext")
	}
	if !req.GetPersist() && !req.GetLogout() {
		return nil
	}
	change := r.WithContext(r.Context())
	change.Method = http.MethodPost // for the browser it is one
	return f.checkOrigin(change)
}

// inClear reports whether the answer leaves this machine without TLS, and
// nobody has permitted that. No listener that the program opens is like that;
// what hands out logins does not rely on it.
func (f *facade) inClear(r *http.Request) bool {
	if r.TLS != nil || f.AllowPlaintext {
		return false
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return !ok || !tlsconf.Loopback(local.String())
}
