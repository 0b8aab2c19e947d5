package server_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/servertest"
)

const jwtSecret = "a secret of thirty-two characters"

// addConsumer makes somebody who may call what is protected, in each of the ways
// to say who it is.
func (c *catalogue) addConsumer(t *testing.T, name string) {
	t.Helper()
	c.admin(t, http.StatusCreated, "POST", "/consumers", servertest.Object{"username": name})
	c.admin(t, http.StatusCreated, "POST", "/consumers/"+name+"/jwt", servertest.Object{"key": name, "secret": jwtSecret})
	c.admin(t, http.StatusCreated, "POST", "/consumers/"+name+"/key-auth", servertest.Object{"key": "key of " + name})
	c.admin(t, http.StatusCreated, "POST", "/consumers/"+name+"/basic-auth", servertest.Object{"username": name, "password": "password of " + name})
}

// bearer is a token of a consumer that ends at a time; none for the zero time.
func bearer(t *testing.T, name, secret string, ends time.Time) string {
	t.Helper()
	claims := jwt.MapClaims{"iss": name}
	if !ends.IsZero() {
		claims["exp"] = ends.Unix()
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return "Bearer " + token
}

func basicOf(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

// TestProtected: operations whose tag asks for it are for consumers alone, with
// each of the plugins; what is sent reaches the service.
func TestProtected(t *testing.T) {
	t.Parallel()
	s := openShop(t)
	for _, plugin := range []string{"key-auth", "basic-auth"} {
		s.add(t, plugin, s.up.Port, func(r *gatewayv1.RegisterServiceRequest) { r.Auth = plugin })
	}
	s.refresh(t)
	s.addConsumer(t, "alice")
	const (
		missing = "Not authenticated"
		scheme  = "Invalid authentication credentials"
		invalid = "Invalid token or expired token."
	)
	good := bearer(t, "alice", jwtSecret, time.Now().Add(time.Hour))
	tampered := good[:len(good)-4] + "AAAA"
	basic := basicOf("alice", "password of alice")
	for _, c := range []struct{ service, field, value, want string }{
		{"shop", "Accept", "*/*", missing}, {"shop", "Authorization", "Bearer", missing}, {"shop", "Authorization", "Basic YTpi", scheme}, {"shop", "Authorization", "Bearer x", invalid},
		{"shop", "Authorization", tampered, invalid}, {"shop", "Authorization", bearer(t, "nobody", jwtSecret, time.Now().Add(time.Hour)), invalid},
		{"shop", "Authorization", bearer(t, "alice", "another secret of thirty-two char", time.Now().Add(time.Hour)), invalid},
		{"shop", "Authorization", bearer(t, "alice", jwtSecret, time.Now().Add(-time.Hour)), invalid},
		{"shop", "Apikey", "key of alice", missing}, {"shop", "Authorization", good, ""},
		{"key-auth", "Accept", "*/*", missing}, {"key-auth", "Apikey", "key of nobody", invalid}, {"key-auth", "Authorization", good, missing}, {"key-auth", "Apikey", "key of alice", ""},
		{"basic-auth", "Accept", "*/*", missing}, {"basic-auth", "Authorization", "Bearer x", scheme}, {"basic-auth", "Authorization", basicOf("alice", "other"), invalid},
		{"basic-auth", "Authorization", basic, ""},
	} {
		got := s.ask(t, "GET", "/"+c.service+"/secure/", nil, c.field, c.value)
		what := c.service + " with " + c.field + ": " + c.value
		if c.want != "" {
			got.want(t, what, http.StatusForbidden, detail(c.want))
			continue
		}
		value := "null"
		if c.field == "Authorization" {
			value = `"` + c.value + `"`
		}
		got.want(t, what, http.StatusOK, `{"authorization":`+value+`}`)
	}
	item := []byte(`{"name":"pen","price":1}`)
	s.ask(t, "POST", "/shop/secure/7", item, "Content-Type", jsonKind).want(t, "another method", http.StatusForbidden, detail(missing))
	if got := s.ask(t, "POST", "/shop/secure/7", item, "Content-Type", jsonKind, "Authorization", good); got.StatusCode != 200 || !strings.HasPrefix(got.text, `{"item_id":7,`) {
		t.Errorf("another method, of a consumer: %d %s", got.StatusCode, got.text)
	}
	s.ask(t, "HEAD", "/shop/secure/", nil).want(t, "HEAD", http.StatusForbidden, "")
	if got := s.ask(t, "GET", "/shop/items/", nil, "Authorization", "Bearer x"); got.StatusCode != 200 {
		t.Errorf("what is for all: %d %s", got.StatusCode, got.text)
	}
}
