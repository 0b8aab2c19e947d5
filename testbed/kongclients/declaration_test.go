package kongclients

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kong/go-database-reconciler/pkg/dump"
	"github.com/kong/go-database-reconciler/pkg/file"
	"github.com/kong/go-database-reconciler/pkg/state"
	"github.com/kong/go-kong/kong"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/server/auth"
	"github.com/backplane/backplane/server/servertest"
)

// declarations is a client of the program's own way to apply documents.
func declarations(t *testing.T, s *servertest.Server) gatewayv1.DeclarationServiceClient {
	t.Helper()
	return gatewayv1.NewDeclarationServiceClient(servertest.Dial(t, s.GRPC, servertest.Basic(auth.AdminUser, servertest.Password)))
}

// applyOwn applies a document, and returns what changed.
func applyOwn(t *testing.T, c gatewayv1.DeclarationServiceClient, text string) []string {
	t.Helper()
	stream, err := c.ApplyDeclaration(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(stream.Send(&gatewayv1.ApplyDeclarationRequest{Part: []byte(text)}), stream.CloseSend()); err != nil {
		t.Fatal(err)
	}
	var out []string
	for {
		got, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, got.GetChange().String())
	}
}

func dumpOwn(t *testing.T, c gatewayv1.DeclarationServiceClient) string {
	t.Helper()
	stream, err := c.DumpDeclaration(t.Context(), &gatewayv1.DumpDeclarationRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for {
		got, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out.String()
		}
		if err != nil {
			t.Fatal(err)
		}
		out.Write(got.GetPart())
	}
}

// written is what the reconciler writes of what there is.
func written(t *testing.T, c *kong.Client, withIDs bool) string {
	t.Helper()
	raw, err := dump.Get(t.Context(), c, dump.Config{})
	if err != nil {
		t.Fatal(err)
	}
	current, err := state.Get(raw)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "kong.yaml")
	if err := file.KongStateToFile(current, file.WriteConfig{Filename: name, FileFormat: file.YAML, WithID: withIDs, KongVersion: "3.10.0"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// One document is the same to the reconciler and to the program: what one has
// applied or written, the other finds nothing to change in.
func TestDocumentsAreTheSame(t *testing.T) {
	t.Parallel()
	s, c := connect(t)
	own := declarations(t, s)
	certificate, key := pair(t)
	block := func(text string) string {
		return "|\n    " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n    ")
	}
	text := strings.NewReplacer("CERT", block(*certificate), "KEY", block(*key)).Replace(declared)
	none := func(what string, changes []string) {
		t.Helper()
		if len(changes) > 0 {
			t.Errorf("%s, it changed\n%s", what, strings.Join(changes, "\n"))
		}
	}
	same := func(what, text string) {
		t.Helper()
		if got := apply(t, c, text, dump.Config{}, true); got != "0 0 0" {
			t.Errorf("%s, the reconciler would create, update and delete %s", what, got)
		}
	}
	if got := applyOwn(t, own, text); len(got) != 27 {
		t.Errorf("it made %d changes", len(got))
	}
	same("with the document applied", text)
	// The reconciler would hash the hashes of passwords: that they are such it
	// refuses to be told.
	dumped := dumpOwn(t, own)
	const hashed = "_transform: false\n"
	if !strings.Contains(dumped, hashed) {
		t.Errorf("the document does not say that passwords are hashes:\n%s", dumped)
	}
	same("with what is dumped", strings.Replace(dumped, hashed, "", 1))
	none("with what the reconciler writes", applyOwn(t, own, written(t, c, false)))
	none("with what the reconciler writes with ids", applyOwn(t, own, written(t, c, true)))

	applyOwn(t, own, `{_format_version: "3.0"}`)
	if got := apply(t, c, text, dump.Config{}, false); got != "27 0 0" {
		t.Errorf("the reconciler created, updated and deleted %s", got)
	}
	none("with the document that the reconciler applied", applyOwn(t, own, text))
}
