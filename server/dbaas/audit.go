package dbaas

import (
	"encoding/json"
	"strconv"

	"github.com/backplane/backplane/ent"
	"github.com/backplane/backplane/server/store"
)

func jsonOf(v any) string {
	text, _ := json.Marshal(v) // of plain values
	return string(text)
}

// databaseFields are what the audit trail compares of a database.
func databaseFields(row *ent.Database) map[string]string {
	return map[string]string{
		"plan": jsonOf(row.PlanID), "environment": jsonOf(row.EnvironmentID), "service": jsonOf(row.ServiceID.String()),
		"project": jsonOf(row.Project), "description": jsonOf(row.Description), "state": jsonOf(row.State),
		"read_only": jsonOf(row.ReadOnly),
	}
}

func auditOfDatabase(action string, row *ent.Database, before, after map[string]string) store.Audit {
	return store.Audit{
		Action: action, Kind: "database", ID: strconv.Itoa(row.ID), Name: row.Name, Project: row.Project,
		Changes: store.Changes(before, after),
	}
}

// credentialFields are what the audit trail compares of a credential. A
// password is shown as one, and as changed when its seal is another.
func credentialFields(row *ent.Credential) map[string]string {
	return map[string]string{
		"user": jsonOf(row.User), "role": jsonOf(row.Privilege), "expires_at": jsonOf(row.ExpiresAt),
		"rotate_every": jsonOf(row.RotateEveryUs), "password": store.SecretValue(row.Sealed),
	}
}

func auditOfCredential(action string, db *ent.Database, row *ent.Credential, before, after map[string]string) store.Audit {
	return store.Audit{
		Action: action, Kind: "credential", ID: strconv.Itoa(row.ID), Name: row.User, Project: db.Project,
		Changes: store.Changes(before, after),
	}
}
