package cli

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/backplane/backplane/internal/config"
	"github.com/backplane/backplane/internal/tlsconf"
	"github.com/backplane/backplane/server/auth"
)

// Environment variables that hold what must not be on a command line, where
// every user of the machine can read it.
const (
	tokenVar    = config.EnvPrefix + "TOKEN"
	passwordVar = config.EnvPrefix + "PASSWORD"
)

// maxSecret bounds what is read as a password or token.
const maxSecret = 4 << 10

const loginHelp = `Logs in with the first of these that there is: --token-file; --password-stdin;
the password in ` + passwordVar + `, or one that is asked for, when --username is
given; the token in ` + tokenVar + `; the password in ` + passwordVar + `; for a
server on this machine, the password that its first start wrote into the data
directory, when you may read it; a password that is asked for.

How to reach the server and log in can also come from environment variables,
such as BACKPLANE_SERVER for --server.`

// login is how to log in.
type login struct {
	header string // of the authorization
	how    string // for the message when they are refused
}

func withToken(token, how string) (login, error) {
	token = strings.TrimSpace(token)
	if token == "" || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return login{}, fmt.Errorf("there is no token in %s", how)
	}
	return login{"Bearer " + token, "the token in " + how}, nil
}

func withPassword(username, password, how string) (login, error) {
	if strings.Contains(username, ":") {
		return login{}, fmt.Errorf("--username %q must not contain a colon", username)
	}
	if password == "" {
		return login{}, fmt.Errorf("there is no password in %s", how)
	}
	return login{
		"Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password)),
		fmt.Sprintf("the login of %q with the password in %s", username, how),
	}, nil
}

// credentials finds the login, in the order that loginHelp tells.
func (t *target) credentials(ctx context.Context, in *input, getenv func(string) string) (login, error) {
	username := t.username
	if username == "" {
		username = auth.AdminUser
	}
	password := getenv(passwordVar)
	switch {
	case t.tokenFile == "-":
		line, err := in.line("token")
		if err != nil {
			return login{}, err
		}
		return withToken(line, "the standard input")
	case t.tokenFile != "":
		text, err := readSecret(t.tokenFile, false)
		if err != nil {
			return login{}, fmt.Errorf("--token-file: %w", err)
		}
		return withToken(text, t.tokenFile)
	case t.passwordStdin:
		line, err := in.line("password")
		if err != nil {
			return login{}, err
		}
		return withPassword(username, line, "the standard input")
	case t.username == "" && getenv(tokenVar) != "":
		return withToken(getenv(tokenVar), tokenVar)
	case password != "":
		return withPassword(username, password, passwordVar)
	}
	if text, path, ok := t.localPassword(username); ok {
		return withPassword(username, text, path)
	}
	if !in.interactive() {
		return login{}, fmt.Errorf("no way to log in: set %s or %s, or use --token-file or --password-stdin", tokenVar, passwordVar)
	}
	line, err := in.prompt(ctx, fmt.Sprintf("Password of %s at %s: ", username, t.server))
	if err != nil {
		return login{}, err
	}
	return withPassword(username, line, "your answer")
}

// localPassword is the admin's password as the first start of a server on this
// machine wrote it. It is sent to no other machine, and only a file that none
// but its owner can read is taken for it.
func (t *target) localPassword(username string) (password, path string, ok bool) {
	if username != auth.AdminUser || !tlsconf.Loopback(t.server) {
		return "", "", false
	}
	path = filepath.Join(t.dataDir, auth.PasswordFile)
	text, err := readSecret(path, true)
	text = strings.TrimSpace(text)
	return text, path, err == nil && text != ""
}

// readSecret reads a small file. A private one must be no link and closed to
// all but its owner.
func readSecret(path string, private bool) (string, error) {
	flags := os.O_RDONLY | syscall.O_NONBLOCK // a pipe without a writer would block
	if private {
		flags |= syscall.O_NOFOLLOW
	}
	f, err := os.OpenFile(filepath.Clean(path), flags, 0)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case private && (!info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0):
		return "", fmt.Errorf("%s is open to others", path)
	case info.IsDir():
		return "", fmt.Errorf("%s is a directory", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxSecret {
		return "", errors.New(path + " is too large")
	}
	return string(text), nil
}
