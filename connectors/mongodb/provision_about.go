package mongodb

import (
	"context"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/backplane/backplane/connectors"
)

// Rights that databases are made with.
var (
	neededOnDatabases = []string{
		"createUser", "dropUser", "grantRole", "revokeRole", "changePassword", "viewUser",
		"createCollection", "dropCollection", "dropDatabase", "dbStats", "listCollections", "listIndexes", "createIndex",
		"find", "insert", "bypassDocumentValidation",
	}
	neededOnServer = []string{"listDatabases", "killAnySession"}
)

// authInfo is what the server says of who is logged in.
type authInfo struct {
	Roles []struct {
		Role string `bson:"role"`
		DB   string `bson:"db"`
	} `bson:"authenticatedUserRoles"`
	Privileges []struct {
		Resource bson.M   `bson:"resource"`
		Actions  []string `bson:"actions"`
	} `bson:"authenticatedUserPrivileges"`
}

// About asks for the version and for the rights of the administrator.
func (s *server) About(ctx context.Context) (connectors.ServerFacts, error) {
	var (
		facts connectors.ServerFacts
		info  struct {
			Version string `bson:"version"`
		}
		status struct {
			AuthInfo authInfo `bson:"authInfo"`
		}
	)
	if err := s.run(ctx, "admin", bson.D{{Key: "buildInfo", Value: 1}}, &info); err != nil {
		return facts, s.failure(err)
	}
	facts.Version = info.Version
	if !s.uri.hasUser {
		facts.Lacks = []string{"a login: where nobody needs one, everybody reaches all databases"}
		return facts, nil
	}
	command := bson.D{{Key: "connectionStatus", Value: 1}, {Key: "showPrivileges", Value: true}}
	if err := s.run(ctx, "admin", command, &status); err != nil {
		return facts, s.failure(err)
	}
	facts.Lacks = status.AuthInfo.lacks()
	return facts, nil
}

// lacks says what the administrator may not do. Servers that list no rights may
// list roles; those that list neither do not check any.
func (a authInfo) lacks() []string {
	for _, r := range a.Roles {
		if r.DB == "admin" && (r.Role == "root" || r.Role == "__system") {
			return nil
		}
	}
	may := func(action string, resource func(bson.M) bool) bool {
		for _, p := range a.Privileges {
			if (p.Resource["anyResource"] == true || resource(p.Resource)) && slices.Contains(p.Actions, action) {
				return true
			}
		}
		return false
	}
	var lacks []string
	for _, action := range neededOnDatabases {
		if !may(action, func(r bson.M) bool { return r["db"] == "" && r["collection"] == "" }) {
			lacks = append(lacks, action+" in any database")
		}
	}
	for _, action := range neededOnServer {
		if !may(action, func(r bson.M) bool { return r["cluster"] == true }) {
			lacks = append(lacks, action)
		}
	}
	if len(lacks) == len(neededOnDatabases)+len(neededOnServer) {
		return []string{"the role root, or those that make databases and users"}
	}
	return lacks
}
