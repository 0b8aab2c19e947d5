package dbaas_test

import (
	"net/http"
	"reflect"
	"testing"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
)

// sees is how many credentials a caller sees.
func (h *house) sees(t *testing.T, c dbaasv1.CredentialAdminClient) int64 {
	t.Helper()
	res, err := c.ListCredentials(h.ctx, &dbaasv1.ListCredentialsRequest{})
	good(t, err)
	return res.GetLinks().GetCount()
}

// tries is what comes of all that can be done with a credential.
func (h *house) tries(c dbaasv1.CredentialAdminClient, id int64) map[string]error {
	errors := map[string]error{}
	_, errors["get"] = c.GetCredential(h.ctx, &dbaasv1.GetCredentialRequest{Id: id})
	_, errors["update"] = c.UpdateCredential(h.ctx, &dbaasv1.UpdateCredentialRequest{Id: id})
	_, errors["reset"] = c.ResetPassword(h.ctx, &dbaasv1.ResetPasswordRequest{Id: id})
	_, errors["rotate"] = c.RotateCredential(h.ctx, &dbaasv1.RotateCredentialRequest{Id: id})
	_, errors["renew"] = c.RenewCredential(h.ctx, &dbaasv1.RenewCredentialRequest{Id: id})
	_, errors["delete"] = c.DeleteCredential(h.ctx, &dbaasv1.DeleteCredentialRequest{Id: id})
	return errors
}

// TestWhoSeesCredentials has callers with each role, and a stranger, try all
// there is to do with credentials.
func TestWhoSeesCredentials(t *testing.T) {
	t.Parallel()
	h := newHouse(t, servertest.Options{})
	h.AddProject(t, "elsewhere")
	db := h.addDatabase(t, "orders")
	cred := number(t, db.GetCredentials()[0])
	create := &dbaasv1.CreateCredentialRequest{User: "another", Database: db.GetLinks().GetSelf()}

	viewer := h.credentialsAs(t, h.AddUser(t, "viewer", servertest.Role("viewer", "default")))
	if n := h.sees(t, viewer); n != 1 {
		t.Errorf("a viewer sees %d", n)
	}
	for _, err := range h.tries(viewer, cred) {
		refused(t, err, errs.PermissionDenied, "", "role editor")
	}
	_, err := viewer.CreateCredential(h.ctx, create)
	refused(t, err, errs.PermissionDenied, "", "role editor")

	// Who edits one project and looks at another.
	both := h.credentialsAs(t, h.AddUser(t, "both", servertest.Role("editor", "elsewhere"), servertest.Role("viewer", "default")))
	_, err = both.CreateCredential(h.ctx, create)
	refused(t, err, errs.PermissionDenied, "", `role editor in project "default"`)

	stranger := h.credentialsAs(t, h.AddUser(t, "stranger", servertest.Role("admin", "elsewhere")))
	if n := h.sees(t, stranger); n != 0 {
		t.Errorf("a stranger sees %d", n)
	}
	for _, err := range h.tries(stranger, cred) {
		notFound(t, err)
	}
	_, err = stranger.CreateCredential(h.ctx, create)
	refused(t, err, errs.ValidationFailed, "database", "Invalid hyperlink - object does not exist.")

	login := h.AddUser(t, "editor", servertest.Role("editor", "default"))
	editor := h.credentialsAs(t, login)
	read, err := editor.GetCredential(h.ctx, &dbaasv1.GetCredentialRequest{Id: cred})
	good(t, err)
	made, err := editor.CreateCredential(h.ctx, create)
	good(t, err)
	if h.sees(t, editor) != 2 || read.GetPassword() == "" || made.GetUser() != "another" {
		t.Errorf("an editor gets %v and makes %v", read, made)
	}

	_, err = h.as(t, login).DeleteDatabase(h.ctx, &dbaasv1.DeleteDatabaseRequest{Id: db.GetId()})
	good(t, err)
	if n := h.sees(t, editor); n != 0 {
		t.Errorf("an editor sees %d in quarantine", n)
	}
	for _, err := range h.tries(editor, cred) {
		notFound(t, err)
	}
	create.User = "third"
	_, err = editor.CreateCredential(h.ctx, create)
	refused(t, err, errs.ValidationFailed, "database", "Invalid hyperlink - object does not exist.")
	_, err = h.Credentials.CreateCredential(h.ctx, create)
	refused(t, err, errs.ValidationFailed, "database", "in quarantine")
	if n := h.sees(t, h.Credentials); n != 2 {
		t.Errorf("an admin sees %d in quarantine", n)
	}

	records, err := h.Identity.ListAudit(h.ctx, &identityv1.ListAuditRequest{Action: "ReadCredential"})
	good(t, err)
	if all := records.GetData(); len(all) != 1 || all[0].GetActor() != "editor" {
		t.Errorf("recorded readings: %v", all)
	}
}

// TestCredentialsOverREST sees the documents that the API promises.
func TestCredentialsOverREST(t *testing.T) {
	t.Parallel()
	h := newHouse(t, servertest.Options{})
	db := h.addDatabase(t, "test database2")
	made := h.Do(t, http.MethodPost, "/api/credential/", object{"user": "u_myusr1", "database": db.GetLinks().GetSelf(), "password": "mine"})
	one := made.JSON(t)
	self := h.URL + "/api/credential/2/"
	links, _ := one["_links"].(object)
	password, _ := one["password"].(string)
	if made.Status != http.StatusCreated || made.Header.Get("Location") != self || links["self"] != self || len(one) != 5 ||
		one["user"] != "u_myusr1" || one["database"] != h.URL+"/api/database/1/" || len(password) != 10 {
		t.Errorf("created: %d %s", made.Status, made.Body)
	}
	if got := h.Do(t, http.MethodGet, "/api/credential/2", nil).JSON(t); got["password"] != password {
		t.Errorf("got %v", got)
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch} {
		a := h.Do(t, method, "/api/credential/2/", object{"user": "other", "password": "mine"})
		if got := a.JSON(t); a.Status != http.StatusOK || got["user"] != "u_myusr1" || got["password"] != password {
			t.Errorf("%s: %d %s", method, a.Status, a.Body)
		}
	}
	reset := h.Do(t, http.MethodPost, "/api/credential/2/reset_password/", "")
	if got := reset.JSON(t); reset.Status != http.StatusOK || got["password"] == password || got["user"] != "u_myusr1" {
		t.Errorf("reset: %d %s", reset.Status, reset.Body)
	}
	list := h.Do(t, http.MethodGet, "/api/credential/?page_size=1&page=last", nil)
	rows, _ := list.JSON(t)["credential"].([]any)
	if len(rows) != 1 || rows[0].(object)["user"] != "u_test_database2" || rows[0].(object)["password"] != nil {
		t.Errorf("list: %d %s", list.Status, list.Body)
	}
	for body, want := range map[string]string{
		`{"user": "u_myusr1", "database": "/api/database/1/"}`:          `{"__all__":["Credential with this User name and Database already exists."]`,
		`{"user": "U_MyUsr1", "database": "/api/database/1/"}`:          `{"error":["Credential with this User name and Database already exists."]`,
		`{"user": "seventeen_letters", "database": "/api/database/1/"}`: `{"__all__":["seventeen_letters is too long"]`,
		`{"user": "", "database": "/api/database/1/"}`:                  `{"user":["This field is required."]`,
	} {
		a := h.Do(t, http.MethodPost, "/api/credential/", body)
		fields := a.JSON(t)
		delete(fields, "_links")
		wanted := servertest.Answer{Body: []byte(want + "}")}.JSON(t)
		if a.Status != http.StatusBadRequest || !reflect.DeepEqual(fields, wanted) {
			t.Errorf("%s: %d %s, want %s", body, a.Status, a.Body, want)
		}
	}
	if a := h.Do(t, http.MethodDelete, "/api/credential/2/", nil); a.Status != http.StatusNoContent || len(a.Body) > 0 {
		t.Errorf("deleted: %d %s", a.Status, a.Body)
	}
	if a := h.Do(t, http.MethodGet, "/api/credential/2/", nil); a.Status != http.StatusNotFound || a.JSON(t)["detail"] != "Not found" {
		t.Errorf("after that: %d %s", a.Status, a.Body)
	}
	if a := h.Do(t, http.MethodGet, "/api/credential/1/reset_password/", nil); a.Status != http.StatusMethodNotAllowed {
		t.Errorf("GET of reset_password: %d %s", a.Status, a.Body)
	}
}
