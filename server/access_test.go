package server_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/servertest"
)

// access says who may call an RPC, in HTTP statuses. Each text has three: of a
// viewer, an editor and an admin. A resource is what the request names.
type access struct {
	everywhere string // with the role everywhere
	here       string // with the role in the project of the resource
	elsewhere  string // with the role in another project alone
	none       string // with no role at all
	stranger   string // without a login, or with a wrong one

	request string // what is sent, as JSON; words with $ stand for what world makes
	login   string // "password" where another login than that would not do
}

const (
	all    = "200 200 200"
	hidden = "404 404 404"
	denied = "403 403 403"
	edit   = "403 200 200"
	admins = "403 403 200"
)

// accessTable has a row for every RPC. It is written by hand, and not derived
// from what the program goes by.
var accessTable = map[string]access{
	"/backplane.catalog.v1.ServiceCatalog/GetHealth":           {all, all, all, "200", "200", `{}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/ListServiceTypes":    {all, all, all, "200", "401", `{}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/GetServiceType":      {all, all, all, "200", "401", `{"service_type":"redis"}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/ListServices":        {all, all, all, "200", "401", `{"project":"$project"}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/GetService":          {all, all, hidden, "404", "401", `{"id":"$service"}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/GetServiceHealth":    {all, all, hidden, "404", "401", `{"id":"$service","limit":5}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/ListServiceVersions": {all, all, hidden, "404", "401", `{"id":"$service"}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/WatchServices":       {all, all, all, "200", "401", `{}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/CreateService":       {edit, edit, "422 422 422", "422", "401", `{"service":{"name":"$new","service_type":"sqlite","config":{"path":"/tmp/no.db"},"project":"$project"}}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/UpdateService":       {edit, edit, hidden, "404", "401", `{"id":"$service","service":{"description":"$new"}}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/DeleteService":       {edit, edit, hidden, "404", "401", `{"id":"$service"}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/RollbackService":     {edit, edit, hidden, "404", "401", `{"id":"$service","version":1}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/TestService":         {edit, edit, hidden, "404", "401", `{"id":"$service","timeout":5}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/TestServices":        {edit, edit, edit, "403", "401", `{"project":"$project"}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/TestConfig":          {edit, edit, "422 422 422", "422", "401", `{"service":{"service_type":"sqlite","config":{"path":"/tmp/no.db"},"project":"$project"}}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/ActivateService":     {edit, edit, hidden, "404", "401", `{"id":"$service"}`, ""},
	"/backplane.catalog.v1.ServiceCatalog/DeactivateService":   {edit, edit, hidden, "404", "401", `{"id":"$service"}`, ""},

	"/backplane.identity.v1.IdentityAdmin/WhoAmI":        {all, all, all, "200", "401", `{}`, ""},
	"/backplane.identity.v1.IdentityAdmin/GetAuthToken":  {all, all, all, "200", "401", `{"max_age":60}`, "password"},
	"/backplane.identity.v1.IdentityAdmin/ListRoles":     {all, all, all, "200", "401", `{}`, ""},
	"/backplane.identity.v1.IdentityAdmin/ListTokens":    {all, all, all, "200", "401", `{}`, ""},
	"/backplane.identity.v1.IdentityAdmin/CreateToken":   {all, all, all, "200", "401", `{"name":"$new","expires_in":"1h"}`, "password"},
	"/backplane.identity.v1.IdentityAdmin/DeleteToken":   {"404 404 200", hidden, hidden, "404", "401", `{"id":"$token"}`, ""},
	"/backplane.identity.v1.IdentityAdmin/GetUser":       {"404 404 200", hidden, hidden, "404", "401", `{"username":"$user"}`, ""},
	"/backplane.identity.v1.IdentityAdmin/UpdateUser":    {"404 404 200", hidden, hidden, "404", "401", `{"username":"$user","user":{"enabled":true}}`, ""},
	"/backplane.identity.v1.IdentityAdmin/ListProjects":  {all, all, all, "200", "401", `{}`, ""},
	"/backplane.identity.v1.IdentityAdmin/GetProject":    {all, all, hidden, "404", "401", `{"name":"$project"}`, ""},
	"/backplane.identity.v1.IdentityAdmin/ListUsers":     {admins, denied, denied, "403", "401", `{}`, ""},
	"/backplane.identity.v1.IdentityAdmin/CreateUser":    {admins, denied, denied, "403", "401", `{"user":{"username":"$new","password":"long enough"}}`, ""},
	"/backplane.identity.v1.IdentityAdmin/DeleteUser":    {admins, denied, denied, "403", "401", `{"username":"$user"}`, ""},
	"/backplane.identity.v1.IdentityAdmin/CreateProject": {admins, denied, denied, "403", "401", `{"project":{"name":"$new"}}`, ""},
	"/backplane.identity.v1.IdentityAdmin/DeleteProject": {admins, denied, denied, "403", "401", `{"name":"$empty"}`, ""},
	"/backplane.identity.v1.IdentityAdmin/ListAudit":     {admins, admins, admins, "403", "401", `{"project":"$project","limit":5}`, ""},
	"/backplane.identity.v1.IdentityAdmin/WatchAudit":    {admins, admins, admins, "403", "401", `{}`, ""},
	"/backplane.identity.v1.IdentityAdmin/VerifyAudit":   {admins, denied, denied, "403", "401", `{}`, ""},
	"/backplane.identity.v1.IdentityAdmin/RotateKeys":    {admins, denied, denied, "403", "401", `{}`, ""},

	"/grpc.health.v1.Health/Check":                                   {all, all, all, "200", "200", `{}`, ""},
	"/grpc.health.v1.Health/List":                                    {all, all, all, "200", "200", `{}`, ""},
	"/grpc.health.v1.Health/Watch":                                   {all, all, all, "200", "200", `{}`, ""},
	"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      {all, all, all, "200", "401", `{"list_services":""}`, ""},
	"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": {all, all, all, "200", "401", `{"list_services":""}`, ""},
}

// person is who calls.
type person struct {
	name, role, project string // no role: one with none, or a stranger
	password, bearer    string // ways to log in; bearer alone for strangers
	stranger            bool
	conns               map[string]*grpc.ClientConn // by what is sent
}

// login is what the person sends for an RPC.
func (p *person) login(a access) string {
	if a.login == "password" && !p.stranger {
		return p.password
	}
	return p.bearer
}

// want is the status that the person is to get.
func (p *person) want(a access, project string) string {
	row := a.elsewhere
	switch {
	case p.stranger:
		return a.stranger
	case p.role == "":
		return a.none
	case p.project == "":
		row = a.everywhere
	case p.project == project:
		row = a.here
	}
	return strings.Fields(row)[slices.Index([]string{"viewer", "editor", "admin"}, p.role)]
}

// people are every kind of caller.
func people(t *testing.T, s *servertest.Server) (out []*person) {
	t.Helper()
	for _, project := range []string{"", "a", "b"} {
		for _, role := range []string{"viewer", "editor", "admin"} {
			p := &person{name: strings.TrimSuffix(role+"-"+project, "-"), role: role, project: project}
			if p.name == "admin" {
				p.name = "chief"
			}
			binding := servertest.Role(role)
			if project != "" {
				binding = servertest.Role(role, project)
			}
			p.password = s.AddUser(t, p.name, binding)
			out = append(out, p)
		}
	}
	out = append(out, &person{name: "powerless", password: s.AddUser(t, "powerless")})
	for _, p := range out {
		p.bearer = s.SignIn(t, p.password)
	}
	out = append(out, &person{name: "no login", stranger: true}, &person{name: "wrong login", stranger: true, bearer: "Bearer " + auth.NewToken()})
	for _, p := range out {
		p.conns = map[string]*grpc.ClientConn{p.bearer: servertest.Dial(t, s.GRPC, p.bearer)}
		if p.password != "" {
			p.conns[p.password] = servertest.Dial(t, s.GRPC, p.password)
		}
	}
	return out
}

func TestAccess(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "a", "b")
	callers := people(t, s)
	methods := registered(t, s)
	for _, method := range methods {
		row, ok := accessTable[method]
		if !ok {
			t.Errorf("%s has no row", method)
			continue
		}
		t.Run(method[strings.LastIndexByte(method, '.')+1:], func(t *testing.T) {
			w := &world{Server: s, made: map[string]string{}}
			for _, project := range []string{"a", "b", "default"} {
				for _, p := range callers {
					want := p.want(row, project)
					call := newRPC(t, method, w.fill(t, row.request, project))
					if got := call.overGRPC(t, p.conns[p.login(row)]); got != want {
						t.Errorf("gRPC: %s gets %s for what is in %s, want %s", p.name, got, project, want)
					}
					w.used(project, want)
					call = newRPC(t, method, w.fill(t, row.request, project))
					if got := call.overREST(t, s, p.login(row)); got != "" && got != want {
						t.Errorf("REST: %s gets %s for what is in %s, want %s", p.name, got, project, want)
					}
					w.used(project, want)
				}
			}
		})
	}
	for method := range accessTable {
		if !slices.Contains(methods, method) {
			t.Errorf("there is a row for %s, which does not exist", method)
		}
	}
}

// TestNewRPCNeedsARule: a server that has an RPC without a rule must not start.
func TestNewRPCNeedsARule(t *testing.T) {
	t.Parallel()
	services := map[string]grpc.ServiceInfo{"backplane.catalog.v1.ServiceCatalog": {Methods: []grpc.MethodInfo{{Name: "GetService"}}}}
	if err := auth.Complete(auth.Access(), services); err != nil {
		t.Errorf("a known method: %v", err)
	}
	services["backplane.new.v1.New"] = grpc.ServiceInfo{Methods: []grpc.MethodInfo{{Name: "Second"}, {Name: "First"}}}
	err := auth.Complete(auth.Access(), services)
	if err == nil || !strings.HasSuffix(err.Error(), "/backplane.new.v1.New/First, /backplane.new.v1.New/Second") {
		t.Errorf("new methods: %v, want an error that names them", err)
	}
}
