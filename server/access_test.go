package server_test

import (
	"maps"
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

	"/backplane.dbaas.v1.DatabaseAdmin/ListDatabases":         {all, all, all, "200", "401", `{}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/GetDatabase":           {all, all, hidden, "404", "401", `{"id":"$database"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/CreateDatabase":        {edit, edit, "400 400 400", "400", "401", `{"name":"$new","plan":"/api/plan/$small/","environment":"/api/environment/$laboratory/","project":"/api/project/$projectNumber/"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/UpdateDatabase":        {edit, edit, hidden, "404", "401", `{"id":"$database","database":{"description":"$new","project":"/api/project/$projectNumber/"},"update_mask":"description"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/DeleteDatabase":        {edit, edit, hidden, "404", "401", `{"id":"$database"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/RestoreDatabase":       {"404 404 200", "404 404 200", hidden, "404", "401", `{"id":"$quarantined"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/CloneDatabase":         {edit, edit, hidden, "404", "401", `{"id":"$database","name":"$new"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/ListSnapshots":         {all, all, all, "200", "401", `{}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/GetSnapshot":           {all, all, hidden, "404", "401", `{"id":"$snapshot"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/CreateSnapshot":        {edit, edit, hidden, "404", "401", `{"database":"$database"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/DeleteSnapshot":        {edit, edit, hidden, "404", "401", `{"id":"$snapshot"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/RestoreSnapshot":       {edit, edit, hidden, "404", "401", `{"id":"$snapshot","name":"$new"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/ListPlans":             {all, all, all, "200", "401", `{}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/GetPlan":               {all, all, all, "200", "401", `{"id":"$small"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/CreatePlan":            {admins, denied, denied, "403", "401", `{"plan":{"name":"$new","engine":"redis","environments":["/api/environment/$laboratory/"],"services":["$redis"]}}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/UpdatePlan":            {admins, denied, denied, "403", "401", `{"id":"$plan","plan":{"name":"$new","environments":["/api/environment/$laboratory/"],"services":["$redis"],"is_active":true}}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/DeletePlan":            {admins, denied, denied, "403", "401", `{"id":"$plan"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/ListEnvironments":      {all, all, all, "200", "401", `{}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/GetEnvironment":        {all, all, all, "200", "401", `{"id":"$laboratory"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/CreateEnvironment":     {admins, denied, denied, "403", "401", `{"environment":{"name":"$new"}}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/UpdateEnvironment":     {admins, denied, denied, "403", "401", `{"id":"$environment","environment":{"name":"$new"}}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/DeleteEnvironment":     {admins, denied, denied, "403", "401", `{"id":"$environment"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/ListDatabaseProjects":  {all, all, all, "200", "401", `{}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/GetDatabaseProject":    {all, all, hidden, "404", "401", `{"id":"$projectNumber"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/CreateDatabaseProject": {admins, denied, denied, "403", "401", `{"project":{"name":"$new"}}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/UpdateDatabaseProject": {admins, denied, denied, "403", "401", `{"id":"$projectNumber","project":{"description":"$new"},"update_mask":"description"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/DeleteDatabaseProject": {admins, denied, denied, "403", "401", `{"id":"$emptyNumber"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/ListTeams":             {all, all, all, "200", "401", `{}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/GetTeam":               {all, all, hidden, "404", "401", `{"id":"$projectNumber"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/ListEngines":           {all, all, all, "200", "401", `{}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/GetEngine":             {all, all, all, "200", "401", `{"id":"$engine"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/ListEngineTypes":       {all, all, all, "200", "401", `{}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/GetEngineType":         {all, all, all, "200", "401", `{"id":3}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/ListTasks":             {all, all, all, "200", "401", `{}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/GetTask":               {all, all, hidden, "404", "401", `{"id":"$task"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/WatchTasks":            {all, all, hidden, "404", "401", `{"id":"$task"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/ListDifferences":       {admins, denied, denied, "403", "401", `{"service":"$redis"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/RepairDifferences":     {admins, denied, denied, "403", "401", `{"service":"$redis"}`, ""},

	"/backplane.dbaas.v1.CredentialAdmin/ListCredentials":  {all, all, all, "200", "401", `{}`, ""},
	"/backplane.dbaas.v1.CredentialAdmin/GetCredential":    {edit, edit, hidden, "404", "401", `{"id":"$credential"}`, ""},
	"/backplane.dbaas.v1.CredentialAdmin/CreateCredential": {edit, edit, "403 400 400", "403", "401", `{"user":"$login","database":"/api/database/$database/"}`, ""},
	"/backplane.dbaas.v1.CredentialAdmin/UpdateCredential": {edit, edit, hidden, "404", "401", `{"id":"$credential","credential":{"rotate_every":"30d"},"update_mask":"rotateEvery"}`, ""},
	"/backplane.dbaas.v1.CredentialAdmin/DeleteCredential": {edit, edit, hidden, "404", "401", `{"id":"$credential"}`, ""},
	"/backplane.dbaas.v1.CredentialAdmin/ResetPassword":    {edit, edit, hidden, "404", "401", `{"id":"$credential"}`, ""},
	"/backplane.dbaas.v1.CredentialAdmin/RotateCredential": {edit, edit, hidden, "404", "401", `{"id":"$credential"}`, ""},
	"/backplane.dbaas.v1.CredentialAdmin/RenewCredential":  {edit, edit, hidden, "404", "401", `{"id":"$lease"}`, ""},

	"/backplane.proxy.v1.ProxyService/ListServices":              {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/CreateService":             {"403 403 422", denied, denied, "403", "401", `{"body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/GetService":                {"404 404 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/UpdateService":             {"403 403 404", denied, denied, "403", "401", `{"name":"none","body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/DeleteService":             {"403 403 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/GetServiceRelationship":    {"404 404 404", denied, denied, "403", "401", `{"name":"none","relation":"services"}`, ""},
	"/backplane.proxy.v1.ProxyService/UpdateServiceRelationship": {"403 403 404", denied, denied, "403", "401", `{"name":"none","relation":"services","body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/StartService":              {"403 403 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/StopService":               {"403 403 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/ReloadService":             {"403 403 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/ListServiceListeners":      {"404 404 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/CreateServiceListener":     {"403 403 404", denied, denied, "403", "401", `{"name":"none","body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/GetServiceListener":        {"404 404 404", denied, denied, "403", "401", `{"name":"none","listener":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/DeleteServiceListener":     {"403 403 404", denied, denied, "403", "401", `{"name":"none","listener":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/AddServiceDatabase":        {"403 403 404", denied, denied, "403", "401", `{"name":"none","database":"1"}`, ""},
	"/backplane.proxy.v1.ProxyService/ListServers":               {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/CreateServer":              {"403 403 422", denied, denied, "403", "401", `{"body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/GetServer":                 {"404 404 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/UpdateServer":              {"403 403 404", denied, denied, "403", "401", `{"name":"none","body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/DeleteServer":              {"403 403 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/GetServerRelationship":     {"404 404 404", denied, denied, "403", "401", `{"name":"none","relation":"services"}`, ""},
	"/backplane.proxy.v1.ProxyService/UpdateServerRelationship":  {"403 403 404", denied, denied, "403", "401", `{"name":"none","relation":"services","body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/SetServerState":            {"403 403 404", denied, denied, "403", "401", `{"name":"none","state":"master"}`, ""},
	"/backplane.proxy.v1.ProxyService/ClearServerState":          {"403 403 404", denied, denied, "403", "401", `{"name":"none","state":"master"}`, ""},
	"/backplane.proxy.v1.ProxyService/ListListeners":             {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/CreateListener":            {"403 403 422", denied, denied, "403", "401", `{"body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/GetListener":               {"404 404 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/UpdateListener":            {"403 403 404", denied, denied, "403", "401", `{"name":"none","body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/DeleteListener":            {"403 403 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/GetListenerRelationship":   {"404 404 404", denied, denied, "403", "401", `{"name":"none","relation":"services"}`, ""},
	"/backplane.proxy.v1.ProxyService/StartListener":             {"403 403 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/StopListener":              {"403 403 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/ListFilters":               {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/CreateFilter":              {"403 403 422", denied, denied, "403", "401", `{"body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/GetFilter":                 {"404 404 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/UpdateFilter":              {"403 403 404", denied, denied, "403", "401", `{"name":"none","body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/DeleteFilter":              {"403 403 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/GetFilterRelationship":     {"404 404 404", denied, denied, "403", "401", `{"name":"none","relation":"services"}`, ""},
	"/backplane.proxy.v1.ProxyService/UpdateFilterRelationship":  {"403 403 404", denied, denied, "403", "401", `{"name":"none","relation":"services","body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/ListMonitors":              {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/CreateMonitor":             {"403 403 422", denied, denied, "403", "401", `{"body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/GetMonitor":                {"404 404 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/UpdateMonitor":             {"403 403 404", denied, denied, "403", "401", `{"name":"none","body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/DeleteMonitor":             {"403 403 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/GetMonitorRelationship":    {"404 404 404", denied, denied, "403", "401", `{"name":"none","relation":"services"}`, ""},
	"/backplane.proxy.v1.ProxyService/UpdateMonitorRelationship": {"403 403 404", denied, denied, "403", "401", `{"name":"none","relation":"services","body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/StartMonitor":              {"403 403 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/StopMonitor":               {"403 403 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/ListSessions":              {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/GetSession":                {"404 404 404", denied, denied, "403", "401", `{"name":"77"}`, ""},
	"/backplane.proxy.v1.ProxyService/GetSessionRelationship":    {"404 404 404", denied, denied, "403", "401", `{"name":"none","relation":"services"}`, ""},
	"/backplane.proxy.v1.ProxyService/UpdateSession":             {"403 403 404", denied, denied, "403", "401", `{"name":"none","body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/RestartSession":            {"403 403 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/RestartSessions":           {admins, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/DeleteSession":             {"403 403 404", denied, denied, "403", "401", `{"name":"77"}`, ""},
	"/backplane.proxy.v1.ProxyService/ListUsers":                 {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/ListUnixUsers":             {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/CreateUser":                {"403 403 422", denied, denied, "403", "401", `{"body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/GetUser":                   {"404 404 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/UpdateUser":                {"403 403 404", denied, denied, "403", "401", `{"name":"none","body":{}}`, ""},
	"/backplane.proxy.v1.ProxyService/DeleteUser":                {"403 403 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/GetProgram":                {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/UpdateProgram":             {admins, denied, denied, "403", "401", `{"body":{"data":{}}}`, ""},
	"/backplane.proxy.v1.ProxyService/ListThreads":               {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/GetThread":                 {"404 404 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/ListModules":               {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/GetModule":                 {"404 404 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/ReadCommand":               {"404 404 404", denied, denied, "403", "401", `{"module":"none","command":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/RunCommand":                {"403 403 404", denied, denied, "403", "401", `{"module":"none","command":"none"}`, ""},
	"/backplane.proxy.v1.ProxyService/GetLogs":                   {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/GetLogData":                {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/ListLogEntries":            {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/WatchLogs":                 {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/FlushLogs":                 {admins, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/ReloadTLS":                 {admins, denied, denied, "403", "401", `{}`, "password"},
	"/backplane.proxy.v1.ProxyService/GetMemory":                 {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/GetQueryClassifier":        {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/ListQueryClassifierCache":  {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/ClassifyStatement":         {all, denied, denied, "403", "401", `{"sql":"SELECT 1"}`, ""},
	"/backplane.proxy.v1.ProxyService/WaitForMonitors":           {admins, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/GetServerDiagnostics":      {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/GetStackTrace":             {admins, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/ListHousekeeping":          {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/CreateConnection":          {"403 403 422", denied, denied, "403", "401", `{"login":{"target":"none","user":"u"}}`, ""},
	"/backplane.proxy.v1.ProxyService/ListConnections":           {admins, denied, denied, "403", "401", `{}`, ""},
	"/backplane.proxy.v1.ProxyService/GetConnection":             {"403 403 404", denied, denied, "403", "401", `{"name":"none","token":"x"}`, ""},
	"/backplane.proxy.v1.ProxyService/DeleteConnection":          {"403 403 404", denied, denied, "403", "401", `{"name":"none","token":"x"}`, ""},
	"/backplane.proxy.v1.ProxyService/ReconnectConnection":       {"403 403 404", denied, denied, "403", "401", `{"name":"none","token":"x"}`, ""},
	"/backplane.proxy.v1.ProxyService/CloneConnection":           {"403 403 404", denied, denied, "403", "401", `{"name":"none","token":"x"}`, ""},
	"/backplane.proxy.v1.ProxyService/CancelQuery":               {"403 403 404", denied, denied, "403", "401", `{"name":"none","token":"x"}`, ""},
	"/backplane.proxy.v1.ProxyService/RunQuery":                  {"403 403 404", denied, denied, "403", "401", `{"name":"none","token":"x","query":{"sql":"SELECT 1"}}`, ""},
	"/backplane.proxy.v1.ProxyService/GetQuery":                  {"403 403 404", denied, denied, "403", "401", `{"name":"none","token":"x","query":"x"}`, ""},
	"/backplane.proxy.v1.ProxyService/DeleteQuery":               {"403 403 404", denied, denied, "403", "401", `{"name":"none","token":"x","query":"x"}`, ""},
	"/backplane.proxy.v1.ProxyService/ListDrivers":               {admins, denied, denied, "403", "401", `{}`, ""},

	"/backplane.gateway.v1.GatewayService/ListServices":        {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.GatewayService/CreateService":       {"403 403 422", denied, denied, "403", "401", `{"service":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/GetService":          {"404 404 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/UpsertService":       {"403 403 422", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","service":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/UpdateService":       {"403 403 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","service":{"tags":["x"]}}`, ""},
	"/backplane.gateway.v1.GatewayService/DeleteService":       {admins, denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/ListRoutes":          {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.GatewayService/CreateRoute":         {"403 403 422", denied, denied, "403", "401", `{"route":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/GetRoute":            {"404 404 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/UpsertRoute":         {"403 403 422", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","route":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/UpdateRoute":         {"403 403 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","route":{"tags":["x"]}}`, ""},
	"/backplane.gateway.v1.GatewayService/DeleteRoute":         {admins, denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/ListUpstreams":       {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.GatewayService/CreateUpstream":      {"403 403 422", denied, denied, "403", "401", `{"upstream":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/GetUpstream":         {"404 404 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/UpsertUpstream":      {"403 403 422", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","upstream":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/UpdateUpstream":      {"403 403 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","upstream":{"tags":["x"]}}`, ""},
	"/backplane.gateway.v1.GatewayService/DeleteUpstream":      {admins, denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/ListTargets":         {"404 404 404", denied, denied, "403", "401", `{"upstream":"none"}`, ""},
	"/backplane.gateway.v1.GatewayService/CreateTarget":        {"403 403 404", denied, denied, "403", "401", `{"upstream":"none","target":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/GetTarget":           {"404 404 404", denied, denied, "403", "401", `{"upstream":"none","id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/UpsertTarget":        {"403 403 404", denied, denied, "403", "401", `{"upstream":"none","id":"11111111-2222-4333-8444-555555555555","target":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/UpdateTarget":        {"403 403 404", denied, denied, "403", "401", `{"upstream":"none","id":"11111111-2222-4333-8444-555555555555","target":{"tags":["x"]}}`, ""},
	"/backplane.gateway.v1.GatewayService/DeleteTarget":        {"403 403 404", denied, denied, "403", "401", `{"upstream":"none","id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/ListCertificates":    {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.GatewayService/CreateCertificate":   {"403 403 422", denied, denied, "403", "401", `{"certificate":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/GetCertificate":      {"404 404 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/UpsertCertificate":   {"403 403 422", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","certificate":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/UpdateCertificate":   {"403 403 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","certificate":{"tags":["x"]}}`, ""},
	"/backplane.gateway.v1.GatewayService/DeleteCertificate":   {admins, denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/ListCaCertificates":  {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.GatewayService/CreateCaCertificate": {"403 403 422", denied, denied, "403", "401", `{"ca_certificate":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/GetCaCertificate":    {"404 404 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/UpsertCaCertificate": {"403 403 422", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","ca_certificate":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/UpdateCaCertificate": {"403 403 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","ca_certificate":{"tags":["x"]}}`, ""},
	"/backplane.gateway.v1.GatewayService/DeleteCaCertificate": {admins, denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/ListSnis":            {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.GatewayService/CreateSni":           {"403 403 422", denied, denied, "403", "401", `{"sni":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/GetSni":              {"404 404 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/UpsertSni":           {"403 403 422", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","sni":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/UpdateSni":           {"403 403 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","sni":{"tags":["x"]}}`, ""},
	"/backplane.gateway.v1.GatewayService/DeleteSni":           {admins, denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/ListPlugins":         {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.GatewayService/CreatePlugin":        {"403 403 422", denied, denied, "403", "401", `{"plugin":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/GetPlugin":           {"404 404 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/UpsertPlugin":        {"403 403 422", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","plugin":{}}`, ""},
	"/backplane.gateway.v1.GatewayService/UpdatePlugin":        {"403 403 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","plugin":{"tags":["x"]}}`, ""},
	"/backplane.gateway.v1.GatewayService/DeletePlugin":        {admins, denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.GatewayService/RegisterService":     {admins, denied, denied, "403", "401", `{"domain":"http://127.0.0.1","name_service":"$new","port":1}`, ""},
	"/backplane.gateway.v1.GatewayService/UpdateRegistration":  {admins, denied, denied, "403", "401", `{"id_service":"$registered","port":2}`, ""},
	"/backplane.gateway.v1.GatewayService/UnregisterService":   {admins, denied, denied, "403", "401", `{"id_service":"$registered"}`, ""},
	"/backplane.gateway.v1.GatewayService/RefreshServices":     {admins, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.GatewayService/ListRegistrations":   {all, denied, denied, "403", "401", `{"page":1}`, ""},
	"/backplane.gateway.v1.GatewayService/GetRegistration":     {all, denied, denied, "403", "401", `{"id_service":"$registered"}`, ""},
	"/backplane.gateway.v1.GatewayService/ListServiceChanges":  {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.ConsumerService/ListConsumers":      {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.ConsumerService/CreateConsumer":     {"403 403 422", denied, denied, "403", "401", `{"consumer":{}}`, ""},
	"/backplane.gateway.v1.ConsumerService/GetConsumer":        {"404 404 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.ConsumerService/UpsertConsumer":     {"403 403 422", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","consumer":{}}`, ""},
	"/backplane.gateway.v1.ConsumerService/UpdateConsumer":     {"403 403 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","consumer":{"tags":["x"]}}`, ""},
	"/backplane.gateway.v1.ConsumerService/DeleteConsumer":     {admins, denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.ConsumerService/ListKeyAuths":       {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.ConsumerService/CreateKeyAuth":      {"403 403 422", denied, denied, "403", "401", `{"key_auth":{}}`, ""},
	"/backplane.gateway.v1.ConsumerService/GetKeyAuth":         {"404 404 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.ConsumerService/UpsertKeyAuth":      {"403 403 422", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","key_auth":{}}`, ""},
	"/backplane.gateway.v1.ConsumerService/UpdateKeyAuth":      {"403 403 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","key_auth":{"tags":["x"]}}`, ""},
	"/backplane.gateway.v1.ConsumerService/DeleteKeyAuth":      {admins, denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.ConsumerService/ListBasicAuths":     {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.ConsumerService/CreateBasicAuth":    {"403 403 422", denied, denied, "403", "401", `{"basic_auth":{}}`, ""},
	"/backplane.gateway.v1.ConsumerService/GetBasicAuth":       {"404 404 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.ConsumerService/UpsertBasicAuth":    {"403 403 422", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","basic_auth":{}}`, ""},
	"/backplane.gateway.v1.ConsumerService/UpdateBasicAuth":    {"403 403 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","basic_auth":{"tags":["x"]}}`, ""},
	"/backplane.gateway.v1.ConsumerService/DeleteBasicAuth":    {admins, denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.ConsumerService/ListJwts":           {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.ConsumerService/CreateJwt":          {"403 403 422", denied, denied, "403", "401", `{"jwt":{}}`, ""},
	"/backplane.gateway.v1.ConsumerService/GetJwt":             {"404 404 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.ConsumerService/UpsertJwt":          {"403 403 422", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","jwt":{}}`, ""},
	"/backplane.gateway.v1.ConsumerService/UpdateJwt":          {"403 403 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","jwt":{"tags":["x"]}}`, ""},
	"/backplane.gateway.v1.ConsumerService/DeleteJwt":          {admins, denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.ConsumerService/ListACLs":           {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.ConsumerService/CreateACL":          {"403 403 422", denied, denied, "403", "401", `{"acl":{}}`, ""},
	"/backplane.gateway.v1.ConsumerService/GetACL":             {"404 404 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.ConsumerService/UpsertACL":          {"403 403 422", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","acl":{}}`, ""},
	"/backplane.gateway.v1.ConsumerService/UpdateACL":          {"403 403 404", denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555","acl":{"tags":["x"]}}`, ""},
	"/backplane.gateway.v1.ConsumerService/DeleteACL":          {admins, denied, denied, "403", "401", `{"id":"11111111-2222-4333-8444-555555555555"}`, ""},
	"/backplane.gateway.v1.NodeService/GetNode":                {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.NodeService/GetStatus":              {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.NodeService/ListTags":               {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.NodeService/ListEnabledPlugins":     {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.NodeService/ListEndpoints":          {all, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.NodeService/GetSchema":              {all, denied, denied, "403", "401", `{"entity":"services"}`, ""},
	"/backplane.gateway.v1.NodeService/GetPluginSchema":        {"404 404 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.gateway.v1.NodeService/GetPluginConfigSchema":  {"404 404 404", denied, denied, "403", "401", `{"name":"none"}`, ""},
	"/backplane.gateway.v1.NodeService/ValidateEntity":         {all, denied, denied, "403", "401", `{"entity":"services","document":{"host":"h"}}`, ""},
	"/backplane.gateway.v1.NodeService/ListAllTargets":         {"404 404 404", denied, denied, "403", "401", `{"upstream":"none"}`, ""},
	"/backplane.gateway.v1.NodeService/GetUpstreamHealth":      {"404 404 404", denied, denied, "403", "401", `{"upstream":"none"}`, ""},
	"/backplane.gateway.v1.NodeService/GetBalancerHealth":      {"404 404 404", denied, denied, "403", "401", `{"upstream":"none"}`, ""},
	"/backplane.gateway.v1.NodeService/SetTargetHealthy":       {"403 403 404", denied, denied, "403", "401", `{"upstream":"none","target":"none"}`, ""},
	"/backplane.gateway.v1.NodeService/SetTargetUnhealthy":     {"403 403 404", denied, denied, "403", "401", `{"upstream":"none","target":"none"}`, ""},
	"/backplane.gateway.v1.NodeService/PurgeCaches":            {admins, denied, denied, "403", "401", `{}`, ""},
	"/backplane.gateway.v1.NodeService/GetCacheEntry":          {"403 403 404", denied, denied, "403", "401", `{"key":"none"}`, ""},
	"/backplane.gateway.v1.NodeService/DeleteCacheEntry":       {"403 403 404", denied, denied, "403", "401", `{"key":"none"}`, ""},

	"/backplane.gateway.v1.DeclarationService/ApplyDeclaration": {"403 403 422", denied, denied, "403", "401", `{"dry_run":true}`, ""},
	"/backplane.gateway.v1.DeclarationService/DumpDeclaration":  {admins, denied, denied, "403", "401", `{}`, ""},

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
	out = append(out, &person{name: "no login", stranger: true}, &person{name: "wrong login", stranger: true, bearer: "Bearer " + auth.NewToken()})
	signIn(t, s, out)
	return out
}

// signIn gives everybody a signed token, and connections.
func signIn(t *testing.T, s *servertest.Server, callers []*person) {
	t.Helper()
	for _, p := range callers {
		if !p.stranger {
			p.bearer = s.SignIn(t, p.password)
		}
		p.conns = map[string]*grpc.ClientConn{p.bearer: servertest.Dial(t, s.GRPC, p.bearer)}
		if p.password != "" {
			p.conns[p.password] = servertest.Dial(t, s.GRPC, p.password)
		}
	}
}

func TestAccess(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "a", "b")
	callers, e := people(t, s), newEstate(t, s)
	methods := registered(t, s)
	for _, method := range methods {
		row, ok := accessTable[method]
		if !ok {
			t.Errorf("%s has no row", method)
			continue
		}
		t.Run(method[strings.LastIndexByte(method, '.')+1:], func(t *testing.T) {
			tryAccess(t, newWorld(e), method, row, callers)
		})
		if strings.HasSuffix(method, "/ReloadTLS") {
			signIn(t, s, callers) // it has ended their tokens
		}
	}
	for method := range accessTable {
		if !slices.Contains(methods, method) {
			t.Errorf("there is a row for %s, which does not exist", method)
		}
	}
}

// tryAccess makes a call as everybody, over gRPC and REST, for what is in each
// project.
func tryAccess(t *testing.T, w *world, method string, row access, callers []*person) {
	t.Helper()
	for _, project := range projectNames {
		for _, p := range callers {
			want := p.want(row, project)
			call := newRPC(t, method, w.fill(t, row.request, project))
			if got := call.overGRPC(t, p.conns[p.login(row)]); got != want {
				t.Errorf("gRPC: %s gets %s for what is in %s, want %s", p.name, got, project, want)
			}
			w.used(method, project, want)
			call = newRPC(t, method, w.fill(t, row.request, project))
			if got := call.overREST(t, w.Server, p.login(row)); got != "" && got != want {
				t.Errorf("REST: %s gets %s for what is in %s, want %s", p.name, got, project, want)
			}
			w.used(method, project, want)
		}
	}
}

// quarantineTable says who may call an RPC for what is in quarantine: to all but
// admins it is not there, and to them it is what it was.
var quarantineTable = map[string]access{
	"/backplane.dbaas.v1.DatabaseAdmin/GetDatabase":        {"404 404 200", "404 404 200", hidden, "404", "401", `{"id":"$quarantined"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/UpdateDatabase":     {"404 404 200", "404 404 200", hidden, "404", "401", `{"id":"$quarantined","database":{"description":"$new","project":"/api/project/$projectNumber/"},"update_mask":"description"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/DeleteDatabase":     {"404 404 200", "404 404 200", hidden, "404", "401", `{"id":"$quarantined"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/CloneDatabase":      {"404 404 200", "404 404 200", hidden, "404", "401", `{"id":"$quarantined","name":"$new"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/CreateSnapshot":     {"404 404 200", "404 404 200", hidden, "404", "401", `{"database":"$quarantined"}`, ""},
	"/backplane.dbaas.v1.DatabaseAdmin/ListSnapshots":      {"404 404 200", "404 404 200", hidden, "404", "401", `{"database":"$quarantined"}`, ""},
	"/backplane.dbaas.v1.CredentialAdmin/GetCredential":    {"404 404 200", "404 404 200", hidden, "404", "401", `{"id":"$locked"}`, ""},
	"/backplane.dbaas.v1.CredentialAdmin/CreateCredential": {"403 400 400", "403 400 400", "403 400 400", "403", "401", `{"user":"$login","database":"/api/database/$quarantined/"}`, ""},
	"/backplane.dbaas.v1.CredentialAdmin/UpdateCredential": {"404 404 200", "404 404 200", hidden, "404", "401", `{"id":"$locked","credential":{"rotate_every":"30d"},"update_mask":"rotateEvery"}`, ""},
	"/backplane.dbaas.v1.CredentialAdmin/DeleteCredential": {"404 404 200", "404 404 200", hidden, "404", "401", `{"id":"$locked"}`, ""},
	"/backplane.dbaas.v1.CredentialAdmin/ResetPassword":    {"404 404 200", "404 404 200", hidden, "404", "401", `{"id":"$locked"}`, ""},
	"/backplane.dbaas.v1.CredentialAdmin/RotateCredential": {"404 404 400", "404 404 400", hidden, "404", "401", `{"id":"$locked"}`, ""},
	"/backplane.dbaas.v1.CredentialAdmin/RenewCredential":  {"404 404 400", "404 404 400", hidden, "404", "401", `{"id":"$locked"}`, ""},
}

func TestQuarantineIsForAdmins(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.AddProject(t, "a", "b")
	callers, e := people(t, s), newEstate(t, s)
	for _, method := range slices.Sorted(maps.Keys(quarantineTable)) {
		t.Run(method[strings.LastIndexByte(method, '.')+1:], func(t *testing.T) {
			tryAccess(t, newWorld(e), method, quarantineTable[method], callers)
		})
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
