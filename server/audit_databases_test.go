package server_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// databaseRecords are the actions that the audit trail has of the RPCs of
// databases as a service, in their order. Those of the rest are read by it.
var databaseRecords = map[string]string{
	"CreateDatabase":  "CreateDatabase database, CreateCredential credential",
	"UpdateDatabase":  "UpdateDatabase database",
	"DeleteDatabase":  "QuarantineDatabase database",
	"RestoreDatabase": "RestoreDatabase database",
	"CloneDatabase":   "CloneDatabase database, CreateDatabase database, CreateCredential credential",
	"CreateSnapshot":  "CreateSnapshot snapshot",
	"DeleteSnapshot":  "DeleteSnapshot snapshot",
	"RestoreSnapshot": "RestoreSnapshot snapshot, CreateDatabase database, CreateCredential credential",

	"CreatePlan": "CreatePlan plan", "UpdatePlan": "UpdatePlan plan", "DeletePlan": "DeletePlan plan",
	"CreateEnvironment": "CreateEnvironment environment", "UpdateEnvironment": "UpdateEnvironment environment", "DeleteEnvironment": "DeleteEnvironment environment",
	"CreateDatabaseProject": "CreateProject project", "UpdateDatabaseProject": "UpdateProject project", "DeleteDatabaseProject": "DeleteProject project",
	"RepairDifferences": "", // where nothing differs

	"GetCredential": "ReadCredential credential", "CreateCredential": "CreateCredential credential",
	"UpdateCredential": "UpdateCredential credential", "DeleteCredential": "DeleteCredential credential",
	"ResetPassword": "ResetPassword credential", "RotateCredential": "RotateCredential credential", "RenewCredential": "RenewCredential credential",
}

// TestDatabaseChangesAreRecorded: each change, and each reading of a password,
// with who, from where and what, and without the password; other reads not at
// all.
func TestDatabaseChangesAreRecorded(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "a")
	e := newEstate(t, s)
	for _, method := range slices.Sorted(maps.Keys(accessTable)) {
		name := method[strings.LastIndexByte(method, '/')+1:]
		if !strings.HasPrefix(method, "/backplane.dbaas.v1.") || strings.HasPrefix(name, "Watch") {
			continue
		}
		want, changes := databaseRecords[name]
		if reads := strings.HasPrefix(name, "Get") || strings.HasPrefix(name, "List"); !changes && !reads {
			t.Errorf("%s is not tried", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			call := newRPC(t, method, newWorld(e).fill(t, accessTable[method].request, "a"))
			atRest(t, s)
			before := lastRecord(t, s)
			verb, path, body := call.http(t)
			var content any
			if body != nil {
				content = body
			}
			if a := s.Do(t, verb, path, content, "X-Request-Id", "request-"+name); a.Status >= 300 {
				t.Fatalf("%s %s: %d %s", verb, path, a.Status, a.Body)
			}
			atRest(t, s)
			var got []string
			for _, r := range records(t, s, before) {
				got = append(got, r["action"].(string)+" "+r["resource_kind"].(string))
				wantOrigin(t, r, "request-"+name)
			}
			if text := strings.Join(got, ", "); text != want {
				t.Errorf("the records are %q, want %q", text, want)
			}
		})
	}
}

// wantOrigin checks who a record says has made a change, and where.
func wantOrigin(t *testing.T, r object, request string) {
	t.Helper()
	project := "a"
	switch r["resource_kind"] {
	case "plan", "environment":
		project = ""
	case "project":
		project = r["resource_name"].(string)
	}
	for key, want := range map[string]string{"actor": "admin", "address": "127.0.0.1", "request_id": request, "project": project} {
		if r[key] != want {
			t.Errorf("%s: %s is %q, want %q", r["action"], key, r[key], want)
		}
	}
	if r["resource_id"] == "" || r["resource_name"] == "" {
		t.Errorf("%s does not say of what: %v", r["action"], r)
	}
	if password := changesOf(r)["password"]; password != "" && strings.Trim(password, `"* →()changed`) != "" {
		t.Errorf("%s shows %s", r["action"], password)
	}
}
