package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/backplane/backplane/server/servertest"
	"github.com/backplane/backplane/testbed"
)

// ofDatabases reports whether an operation is one of databases as a service.
func ofDatabases(operation string) bool {
	return strings.HasPrefix(operation, "DatabaseAdmin_") || strings.HasPrefix(operation, "CredentialAdmin_")
}

// walkStep is an operation on what a word stands for, with calls to make in
// turn. Words are $ and a name; a number that an answer gives to what was
// created is kept as another one.
type walkStep struct {
	operation, on, keep string
	calls               []apiCall
}

var (
	stranger = []string{"Authorization", ""}
	viewer   = []string{"Authorization", "$viewer"}
	asText   = []string{"Content-Type", "text/plain"}
	asImage  = []string{"Accept", "image/png"}
)

// databaseWalk calls every operation in an order in which what makes a state
// comes before what needs it: good calls and failures.
var databaseWalk = []walkStep{
	{"DatabaseAdmin_Root", "", "", []apiCall{{status: 200}, {headers: stranger, status: 200}, {headers: asImage, status: 406}}},
	{"DatabaseAdmin_ListEngineTypes", "", "", []apiCall{{status: 200}, {query: "?page=2&page_size=1", status: 200}, {query: "?page=9", status: 404}, {headers: stranger, status: 401}}},
	{"DatabaseAdmin_GetEngineType", "$three", "", []apiCall{{status: 200}, {headers: stranger, status: 401}}},
	{"DatabaseAdmin_GetEngineType", "$none", "", []apiCall{{status: 404}}},

	{"DatabaseAdmin_CreateEnvironment", "", "$environment", []apiCall{
		{body: `{"name":"walked","stage":2,"provisioner":2}`, status: 201},
		{body: `{"name":"walked"}`, status: 400}, {body: `{}`, status: 400}, {body: `{`, status: 400}, {body: `[]`, status: 400},
		{body: `{"name":"x"}`, headers: stranger, status: 401}, {body: `{"name":"x"}`, headers: viewer, status: 403}, {body: `{"name":"x"}`, headers: asImage, status: 406},
		{body: `{"name":"x"}`, headers: asText, status: 415}, {body: strings.Repeat(" ", 1<<20+1), status: 413},
	}},
	{"DatabaseAdmin_ListEnvironments", "", "", []apiCall{{status: 200}, {query: "?get_provisioner_by_label=aws&ordering=-name&page=last", status: 200}, {query: "?stage=x", status: 400}, {query: "?page=x", status: 404}}},
	{"DatabaseAdmin_GetEnvironment", "$environment", "", []apiCall{{status: 200}, {headers: stranger, status: 401}}},
	{"DatabaseAdmin_GetEnvironment", "$none", "", []apiCall{{status: 404}}},
	{"DatabaseAdmin_UpdateEnvironment", "$environment", "", []apiCall{{body: `{"name":"walked too","stage":1}`, status: 200}, {body: `{"name":""}`, status: 400}, {body: `{"name":"x"}`, headers: viewer, status: 403}}},
	{"DatabaseAdmin_UpdateEnvironment_1", "$environment", "", []apiCall{{body: `{"stage":null}`, status: 200}, {body: `{"stage":7}`, status: 400}}},
	{"DatabaseAdmin_UpdateEnvironment_1", "$none", "", []apiCall{{body: `{"stage":1}`, status: 404}}},

	{"DatabaseAdmin_CreatePlan", "", "$plan", []apiCall{
		{body: `{"name":"walked","engine":"redis","environments":["/api/environment/$environment/"],"services":["$service"],"total_size_in_bytes":1048576,"capacity":9,"is_default":true}`, status: 201},
		{body: `{"name":"other","engine":"nothing","environments":[],"services":["x"]}`, status: 400}, {body: `{}`, headers: viewer, status: 403},
	}},
	{"DatabaseAdmin_ListPlans", "", "", []apiCall{{status: 200}, {query: "?engine_id=1&environment_id=1&active=x", status: 200}, {query: "?environment_id=x", status: 400}, {headers: viewer, status: 200}}},
	{"DatabaseAdmin_GetPlan", "$plan", "", []apiCall{{status: 200}, {headers: viewer, status: 200}}},
	{"DatabaseAdmin_GetPlan", "$none", "", []apiCall{{status: 404}}},
	{"DatabaseAdmin_UpdatePlan", "$plan", "", []apiCall{
		{body: `{"name":"walked","engine":"redis","environments":["/api/environment/$environment/"],"services":["$service"],"description":"d"}`, status: 200},
		{body: `{"name":"walked","engine":"mysql"}`, status: 400},
	}},
	{"DatabaseAdmin_UpdatePlan_1", "$plan", "", []apiCall{{body: `{"capacity":12}`, status: 200}, {body: `{"capacity":-1}`, status: 400}}},
	{"DatabaseAdmin_ListEngines", "", "", []apiCall{{status: 200}, {query: "?engine_type=redis", status: 200}}},
	{"DatabaseAdmin_GetEngine", "$one", "", []apiCall{{status: 200}}},
	{"DatabaseAdmin_GetEngine", "$none", "", []apiCall{{status: 404}}},

	{"DatabaseAdmin_CreateDatabaseProject", "", "$project", []apiCall{{body: `{"name":"walked","description":"d"}`, status: 201}, {body: `{"name":"walked"}`, status: 400}, {body: `{"name":"x"}`, headers: viewer, status: 403}}},
	{"DatabaseAdmin_ListDatabaseProjects", "", "", []apiCall{{status: 200}, {query: "?name=walked", status: 200}}},
	{"DatabaseAdmin_GetDatabaseProject", "$project", "", []apiCall{{status: 200}}},
	{"DatabaseAdmin_GetDatabaseProject", "$none", "", []apiCall{{status: 404}}},
	{"DatabaseAdmin_UpdateDatabaseProject", "$project", "", []apiCall{{body: `{"name":"walked"}`, status: 200}, {body: `{"name":"other"}`, status: 400}}},
	{"DatabaseAdmin_UpdateDatabaseProject_1", "$project", "", []apiCall{{body: `{"description":"d"}`, status: 200}, {body: `{"description":["d"]}`, status: 400}}},
	{"DatabaseAdmin_ListTeams", "", "", []apiCall{{status: 200}, {query: "?username=admin", status: 200}}},
	{"DatabaseAdmin_GetTeam", "$project", "", []apiCall{{status: 200}}},
	{"DatabaseAdmin_GetTeam", "$none", "", []apiCall{{status: 404}}},

	{"DatabaseAdmin_CreateDatabase", "", "$database", []apiCall{
		{body: `{"name":"walked database","plan":"/api/plan/$plan/","environment":"/api/environment/$environment/","project":"/api/project/$project/","description":"d","register":true}`, status: 201},
		{body: `{"name":"walked_database","plan":"/api/plan/$plan/","environment":"/api/environment/$environment/"}`, status: 400},
		{body: `{"name":"x","plan":7,"environment":"/api/plan/$plan/","project":"/api/project/999/"}`, status: 400}, {body: `{}`, status: 400},
		{body: `{"name":"x","plan":"/api/plan/$plan/","environment":"/api/environment/$environment/"}`, headers: viewer, status: 403},
	}},
	{"DatabaseAdmin_ListDatabases", "", "", []apiCall{{status: 200}, {query: "?name__contains=walk&ordering=-name&page_size=1", status: 200}, {query: "?id=x", status: 400}, {query: "?page=7", status: 404}}},
	{"DatabaseAdmin_GetDatabase", "$database", "", []apiCall{{status: 200}, {headers: stranger, status: 401}}},
	{"DatabaseAdmin_GetDatabase", "$none", "", []apiCall{{status: 404}}},
	{"DatabaseAdmin_UpdateDatabase", "$database", "", []apiCall{{body: `{"project":"/api/project/$project/","quarantine_dt":null}`, status: 200}, {body: `{"project":"/api/plan/1/"}`, status: 400}}},
	{"DatabaseAdmin_UpdateDatabase_1", "$database", "", []apiCall{
		{body: `{"description":"e"}`, status: 200}, {body: `{"quarantine_dt":"tomorrow"}`, status: 400},
		{body: `{"description":"a\u0000"}`, status: 400}, {body: `{"project":null}`, status: 400}, // it is registered where it is
	}},

	{"CredentialAdmin_CreateCredential", "", "$credential", []apiCall{
		{body: `{"user":"walker","database":"/api/database/$database/","role":"read-only","lease":"1h","rotate_every":"30d"}`, status: 201},
		{body: `{"user":"walker","database":"/api/database/$database/"}`, status: 400}, {body: `{}`, status: 400}, {body: `{"user":"x"}`, headers: viewer, status: 403},
	}},
	{"CredentialAdmin_ListCredentials", "", "", []apiCall{{status: 200}, {query: "?database=$database&user__startswith=u_", status: 200}, {query: "?id=x", status: 400}}},
	{"CredentialAdmin_GetCredential", "$credential", "", []apiCall{{status: 200}, {headers: viewer, status: 404}}},
	{"CredentialAdmin_UpdateCredential", "$credential", "", []apiCall{{body: `{"user":"ignored"}`, status: 200}, {body: `{"rotate_every":"now"}`, status: 400}}},
	{"CredentialAdmin_UpdateCredential_1", "$credential", "", []apiCall{{body: `{"rotate_every":"60d"}`, status: 200}, {body: `{"rotate_every":"1s"}`, status: 400}}},
	{"CredentialAdmin_ResetPassword", "$credential", "", []apiCall{{status: 200}, {body: `{}`, status: 200}}},
	{"CredentialAdmin_ResetPassword", "$none", "", []apiCall{{status: 404}}},
	{"CredentialAdmin_RotateCredential", "$credential", "", []apiCall{{body: `{"grace":"30m"}`, status: 200}, {body: `{"grace":"soon"}`, status: 400}}},
	{"CredentialAdmin_GetCredential", "$credential", "", []apiCall{{status: 200}}}, // with the login before
	{"CredentialAdmin_RenewCredential", "$credential", "", []apiCall{{body: `{"lease":"2h"}`, status: 200}, {status: 200}, {body: `{"lease":"0s"}`, status: 400}}},
	{"CredentialAdmin_DeleteCredential", "$credential", "", []apiCall{{headers: viewer, status: 404}, {status: 204}, {status: 404}}},

	{"DatabaseAdmin_CreateSnapshot", "$database", "$snapshot", []apiCall{{status: 201}, {body: `{"service":"nothing"}`, status: 400}}},
	{"DatabaseAdmin_CreateSnapshot", "$none", "", []apiCall{{status: 404}}},
	{"DatabaseAdmin_ListSnapshots", "", "", []apiCall{{status: 200}, {query: "?status=SUCCESS", status: 200}, {query: "?id=x", status: 400}}},
	{"DatabaseAdmin_ListSnapshots_1", "$database", "", []apiCall{{status: 200}}},
	{"DatabaseAdmin_ListSnapshots_1", "$none", "", []apiCall{{status: 404}}},
	{"DatabaseAdmin_GetSnapshot", "$snapshot", "", []apiCall{{status: 200}}},
	{"DatabaseAdmin_GetSnapshot", "$none", "", []apiCall{{status: 404}}},
	{"DatabaseAdmin_RestoreSnapshot", "$snapshot", "$restored", []apiCall{{body: `{"name":"restored"}`, status: 201}, {body: `{"name":"restored"}`, status: 400}, {body: `{}`, status: 400}}},
	{"DatabaseAdmin_CloneDatabase", "$database", "$clone", []apiCall{{body: `{"name":"clone"}`, status: 201}, {body: `{}`, status: 400}}},
	{"DatabaseAdmin_CloneDatabase", "$none", "", []apiCall{{body: `{"name":"clone"}`, status: 404}}},
	{"DatabaseAdmin_DeleteSnapshot", "$snapshot", "", []apiCall{{status: 204}, {status: 404}}},

	{"DatabaseAdmin_ListTasks", "", "", []apiCall{{status: 200}, {query: "?task_status=SUCCESS&exclude_system_tasks=1", status: 200}, {query: "?task_id=x", status: 400}}},
	{"DatabaseAdmin_GetTask", "$one", "", []apiCall{{status: 200}, {headers: viewer, status: 404}}},
	{"DatabaseAdmin_WatchTasks", "", "", []apiCall{{query: "?id=1", status: 200}, {query: "?id=x", status: 400}, {query: "?id=999", status: 404}, {headers: stranger, status: 401}}},
	{"DatabaseAdmin_ListDifferences", "", "", []apiCall{{status: 200}, {query: "?service=$service", status: 200}, {query: "?service=nothing", status: 400}, {headers: viewer, status: 403}}},
	{"DatabaseAdmin_RepairDifferences", "", "", []apiCall{{status: 200}, {body: `{"service":"$service","drop_unknown":false}`, status: 200}, {body: `{"drop_unknown":true}`, status: 400}}},

	{"DatabaseAdmin_DeletePlan", "$plan", "", []apiCall{{status: 409}, {headers: viewer, status: 403}}},
	{"DatabaseAdmin_DeleteEnvironment", "$environment", "", []apiCall{{status: 409}}},
	{"DatabaseAdmin_DeleteDatabaseProject", "$project", "", []apiCall{{status: 409}}},
	{"DatabaseAdmin_RestoreDatabase", "$database", "", []apiCall{{status: 400}}},
	{"DatabaseAdmin_DeleteDatabase", "$database", "", []apiCall{{headers: viewer, status: 404}, {status: 204}}},
	{"DatabaseAdmin_GetDatabase", "$database", "", []apiCall{{status: 200}}}, // in quarantine
	{"DatabaseAdmin_RestoreDatabase", "$database", "", []apiCall{{status: 200}, {headers: stranger, status: 401}}},
	{"DatabaseAdmin_DeleteDatabase", "$database", "", []apiCall{{status: 204}, {status: 204}, {status: 404}}},
	{"DatabaseAdmin_DeleteDatabase", "$restored", "", []apiCall{{status: 204}, {status: 204}}},
	{"DatabaseAdmin_DeleteDatabase", "$clone", "", []apiCall{{status: 204}, {status: 204}}},
	{"DatabaseAdmin_GetTask", "$one", "", []apiCall{{status: 200}}}, // of what is gone
	{"DatabaseAdmin_DeletePlan", "$plan", "", []apiCall{{status: 204}, {status: 404}}},
	{"DatabaseAdmin_DeleteEnvironment", "$environment", "", []apiCall{{status: 204}, {status: 404}}},
	{"DatabaseAdmin_DeleteDatabaseProject", "$project", "", []apiCall{{status: 204}, {status: 404}}},
}

func TestOpenAPIWalkOfDatabases(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "other")
	doc := document(t, s)
	doc.Servers = openapi3.Servers{{URL: s.URL}}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	type operation struct{ verb, path string }
	operations := map[string]operation{}
	for path, item := range doc.Paths.Map() {
		for verb, op := range item.Operations() {
			if ofDatabases(op.OperationID) {
				operations[op.OperationID] = operation{verb, path}
				if !strings.HasSuffix(path, "/") {
					t.Errorf("%s is documented without a slash at its end", path)
				}
			}
		}
	}
	redis := testbed.StartRedis(t, testbed.RedisOptions{Password: redisPassword})
	words := map[string]string{
		"$one": "1", "$three": "3", "$none": "999999", "$viewer": s.SignIn(t, s.AddUser(t, "viewer", servertest.Role("viewer", "other"))),
		"$service": s.Create(t, redisBody("walked", redis.Port, "password", redisPassword))["id"].(string),
	}
	tried := map[string]bool{}
	for _, step := range databaseWalk {
		op, ok := operations[step.operation]
		if !ok {
			t.Errorf("%s is not in the document", step.operation)
			continue
		}
		tried[step.operation] = true
		for i, c := range step.calls {
			t.Run(fmt.Sprintf("%s%s %d", step.operation, step.on, i), func(t *testing.T) {
				fill := filler(words)
				path := strings.NewReplacer("{id}", words[step.on], "{database}", words[step.on]).Replace(op.path) + fill(c.query)
				c.body, c.headers = fill(c.body), slices.Clone(c.headers)
				for i, h := range c.headers {
					c.headers[i] = fill(h)
				}
				a := tryOperation(t, s, router, op.verb, path, c)
				if i == 0 && step.keep != "" {
					words[step.keep] = fmt.Sprint(a.JSON(t)["id"])
				}
				atRest(t, s)
			})
		}
	}
	for name := range operations {
		if !tried[name] {
			t.Errorf("%s is not tried", name)
		}
	}
}

// TestOpenAPIOfServersAway: what is answered while a database server is away is
// documented too.
func TestOpenAPIOfServersAway(t *testing.T) {
	t.Parallel()
	s := start(t)
	doc := document(t, s)
	doc.Servers = openapi3.Servers{{URL: s.URL}}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	redis := testbed.StartRedis(t, testbed.RedisOptions{Password: redisPassword})
	e := estateAt(t, s, redis.Port)
	db := e.addDatabase(t, "default", "away")
	redis.Stop()
	reset := "/api/credential/" + tail(db.GetCredentials()[0]) + "/reset_password/"
	tryOperation(t, s, router, "POST", reset, apiCall{status: 503})
	tryOperation(t, s, router, "POST", reset, apiCall{status: 409}) // the task goes on trying
	tryOperation(t, s, router, "GET", db.GetLinks().GetSelf(), apiCall{status: 200})
	tryOperation(t, s, router, "GET", "/api/task/", apiCall{status: 200})
	tryOperation(t, s, router, "GET", "/api/difference/", apiCall{status: 200})
}

// filler puts what words stand for in their place.
func filler(words map[string]string) func(string) string {
	var pairs []string
	for _, word := range slices.Sorted(maps.Keys(words)) {
		pairs = append(pairs, word, words[word])
	}
	return strings.NewReplacer(pairs...).Replace
}

// atRest waits until no task is under way.
func atRest(t *testing.T, s *servertest.Server) {
	t.Helper()
	servertest.Eventually(t, "all tasks have ended", func() bool {
		var list struct {
			Links struct{ Count int } `json:"_links"`
		}
		a := s.Do(t, "GET", "/api/task/?task_status__in=WAITING,RUNNING,WARNING", nil)
		if err := json.Unmarshal(a.Body, &list); err != nil {
			t.Fatalf("%v: %s", err, a.Body)
		}
		return list.Links.Count == 0
	})
}
