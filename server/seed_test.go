package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// The bodies of the documented examples, as they are written there.
const (
	createExample = `{
"name": "Main Database",
"service_type": "postgres",
"config": {
"host": "db.example.com",
"port": 5432,
"database": "myapp",
"username": "app_user",
"password": "secret"
},
"enabled": true
}`
	updateExample = `{
"name": "Updated Name",
"config": {
"host": "new-db.example.com"
},
"enabled": false
}`
)

var (
	uuidShape = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	timeShape = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
)

// wantService checks the documented keys of a service, and that config holds
// what it should.
func wantService(t *testing.T, got object, name, serviceType string, enabled bool, config object) {
	t.Helper()
	for key, want := range (object{"name": name, "service_type": serviceType, "enabled": enabled}) {
		if got[key] != want {
			t.Errorf("%s is %v, want %v", key, got[key], want)
		}
	}
	if id, _ := got["id"].(string); !uuidShape.MatchString(id) {
		t.Errorf("id %v is not a UUID of version 4", got["id"])
	}
	for _, key := range []string{"created_at", "updated_at"} {
		if at, _ := got[key].(string); !timeShape.MatchString(at) {
			t.Errorf("%s %v is not a time in whole seconds, UTC", key, got[key])
		}
	}
	shown, ok := got["config"].(object)
	if !ok {
		t.Fatalf("config is %T, want an object", got["config"])
	}
	for key, want := range config {
		if !reflect.DeepEqual(shown[key], want) {
			t.Errorf("config.%s is %v, want %v", key, shown[key], want)
		}
	}
	if password, has := shown["password"]; has {
		t.Errorf("config shows a password: %v", password)
	}
}

func TestSeedLifecycle(t *testing.T) {
	t.Parallel()
	s := start(t)
	if empty := s.Do(t, http.MethodGet, "/api/services", nil); string(empty.Body) != `{"ok":true,"data":[]}` {
		t.Errorf("the empty list is %s", empty.Body)
	}

	first := object{"host": "db.example.com", "port": 5432., "database": "myapp", "username": "app_user"}
	created := s.Do(t, http.MethodPost, "/api/services", createExample)
	service := created.Data(t)
	wantService(t, service, "Main Database", "postgres", true, first)
	path := "/api/services/" + service["id"].(string)
	if got := created.Header.Get("Location"); got != path {
		t.Errorf("Location is %q, want %q", got, path)
	}
	if service["created_at"] != service["updated_at"] {
		t.Errorf("a new service was updated at %v", service["updated_at"])
	}

	got := s.Do(t, http.MethodGet, path, nil).Data(t)
	if !reflect.DeepEqual(got, service) {
		t.Errorf("get answers %v\nwant what create answered: %v", got, service)
	}
	list := s.Do(t, http.MethodGet, "/api/services", nil).List(t)
	if len(list) != 1 || !reflect.DeepEqual(list[0], service) {
		t.Errorf("list answers %v\nwant just %v", list, service)
	}

	updated := s.Do(t, http.MethodPut, path, updateExample).Data(t)
	wantService(t, updated, "Updated Name", "postgres", false,
		object{"host": "new-db.example.com", "port": 5432., "database": "myapp", "username": "app_user"})
	if updated["created_at"] != service["created_at"] || updated["id"] != service["id"] {
		t.Errorf("the update changed the identity: %v", updated)
	}

	deleted := s.Do(t, http.MethodDelete, path, nil)
	if deleted.Status != http.StatusOK || string(deleted.Body) != `{"ok":true,"data":null}` {
		t.Errorf("delete answers %d %s", deleted.Status, deleted.Body)
	}
	if gone := s.Do(t, http.MethodGet, path, nil); gone.Status != http.StatusNotFound {
		t.Errorf("the deleted service answers %d", gone.Status)
	}
}

func TestSeedConnectionTest(t *testing.T) {
	t.Parallel()
	db := testbed.StartPostgres(t, testbed.PostgresOptions{})
	db.CreateUser(t, "app_user", "secret")
	db.CreateDatabase(t, "myapp", "app_user")
	s := start(t)

	at := func(port int) string {
		body := strings.Replace(createExample, "db.example.com", "127.0.0.1", 1)
		return strings.Replace(body, "5432", fmt.Sprint(port), 1)
	}
	good := s.Create(t, at(db.Port))
	result := s.Do(t, http.MethodPost, "/api/services/"+good["id"].(string)+"/test", nil).Data(t)
	if result["connected"] != true || result["message"] != "Connection successful" {
		t.Errorf("the test of a good service answers %v", result)
	}
	if ms, ok := result["latency_ms"].(float64); !ok || ms < 0 || ms != float64(int(ms)) {
		t.Errorf("latency_ms is %v, want a whole number", result["latency_ms"])
	}
	if e, has := result["error"]; has {
		t.Errorf("a good test has an error: %v", e)
	}

	bad := s.Create(t, strings.Replace(at(testbed.ClosedPort(t)), "Main", "Other", 1))
	failed := s.Do(t, http.MethodPost, "/api/services/"+bad["id"].(string)+"/test", "{}").Data(t)
	if failed["connected"] != false || failed["error"] != "Connection refused" {
		t.Errorf(`the test of a closed port answers %v, want "Connection refused"`, failed)
	}
	if m, has := failed["message"]; has {
		t.Errorf("a failed test has a message: %v", m)
	}

	t.Run("disabled services are tested on request", func(t *testing.T) {
		s.Do(t, http.MethodPut, "/api/services/"+good["id"].(string), `{"enabled":false}`).Data(t)
		result := s.Do(t, http.MethodPost, "/api/services/"+good["id"].(string)+"/test", "").Data(t)
		if result["connected"] != true {
			t.Errorf("the test of a disabled service answers %v", result)
		}
	})
}

// The documented configurations, one for each of the types shown.
var configExamples = map[string]string{
	"PostgreSQL": `{
"service_type": "postgres",
"config": {
"host": "localhost",
"port": 5432,
"database": "myapp",
"username": "app_user",
"password": "secret",
"ssl_mode": "prefer",
"pool_size": 10
}
}`,
	"MySQL": `{
"service_type": "mysql",
"config": {
"host": "localhost",
"port": 3306,
"database": "myapp",
"username": "app_user",
"password": "secret",
"use_ssl": false,
"pool_size": 10
}
}`,
	"Redis": `{
"service_type": "redis",
"config": {
"host": "localhost",
"port": 6379,
"password": null,
"database": 0,
"use_tls": false,
"pool_size": 10
}
}`,
	"SQLite": `{
"service_type": "sqlite",
"config": {
"path": "/data/app.db",
"create_if_missing": true
}
}`,
	"MinIO": `{
"service_type": "minio",
"config": {
"endpoint": "minio.example.com:9000",
"access_key": "minioadmin",
"secret_key": "minioadmin",
"use_ssl": true,
"bucket": "uploads"
}
}`,
	"FTP/SFTP": `{
"service_type": "ftp",
"config": {
"host": "sftp.example.com",
"port": 22,
"username": "user",
"password": "secret",
"protocol": "sftp",
"base_path": "/uploads",
"timeout_seconds": 30
}
}`,
	"Email (SMTP)": `{
"service_type": "email",
"config": {
"host": "smtp.example.com",
"port": 587,
"username": "sender@example.com",
"password": "app-password",
"encryption": "starttls",
"from_address": "noreply@example.com",
"from_name": "My App"
}
}`,
}

// undocumented are configurations of the types that the examples leave out.
var undocumented = map[string]string{
	"MongoDB":   `{"service_type":"mongodb","config":{"uri":"mongodb://user:secret@localhost:27017/","database":"myapp"}}`,
	"Memcached": `{"service_type":"memcached","config":{"servers":["localhost:11211","cache.example.com"]}}`,
}

func TestSeedConfigurations(t *testing.T) {
	t.Parallel()
	s := start(t)
	secrets := map[string]bool{"password": true, "secret_key": true, "uri": true}
	for _, examples := range []map[string]string{configExamples, undocumented} {
		for title, text := range examples {
			t.Run(title, func(t *testing.T) {
				var body object
				if err := json.Unmarshal([]byte(text), &body); err != nil {
					t.Fatal(err)
				}
				// The examples leave out the name, which is required to create.
				body["name"] = "Example " + title
				want := object{}
				var wantSecrets []any
				for key, v := range body["config"].(object) {
					if secrets[key] && v != nil {
						wantSecrets = append(wantSecrets, key)
					} else if v != nil {
						want[key] = v
					}
				}
				got := s.Create(t, body)
				wantService(t, got, body["name"].(string), body["service_type"].(string), true, want)
				set, _ := got["secrets_set"].([]any)
				if len(set) != len(wantSecrets) || len(set) > 0 && !reflect.DeepEqual(set, wantSecrets) {
					t.Errorf("secrets_set is %v, want %v", set, wantSecrets)
				}
			})
		}
	}
}

func TestServiceTypes(t *testing.T) {
	t.Parallel()
	s := start(t)
	var names []string
	for _, typ := range s.Do(t, http.MethodGet, "/api/service-types", nil).List(t) {
		name := typ["service_type"].(string)
		names = append(names, name)
		one := s.Do(t, http.MethodGet, "/api/service-types/"+name, nil).Data(t)
		if !reflect.DeepEqual(one, typ) {
			t.Errorf("%s alone differs from the list", name)
		}
		schema := typ["schema"].(object)
		if schema["type"] != "object" || schema["additionalProperties"] != false {
			t.Errorf("the schema of %s is not that of a closed object: %v", name, schema)
		}
		if password, ok := schema["properties"].(object)["password"].(object); ok && (password["secret"] != true || password["writeOnly"] != true) {
			t.Errorf("the password of %s is not marked secret: %v", name, password)
		}
		for key, property := range schema["properties"].(object) {
			p := property.(object)
			media, text := p["contentMediaType"], strings.Contains(p["description"].(string), "PEM text")
			if text != (media == "application/x-pem-file") || !text && media != nil {
				t.Errorf("%s of %s, %q, has the media type %v", key, name, p["description"], media)
			}
		}
	}
	want := []string{"sqlite", "postgres", "mysql", "redis", "mongodb", "minio", "memcached", "ftp", "email"}
	if !reflect.DeepEqual(names, want) {
		t.Errorf("the types are %v, want %v", names, want)
	}
}

func TestSeedHealth(t *testing.T) {
	t.Parallel()
	s := start(t)
	got := s.Do(t, http.MethodGet, "/api/health", nil, "Authorization", "").JSON(t)
	if !reflect.DeepEqual(got, object{"status": "healthy", "version": servertest.Version}) {
		t.Errorf("health answers %v", got)
	}
}
