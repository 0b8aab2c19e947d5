package cli

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

func someUser() *identityv1.User {
	return &identityv1.User{
		Username: "ann", Enabled: proto.Bool(true), CreatedAt: at(day), UpdatedAt: at(day),
		Roles: []*identityv1.RoleBinding{{Role: "viewer"}, {Role: "editor", Project: "shop"}},
	}
}

func someToken() *identityv1.Token {
	return &identityv1.Token{
		Id: "id-1", Name: "ci", Prefix: "bp_abc", Username: "ann", Roles: []*identityv1.RoleBinding{{Role: "viewer"}}, CreatedAt: at(day),
	}
}

func someRecord() *identityv1.AuditRecord {
	return &identityv1.AuditRecord{
		Id: 1 << 60, At: at(day), Actor: "ann", Address: "192.0.2.1", Action: "UpdateService",
		ResourceKind: "service", ResourceId: "id-9", ResourceName: "Main", Project: "shop",
		Changes: []*identityv1.AuditChange{{Field: "name", Before: `"a"`, After: `"<b>"`}, {Field: "config.port"}},
	}
}

func answers() map[string]proto.Message {
	created := someToken()
	created.Token = proto.String("bp_secret")
	return map[string]proto.Message{
		"ListUsers":     &identityv1.ListUsersResponse{Ok: true, Data: []*identityv1.User{someUser(), {Username: "bob"}}},
		"GetUser":       &identityv1.GetUserResponse{Ok: true, Data: someUser()},
		"CreateUser":    &identityv1.CreateUserResponse{Ok: true, Data: someUser()},
		"UpdateUser":    &identityv1.UpdateUserResponse{Ok: true, Data: someUser()},
		"DeleteUser":    &identityv1.DeleteUserResponse{Ok: true},
		"ListTokens":    &identityv1.ListTokensResponse{Ok: true, Data: []*identityv1.Token{someToken()}},
		"CreateToken":   &identityv1.CreateTokenResponse{Ok: true, Data: created},
		"DeleteToken":   &identityv1.DeleteTokenResponse{Ok: true},
		"ListProjects":  &identityv1.ListProjectsResponse{Ok: true},
		"CreateProject": &identityv1.CreateProjectResponse{Ok: true, Data: &identityv1.Project{Name: "shop", Description: "It sells", CreatedAt: at(day)}},
		"DeleteProject": &identityv1.DeleteProjectResponse{Ok: true},
		"ListAudit":     &identityv1.ListAuditResponse{Ok: true, Data: []*identityv1.AuditRecord{someRecord()}},
		"VerifyAudit":   &identityv1.VerifyAuditResponse{Ok: true, Data: &identityv1.AuditVerdict{Intact: true, Checked: 12}},
		"RotateKeys":    &identityv1.RotateKeysResponse{Ok: true, Data: &identityv1.KeyRotation{KeyId: "abcd", Resealed: 7}},
		"WhoAmI":        &identityv1.WhoAmIResponse{Ok: true, Data: &identityv1.Caller{Username: "ann", Roles: []*identityv1.RoleBinding{{Role: "admin"}}}},
	}
}

// expect is what a command asks for, and what it then prints.
type expect struct {
	want proto.Message
	out  string
}

// check runs command lines.
func check(t *testing.T, lines map[string]expect) {
	t.Helper()
	for line, tt := range lines {
		t.Run(line, func(t *testing.T) {
			f := serve(t)
			f.answers = answers()
			r := f.run(t, strings.Fields(line)...)
			if r.err != nil {
				t.Fatal(r.err)
			}
			got := f.last(t)
			if !proto.Equal(got.request, tt.want) {
				t.Errorf("asked for %T %v, want %T %v", got.request, got.request, tt.want, tt.want)
			}
			if got.authorization != "Bearer bp_test" {
				t.Errorf("logged in with %q", got.authorization)
			}
			if r.out != tt.out {
				t.Errorf("printed\n%s\nwant\n%s", r.out, tt.out)
			}
		})
	}
}

func TestUserCommands(t *testing.T) {
	update := func(field string, u *identityv1.User) proto.Message {
		return &identityv1.UpdateUserRequest{Username: "ann", User: u, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{field}}}
	}
	check(t, map[string]expect{
		"user list": {&identityv1.ListUsersRequest{}, `USERNAME  ROLES               ENABLED  CREATED               UPDATED
ann       viewer,editor@shop  true     2026-02-03T04:05:06Z  2026-02-03T04:05:06Z
bob       -                   false    -                     -
`},
		"user get ann": {&identityv1.GetUserRequest{Username: "ann"}, `USERNAME  ROLES               ENABLED  CREATED               UPDATED
ann       viewer,editor@shop  true     2026-02-03T04:05:06Z  2026-02-03T04:05:06Z
`},
		"user get ann --output json": {&identityv1.GetUserRequest{Username: "ann"}, `{
  "username": "ann",
  "roles": [
    {
      "role": "viewer",
      "project": ""
    },
    {
      "role": "editor",
      "project": "shop"
    }
  ],
  "enabled": true,
  "created_at": "2026-02-03T04:05:06Z",
  "updated_at": "2026-02-03T04:05:06Z"
}
`},
		"user roles ann viewer editor@shop": {
			update("roles", &identityv1.User{Roles: []*identityv1.RoleBinding{{Role: "viewer"}, {Role: "editor", Project: "shop"}}}),
			"ann has viewer,editor@shop\n",
		},
		"user roles ann --none":         {update("roles", &identityv1.User{}), "ann has -\n"},
		"user enable ann":               {update("enabled", &identityv1.User{Enabled: proto.Bool(true)}), "ann may log in\n"},
		"user disable ann":              {update("enabled", &identityv1.User{Enabled: proto.Bool(false)}), "ann may not log in\n"},
		"user delete ann":               {&identityv1.DeleteUserRequest{Username: "ann"}, "Deleted user ann\n"},
		"user delete ann --output json": {&identityv1.DeleteUserRequest{Username: "ann"}, ""},
	})
}

func TestTokenCommands(t *testing.T) {
	check(t, map[string]expect{
		"token list": {&identityv1.ListTokensRequest{}, `ID    NAME  PREFIX  USERNAME  ROLES   CREATED               EXPIRES  LAST USED
id-1  ci    bp_abc  ann       viewer  2026-02-03T04:05:06Z  -        -
`},
		"token create ci --expires-in 90d --role viewer --role editor@shop": {
			&identityv1.CreateTokenRequest{Name: "ci", ExpiresIn: "90d", Roles: []*identityv1.RoleBinding{{Role: "viewer"}, {Role: "editor", Project: "shop"}}},
			"bp_secret\n",
		},
		"token create ci": {&identityv1.CreateTokenRequest{Name: "ci"}, "bp_secret\n"},
		"token create ci --output json": {&identityv1.CreateTokenRequest{Name: "ci"}, `{
  "id": "id-1",
  "name": "ci",
  "token": "bp_secret",
  "prefix": "bp_abc",
  "username": "ann",
  "roles": [
    {
      "role": "viewer",
      "project": ""
    }
  ],
  "created_at": "2026-02-03T04:05:06Z"
}
`},
		"token revoke id-1": {&identityv1.DeleteTokenRequest{Id: "id-1"}, "Revoked token id-1\n"},
	})
}

func TestProjectCommands(t *testing.T) {
	check(t, map[string]expect{
		"project list":               {&identityv1.ListProjectsRequest{}, "NAME  DESCRIPTION  CREATED\n"},
		"project list --output json": {&identityv1.ListProjectsRequest{}, "[]\n"},
		"project create shop --description Sells": {
			&identityv1.CreateProjectRequest{Project: &identityv1.Project{Name: "shop", Description: "Sells"}},
			"NAME  DESCRIPTION  CREATED\nshop  It sells     2026-02-03T04:05:06Z\n",
		},
		"project delete shop": {&identityv1.DeleteProjectRequest{Name: "shop"}, "Deleted project shop\n"},
	})
}

func TestAuditCommands(t *testing.T) {
	check(t, map[string]expect{
		"audit list": {&identityv1.ListAuditRequest{Limit: 100}, `ID                   AT                    ACTOR  ADDRESS    ACTION         RESOURCE      PROJECT  CHANGED
1152921504606846976  2026-02-03T04:05:06Z  ann    192.0.2.1  UpdateService  service Main  shop     name,config.port
`},
		"audit list --limit 5 --before 9 --actor ann --action CreateUser --resource-id r --project shop --since 2026-01-02T03:04:05+01:00 --until 2026-01-03T00:00:00Z --output json": {
			&identityv1.ListAuditRequest{
				Limit: 5, Before: 9, Actor: "ann", Action: "CreateUser", ResourceId: "r", Project: "shop",
				Since: "2026-01-02T03:04:05+01:00", Until: "2026-01-03T00:00:00Z",
			}, `[
  {
    "id": 1152921504606846976,
    "at": "2026-02-03T04:05:06Z",
    "actor": "ann",
    "token_id": "",
    "address": "192.0.2.1",
    "request_id": "",
    "action": "UpdateService",
    "resource_kind": "service",
    "resource_id": "id-9",
    "resource_name": "Main",
    "project": "shop",
    "changes": [
      {
        "field": "name",
        "before": "\"a\"",
        "after": "\"<b>\""
      },
      {
        "field": "config.port",
        "before": "",
        "after": ""
      }
    ],
    "previous_hash": "",
    "hash": ""
  }
]
`,
		},
		"audit verify": {&identityv1.VerifyAuditRequest{}, "The audit trail is intact: 12 records\n"},
	})
}

func TestKeysAndWhoAmI(t *testing.T) {
	check(t, map[string]expect{
		"keys rotate":               {&identityv1.RotateKeysRequest{}, "Sealed 7 values anew under key abcd\n"},
		"keys rotate --output json": {&identityv1.RotateKeysRequest{}, "{\n  \"key_id\": \"abcd\",\n  \"resealed\": 7\n}\n"},
		"whoami":                    {&identityv1.WhoAmIRequest{}, "USERNAME  TOKEN  ROLES\nann       -      admin\n"},
	})
}

func TestCommandsThatAreWrong(t *testing.T) {
	for line, want := range map[string]string{
		"user creat ann":                         `unknown command "creat" for "backplane user": it has create, delete, disable`,
		"keys rotat":                             `unknown command "rotat" for "backplane keys": it has rotate`,
		"user get":                               "one argument is needed, USERNAME, and 0 were given; see backplane user get --help",
		"gateway diff a b":                       "one argument is needed, FILE, and 2 were given; see backplane gateway diff --help",
		"user roles ann":                         "name a user and its roles",
		"user roles ann viewer --none":           "name a user and its roles",
		"user roles ann editor@":                 `"editor@" must be a role`,
		"user roles ann @shop":                   `"@shop" must be a role`,
		"user create ann --role editor@":         `"editor@" must be a role`,
		"token create ci --role @":               `"@" must be a role`,
		"audit list --since yesterday":           `--since "yesterday" must be a time`,
		"audit list --until -3h":                 `--until "-3h" must be a time`,
		"audit list --until 1e3d":                `--until "1e3d" must be a time`,
		"user list --output xml":                 `--output "xml" must be table or json`,
		"user list --password secret":            "unknown flag: --password",
		"user list --token bp_x":                 "unknown flag: --token",
		"whoami --client-cert x":                 "must be set together",
		"whoami --tls-ca /nowhere/ca.pem":        "--tls-ca",
		"whoami --password-stdin --token-file x": "exclude each other",
	} {
		t.Run(line, func(t *testing.T) {
			f := serve(t)
			f.answers = answers()
			r := f.run(t, strings.Fields(line)...)
			if r.err == nil || !strings.Contains(r.err.Error(), want) {
				t.Errorf("got %v, want %q", r.err, want)
			}
			if len(f.calls) > 0 {
				t.Errorf("%s was called", f.calls[0].method)
			}
		})
	}
}

func TestEveryCommandHasHelp(t *testing.T) {
	bare(t)
	for _, cmd := range Commands() {
		for _, leaf := range append(cmd.Commands(), cmd) {
			r := runWith(t.Context(), strings.NewReader(""), append(strings.Fields(leaf.CommandPath()), "--help")...)
			if r.err != nil || !strings.Contains(r.out, leaf.Short) || !strings.Contains(r.out, "--server") {
				t.Errorf("%s: %v\n%s", leaf.CommandPath(), r.err, r.out)
			}
		}
	}
}
