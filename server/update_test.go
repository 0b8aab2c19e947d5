package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// put updates a service and returns it.
func put(t *testing.T, s *servertest.Server, id string, body any, headers ...string) object {
	t.Helper()
	return s.Do(t, "PUT", "/api/services/"+id, body, headers...).Data(t)
}

// redisBody is the body of a service at a loopback port.
func redisBody(name string, port int, more ...any) object {
	c := object{"host": "127.0.0.1", "port": port}
	for i := 0; i+1 < len(more); i += 2 {
		c[more[i].(string)] = more[i+1]
	}
	return object{"name": name, "service_type": "redis", "config": c}
}

func TestUpdateMerges(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.Create(t, object{
		"name": "full", "service_type": "memcached", "description": "words", "tags": []string{"a", "b"}, "labels": object{"k": "v", "team/x": "y"},
		"check":  object{"interval": "60s", "timeout": "5s"},
		"config": object{"servers": []string{"a:1", "b:2"}, "timeout_ms": 2000, "username": "u", "password": "p", "auth": "sasl"},
	})
	id := made["id"].(string)

	steps := []struct {
		name    string
		body    object
		want    object // top-level keys that must change to this
		config  object // keys of config that must change to this; nil means gone
		secrets []any
		version float64
	}{
		{"nothing", object{}, nil, nil, []any{"password"}, 1},
		{"one key of config", object{"config": object{"timeout_ms": 3000}}, nil, object{"timeout_ms": 3000.}, []any{"password"}, 2},
		{"lists are replaced whole", object{"config": object{"servers": []string{"c:3"}}}, nil, object{"servers": []any{"c:3"}}, []any{"password"}, 3},
		{"null clears to the default", object{"config": object{"timeout_ms": nil}}, nil, object{"timeout_ms": 1000.}, []any{"password"}, 4},
		{"an empty config changes nothing", object{"config": object{}}, nil, nil, []any{"password"}, 4},
		{"name alone", object{"name": "  renamed "}, object{"name": "renamed"}, nil, []any{"password"}, 5},
		{"false is not absent", object{"enabled": false}, object{"enabled": false}, nil, []any{"password"}, 6},
		{"empty text and lists are not absent", object{"description": "", "tags": []string{}}, object{"description": "", "tags": []any{}}, nil, []any{"password"}, 7},
		{"null clears too", object{"labels": nil, "check": nil}, object{"labels": object{}, "check": nil}, nil, []any{"password"}, 8},
		{"the server's fields are ignored", object{"id": unknownID, "version": 99, "created_at": "2001-01-01T00:00:00Z", "health": object{"status": "passing"}, "active": false, "secrets_set": []string{"x"}}, nil, nil, []any{"password"}, 8},
		{"null enables", object{"enabled": nil}, object{"enabled": true}, nil, []any{"password"}, 9},
		{"a removed secret", object{"config": object{"password": nil, "username": nil, "auth": "none"}}, nil, object{"username": nil, "auth": "none"}, []any{}, 10},
	}
	now := made
	for _, step := range steps {
		want := maps.Clone(now)
		maps.Copy(want, step.want)
		c := maps.Clone(now["config"].(object))
		for k, v := range step.config {
			if c[k] = v; v == nil {
				delete(c, k)
			}
		}
		want["config"], want["secrets_set"], want["version"] = c, step.secrets, step.version
		got := put(t, s, id, step.body)
		want["updated_at"], want["health"] = got["updated_at"], got["health"]
		for k, v := range want {
			if !reflect.DeepEqual(got[k], v) {
				t.Errorf("%s: %s is %v, want %v", step.name, k, got[k], v)
			}
		}
		if again := s.Get(t, id); !reflect.DeepEqual(again, got) {
			t.Errorf("%s: get answers\n%v, want\n%v", step.name, again, got)
		}
		now = got
	}
	wantError(t, s.Do(t, "PUT", "/api/services/"+id, object{"config": nil}), 422, errs.ValidationFailed)
}

// rich are configurations that use what a round trip could lose.
var rich = map[string]object{
	"sqlite":    {"path": "/tmp/none.db"},
	"postgres":  {"host": "db", "database": "d", "username": "u", "password": "s3cret-word"},
	"mysql":     {"host": "db", "database": "d", "username": "u", "password": "s3cret-word", "use_ssl": true},
	"redis":     {"host": "::1", "username": "u", "password": "s3cret-word", "database": 3},
	"mongodb":   {"uri": "mongodb://us%40er:s3cret-w%40rd@a:1,b:2/db?authSource=admin", "database": "d"},
	"minio":     {"endpoint": "http://minio:9000", "access_key": "key-name", "secret_key": "s3cret-word", "session_token": "s3cret-token"},
	"memcached": {"host": "cache"},
	"ftp":       {"host": "files", "username": "u", "password": "s3cret-word", "protocol": "ftps", "tls_mode": "implicit"},
	"email":     {"host": "mail", "username": "u", "password": "s3cret-word", "encryption": "tls", "from_address": "a@b.example"},
}

func TestRoundTripChangesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, typ := range s.Do(t, "GET", "/api/service-types", nil).List(t) {
		name := typ["service_type"].(string)
		t.Run(name, func(t *testing.T) {
			c, ok := rich[name]
			if !ok {
				t.Fatal("no configuration to try")
			}
			made := s.Create(t, object{
				"name": "trip " + name, "service_type": name, "config": c, "description": "d", "tags": []string{"b", "a"}, "labels": object{"k": "v"},
				"check": object{"interval": "90s"}, "enabled": false, // so that no check comes in between
			})
			path := "/api/services/" + made["id"].(string)
			before := s.Do(t, "GET", path, nil)
			versions := s.Do(t, "GET", path+"/versions", nil).List(t)
			index := s.Do(t, "GET", "/api/services?limit=1", nil).Header.Get("X-Index")

			whole := before.Data(t)
			shown, err := json.Marshal(whole["config"])
			if err != nil || strings.Contains(string(shown), "s3cret") {
				t.Fatalf("the configuration shown is %s", shown)
			}
			// What was read, as it was read, and with its secrets masked.
			masked := maps.Clone(whole["config"].(object))
			for _, secret := range whole["secrets_set"].([]any) {
				if _, shown := masked[secret.(string)]; !shown {
					masked[secret.(string)] = "********"
				}
			}
			for _, body := range []object{whole, {"config": masked}, {"config": whole["config"], "service_type": name}} {
				after := s.Do(t, "PUT", path, body)
				if !reflect.DeepEqual(after.Data(t), whole) || after.Header.Get("ETag") != before.Header.Get("ETag") {
					t.Errorf("the round trip answers\n%s, want\n%s", after.Body, before.Body)
				}
			}
			if a := s.Do(t, "PUT", path+"?replace=true", object{"config": masked}); !reflect.DeepEqual(a.Data(t), whole) {
				t.Errorf("the round trip with replace answers\n%s, want\n%s", a.Body, before.Body)
			}
			if now := s.Do(t, "GET", path+"/versions", nil).List(t); len(now) != len(versions) {
				t.Errorf("there are %d versions now", len(now))
			}
			if now := s.Do(t, "GET", "/api/services?limit=1", nil).Header.Get("X-Index"); now != index {
				t.Errorf("the index moved from %s to %s", index, now)
			}
		})
	}
}

func TestSecretsOnUpdate(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t, testbed.RedisOptions{Password: testbed.NastyPassword})
	s := start(t)
	id := s.Create(t, redisBody("cache", server.Port, "password", testbed.NastyPassword))["id"].(string)
	test := func(when, want string) {
		t.Helper()
		r := s.Do(t, "POST", "/api/services/"+id+"/test", nil).Data(t)
		got, _ := r["code"].(string)
		if got != want || r["connected"] != (want == "") {
			t.Errorf("%s: the test answers %v, want %q", when, r, want)
		}
	}
	test("as created", "")
	put(t, s, id, object{"config": object{"host": "localhost"}})
	test("after an update of the host alone", "")
	put(t, s, id, object{"config": object{"password": "********", "host": "127.0.0.1"}})
	test("after the mask came back", "")
	put(t, s, id, object{"config": object{"password": "another"}})
	test("after another password", "auth_failed")
	if got := put(t, s, id, object{"config": object{"password": ""}}); len(got["secrets_set"].([]any)) != 0 {
		t.Errorf("an empty password is kept: %v", got["secrets_set"])
	}
	test("after the removal", "auth_required")
	// Where nothing is stored, the mask is no secret either.
	mask := object{"password": "********"}
	wantError(t, s.Do(t, "PUT", "/api/services/"+id, object{"config": mask}), 422, errs.ValidationFailed)
	mask["host"] = "x"
	wantError(t, s.Do(t, "POST", "/api/services", object{"name": "masked", "service_type": "redis", "config": mask}), 422, errs.ValidationFailed)
	wantError(t, s.Do(t, "POST", "/api/services/test", object{"service_type": "redis", "config": mask}), 422, errs.ValidationFailed)
	wantError(t, s.Do(t, "PUT", "/api/services/"+id, object{"config": object{"password": 5}}), 422, errs.ValidationFailed)
}

func TestMongoURIMask(t *testing.T) {
	t.Parallel()
	s := start(t)
	made := s.Create(t, object{"name": "m", "service_type": "mongodb", "config": object{"uri": "mongodb://user:p%40ss%2Fw@host.example:27017/?tls=true", "database": "d"}})
	if got := made["config"].(object)["uri"]; got != "mongodb://user:****@host.example:27017/?tls=true" {
		t.Errorf("the URI is shown as %v", got)
	}
	if !reflect.DeepEqual(made["secrets_set"], []any{"uri"}) {
		t.Errorf("secrets_set is %v", made["secrets_set"])
	}
	moved := s.Do(t, "PUT", "/api/services/"+made["id"].(string), object{"config": object{"uri": "mongodb://user:****@elsewhere.example:27017/?tls=true"}})
	if moved.Status == 200 {
		t.Errorf("a masked URI with another host was stored as it is: %s", moved.Body)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.Create(t, redisBody("r", 1, "database", 5, "password", "p", "username", "u"))["id"].(string)
	got := s.Do(t, "PUT", "/api/services/"+id+"?replace=true", object{"config": object{"host": "other", "password": "********"}}).Data(t)
	c := got["config"].(object)
	if c["host"] != "other" || c["port"] != 6379. || c["database"] != 0. || c["username"] != nil || !reflect.DeepEqual(got["secrets_set"], []any{"password"}) {
		t.Errorf("replaced by %v, secrets %v", c, got["secrets_set"])
	}
	got = s.Do(t, "PUT", "/api/services/"+id+"?replace=true", object{"config": object{"host": "other"}}).Data(t)
	if len(got["secrets_set"].([]any)) != 0 {
		t.Errorf("replace without the secret keeps it: %v", got)
	}
	fields := wantError(t, s.Do(t, "PUT", "/api/services/"+id+"?replace=true", object{"config": object{"port": 1}}), 422, errs.ValidationFailed)
	if !slices.Equal(fields, []string{"config.host"}) {
		t.Errorf("faulty are %v", fields)
	}
}

func TestParallelUpdates(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.Create(t, sqlite("contended"))["id"].(string)
	const rounds = 20
	for round := range rounds {
		etag := fmt.Sprintf("%q", fmt.Sprint(round+1))
		var statuses [2]int
		var all sync.WaitGroup
		for i := range statuses {
			all.Go(func() {
				a, err := s.Try("PUT", "/api/services/"+id, object{"description": fmt.Sprint(round, " by ", i)}, "If-Match", etag)
				if err != nil {
					t.Error(err)
				}
				statuses[i] = a.Status
			})
		}
		all.Wait()
		slices.Sort(statuses[:])
		if statuses != [2]int{200, 412} {
			t.Fatalf("round %d: %v, want one 200 and one 412", round, statuses)
		}
	}
	// Without a precondition every update counts, and none is lost.
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if a, err := s.Try("PUT", "/api/services/"+id, object{"config": object{"create_if_missing": i%2 == 0}, "description": fmt.Sprint("last ", i)}); err != nil || a.Status != 200 {
				t.Errorf("an update without If-Match: %d %s %v", a.Status, a.Body, err)
			}
		})
	}
	all.Wait()
	if got := s.Get(t, id)["version"]; got != float64(rounds+1+8) {
		t.Errorf("after %d effective updates the version is %v", rounds+8, got)
	}
}

func TestVersionsAndRollback(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t, testbed.RedisOptions{Password: "first-word"})
	s := start(t)
	id := s.Create(t, redisBody("v", server.Port, "password", "first-word"))["id"].(string)
	path := "/api/services/" + id
	put(t, s, id, object{"config": object{"password": "second-word"}, "tags": []string{"new"}})
	put(t, s, id, object{"name": "renamed", "config": object{"password": nil}})

	list := s.Do(t, "GET", path+"/versions", nil).List(t)
	var numbers []any
	for _, v := range list {
		numbers = append(numbers, v["version"])
		if v["created_by"] != "admin" || !timeShape.MatchString(v["created_at"].(string)) {
			t.Errorf("version %v was made %v by %v", v["version"], v["created_at"], v["created_by"])
		}
	}
	if !reflect.DeepEqual(numbers, []any{3., 2., 1.}) {
		t.Fatalf("the versions are %v", numbers)
	}
	if old := list[2]["service"].(object); old["name"] != "v" || !reflect.DeepEqual(old["secrets_set"], []any{"password"}) {
		t.Errorf("version 1 is %v", old)
	}

	back := s.Do(t, "POST", path+"/rollback", object{"version": 1})
	got := back.Data(t)
	if got["version"] != 4. || got["name"] != "v" || len(got["tags"].([]any)) != 0 || back.Header.Get("ETag") != `"4"` {
		t.Errorf("rolled back to %v", got)
	}
	if r := s.Do(t, "POST", path+"/test", nil).Data(t); r["connected"] != true {
		t.Errorf("the old password did not come back: %v", r)
	}
	if same := s.Do(t, "POST", path+"/rollback", object{"version": 4}).Data(t); same["version"] != 4. {
		t.Errorf("a rollback to the current state made version %v", same["version"])
	}
	for _, body := range []object{{"version": 0}, {"version": 99}} {
		if got := wantError(t, s.Do(t, "POST", path+"/rollback", body), 422, errs.ValidationFailed); !slices.Equal(got, []string{"version"}) {
			t.Errorf("rollback with %v faults %v", body, got)
		}
	}
	// The old name may be taken by now.
	put(t, s, id, object{"name": "moved away"})
	s.Create(t, redisBody("v", 1))
	wantError(t, s.Do(t, "POST", path+"/rollback", object{"version": 1}), 409, errs.NameTaken)
}

func TestVersionsAreBounded(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.Create(t, sqlite("busy"))["id"].(string)
	for i := range 102 {
		put(t, s, id, object{"description": fmt.Sprint(i)})
	}
	list := s.Do(t, "GET", "/api/services/"+id+"/versions", nil).List(t)
	if len(list) != 100 || list[0]["version"] != 103. || list[99]["version"] != 4. {
		t.Errorf("%d versions are kept, %v to %v", len(list), list[0]["version"], list[len(list)-1]["version"])
	}
}

func TestVerifyOnWrite(t *testing.T) {
	t.Parallel()
	server := testbed.StartRedis(t, testbed.RedisOptions{})
	closed := testbed.ClosedPort(t)
	s := start(t)
	failed := s.Do(t, "POST", "/api/services?verify=true", redisBody("checked", closed))
	wantError(t, failed, 422, errs.TestFailed)
	if r, _ := failed.JSON(t)["data"].(object); r["connected"] != false || r["code"] != "refused" {
		t.Errorf("the result is not in the answer: %s", failed.Body)
	}
	if list := s.Do(t, "GET", "/api/services", nil).List(t); len(list) != 0 {
		t.Fatalf("something was stored: %v", list)
	}
	id := s.Do(t, "POST", "/api/services?verify=true", redisBody("checked", server.Port)).Data(t)["id"].(string)
	wantError(t, s.Do(t, "PUT", "/api/services/"+id+"?verify=true", object{"config": object{"port": closed}}), 422, errs.TestFailed)
	if got := s.Get(t, id); got["version"] != 1. || got["config"].(object)["port"] != float64(server.Port) {
		t.Errorf("something was stored: %v", got)
	}
	put(t, s, id, object{"config": object{"port": closed}}) // not asked to verify
}

func TestRetarget(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.Options{Adjust: func(c *config.Config) { c.RequireSecretOnRetarget = true }})
	id := s.Create(t, redisBody("guarded", 6379, "password", "hidden-word"))["id"].(string)
	for _, change := range []object{{"host": "evil.example"}, {"port": 1}, {"use_tls": true}, {"host": "evil.example", "password": "********"}} {
		got := wantError(t, s.Do(t, "PUT", "/api/services/"+id, object{"config": change}), 422, errs.ValidationFailed)
		if !slices.Equal(got, []string{"config.password"}) {
			t.Errorf("%v faults %v", change, got)
		}
		test := object{"id": id, "config": object{"host": "127.0.0.1", "port": 1}}
		maps.Copy(test["config"].(object), change)
		wantError(t, s.Do(t, "POST", "/api/services/test", test), 422, errs.ValidationFailed)
	}
	put(t, s, id, object{"config": object{"database": 1}})
	put(t, s, id, object{"config": object{"host": "good.example", "password": "hidden-word"}})
	put(t, s, id, object{"config": object{"host": "free.example", "password": nil}})
	put(t, s, id, object{"config": object{"host": "other.example"}})
}
