package cli

import (
	"context"

	"github.com/spf13/cobra"

	identityv1 "github.com/backplane/backplane/gen/backplane/identity/v1"
)

func projectColumns() []column[*identityv1.Project] {
	return []column[*identityv1.Project]{
		{"NAME", (*identityv1.Project).GetName},
		{"DESCRIPTION", (*identityv1.Project).GetDescription},
		{"CREATED", func(p *identityv1.Project) string { return instantText(p.GetCreatedAt()) }},
	}
}

func projects() *cobra.Command {
	cmd, t := group("project", "Manage the projects that resources belong to")
	cmd.AddCommand(
		&cobra.Command{Use: "list", Short: "List the projects that you may see", Args: cobra.NoArgs, RunE: t.call(listProjects)},
		createProject(t),
		&cobra.Command{Use: "delete NAME", Short: "Delete a project that nothing belongs to", Args: oneArgument, RunE: t.call(deleteProject)},
	)
	return cmd
}

func listProjects(ctx context.Context, s *session, _ []string) error {
	resp, err := s.ListProjects(ctx, &identityv1.ListProjectsRequest{})
	if err != nil {
		return err
	}
	return list(s.printer, resp.GetData(), projectColumns())
}

func createProject(t *target) *cobra.Command {
	var description string
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Create a project", Args: oneArgument,
		RunE: t.call(func(ctx context.Context, s *session, args []string) error {
			resp, err := s.CreateProject(ctx, &identityv1.CreateProjectRequest{
				Project: &identityv1.Project{Name: args[0], Description: description},
			})
			if err != nil {
				return err
			}
			return show(s.printer, resp.GetData(), projectColumns())
		}),
	}
	cmd.Flags().StringVar(&description, "description", "", "what it is for")
	return cmd
}

func deleteProject(ctx context.Context, s *session, args []string) error {
	if _, err := s.DeleteProject(ctx, &identityv1.DeleteProjectRequest{Name: args[0]}); err != nil {
		return err
	}
	s.done("Deleted project %s", args[0])
	return nil
}
