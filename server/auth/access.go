package auth

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"google.golang.org/grpc"

	catalogv1 "github.com/backplane/backplane/gen/backplane/catalog/v1"
	dbaasv1 "github.com/backplane/backplane/gen/backplane/dbaas/v1"
	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
	proxyv1 "github.com/backplane/backplane/gen/backplane/proxy/v1"
)

// Reach is what a rule's role must cover.
type Reach int

// The reaches of rules.
const (
	// Public calls need no login.
	Public Reach = iota
	// Anyone who has logged in may call; the method sees to the rest.
	Anyone
	// InProject calls need the role in the project of the resource.
	InProject
	// Everywhere calls need the role in every project.
	Everywhere
)

// Rule says who may call a method.
type Rule struct {
	Reach Reach
	Role  Role
}

// The rules that most methods have.
var (
	open   = Rule{Reach: Public}
	anyone = Rule{Anyone, Viewer}
	view   = Rule{InProject, Viewer}
	edit   = Rule{InProject, Editor}
	manage = Rule{InProject, Admin}
	rule   = Rule{Everywhere, Admin}
	// observe is for what belongs to no project.
	observe = Rule{Everywhere, Viewer}
)

// Access is the authorization table: who may call what, by full method name. A
// method without a row cannot be served.
func Access() map[string]Rule {
	table := map[string]Rule{}
	for _, part := range []map[string]Rule{catalogAccess(), identityAccess(), databaseAccess(), proxyAccess(), proxyProgramAccess(), proxySQLAccess(), gatewayAccess(), consumerAccess(), nodeAccess(), declarationAccess(), grpcAccess()} {
		maps.Copy(table, part)
	}
	return table
}

func catalogAccess() map[string]Rule {
	return map[string]Rule{
		catalogv1.ServiceCatalog_GetHealth_FullMethodName:           open,
		catalogv1.ServiceCatalog_ListServiceTypes_FullMethodName:    anyone,
		catalogv1.ServiceCatalog_GetServiceType_FullMethodName:      anyone,
		catalogv1.ServiceCatalog_ListServices_FullMethodName:        view,
		catalogv1.ServiceCatalog_GetService_FullMethodName:          view,
		catalogv1.ServiceCatalog_GetServiceHealth_FullMethodName:    view,
		catalogv1.ServiceCatalog_ListServiceVersions_FullMethodName: view,
		catalogv1.ServiceCatalog_WatchServices_FullMethodName:       view,
		catalogv1.ServiceCatalog_CreateService_FullMethodName:       edit,
		catalogv1.ServiceCatalog_UpdateService_FullMethodName:       edit,
		catalogv1.ServiceCatalog_DeleteService_FullMethodName:       edit,
		catalogv1.ServiceCatalog_RollbackService_FullMethodName:     edit,
		catalogv1.ServiceCatalog_TestService_FullMethodName:         edit,
		catalogv1.ServiceCatalog_TestServices_FullMethodName:        edit,
		catalogv1.ServiceCatalog_TestConfig_FullMethodName:          edit,
		catalogv1.ServiceCatalog_ActivateService_FullMethodName:     edit,
		catalogv1.ServiceCatalog_DeactivateService_FullMethodName:   edit,
	}
}

func identityAccess() map[string]Rule {
	return map[string]Rule{
		identityv1.IdentityAdmin_WhoAmI_FullMethodName:        anyone,
		identityv1.IdentityAdmin_GetAuthToken_FullMethodName:  anyone,
		identityv1.IdentityAdmin_ListRoles_FullMethodName:     anyone,
		identityv1.IdentityAdmin_ListTokens_FullMethodName:    anyone,
		identityv1.IdentityAdmin_CreateToken_FullMethodName:   anyone,
		identityv1.IdentityAdmin_DeleteToken_FullMethodName:   anyone,
		identityv1.IdentityAdmin_GetUser_FullMethodName:       anyone,
		identityv1.IdentityAdmin_UpdateUser_FullMethodName:    anyone,
		identityv1.IdentityAdmin_ListProjects_FullMethodName:  anyone,
		identityv1.IdentityAdmin_GetProject_FullMethodName:    anyone,
		identityv1.IdentityAdmin_ListUsers_FullMethodName:     rule,
		identityv1.IdentityAdmin_CreateUser_FullMethodName:    rule,
		identityv1.IdentityAdmin_DeleteUser_FullMethodName:    rule,
		identityv1.IdentityAdmin_CreateProject_FullMethodName: rule,
		identityv1.IdentityAdmin_DeleteProject_FullMethodName: rule,
		identityv1.IdentityAdmin_ListAudit_FullMethodName:     manage,
		identityv1.IdentityAdmin_WatchAudit_FullMethodName:    manage,
		identityv1.IdentityAdmin_VerifyAudit_FullMethodName:   rule,
		identityv1.IdentityAdmin_RotateKeys_FullMethodName:    rule,
	}
}

func databaseAccess() map[string]Rule {
	return map[string]Rule{
		dbaasv1.DatabaseAdmin_ListDatabases_FullMethodName:         view,
		dbaasv1.DatabaseAdmin_GetDatabase_FullMethodName:           view,
		dbaasv1.DatabaseAdmin_CreateDatabase_FullMethodName:        edit,
		dbaasv1.DatabaseAdmin_UpdateDatabase_FullMethodName:        edit,
		dbaasv1.DatabaseAdmin_DeleteDatabase_FullMethodName:        edit,
		dbaasv1.DatabaseAdmin_RestoreDatabase_FullMethodName:       manage,
		dbaasv1.DatabaseAdmin_CloneDatabase_FullMethodName:         edit,
		dbaasv1.DatabaseAdmin_ListSnapshots_FullMethodName:         view,
		dbaasv1.DatabaseAdmin_GetSnapshot_FullMethodName:           view,
		dbaasv1.DatabaseAdmin_CreateSnapshot_FullMethodName:        edit,
		dbaasv1.DatabaseAdmin_DeleteSnapshot_FullMethodName:        edit,
		dbaasv1.DatabaseAdmin_RestoreSnapshot_FullMethodName:       edit,
		dbaasv1.DatabaseAdmin_ListPlans_FullMethodName:             anyone,
		dbaasv1.DatabaseAdmin_GetPlan_FullMethodName:               anyone,
		dbaasv1.DatabaseAdmin_CreatePlan_FullMethodName:            rule,
		dbaasv1.DatabaseAdmin_UpdatePlan_FullMethodName:            rule,
		dbaasv1.DatabaseAdmin_DeletePlan_FullMethodName:            rule,
		dbaasv1.DatabaseAdmin_ListEnvironments_FullMethodName:      anyone,
		dbaasv1.DatabaseAdmin_GetEnvironment_FullMethodName:        anyone,
		dbaasv1.DatabaseAdmin_CreateEnvironment_FullMethodName:     rule,
		dbaasv1.DatabaseAdmin_UpdateEnvironment_FullMethodName:     rule,
		dbaasv1.DatabaseAdmin_DeleteEnvironment_FullMethodName:     rule,
		dbaasv1.DatabaseAdmin_ListDatabaseProjects_FullMethodName:  anyone,
		dbaasv1.DatabaseAdmin_GetDatabaseProject_FullMethodName:    anyone,
		dbaasv1.DatabaseAdmin_CreateDatabaseProject_FullMethodName: rule,
		dbaasv1.DatabaseAdmin_UpdateDatabaseProject_FullMethodName: rule,
		dbaasv1.DatabaseAdmin_DeleteDatabaseProject_FullMethodName: rule,
		dbaasv1.DatabaseAdmin_ListTeams_FullMethodName:             anyone,
		dbaasv1.DatabaseAdmin_GetTeam_FullMethodName:               anyone,
		dbaasv1.DatabaseAdmin_ListEngines_FullMethodName:           anyone,
		dbaasv1.DatabaseAdmin_GetEngine_FullMethodName:             anyone,
		dbaasv1.DatabaseAdmin_ListEngineTypes_FullMethodName:       anyone,
		dbaasv1.DatabaseAdmin_GetEngineType_FullMethodName:         anyone,
		dbaasv1.DatabaseAdmin_ListTasks_FullMethodName:             view,
		dbaasv1.DatabaseAdmin_GetTask_FullMethodName:               view,
		dbaasv1.DatabaseAdmin_WatchTasks_FullMethodName:            view,
		dbaasv1.DatabaseAdmin_ListDifferences_FullMethodName:       rule,
		dbaasv1.DatabaseAdmin_RepairDifferences_FullMethodName:     rule,
		dbaasv1.CredentialAdmin_ListCredentials_FullMethodName:     view,
		dbaasv1.CredentialAdmin_GetCredential_FullMethodName:       edit,
		dbaasv1.CredentialAdmin_CreateCredential_FullMethodName:    edit,
		dbaasv1.CredentialAdmin_UpdateCredential_FullMethodName:    edit,
		dbaasv1.CredentialAdmin_DeleteCredential_FullMethodName:    edit,
		dbaasv1.CredentialAdmin_ResetPassword_FullMethodName:       edit,
		dbaasv1.CredentialAdmin_RotateCredential_FullMethodName:    edit,
		dbaasv1.CredentialAdmin_RenewCredential_FullMethodName:     edit,
	}
}

func proxyAccess() map[string]Rule {
	return map[string]Rule{
		proxyv1.ProxyService_ListServices_FullMethodName:              observe,
		proxyv1.ProxyService_CreateService_FullMethodName:             rule,
		proxyv1.ProxyService_GetService_FullMethodName:                observe,
		proxyv1.ProxyService_UpdateService_FullMethodName:             rule,
		proxyv1.ProxyService_DeleteService_FullMethodName:             rule,
		proxyv1.ProxyService_GetServiceRelationship_FullMethodName:    observe,
		proxyv1.ProxyService_UpdateServiceRelationship_FullMethodName: rule,
		proxyv1.ProxyService_StartService_FullMethodName:              rule,
		proxyv1.ProxyService_StopService_FullMethodName:               rule,
		proxyv1.ProxyService_ReloadService_FullMethodName:             rule,
		proxyv1.ProxyService_ListServiceListeners_FullMethodName:      observe,
		proxyv1.ProxyService_CreateServiceListener_FullMethodName:     rule,
		proxyv1.ProxyService_GetServiceListener_FullMethodName:        observe,
		proxyv1.ProxyService_DeleteServiceListener_FullMethodName:     rule,
		proxyv1.ProxyService_AddServiceDatabase_FullMethodName:        rule,
		proxyv1.ProxyService_ListServers_FullMethodName:               observe,
		proxyv1.ProxyService_CreateServer_FullMethodName:              rule,
		proxyv1.ProxyService_GetServer_FullMethodName:                 observe,
		proxyv1.ProxyService_UpdateServer_FullMethodName:              rule,
		proxyv1.ProxyService_DeleteServer_FullMethodName:              rule,
		proxyv1.ProxyService_GetServerRelationship_FullMethodName:     observe,
		proxyv1.ProxyService_UpdateServerRelationship_FullMethodName:  rule,
		proxyv1.ProxyService_SetServerState_FullMethodName:            rule,
		proxyv1.ProxyService_ClearServerState_FullMethodName:          rule,
		proxyv1.ProxyService_ListListeners_FullMethodName:             observe,
		proxyv1.ProxyService_CreateListener_FullMethodName:            rule,
		proxyv1.ProxyService_GetListener_FullMethodName:               observe,
		proxyv1.ProxyService_UpdateListener_FullMethodName:            rule,
		proxyv1.ProxyService_DeleteListener_FullMethodName:            rule,
		proxyv1.ProxyService_GetListenerRelationship_FullMethodName:   observe,
		proxyv1.ProxyService_StartListener_FullMethodName:             rule,
		proxyv1.ProxyService_StopListener_FullMethodName:              rule,
		proxyv1.ProxyService_ListFilters_FullMethodName:               observe,
		proxyv1.ProxyService_CreateFilter_FullMethodName:              rule,
		proxyv1.ProxyService_GetFilter_FullMethodName:                 observe,
		proxyv1.ProxyService_UpdateFilter_FullMethodName:              rule,
		proxyv1.ProxyService_DeleteFilter_FullMethodName:              rule,
		proxyv1.ProxyService_GetFilterRelationship_FullMethodName:     observe,
		proxyv1.ProxyService_UpdateFilterRelationship_FullMethodName:  rule,
		proxyv1.ProxyService_ListMonitors_FullMethodName:              observe,
		proxyv1.ProxyService_CreateMonitor_FullMethodName:             rule,
		proxyv1.ProxyService_GetMonitor_FullMethodName:                observe,
		proxyv1.ProxyService_UpdateMonitor_FullMethodName:             rule,
		proxyv1.ProxyService_DeleteMonitor_FullMethodName:             rule,
		proxyv1.ProxyService_GetMonitorRelationship_FullMethodName:    observe,
		proxyv1.ProxyService_UpdateMonitorRelationship_FullMethodName: rule,
		proxyv1.ProxyService_StartMonitor_FullMethodName:              rule,
		proxyv1.ProxyService_StopMonitor_FullMethodName:               rule,
	}
}

// proxyProgramAccess is for sessions, users and the program itself.
func proxyProgramAccess() map[string]Rule {
	return map[string]Rule{
		proxyv1.ProxyService_ListSessions_FullMethodName:             observe,
		proxyv1.ProxyService_GetSession_FullMethodName:               observe,
		proxyv1.ProxyService_GetSessionRelationship_FullMethodName:   observe,
		proxyv1.ProxyService_UpdateSession_FullMethodName:            rule,
		proxyv1.ProxyService_RestartSession_FullMethodName:           rule,
		proxyv1.ProxyService_RestartSessions_FullMethodName:          rule,
		proxyv1.ProxyService_DeleteSession_FullMethodName:            rule,
		proxyv1.ProxyService_ListUsers_FullMethodName:                observe,
		proxyv1.ProxyService_ListUnixUsers_FullMethodName:            observe,
		proxyv1.ProxyService_CreateUser_FullMethodName:               rule,
		proxyv1.ProxyService_GetUser_FullMethodName:                  observe,
		proxyv1.ProxyService_UpdateUser_FullMethodName:               rule,
		proxyv1.ProxyService_DeleteUser_FullMethodName:               rule,
		proxyv1.ProxyService_GetProgram_FullMethodName:               observe,
		proxyv1.ProxyService_UpdateProgram_FullMethodName:            rule,
		proxyv1.ProxyService_ListThreads_FullMethodName:              observe,
		proxyv1.ProxyService_GetThread_FullMethodName:                observe,
		proxyv1.ProxyService_ListModules_FullMethodName:              observe,
		proxyv1.ProxyService_GetModule_FullMethodName:                observe,
		proxyv1.ProxyService_ReadCommand_FullMethodName:              observe,
		proxyv1.ProxyService_RunCommand_FullMethodName:               rule,
		proxyv1.ProxyService_GetLogs_FullMethodName:                  observe,
		proxyv1.ProxyService_GetLogData_FullMethodName:               observe,
		proxyv1.ProxyService_ListLogEntries_FullMethodName:           observe,
		proxyv1.ProxyService_WatchLogs_FullMethodName:                observe,
		proxyv1.ProxyService_FlushLogs_FullMethodName:                rule,
		proxyv1.ProxyService_ReloadTLS_FullMethodName:                rule,
		proxyv1.ProxyService_GetMemory_FullMethodName:                observe,
		proxyv1.ProxyService_GetQueryClassifier_FullMethodName:       observe,
		proxyv1.ProxyService_ListQueryClassifierCache_FullMethodName: observe,
		proxyv1.ProxyService_ClassifyStatement_FullMethodName:        observe,
		proxyv1.ProxyService_WaitForMonitors_FullMethodName:          rule,
		proxyv1.ProxyService_GetServerDiagnostics_FullMethodName:     observe,
		proxyv1.ProxyService_GetStackTrace_FullMethodName:            rule,
		proxyv1.ProxyService_ListHousekeeping_FullMethodName:         observe,
	}
}

// proxySQLAccess is of what runs statements: more than to see is needed, also
// of what others run.
func proxySQLAccess() map[string]Rule {
	return map[string]Rule{
		proxyv1.ProxyService_CreateConnection_FullMethodName:    rule,
		proxyv1.ProxyService_ListConnections_FullMethodName:     rule,
		proxyv1.ProxyService_GetConnection_FullMethodName:       rule,
		proxyv1.ProxyService_DeleteConnection_FullMethodName:    rule,
		proxyv1.ProxyService_ReconnectConnection_FullMethodName: rule,
		proxyv1.ProxyService_CloneConnection_FullMethodName:     rule,
		proxyv1.ProxyService_CancelQuery_FullMethodName:         rule,
		proxyv1.ProxyService_RunQuery_FullMethodName:            rule,
		proxyv1.ProxyService_GetQuery_FullMethodName:            rule,
		proxyv1.ProxyService_DeleteQuery_FullMethodName:         rule,
		proxyv1.ProxyService_ListDrivers_FullMethodName:         rule,
	}
}

func grpcAccess() map[string]Rule {
	return map[string]Rule{
		"/grpc.health.v1.Health/Check":                                   open,
		"/grpc.health.v1.Health/List":                                    open,
		"/grpc.health.v1.Health/Watch":                                   open,
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      anyone,
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": anyone,
	}
}

// Complete reports the methods of a server that the table has no row for.
func Complete(table map[string]Rule, services map[string]grpc.ServiceInfo) error {
	var missing []string
	for name, service := range services {
		for _, m := range service.Methods {
			method := "/" + name + "/" + m.Name
			if _, ok := table[method]; !ok {
				missing = append(missing, method)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	return fmt.Errorf("no authorization rule for %s", strings.Join(missing, ", "))
}
