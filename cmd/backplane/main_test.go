package main

import (
	"io"
	"strings"
	"testing"

	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/server"
)

// TestGreetTellsEveryAddress holds the text of a start to all that listens, and
// to nothing else.
func TestGreetTellsEveryAddress(t *testing.T) {
	t.Parallel()
	s := &server.Server{RESTAddr: "127.0.0.1:1", GRPCAddr: "[::]:2", GatewayHTTP: "0.0.0.0:3", GatewayHTTPS: "127.0.0.1:4"}
	var out strings.Builder
	greet(&out, s, config.Config{})
	for _, want := range []string{"http://127.0.0.1:1 ", "localhost:2\n", "http://localhost:3\n", "https://127.0.0.1:4\n", `user "admin"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, &out)
		}
	}
	out.Reset()
	greet(&out, &server.Server{RESTAddr: "127.0.0.1:1", GRPCAddr: "127.0.0.1:2"}, config.Config{})
	if strings.Contains(out.String(), "gateway") {
		t.Errorf("a gateway that is switched off is told:\n%s", &out)
	}
}

func TestFlagsThatAreWrongLeadToTheHelp(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"serve --rest-adr x":                  "unknown flag: --rest-adr; see backplane serve --help",
		"user list --limit 1":                 "unknown flag: --limit; see backplane user list --help",
		"serve --quarantine-retention 7 days": "--quarantine-retention",
	} {
		root := command()
		root.SetOut(io.Discard)
		root.SetErr(io.Discard)
		root.SetArgs(strings.Fields(line))
		if err := root.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", line, err, want)
		}
	}
}
