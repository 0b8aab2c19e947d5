package keys

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/secret"
)

const (
	// masterKeyFile, in the data directory, holds the generated master key.
	masterKeyFile = "master.key"
	// nextSuffix names the file of a master key that is about to be used.
	nextSuffix = ".next"
	// commandTimeout is how long the command that prints the master key may run.
	commandTimeout = 30 * time.Second
	// maxCommandOutput is more than any list of keys.
	maxCommandOutput = 16 << 10
)

// Source says where the master key comes from: Value, else Command, else File.
// Each may hold several keys: the first wraps, the others still unwrap.
type Source struct {
	Value   string   // the key itself
	Command []string // prints the key; run without a shell
	File    string
	// Create makes File for a store that has no keys yet.
	Create bool
}

// SourceOf is the source that the configuration names.
func SourceOf(conf config.Config, dataDir string) Source {
	s := Source{Value: conf.MasterKey, Command: conf.MasterKeyCommand, File: conf.MasterKeyFile}
	if s.File == "" {
		s.File, s.Create = filepath.Join(dataDir, masterKeyFile), true
	}
	return s
}

// String names the source as its user knows it.
func (s Source) String() string {
	switch {
	case s.Value != "":
		return config.EnvPrefix + "MASTER_KEY"
	case len(s.Command) > 0:
		return "--master-key-command " + s.Command[0]
	default:
		return s.File
	}
}

func (s Source) isFile() bool { return s.Value == "" && len(s.Command) == 0 }

// read gets the keys. The error is fs.ErrNotExist when there is no file.
func (s Source) read(ctx context.Context) ([]*secret.MasterKey, error) {
	text := s.Value
	switch {
	case s.Value != "":
	case len(s.Command) > 0:
		var err error
		if text, err = s.run(ctx); err != nil {
			return nil, err
		}
	default:
		return secret.ReadMasterKeys(s.File)
	}
	keys, err := secret.ParseMasterKeys(text)
	if err != nil {
		return nil, fmt.Errorf("master key from %s %w", s, err)
	}
	return keys, nil
}

// readSteady reads the keys in order to wrap with the first one, and therefore
// makes sure that the source gives it again: a command that makes up a new key
// at each run would lock the store for good.
func (s Source) readSteady(ctx context.Context) ([]*secret.MasterKey, error) {
	keys, err := s.read(ctx)
	if err != nil || len(s.Command) == 0 {
		return keys, err
	}
	again, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	if again[0].ID() != keys[0].ID() {
		return nil, fmt.Errorf("%s printed two different master keys when run twice; it must print the same key until you change it", s)
	}
	return keys, nil
}

// run runs the command. What it writes to its standard error is not repeated,
// because nobody knows what is in it.
func (s Source) run(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, s.Command[0], s.Command[1:]...) //nolint:gosec // the administrator's own command
	limit := &limited{to: &out, left: maxCommandOutput}
	cmd.Stdout = limit
	cmd.WaitDelay = time.Second
	// The command needs no secret of ours.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, config.EnvPrefix) })
	err := cmd.Run()
	switch {
	case limit.over:
		return "", fmt.Errorf("%s prints too much for a key", s)
	case ctx.Err() != nil:
		return "", fmt.Errorf("%s did not end within %s: %w", s, commandTimeout, ctx.Err())
	case err != nil:
		return "", fmt.Errorf("%s: %w; run it by hand to see why", s, err)
	}
	return out.String(), nil
}

// limited is a writer that fails after so many bytes.
type limited struct {
	to   io.Writer
	left int
	over bool
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		l.over = true
		return 0, io.ErrShortWrite
	}
	l.left -= len(p)
	return l.to.Write(p)
}

// replaceable makes sure, by replacing the file with a copy of itself, that it
// can be replaced when that will matter. It returns the file's real path.
func replaceable(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	text, err := os.ReadFile(target)
	if err != nil {
		return "", err
	}
	// A copy that a crash left behind says nothing that the file does not.
	trial := target + ".trial"
	if err := os.Remove(trial); err != nil && !secret.IsMissing(err) {
		return "", err
	}
	if err := secret.WriteFile(trial, text); err != nil {
		return "", err
	}
	if err := secret.ReplaceFile(trial, target); err != nil {
		return "", errors.Join(err, os.Remove(trial))
	}
	return target, nil
}
