package cli

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"

	gatewayv1 "github.com/backplane/backplane/gen/backplane/gateway/v1"
	"github.com/backplane/backplane/internal/errs"
)

// declarations is a server of documents: it takes notes and plays changes.
type declarations struct {
	gatewayv1.UnimplementedDeclarationServiceServer
	text    string
	first   *gatewayv1.ApplyDeclarationRequest
	dumped  *gatewayv1.DumpDeclarationRequest
	changes []*gatewayv1.DeclarationChange
	err     error
}

func (d *declarations) ApplyDeclaration(stream gatewayv1.DeclarationService_ApplyDeclarationServer) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if d.first == nil {
			d.first = req
		}
		d.text += string(req.GetPart())
	}
	if d.err != nil {
		return d.err
	}
	for _, c := range d.changes {
		if err := stream.Send(&gatewayv1.ApplyDeclarationResponse{Change: c}); err != nil {
			return err
		}
	}
	return nil
}

func (d *declarations) DumpDeclaration(req *gatewayv1.DumpDeclarationRequest, stream gatewayv1.DeclarationService_DumpDeclarationServer) error {
	d.dumped = req
	for _, part := range []string{"_format_version: ", "\"3.0\"\n"} {
		if err := stream.Send(&gatewayv1.DumpDeclarationResponse{Part: []byte(part)}); err != nil {
			return err
		}
	}
	return nil
}

func serveDeclarations(t *testing.T, d *declarations) *fake {
	t.Helper()
	return serveAlso(t, func(s *grpc.Server) { gatewayv1.RegisterDeclarationServiceServer(s, d) })
}

func someChanges() []*gatewayv1.DeclarationChange {
	return []*gatewayv1.DeclarationChange{
		{Action: "create", Kind: "service", Id: "id-1", Name: "shop"},
		{Action: "update", Kind: "route", Name: "all", Fields: []*gatewayv1.DeclarationField{{Field: "paths", Before: `["/a"]`, After: `["/b"]`}, {Field: "x", Before: strings.Repeat("y", 200), After: "***"}}},
		{Action: "delete", Kind: "certificate", Id: "id-2"},
	}
}

func TestGatewayDiff(t *testing.T) {
	d := &declarations{changes: someChanges()}
	f := serveDeclarations(t, d)
	t.Setenv("DECK_HOST", "db.example.com")
	// Long enough to be sent in parts.
	text := "_format_version: \"3.0\"\n# " + strings.Repeat("-", partSize) + "\n"
	name := filepath.Join(t.TempDir(), "kong.yaml")
	if err := os.WriteFile(name, []byte(text+`host: ${{ env "DECK_HOST" }}`), 0o600); err != nil {
		t.Fatal(err)
	}
	r := f.run(t, "gateway", "diff", name, "--select-tag", "a,b", "--select-tag", "c")
	var status ExitStatus
	if !errors.As(r.err, &status) || status != 2 {
		t.Errorf("it ended with %v", r.err)
	}
	if want := text + "host: db.example.com"; d.text != want {
		t.Errorf("%d bytes were sent, want %d", len(d.text), len(want))
	}
	if !d.first.GetDryRun() || !slices.Equal(d.first.GetSelectTags(), []string{"a", "b", "c"}) {
		t.Errorf("asked for %v %v", d.first.GetDryRun(), d.first.GetSelectTags())
	}
	want := `Would create service shop
Would update route all
  paths: ["/a"] -> ["/b"]
  x: ` + strings.Repeat("y", 100) + `… -> ***
Would delete certificate id-2
Created: 1, updated: 1, deleted: 1 (none of it yet)
`
	if r.out != want {
		t.Errorf("printed\n%s\nwant\n%s", r.out, want)
	}
	d.changes = nil
	if r := f.run(t, "gateway", "diff", name); r.err != nil || r.out != "Created: 0, updated: 0, deleted: 0\n" {
		t.Errorf("without differences: %v, %s", r.err, r.out)
	}
}

func TestGatewayApply(t *testing.T) {
	d := &declarations{changes: someChanges()[:1]}
	f := serveDeclarations(t, d)
	bare(t)
	r := runWith(t.Context(), strings.NewReader("open sesame\n_format_version: '3.0'\n"), "gateway", "apply", "-", "--server", f.addr, "--password-stdin")
	if r.err != nil || r.out != "Created service shop\nCreated: 1, updated: 0, deleted: 0\n" {
		t.Errorf("%v, %s", r.err, r.out)
	}
	if d.text != "_format_version: '3.0'\n" || d.first.GetDryRun() {
		t.Errorf("sent %q %v", d.text, d.first.GetDryRun())
	}
	r = f.run(t, "gateway", "apply", "-", "--output", "json")
	want := `{
  "changes": [
    {
      "action": "create",
      "kind": "service",
      "id": "id-1",
      "name": "shop",
      "fields": []
    }
  ],
  "summary": {
    "created": 1,
    "updated": 0,
    "deleted": 0
  }
}
`
	if r.err != nil || r.out != want {
		t.Errorf("%v, printed\n%s\nwant\n%s", r.err, r.out, want)
	}
	d.err = errs.ToStatus(errs.Invalid(errs.Field{Path: "services.1.host", Message: "required"}, errs.Field{Path: "x", Message: "unknown field"})).Err()
	r = f.run(t, "gateway", "apply", "-")
	if r.err == nil || r.err.Error() != "Some fields are not valid\n  services.1.host required\n  x unknown field" {
		t.Errorf("refused: %v", r.err)
	}
}

func TestVariablesInDocuments(t *testing.T) {
	lookup := func(name string) (string, bool) {
		v, ok := map[string]string{"DECK_A": "1", "DECK_B": "", "HOME": "/root"}[name]
		return v, ok
	}
	for text, want := range map[string]string{
		`a: ${{ env "DECK_A" }}, ${{env "DECK_A"|toInt}}, "${{ env "DECK_B" }}"`: `a: 1, 1, ""`,
		`a: ${{ env DECK_A }} $DECK_A ${DECK_A}`:                                 `a: ${{ env DECK_A }} $DECK_A ${DECK_A}`,
	} {
		if got, err := withEnvironment([]byte(text), lookup); err != nil || string(got) != want {
			t.Errorf("%s is %s, %v, want %s", text, got, err, want)
		}
	}
	for _, name := range []string{"DECK_C", "HOME"} {
		if got, err := withEnvironment([]byte(`${{ env "`+name+`" }}`), lookup); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s gave %s, %v", name, got, err)
		}
	}
}

func TestGatewayDump(t *testing.T) {
	d := &declarations{}
	f := serveDeclarations(t, d)
	const want = "_format_version: \"3.0\"\n"
	if r := f.run(t, "gateway", "dump", "-", "--select-tag", "a", "--with-id"); r.err != nil || r.out != want {
		t.Errorf("%v, printed %q", r.err, r.out)
	}
	if !slices.Equal(d.dumped.GetSelectTags(), []string{"a"}) || !d.dumped.GetWithIds() {
		t.Errorf("asked for %v", d.dumped)
	}
	dir := t.TempDir()
	name := filepath.Join(dir, "kong.yaml")
	if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	if r := f.run(t, "gateway", "dump", name); r.err != nil || r.out != "" {
		t.Errorf("%v, printed %q", r.err, r.out)
	}
	text, err := os.ReadFile(name)
	if err != nil || string(text) != want {
		t.Errorf("the file has %q, %v", text, err)
	}
	if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("the folder has %v, %v", left, err)
	}
	if r := f.run(t, "gateway", "dump", filepath.Join(dir, "none", "kong.yaml")); r.err == nil {
		t.Error("a folder that does not exist was written to")
	}
}
