package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestMasterKeyCommand(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte("master-key-command: [print, 'a, b', c]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  string
		args []string
		want []string
	}{
		"words":      {args: []string{"--master-key-command", "  print  key -v "}, want: []string{"print", "key", "-v"}},
		"JSON list":  {args: []string{"--master-key-command", `["print","a, b"]`}, want: []string{"print", "a, b"}},
		"YAML list":  {args: []string{"--config", file}, want: []string{"print", "a, b", "c"}},
		"env":        {env: "print key", want: []string{"print", "key"}},
		"flag first": {env: "other", args: []string{"--master-key-command", "print"}, want: []string{"print"}},
		"none":       {want: nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := load(t, "", map[string]string{"BACKPLANE_MASTER_KEY_COMMAND": c.env}, c.args...)
			if err != nil || !slices.Equal(got.MasterKeyCommand, c.want) {
				t.Errorf("got %q, %v; want %q", got.MasterKeyCommand, err, c.want)
			}
		})
	}
	for _, bad := range []string{`["print"`, `[1]`, `[""]`} {
		if _, err := load(t, "", map[string]string{"BACKPLANE_MASTER_KEY_COMMAND": bad}); err == nil || !strings.Contains(err.Error(), "BACKPLANE_MASTER_KEY_COMMAND") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestOneMasterKeySource(t *testing.T) {
	t.Parallel()
	env := map[string]string{"BACKPLANE_MASTER_KEY": "sesame"}
	file, command := []string{"--master-key-file", "/k"}, []string{"--master-key-command", "print"}
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		bad  bool
	}{
		"none":             {},
		"env":              {env: env},
		"file":             {args: file},
		"command":          {args: command},
		"env and file":     {env: env, args: file, bad: true},
		"env and command":  {env: env, args: command, bad: true},
		"file and command": {args: slices.Concat(file, command), bad: true},
		"all":              {env: env, args: slices.Concat(file, command), bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, "", c.env, c.args...)
			if c.bad != (err != nil) {
				t.Fatalf("error is %v", err)
			}
			if err == nil {
				return
			}
			if strings.Contains(err.Error(), "sesame") {
				t.Errorf("the error shows the key: %v", err)
			}
			for _, arg := range c.args {
				if strings.HasPrefix(arg, "--") && !strings.Contains(err.Error(), arg) {
					t.Errorf("the error does not name %s: %v", arg, err)
				}
			}
		})
	}
}
