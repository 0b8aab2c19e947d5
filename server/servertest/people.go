package servertest

import (
	"net/http"
	"testing"
)

// UserPassword is that of every user whom AddUser makes.
const UserPassword = "a user's own: pass/word+"

// Role is a role everywhere, or in the project that follows.
func Role(role string, project ...string) Object {
	o := Object{"role": role}
	if len(project) > 0 {
		o["project"] = project[0]
	}
	return o
}

// AddUser makes a user with the roles and returns how it logs in.
func (s *Server) AddUser(t testing.TB, name string, roles ...Object) (authorization string) {
	t.Helper()
	s.Do(t, http.MethodPost, "/api/users", Object{"username": name, "password": UserPassword, "roles": append([]Object{}, roles...)}).Data(t)
	return Basic(name, UserPassword)
}

// AddProject makes projects.
func (s *Server) AddProject(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		s.Do(t, http.MethodPost, "/api/projects", Object{"name": name}).Data(t)
	}
}

// SignIn exchanges a login for a signed token, which costs no password hash.
func (s *Server) SignIn(t testing.TB, authorization string) (bearer string) {
	t.Helper()
	a := s.Do(t, http.MethodGet, "/v1/auth", nil, "Authorization", authorization)
	meta, _ := a.JSON(t)["meta"].(Object)
	token, _ := meta["token"].(string)
	if a.Status != http.StatusOK || token == "" {
		t.Fatalf("no token: %d %s", a.Status, a.Body)
	}
	return "Bearer " + token
}

// AddToken makes a token of a user with the roles, all of the user's when there
// are none, and returns its id and how it is sent.
func (s *Server) AddToken(t testing.TB, authorization, name string, roles ...Object) (id, bearer string) {
	t.Helper()
	data := s.Do(t, http.MethodPost, "/api/tokens", Object{"name": name, "roles": append([]Object{}, roles...)}, "Authorization", authorization).Data(t)
	token, _ := data["token"].(string)
	id, _ = data["id"].(string)
	if token == "" || id == "" {
		t.Fatalf("no token in %v", data)
	}
	return id, "Bearer " + token
}
