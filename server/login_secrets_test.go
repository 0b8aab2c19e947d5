package server_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/metadata"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/servertest"
)

// TestLoginsStayInside logs in with passwords, tokens and signed tokens, right
// and wrong ones, in every way, and then looks for them in all that the program
// has written or answered, but for the one answer that is to show a token.
func TestLoginsStayInside(t *testing.T) {
	t.Parallel()
	s := start(t)
	password := func(n int) string { return marker(fmt.Sprintf("Zebra8pass%d-", n)) }
	words := []string{"Zebra8", servertest.Password, "$argon2id$"}

	// What shows tokens happens before the tape runs.
	s.Do(t, "POST", "/api/users", object{"username": "ann", "password": password(1), "roles": []object{servertest.Role("viewer")}}).Data(t)
	login := servertest.Basic("ann", password(1))
	id, token := s.AddToken(t, login, "robot")
	signed := s.SignIn(t, login)
	for _, secret := range []string{token, signed} {
		words = append(words, strings.TrimPrefix(secret, "Bearer ")[8:])
	}
	words = append(words, auth.Digest(strings.TrimPrefix(token, "Bearer "))) // no way to log in, but nobody's business
	parts := strings.Split(strings.TrimPrefix(signed, "Bearer "), ".")
	words = append(words, parts[2])

	tape := &tape{next: s.Client.Transport}
	s.Client.Transport = tape
	useLogins(t, s, tape, []string{login, token, signed})
	s.Do(t, "PUT", "/api/users/ann", object{"password": password(2)}).Data(t)
	s.Do(t, "PUT", "/api/users/ann", object{"password": password(3)}, "Authorization", servertest.Basic("ann", password(2))).Data(t)
	s.Do(t, "DELETE", "/api/tokens/"+id, nil).Good(t)
	useLogins(t, s, tape, []string{login, token, signed, tampered(signed), "Bearer bp_Zebra8token", "Basic Zebra8", "Zebra8 Zebra8"})
	for _, body := range []string{
		`{"username":"ann","password":%q}`, `{"username":"b d","password":%q,"roles":[{"role":"x"}]}`, `{"username":"bea","password":%q`,
		`{"username":"bea","password":[%q]}`, `{"username":"bea","password":%q,"password":""}`, `{"username":"bea","passwort":%q}`,
	} {
		text := fmt.Sprintf(body, "Zebra8body")
		s.Do(t, "POST", "/api/users", text)
		s.Do(t, "PUT", "/api/users/ann", text)
		s.Do(t, "POST", "/api/tokens", text)
	}
	for _, path := range []string{"/metrics", "/openapi.json", "/api/audit?limit=1000", "/api/tokens", "/api/users", "/api/users/ann", "/api/whoami"} {
		s.Do(t, "GET", path, nil)
	}
	eventsUntil(t, s, "/api/audit/watch?index=0", servertest.Basic("admin", servertest.Password), "DeleteToken")()

	places := map[string]string{"answers": tape.String(), "log": s.Log.String()}
	running := files(t, s.DataDir)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	for name, content := range files(t, s.DataDir) {
		running[name+" at rest"] = content
	}
	for name, content := range running {
		wantNoSigningKey(t, name, content, parts)
	}
	stored := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "$argon2id$" || len(w) == 64 }) // hashes are stored
	for place, content := range places {
		wantNone(t, place, content, words)
	}
	for place, content := range running {
		wantNone(t, place, content, stored)
	}
	if !strings.Contains(strings.Join(slices.Collect(maps.Values(running)), ""), "$argon2id$") {
		t.Error("the files of the store were not read")
	}
}

func wantNone(t *testing.T, place, content string, words []string) {
	t.Helper()
	for _, word := range words {
		for _, form := range forms(word) {
			if i := strings.Index(content, form); i >= 0 {
				t.Errorf("%s: found %q of %q in …%q…", place, form, word, content[max(0, i-200):min(len(content), i+100)])
			}
		}
	}
}

// useLogins sends each login in every place that takes one.
func useLogins(t *testing.T, s *servertest.Server, tape *tape, logins []string) {
	t.Helper()
	for _, l := range logins {
		bare := l[strings.IndexByte(l, ' ')+1:]
		for _, headers := range [][]string{{"Authorization", l}, {"Authorization", "", "Kong-Admin-Token", bare}, {"Authorization", "Bearer " + bare}, {"Authorization", "", "Cookie", "token_sig=" + bare}} {
			for _, path := range []string{"/api/whoami", "/api/services?project=" + "x", "/api/services/watch?index=999999", "/api/users", "/nowhere", "/v1/auth?logout=yes"} {
				s.Do(t, "GET", path, nil, headers...)
			}
		}
		for _, header := range []string{"authorization", "kong-admin-token"} {
			ctx := metadata.AppendToOutgoingContext(servertest.Context(t), header, l)
			_, err := identityv1.NewIdentityAdminClient(servertest.Dial(t, s.GRPC, "")).ListUsers(ctx, &identityv1.ListUsersRequest{})
			fmt.Fprintln(tape, err)
		}
	}
}

// tampered is a signed token with another signature.
func tampered(signed string) string {
	other := "A"
	if strings.HasSuffix(signed[:len(signed)-1], "A") {
		other = "B"
	}
	return signed[:len(signed)-2] + other + signed[len(signed)-1:]
}

// wantNoSigningKey tries every 32 bytes of a file as the key that signed a
// token.
func wantNoSigningKey(t *testing.T, name, content string, parts []string) {
	t.Helper()
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	text, file := []byte(parts[0]+"."+parts[1]), []byte(content)
	for i := 0; i+32 <= len(file); i++ {
		key := file[i : i+32]
		if bytes.Count(key, []byte{0}) > 8 {
			continue // a random key has hardly any, and empty pages have many
		}
		mac := hmac.New(sha256.New, key)
		mac.Write(text)
		if hmac.Equal(mac.Sum(nil), signature) {
			t.Fatalf("%s has the signing key at byte %d", name, i)
		}
	}
}
