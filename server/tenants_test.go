package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	"github.com/backplane/backplane/internal/errs"
	"github.com/backplane/backplane/server/servertest"
)

// tenant is an editor of one project alone.
type tenant struct {
	bearer, project string // the URL of the project
	conn            *grpc.ClientConn
	databases       dbaasv1.DatabaseAdminClient
	credentials     dbaasv1.CredentialAdminClient
}

func (e *estate) addTenant(t *testing.T, name, project string) *tenant {
	t.Helper()
	x := &tenant{bearer: e.SignIn(t, e.AddUser(t, name, servertest.Role("editor", project))), project: e.projectURL(t, project)}
	x.conn = servertest.Dial(t, e.GRPC, x.bearer)
	x.databases, x.credentials = dbaasv1.NewDatabaseAdminClient(x.conn), dbaasv1.NewCredentialAdminClient(x.conn)
	return x
}

// create makes a database as a tenant, without a word of the project: it goes
// to the tenant's.
func (e *estate) create(t *testing.T, x *tenant, name string) *dbaasv1.Database {
	t.Helper()
	db, err := x.databases.CreateDatabase(e.ctx, &dbaasv1.CreateDatabaseRequest{Name: name, Plan: e.plan, Environment: e.environment})
	good(t, err)
	if db.GetProject() != x.project {
		t.Fatalf("the database is in %q, not in %q", db.GetProject(), x.project)
	}
	return db
}

// belongings are what a tenant has, by the words of requests.
func (e *estate) belongings(t *testing.T, x *tenant, name string) map[string]string {
	t.Helper()
	db := e.create(t, x, name)
	_, err := x.credentials.CreateCredential(e.ctx, &dbaasv1.CreateCredentialRequest{User: name, Database: db.GetLinks().GetSelf(), Lease: "1h", Role: "read-only"})
	good(t, err)
	gone := e.create(t, x, name+"_gone")
	e.deleteDatabase(t, gone.GetId())
	return map[string]string{
		"$database": fmt.Sprint(db.GetId()), "$credential": tail(db.GetCredentials()[0]), "$lease": e.leaseOf(t, x),
		"$snapshot": fmt.Sprint(e.addSnapshot(t, db.GetId()).GetId()), "$task": fmt.Sprint(e.taskOf(t, db.GetId()).GetId()),
		"$projectNumber": tail(x.project), "$quarantined": fmt.Sprint(gone.GetId()), "$locked": tail(gone.GetCredentials()[0]),
	}
}

func (e *estate) leaseOf(t *testing.T, x *tenant) string {
	t.Helper()
	out, err := x.credentials.ListCredentials(e.ctx, &dbaasv1.ListCredentialsRequest{Filter: map[string]string{"role": "read-only"}})
	good(t, err)
	if len(out.GetCredential()) != 1 {
		t.Fatalf("the leases are %v", out)
	}
	return fmt.Sprint(out.GetCredential()[0].GetId())
}

// reaches are calls of a tenant for what is another's, beside those of the
// table of access: words of $my are the caller's own.
var reaches = []struct{ method, request string }{
	{"ListSnapshots", `{"database":"$database"}`},
	{"ListSnapshots", `{"database":"$quarantined"}`},
	{"GetDatabase", `{"id":"$quarantined"}`},
	{"CreateDatabase", `{"name":"reaching","plan":"/api/plan/$small/","environment":"/api/environment/$laboratory/","team":"/api/team/$projectNumber/"}`},
	{"UpdateDatabase", `{"id":"$myDatabase","database":{"project":"/api/project/$projectNumber/"},"update_mask":"project"}`},
	{"CloneDatabase", `{"id":"$myDatabase","name":"reaching","project":"/api/project/$projectNumber/"}`},
	{"RestoreSnapshot", `{"id":"$mySnapshot","name":"reaching","project":"/api/project/$projectNumber/"}`},
	{"CloneDatabase", `{"id":"$database","name":"reaching","project":"/api/project/$myProjectNumber/"}`},
	{"RestoreSnapshot", `{"id":"$snapshot","name":"reaching","project":"/api/project/$myProjectNumber/"}`},
	{"CreateSnapshot", `{"database":"$myDatabase","service":"$service"}`},
	{"WatchTasks", `{"id":"$task"}`},
}

// TestTenants: of what is another's, a tenant sees nothing, can change nothing,
// and is told the same as of what does not exist.
func TestTenants(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "a", "b")
	e := newEstate(t, s)
	ann, bob := e.addTenant(t, "ann", "a"), e.addTenant(t, "bob", "b")
	others, mine := e.belongings(t, ann, "private"), e.belongings(t, bob, "ours")
	others["$service"] = s.Create(t, object{"name": "private", "service_type": "minio", "project": "a", "config": object{
		"endpoint": "127.0.0.1:1", "access_key": "a", "secret_key": "hidden-word", "bucket": "private",
	}})["id"].(string)
	missing := map[string]string{"$service": unknownID}
	for word := range others {
		if word != "$service" {
			missing[word] = "999999"
		}
	}
	before := e.inventory(t, ann)
	calls := slices.Clone(reaches)
	for _, method := range slices.Sorted(maps.Keys(accessTable)) {
		row := accessTable[method]
		if strings.HasPrefix(method, "/backplane.dbaas.v1.") && row.elsewhere != all && row.elsewhere != denied {
			calls = append(calls, struct{ method, request string }{method[strings.LastIndexByte(method, '/')+1:], row.request})
		}
	}
	for _, c := range calls {
		t.Run(c.method, func(t *testing.T) {
			request := strings.NewReplacer("$myDatabase", mine["$database"], "$mySnapshot", mine["$snapshot"], "$myProjectNumber", mine["$projectNumber"],
				"$small", tail(e.plan), "$laboratory", tail(e.environment), "$new", "reaching", "$login", "reaching").Replace(c.request)
			e.wantAlike(t, bob, c.method, request, others, missing)
		})
	}
	if after := e.inventory(t, ann); after != before {
		t.Errorf("what was\n%s\nis now\n%s", before, after)
	}
	if text := e.inventory(t, bob); strings.Contains(text, "private") || strings.Contains(text, "reaching") {
		t.Errorf("the other tenant has\n%s", text)
	}
}

// fullName is that of an RPC of databases as a service.
func fullName(method string) string {
	if strings.Contains(method, "Credential") || method == "ResetPassword" {
		return "/backplane.dbaas.v1.CredentialAdmin/" + method
	}
	return "/backplane.dbaas.v1.DatabaseAdmin/" + method
}

// collectionOf is where the numbers of a word are in URLs.
var collectionOf = map[string]string{
	"$database": "database", "$quarantined": "database", "$credential": "credential", "$lease": "credential", "$locked": "credential",
	"$snapshot": "snapshot", "$task": "task", "$projectNumber": "project",
}

// wantAlike makes a call for what is another's and for what does not exist, and
// wants the same answers but for the numbers that were sent.
func (e *estate) wantAlike(t *testing.T, x *tenant, method, request string, others, missing map[string]string) {
	t.Helper()
	var overGRPC, overREST [2]string
	for i, words := range []map[string]string{others, missing} {
		filled, shown := request, []string{unknownID, "…", others["$service"], "…"}
		for _, word := range slices.Sorted(maps.Keys(words)) {
			if id := words[word]; strings.Contains(filled, word) {
				filled = strings.ReplaceAll(filled, word, id)
				shown = append(shown, "/"+collectionOf[word]+"/"+id+"/", "/…/", "/team/"+id+"/", "/…/", "?id="+id, "?id=…", "?database="+id, "?database=…")
			}
		}
		if filled == request {
			t.Fatalf("%s names nothing of anybody's", request)
		}
		hide := strings.NewReplacer(shown...)
		overGRPC[i] = hide.Replace(newRPC(t, fullName(method), filled).failure(t, x))
		overREST[i] = hide.Replace(newRPC(t, fullName(method), filled).refusal(t, e.Server, x.bearer))
	}
	for name, got := range map[string][2]string{"gRPC": overGRPC, "REST": overREST} {
		if got[0] != got[1] {
			t.Errorf("over %s, of what is another's:\n%s\nand of what does not exist:\n%s", name, got[0], got[1])
		}
		if strings.Contains(got[0], "private") {
			t.Errorf("over %s, a name of another's: %s", name, got[0])
		}
	}
}

// failure is all that the caller is told over gRPC, where a call must fail.
func (r *rpc) failure(t *testing.T, x *tenant) string {
	t.Helper()
	ctx, cancel := context.WithCancel(servertest.Context(t))
	defer cancel()
	response := emptyMessage(t, r.desc.Output())
	var header, trailer metadata.MD
	var err error
	if r.desc.IsStreamingServer() {
		err = r.stream(ctx, x.conn, response)
	} else {
		err = x.conn.Invoke(ctx, r.method, r.request, response, grpc.Header(&header), grpc.Trailer(&trailer))
	}
	if reason := errs.FromStatus(err).Reason; err == nil || reason != errs.NotFound && reason != errs.ValidationFailed {
		t.Errorf("%s: %v %v", r.method, err, response)
	}
	for _, md := range []metadata.MD{header, trailer} {
		delete(md, "x-request-id")
	}
	return fmt.Sprintln(prototext.Format(status.Convert(err).Proto()), header, trailer)
}

// refusal is all that the caller is told over REST, where a call must fail.
func (r *rpc) refusal(t *testing.T, s *servertest.Server, authorization string) string {
	t.Helper()
	verb, path, body := r.http(t)
	var content any
	if body != nil {
		content = body
	}
	a := s.Do(t, verb, path, content, "Authorization", authorization)
	if a.Status != http.StatusNotFound && a.Status != http.StatusBadRequest {
		t.Errorf("%s %s: %d %s", verb, path, a.Status, a.Body)
	}
	for _, name := range []string{"Date", "X-Request-Id", "Content-Length"} {
		a.Header.Del(name)
	}
	var text strings.Builder
	fmt.Fprintln(&text, a.Status)
	if err := a.Header.Write(&text); err != nil {
		t.Fatal(err)
	}
	text.Write(a.Body)
	return text.String()
}

// inventory is all that a tenant has, with its passwords.
func (e *estate) inventory(t *testing.T, x *tenant) string {
	t.Helper()
	var text strings.Builder
	get := func(path string) []byte {
		a := e.Do(t, "GET", path, nil, "Authorization", x.bearer)
		if a.Status != 200 {
			t.Fatalf("%s: %d %s", path, a.Status, a.Body)
		}
		fmt.Fprintf(&text, "%s\n%s\n", path, a.Body)
		return a.Body
	}
	for _, collection := range []string{"database", "snapshot", "task", "project", "team"} {
		get("/api/" + collection + "/?page_size=100")
	}
	var list struct{ Credential []struct{ ID int } }
	if err := json.Unmarshal(get("/api/credential/?page_size=100"), &list); err != nil {
		t.Fatal(err)
	}
	for _, c := range list.Credential {
		get(fmt.Sprintf("/api/credential/%d/", c.ID))
	}
	return text.String()
}

// TestTakenNames: whoever asks for a name that another tenant's database has is
// told that it is taken, as of one's own, and no more.
func TestTakenNames(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "a", "b")
	e := newEstate(t, s)
	ann, bob := e.addTenant(t, "ann", "a"), e.addTenant(t, "bob", "b")
	e.deleteDatabase(t, e.create(t, ann, "in_quarantine").GetId())
	e.create(t, ann, "alive")
	own := e.create(t, bob, "own")
	snapshot := e.addSnapshot(t, own.GetId())
	elsewhere := e.addEnvironment(t, "elsewhere") // served by the same server
	_, err := e.Databases.UpdatePlan(e.ctx, &dbaasv1.UpdatePlanRequest{
		Id: int64(number(t, tail(e.plan))), Plan: &dbaasv1.PlanInput{Environments: []string{e.environment, elsewhere}}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"environments"}},
	})
	good(t, err)
	tasks := e.Do(t, "GET", "/api/task/", nil, "Authorization", bob.bearer).Body
	for _, name := range []string{"own", "alive", "in_quarantine"} {
		for path, body := range map[string]object{
			"/api/database/":                           {"name": name, "plan": e.plan, "environment": e.environment},
			"/api/database":                            {"name": name, "plan": e.plan, "environment": elsewhere, "register": true},
			own.GetLinks().GetSelf() + "clone/":        {"name": name},
			snapshot.GetLinks().GetSelf() + "restore/": {"name": name},
		} {
			a := e.Do(t, "POST", path, body, "Authorization", bob.bearer)
			want := fmt.Sprintf(`{"_links":{"self":"%s%s/"},"name":["Database with this Database name and Environment already exists."]}`, e.URL, strings.TrimSuffix(path, "/"))
			if a.Status != 400 || string(a.Body) != want {
				t.Errorf("%s %v: %d %s, want 400 %s", path, body, a.Status, a.Body, want)
			}
		}
		_, err := bob.databases.CreateDatabase(e.ctx, &dbaasv1.CreateDatabaseRequest{Name: name, Plan: e.plan, Environment: e.environment})
		if got := errs.FromStatus(err); got.Reason != errs.ValidationFailed || len(got.Fields) != 1 || got.Fields[0].Path != "name" {
			t.Errorf("over gRPC %s: %v %v", name, err, got)
		}
	}
	if got := e.Do(t, "GET", "/api/task/", nil, "Authorization", bob.bearer).Body; string(got) != string(tasks) {
		t.Errorf("the refusals have left tasks: %s", got)
	}
	// A login that another database of the server has is no obstacle.
	for _, user := range []string{"u_alive", "u_in_quarantine"} {
		c, err := bob.credentials.CreateCredential(e.ctx, &dbaasv1.CreateCredentialRequest{User: user, Database: own.GetLinks().GetSelf()})
		good(t, err)
		if c.GetDatabase() != own.GetLinks().GetSelf() || !strings.HasPrefix(c.GetUser(), user) {
			t.Errorf("the login is %v", c)
		}
	}
}

// TestSnapshotsAreWrittenWhereTheCallerMayWrite: a minio service of a project in
// which the caller may only look takes no snapshots from it.
func TestSnapshotsAreWrittenWhereTheCallerMayWrite(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "a", "b")
	e := newEstate(t, s)
	db := e.addDatabase(t, "b", "written")
	store := s.Create(t, object{"name": "objects", "service_type": "minio", "project": "a", "config": object{
		"endpoint": "127.0.0.1:1", "access_key": "a", "secret_key": "hidden-word", "bucket": "objects",
	}})["id"].(string)
	for role, want := range map[string]int{"viewer": 403, "editor": 201} {
		bearer := s.SignIn(t, s.AddUser(t, role, servertest.Role("editor", "b"), servertest.Role(role, "a")))
		a := s.Do(t, "POST", db.GetLinks().GetSelf()+"snapshot/", object{"service": store}, "Authorization", bearer)
		if a.Status != want {
			t.Errorf("a %s of the service's project gets %d %s, want %d", role, a.Status, a.Body, want)
		}
	}
}

// TestRegistrationsAreNotTaken: a database that is registered in the catalogue
// gives its login to a service of its own project alone, whatever labels others
// have put on theirs, and leaves no such service behind in another project.
func TestRegistrationsAreNotTaken(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "a", "b")
	e := newEstate(t, s)
	ann := e.addTenant(t, "ann", "a")
	trap := map[string]bool{}
	for n := range 5 { // the numbers of databases can be guessed
		trap[s.Create(t, object{
			"name": fmt.Sprint("trap ", n), "service_type": "redis", "project": "b", "config": object{"host": "127.0.0.1", "port": 1},
			"labels": object{"backplane.database": fmt.Sprint(n + 1)},
		})["id"].(string)] = true
	}
	db, err := ann.databases.CreateDatabase(e.ctx, &dbaasv1.CreateDatabaseRequest{Name: "registered", Plan: e.plan, Environment: e.environment, Register: true})
	good(t, err)
	if trap[db.GetService()] || s.Get(t, db.GetService())["project"] != "a" {
		t.Errorf("the database is registered as %v", s.Get(t, db.GetService()))
	}
	_, err = ann.credentials.ResetPassword(e.ctx, &dbaasv1.ResetPasswordRequest{Id: int64(number(t, tail(db.GetCredentials()[0])))})
	good(t, err)
	for id := range trap {
		if got := s.Get(t, id); got["version"] != 1.0 || got["secrets_set"] != nil && len(got["secrets_set"].([]any)) > 0 {
			t.Errorf("a service of another project has become %v", got)
		}
	}

	move := func() servertest.Answer {
		return s.Do(t, "PATCH", db.GetLinks().GetSelf(), object{"project": e.projectURL(t, "b")})
	}
	if a := move(); a.Status != 400 || !strings.Contains(string(a.Body), `"project":["The database is registered`) {
		t.Errorf("a registered database goes to another project: %d %s", a.Status, a.Body)
	}
	s.Do(t, "DELETE", "/api/services/"+db.GetService(), nil).Good(t)
	if a := move(); a.Status != 200 {
		t.Errorf("a database that is registered no more: %d %s", a.Status, a.Body)
	}
	if a := s.Do(t, "GET", db.GetLinks().GetSelf(), nil, "Authorization", ann.bearer); a.Status != 404 {
		t.Errorf("who is not in the project any more gets %d %s", a.Status, a.Body)
	}
	for range 2 { // into quarantine, and away
		e.deleteDatabase(t, db.GetId())
	}
	for id := range trap {
		s.Get(t, id) // is still there
	}
}
