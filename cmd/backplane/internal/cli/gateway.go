package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
)

// ExitStatus is an error that says nothing but with which status the program
// ends.
type ExitStatus int

// Error implements error.
func (s ExitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// differs is the status of a comparison that found differences.
const differs ExitStatus = 2

const (
	documentHelp = "FILE is a document in the declarative format of the Kong Admin API, version 3.0, in YAML or JSON; - stands for the standard input. " +
		`${{ env "DECK_NAME" }} in it stands for the environment variable DECK_NAME.` + "\n\n"
	partSize = 256 << 10
	// shownSize is how much of a value is shown.
	shownSize = 100
)

func gateway() *cobra.Command {
	cmd, t := group("gateway", "Manage the configuration of the HTTP gateway as one document")
	cmd.AddCommand(
		declare(t, "apply FILE", "Make the gateway what a document says", false),
		declare(t, "diff FILE", "Show what apply would do, and exit with 2 if it is anything", true),
		dump(t),
	)
	return cmd
}

func selectTags(cmd *cobra.Command, help string) *[]string {
	return cmd.Flags().StringSlice("select-tag", nil, help+"; may be repeated")
}

func declare(t *target, use, short string, dryRun bool) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: oneArgument}
	cmd.Long = short + ". What the document does not have is deleted; all of it is done in one transaction, or nothing.\n\n" + documentHelp + loginHelp
	tags := selectTags(cmd, "be about entities with this tag alone, which those of the document get")
	cmd.RunE = t.call(func(ctx context.Context, s *session, args []string) error {
		text, err := s.document(args[0])
		if err != nil {
			return err
		}
		changes, err := s.declare(ctx, text, *tags, dryRun)
		if err != nil {
			return err
		}
		if err := s.changes(changes, dryRun); err != nil {
			return err
		}
		if dryRun && len(changes) > 0 {
			return differs
		}
		return nil
	})
	return cmd
}

// document reads a document, with variables of the environment put in.
func (s *session) document(name string) ([]byte, error) {
	var text []byte
	var err error
	if name == "-" {
		text, err = io.ReadAll(s.in.lines) // what is after a password that was read
	} else {
		text, err = os.ReadFile(filepath.Clean(name))
	}
	if err != nil {
		return nil, fmt.Errorf("read the document: %w", err)
	}
	return withEnvironment(text, os.LookupEnv)
}

var variable = regexp.MustCompile(`\$\{\{\s*env\s+"([^"]*)"\s*(?:\|\s*to(?:Int|Bool|Float)\s*)?\}\}`)

// withEnvironment puts variables into a document. Only those are taken whose
// name says that they are for it.
func withEnvironment(text []byte, lookup func(string) (string, bool)) ([]byte, error) {
	var faults []error
	out := variable.ReplaceAllFunc(text, func(found []byte) []byte {
		name := string(variable.FindSubmatch(found)[1])
		value, ok := lookup(name)
		switch {
		case !strings.HasPrefix(name, "DECK_"):
			faults = append(faults, fmt.Errorf("the document names the environment variable %q: the names of those in documents must begin with DECK_", name))
		case !ok:
			faults = append(faults, fmt.Errorf("the document names the environment variable %s, which is not set", name))
		}
		return []byte(value)
	})
	return out, errors.Join(faults...)
}

// declare sends a document, and returns what changed.
func (s *session) declare(ctx context.Context, text []byte, tags []string, dryRun bool) ([]*gatewayv1.DeclarationChange, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := gatewayv1.NewDeclarationServiceClient(s.conn).ApplyDeclaration(ctx)
	if err != nil {
		return nil, err
	}
	req := &gatewayv1.ApplyDeclarationRequest{DryRun: dryRun, SelectTags: tags}
	for first := true; first || len(text) > 0; first = false {
		req.Part = text[:min(partSize, len(text))]
		text = text[len(req.Part):]
		if err := stream.Send(req); err != nil {
			break // Recv says why
		}
		req = &gatewayv1.ApplyDeclarationRequest{}
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	var out []*gatewayv1.DeclarationChange
	for {
		got, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, got.GetChange())
	}
}

// changes shows changes, each with its fields, and how many there are.
func (s *session) changes(all []*gatewayv1.DeclarationChange, dryRun bool) error {
	count := map[string]int{}
	for _, c := range all {
		count[c.GetAction()]++
	}
	if s.json {
		return s.writeJSON(object{{"changes", arrayJSON(all)}, {"summary", object{
			{"created", count["create"]}, {"updated", count["update"]}, {"deleted", count["delete"]},
		}}})
	}
	words := map[string]string{"create": "Created", "update": "Updated", "delete": "Deleted"}
	if dryRun {
		words = map[string]string{"create": "Would create", "update": "Would update", "delete": "Would delete"}
	}
	for _, c := range all {
		name := c.GetName()
		if name == "" {
			name = c.GetId()
		}
		s.done("%s %s %s", words[c.GetAction()], c.GetKind(), name)
		for _, f := range c.GetFields() {
			s.done("  %s: %s -> %s", f.GetField(), short(f.GetBefore()), short(f.GetAfter()))
		}
	}
	s.done("Created: %d, updated: %d, deleted: %d%s", count["create"], count["update"], count["delete"], map[bool]string{true: " (none of it yet)"}[dryRun && len(all) > 0])
	return nil
}

// short is a value without what is too much of it to be shown.
func short(value string) string {
	if len(value) <= shownSize {
		return value
	}
	return strings.ToValidUTF8(value[:shownSize], "") + "…"
}

func dump(t *target) *cobra.Command {
	var withIDs bool
	cmd := &cobra.Command{Use: "dump FILE", Short: "Write the document that makes a gateway what this one is, secrets included", Args: oneArgument}
	cmd.Long = cmd.Short + ". FILE is replaced if it is there, and only its owner can read it; - stands for the standard output.\n\n" + loginHelp
	tags := selectTags(cmd, "write only entities with this tag")
	cmd.Flags().BoolVar(&withIDs, "with-id", false, "also write the ids of what is found by a name")
	cmd.RunE = t.call(func(ctx context.Context, s *session, args []string) error {
		stream, err := gatewayv1.NewDeclarationServiceClient(s.conn).DumpDeclaration(ctx, &gatewayv1.DumpDeclarationRequest{SelectTags: *tags, WithIds: withIDs})
		if err != nil {
			return err
		}
		var text bytes.Buffer
		for {
			got, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			text.Write(got.GetPart())
		}
		if args[0] == "-" {
			_, err = s.out.Write(text.Bytes())
			return err
		}
		return replaceFile(args[0], text.Bytes())
	})
	return cmd
}

// replaceFile writes a file of secrets, whole or not at all.
func replaceFile(name string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".backplane-*") // which only its owner can read
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), filepath.Clean(name))
}
