package connectors_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/backplane/backplane/connectors"
)

func sh(script string) connectors.Tool {
	return connectors.Tool{Path: "sh", Args: []string{"-c", script}}
}

func TestToolPassesStreamsWhole(t *testing.T) {
	const size = 3 << 20
	tool := sh("cat; printf end")
	var out bytes.Buffer
	tool.Stdin, tool.Stdout = strings.NewReader(strings.Repeat("x", size)), &out
	if err := connectors.RunTool(t.Context(), tool); err != nil {
		t.Fatal(err)
	}
	if out.Len() != size+3 || !strings.HasSuffix(out.String(), "xend") {
		t.Errorf("%d bytes came back", out.Len())
	}
}

func TestToolSeesACleanEnvironment(t *testing.T) {
	t.Setenv("PGHOST", "elsewhere")
	tool := sh("env")
	var out bytes.Buffer
	tool.Stdout, tool.Env = &out, []string{"PGPASSWORD=x y"}
	if err := connectors.RunTool(t.Context(), tool); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "PGPASSWORD=x y\n") || strings.Contains(out.String(), "PGHOST") {
		t.Errorf("environment %s", out.String())
	}
}

func TestToolFailureTellsTheEndOfItsComplaintsWithoutSecrets(t *testing.T) {
	tool := sh(`i=0; while [ $i -lt 2000 ]; do echo noise >&2; i=$((i+1)); done; echo "no login with $PASSWORD" >&2; exit 3`)
	tool.Env, tool.Secrets = []string{"PASSWORD=precious"}, []string{"precious"}
	err := connectors.RunTool(t.Context(), tool)
	var (
		f *connectors.Failure
		e *connectors.ToolError
	)
	if !errors.As(err, &f) || !errors.As(err, &e) {
		t.Fatalf("got %v", err)
	}
	for _, text := range []string{f.Error(), e.Error()} {
		if !strings.Contains(text, "no login with ***") || len(text) > 5000 {
			t.Errorf("got %d bytes: %.100q", len(text), text)
		}
	}
}

func TestToolMissing(t *testing.T) {
	err := connectors.RunTool(t.Context(), connectors.Tool{Path: "no-such-program"})
	if !errors.Is(err, connectors.ErrToolMissing) || connectors.MayPass(err) {
		t.Errorf("got %v", err)
	}
}

var errBroken = errors.New("broken")

func TestToolIsKilledWhenItsSourceBreaks(t *testing.T) {
	tool := sh("cat >/dev/null; exec sleep 1000")
	tool.Stdin = io.MultiReader(strings.NewReader("half"), iotestErr{})
	if err := connectors.RunTool(t.Context(), tool); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

func TestToolIsKilledWhenNobodyReads(t *testing.T) {
	tool := sh("echo x; exec sleep 1000")
	tool.Stdout = iotestErr{}
	if err := connectors.RunTool(t.Context(), tool); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
}

type iotestErr struct{}

func (iotestErr) Read([]byte) (int, error)  { return 0, errBroken }
func (iotestErr) Write([]byte) (int, error) { return 0, errBroken }

// The program has a child that holds on to its streams, and neither the source
// nor the sink moves.
func TestToolEndsWithItsContext(t *testing.T) {
	fromNobody, hold := io.Pipe()
	r, toNobody := io.Pipe()
	defer hold.Close()
	defer r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	tool := sh("sleep 1000 & echo started; wait")
	tool.Stdin, tool.Stdout = fromNobody, toNobody
	done := make(chan error, 1)
	go func() { done <- connectors.RunTool(ctx, tool) }()
	if _, err := io.ReadFull(r, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the program goes on")
	}
}

func TestPrivateFilesAreForThisUserAlone(t *testing.T) {
	paths, remove, err := connectors.PrivateFiles(map[string]string{"ca.pem": "text", "key.pem": "secret"})
	if err != nil {
		t.Fatal(err)
	}
	for name, path := range paths {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	remove()
	for _, path := range paths {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
}
