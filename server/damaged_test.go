package server_test

import (
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
)

// damage spoils every sealed value of a service, in its versions too, and
// tells their names.
func damage(t *testing.T, s *servertest.Server, id string) []string {
	t.Helper()
	_, open := freshSQLite(t)
	db, err := open(s.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var text []byte
	if err := db.QueryRow("SELECT sealed FROM services WHERE id = ?", id).Scan(&text); err != nil {
		t.Fatal(err)
	}
	sealed := map[string][]byte{}
	if err := json.Unmarshal(text, &sealed); err != nil || len(sealed) == 0 {
		t.Fatalf("sealed values %s: %v", text, err)
	}
	for _, value := range sealed {
		old := base64.StdEncoding.EncodeToString(value)
		value[len(value)-1] ^= 1
		replace(t, db, "services", "sealed", old, base64.StdEncoding.EncodeToString(value))
		replace(t, db, "service_versions", "snapshot", old, base64.StdEncoding.EncodeToString(value))
	}
	return slices.Sorted(maps.Keys(sealed))
}

func replace(t *testing.T, db *sql.DB, table, column, old, now string) {
	t.Helper()
	out, err := db.Exec("UPDATE "+table+" SET "+column+" = replace("+column+", ?, ?) WHERE instr("+column+", ?) > 0", old, now, old)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := out.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s has nothing to replace in %s: %v", table, column, err)
	}
}

func TestDamagedSecretsAreMendedBySendingThem(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.Create(t, object{"name": "files", "service_type": "ftp", "config": object{
		"host": "127.0.0.1", "protocol": "sftp", "username": "u", "host_key_policy": "insecure",
		"password": "hidden-word", "private_key": encryptedKey(t, "hidden-phrase"), "private_key_passphrase": "hidden-phrase",
	}})
	path := "/api/services/" + made["id"].(string)
	if got := damage(t, s, made["id"].(string)); !slices.Equal(got, []string{"password", "private_key", "private_key_passphrase"}) {
		t.Fatalf("damaged are %v", got)
	}
	key := encryptedKey(t, "new-phrase")
	for _, c := range []struct {
		what, verb, path string
		body             object
		want             string // the fields to send
	}{
		{"no secret", "PUT", path, object{"description": "x"}, "password private_key private_key_passphrase"},
		{"another field", "PUT", path, object{"config": object{"port": 2222}}, "password private_key private_key_passphrase"},
		{"some secrets", "PUT", path, object{"config": object{"private_key": key, "private_key_passphrase": "new-phrase"}}, "password"},
		{"a mask", "PUT", path, object{"config": object{"password": "********", "private_key": key, "private_key_passphrase": nil}}, "password"},
		{"a test with the stored ones", "POST", "/api/services/test", object{"id": made["id"], "config": made["config"]}, "password private_key private_key_passphrase"},
	} {
		a := s.Do(t, c.verb, c.path, c.body)
		want := strings.Fields("config." + strings.ReplaceAll(c.want, " ", " config."))
		if got := wantError(t, a, 422, errs.ValidationFailed); !slices.Equal(got, want) {
			t.Errorf("%s: faults at %v, want %v", c.what, got, want)
		}
		if !strings.Contains(string(a.Body), "must be sent again") {
			t.Errorf("%s: the answer does not say what to do: %s", c.what, a.Body)
		}
	}
	if got := s.Do(t, "POST", path+"/test", nil).Data(t); got["connected"] != false || got["code"] != "invalid_config" || !strings.Contains(got["error"].(string), "config.password") {
		t.Errorf("the test says %v", got)
	}
	if got := s.Get(t, made["id"].(string)); got["version"] != 1. {
		t.Fatalf("something was stored: %v", got)
	}

	mended := s.Do(t, "PUT", path, object{"config": object{"password": "new-word", "private_key": key, "private_key_passphrase": "new-phrase"}}).Data(t)
	if mended["version"] != 2. || !slices.Equal(mended["secrets_set"].([]any), []any{"password", "private_key", "private_key_passphrase"}) {
		t.Errorf("mended is %v", mended)
	}
	s.Do(t, "PUT", path, object{"description": "fine"}).Good(t)
	if got := wantError(t, s.Do(t, "POST", path+"/rollback", object{"version": 1}), 422, errs.ValidationFailed); !slices.Equal(got, []string{"version"}) {
		t.Errorf("a rollback to damaged secrets: faults at %v", got)
	}
	s.Do(t, "POST", path+"/rollback", object{"version": 2}).Good(t)

	// What is removed need not be sent.
	damage(t, s, made["id"].(string))
	s.Do(t, "PUT", path, object{"config": object{"password": "last-word", "private_key": nil, "private_key_passphrase": ""}}).Good(t)
	damage(t, s, made["id"].(string))
	s.Do(t, "PUT", path+"?replace=true", object{"config": object{"host": "127.0.0.1", "username": "u", "password": "ftp-word"}}).Good(t)
	if strings.Contains(s.Log.String(), "-word") || strings.Contains(s.Log.String(), "-phrase") {
		t.Error("a secret is in the log")
	}
}

// A secret that is shown in part must not be taken from what is shown.
func TestDamagedURIIsNotItsMask(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.Create(t, object{"name": "documents", "service_type": "mongodb", "config": object{"uri": "mongodb://u:hidden-word@127.0.0.1:1/db", "database": "db"}})
	path := "/api/services/" + made["id"].(string)
	damage(t, s, made["id"].(string))
	shown := s.Get(t, made["id"].(string))["config"].(object)["uri"].(string)
	if strings.Contains(shown, "hidden-word") || !strings.HasPrefix(shown, "mongodb://") {
		t.Fatalf("shown is %q", shown)
	}
	for _, uri := range []string{shown, "********"} {
		for _, query := range []string{"", "?replace=true"} {
			if got := wantError(t, s.Do(t, "PUT", path+query, object{"config": object{"uri": uri, "database": "db"}}), 422, errs.ValidationFailed); !slices.Equal(got, []string{"config.uri"}) {
				t.Errorf("%q: faults at %v", uri, got)
			}
		}
	}
	s.Do(t, "PUT", path, object{"config": object{"uri": "mongodb://u:new-word@127.0.0.1:2/db"}}).Good(t)
	if got := s.Get(t, made["id"].(string))["config"].(object)["uri"].(string); !strings.Contains(got, ":2/db") || strings.Contains(got, "new-word") {
		t.Errorf("shown is %q", got)
	}
}
