package auth

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/backplane/backplane/ent/schema"
	"github.com/backplane/backplane/internal/errs"
)

// Role is a set of rights. Each role has all rights of the one before it.
type Role string

// The roles, the least first.
const (
	Viewer Role = "viewer"
	Editor Role = "editor"
	Admin  Role = "admin"
)

// Roles lists the roles, the least first.
func Roles() []Role { return []Role{Viewer, Editor, Admin} }

// Describe says what a role may do.
func (r Role) Describe() string {
	switch r {
	case Viewer:
		return "Sees resources, their health and history, but no secret"
	case Editor:
		return "Also creates, changes, tests and deletes resources"
	case Admin:
		return "Also manages what the installation runs on; a global admin manages users, projects and keys"
	}
	return ""
}

func (r Role) rank() int { return slices.Index(Roles(), r) }

// Known reports whether r is one of the roles.
func (r Role) Known() bool { return r.rank() >= 0 }

// Identity is who is calling, and with which rights.
type Identity struct {
	Username string
	TokenID  string // of the token that was used, if any
	Signed   bool   // whether a signed token was used instead of the password
	Roles    []schema.RoleBinding

	until time.Time // when the login ends by itself; zero: never
	stamp string    // of the password, but for tokens
	era   uint64    // of a signed token
}

// Can reports whether the caller has the role in the project; the empty
// project asks for the role everywhere.
func (id Identity) Can(role Role, project string) bool {
	return slices.ContainsFunc(id.Roles, func(b schema.RoleBinding) bool {
		return Role(b.Role).rank() >= role.rank() && Role(b.Role).Known() && (b.Project == "" || b.Project == project)
	})
}

// Scope says in which projects a caller may do something.
type Scope struct {
	All      bool
	Projects []string // when not All; may be empty
}

// Includes reports whether the scope covers a project.
func (s Scope) Includes(project string) bool { return s.All || slices.Contains(s.Projects, project) }

// scope is where the caller has the role.
func (id Identity) scope(role Role) Scope {
	var s Scope
	for _, b := range id.Roles {
		if !Role(b.Role).Known() || Role(b.Role).rank() < role.rank() {
			continue
		}
		if b.Project == "" {
			return Scope{All: true}
		}
		s.Projects = append(s.Projects, b.Project)
	}
	slices.Sort(s.Projects)
	s.Projects = slices.Compact(s.Projects)
	return s
}

type callKey struct{}

// call is the context of the call under way, with what the interceptor found
// out about it.
type call struct {
	context.Context
	id      Identity
	rule    Rule
	auth    *Authenticator // to ask again
	decided atomic.Bool    // whether the method has asked for the caller's right
}

// Value implements context.Context.
func (c *call) Value(key any) any {
	if key == (callKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// callFrom is the call under way, nil outside of one.
func callFrom(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// FromContext returns the caller; the zero Identity on a public method and
// outside of a call.
func FromContext(ctx context.Context) Identity {
	c := callFrom(ctx)
	if c == nil {
		return Identity{}
	}
	return c.id
}

// IsEverywhere reports whether the caller has the role everywhere, as work of
// Backplane itself does.
func IsEverywhere(ctx context.Context, role Role) bool {
	c := callFrom(ctx)
	return c == nil || c.id.Can(role, "")
}

// Allow checks the caller's right to the call under way on a resource of the
// project. What the caller may not even see does not exist for it: then the
// error is that of missing. Work of Backplane itself is not limited.
func Allow(ctx context.Context, project string, missing func() error) error {
	c := callFrom(ctx)
	if c == nil {
		return nil
	}
	c.decided.Store(true)
	switch {
	case c.id.Can(c.rule.Role, project):
		return nil
	case !c.id.Can(Viewer, project):
		return missing()
	default:
		return denied(c.rule.Role, project)
	}
}

// AllowIn checks the caller's right to do the call under way in a project that
// the caller names, such as when creating something there.
func AllowIn(ctx context.Context, project string) error {
	return Allow(ctx, project, func() error {
		return errs.Invalid(errs.Field{Path: "project", Message: "must be the name of a project"})
	})
}

// Where is the scope of the call under way: what a list may hold. It fails
// when the caller has more than the right to look nowhere, and the call needs
// it: a list that is always empty would hide why.
func Where(ctx context.Context) (Scope, error) {
	c := callFrom(ctx)
	if c == nil {
		return Scope{All: true}, nil
	}
	c.decided.Store(true)
	s := c.id.scope(c.rule.Role)
	if !s.All && len(s.Projects) == 0 && c.rule.Role != Viewer {
		return s, errs.New(errs.PermissionDenied, "This needs the role %s in some project", c.rule.Role)
	}
	return s, nil
}

// Recheck fails when the caller's rights are no longer those that the call
// under way began with. A call that waits asks before it answers.
func Recheck(ctx context.Context) error {
	c := callFrom(ctx)
	if c == nil {
		return nil
	}
	now, err := c.auth.now(ctx, c.id)
	if err != nil {
		return err
	}
	if !slices.Equal(now.Roles, c.id.Roles) {
		return errs.New(errs.Unavailable, "Your rights have changed; connect again")
	}
	return nil
}

func denied(role Role, project string) error {
	where := "in every project"
	if project != "" {
		where = fmt.Sprintf("in project %q", project)
	}
	return errs.New(errs.PermissionDenied, "This needs the role %s %s", role, where)
}
