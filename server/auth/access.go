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
)

// Access is the authorization table: who may call what, by full method name. A
// method without a row cannot be served.
func Access() map[string]Rule {
	table := map[string]Rule{}
	for _, part := range []map[string]Rule{catalogAccess(), identityAccess(), databaseAccess(), grpcAccess()} {
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
