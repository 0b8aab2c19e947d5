package cli

import (
	"fmt"
	"strings"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

const roleHelp = "role such as viewer, or editor@project for one project"

// roleFlag collects role bindings; it implements pflag.Value.
type roleFlag []*identityv1.RoleBinding

// Set adds a binding.
func (r *roleFlag) Set(text string) error {
	b, err := parseRole(text)
	if err == nil {
		*r = append(*r, b)
	}
	return err
}

// Type is shown in the help.
func (*roleFlag) Type() string { return "role[@project]" }

// String is the bindings as they are written.
func (r *roleFlag) String() string { return roleText(*r) }

// parseRole reads a binding. A project that is left empty is a fault: it would
// turn into the role in every project.
func parseRole(text string) (*identityv1.RoleBinding, error) {
	role, project, bound := strings.Cut(text, "@")
	if role == "" || bound && project == "" {
		return nil, fmt.Errorf("%q must be a %s", text, roleHelp)
	}
	return &identityv1.RoleBinding{Role: role, Project: project}, nil
}

func parseRoles(texts []string) (roleFlag, error) {
	var r roleFlag
	for _, text := range texts {
		if err := r.Set(text); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func roleText(all []*identityv1.RoleBinding) string {
	texts := make([]string, len(all))
	for i, b := range all {
		texts[i] = b.GetRole()
		if b.GetProject() != "" {
			texts[i] += "@" + b.GetProject()
		}
	}
	return strings.Join(texts, ",")
}
